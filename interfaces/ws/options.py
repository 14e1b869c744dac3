"""What may be set about sockets. The defaults stand here and nowhere else: the settings take them from here."""

from attrs import frozen


@frozen(kw_only=True)
class SocketOptions:
    auth_timeout: float = 10.0
    """Seconds until a client must have said who it is."""
    entering: int = 32
    """Sockets that are let in at a time. When all come back at once, the others wait here and not for the database."""
    entry_timeout: float = 10.0
    """Seconds that a socket may wait to be let in."""
    outbox_frames: int = 256
    outbox_bytes: int = 256 * 1024
    """Frames and bytes that may wait for one client to read them. Beyond either it is closed, and resumes later."""
    node_outbox_bytes: int = 128 * 1024 * 1024
    """Bytes that may wait for all clients of the node together. Beyond it the slowest one is closed."""
    pending_sends: int = 64
    """Messages of one socket that may be on their way into storage. Beyond it no more of its frames are looked at."""
    waiting_frames: int = 64
    waiting_bytes: int = 256 * 1024
    """Frames of one socket, and their bytes, that may wait for their turn. Beyond either nothing more is read from it."""
    node_waiting_bytes: int = 64 * 1024 * 1024
    """Bytes that may wait for their turn on all sockets of the node. Beyond it the socket with most of them is closed."""
    message_timeout: float = 30.0
    """Seconds from the first byte of a client's message to its last."""
    close_timeout: float = 5.0
    """Seconds in which the other side must have read what was left and the close."""
    heartbeat_interval: float = 25.0
    """Seconds between two pings of the server."""
    max_message_bytes: int = 65536
    """Of one message of a client."""
