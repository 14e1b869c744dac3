"""The options of sockets. Their defaults are defined here; the settings take them from here."""

from attrs import frozen


@frozen(kw_only=True)
class SocketOptions:
    auth_timeout: float = 10.0
    """Seconds in which a client must authenticate."""
    entering: int = 64
    """Sockets that may enter at the same time. The others wait, so that they do not overload the database."""
    entry_timeout: float = 10.0
    """Seconds that a socket may wait for its entry."""
    per_session: int = 256
    per_account: int = 1024
    per_network: int = 0
    """
    Sockets and event streams at once of one session, one account, and one network (`domain.network.network_of`). 0 means no
    limit: the places of a network's connections are limited by the HTTP side (`API_CONNECTIONS_PER_NETWORK`).
    """
    outbox_frames: int = 256
    outbox_bytes: int = 256 * 1024
    """Frames and bytes that may wait for one client to read them. Above either limit the socket is closed."""
    node_tail_bytes: int = 16 * 1024 * 1024
    """Bytes of recent events that the node keeps for clients that come back. With 0 they read all from the database."""
    gap_percent: int = 75
    """
    The share of both limits above which messages that wait on a socket of all chats are replaced by gaps, so that its client
    need not be disconnected. 100 means never.
    """
    node_outbox_bytes: int = 128 * 1024 * 1024
    """Bytes that may wait for all clients of the node together. Above it the socket with most of them is closed."""
    pending_sends: int = 64
    """Unanswered messages of one socket. Above it further frames of the socket wait."""
    waiting_frames: int = 64
    waiting_bytes: int = 256 * 1024
    """Frames of one socket, and their bytes, that may wait. Above either limit nothing more is read from the socket."""
    node_waiting_bytes: int = 64 * 1024 * 1024
    """Bytes of waiting frames on all sockets of the node. Above it the socket with most of them is closed."""
    message_timeout: float = 30.0
    """Seconds from the first byte of a client's message to its last."""
    chats_page: int = 50
    """Chats in one page on the socket of all chats."""
    cursor_interval: int = 10
    """Seconds between two cursors that the socket of all chats is told."""
    typing_interval: float = 1.0
    """Seconds between two notifications of the same state of typing by one socket."""
    typing_expiry: float = 6.0
    """Seconds after which typing that the client does not renew ends."""
    presence_pause: float = 5.0
    """Seconds until a person whose last client has gone is told as offline."""
    watched_profiles: int = 200
    """The most people whose presence one socket may watch."""
    close_timeout: float = 5.0
    """Seconds in which the client must read the remaining frames and the close frame."""
    heartbeat_interval: float = 25.0
    """Seconds between two pings of the server."""
    pong_timeout: float = 15.0
    """Seconds in which a client must answer a ping."""
    max_message_bytes: int = 65536
    """Bytes of one message of a client."""
