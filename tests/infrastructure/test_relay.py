"""What a relay leaves out when more waits than can be sent: first what is said again anyway."""

from uuid import UUID

from application.ports.updates import Attendance, AttendingThere, Moved, Update
from domain.ids import ChatId, Position, ProfileId
from infrastructure.relay import Relay
from infrastructure.update_codec import read_envelope
from tests.strategies import START


def attending(number: int) -> AttendingThere:
    return AttendingThere(
        node="one",
        chat_id=ChatId(UUID(int=number)),
        profile_ids=(ProfileId(UUID(int=1)),),
        change=Attendance.JOINED,
        at=START,
    )


def moved(number: int) -> Moved:
    return Moved(chat_id=ChatId(UUID(int=number)), position=Position(number))


def sent(relay: Relay) -> list[Update]:
    updates: list[Update] = []
    while not relay.is_empty:
        for batch in relay.take().values():
            for data in batch.envelopes:
                envelope = read_envelope(data, lambda *_: True)
                assert envelope is not None
                updates.extend(envelope.updates)
    return updates


def relay() -> Relay:
    made = Relay(publisher="one", most_bytes=10_000, most_waiting=10)
    made.see("an epoch")
    return made


def test_who_is_there_makes_room_for_messages() -> None:
    full = relay()
    full.publish([moved(1), moved(2)])
    full.publish([attending(number) for number in range(20)])
    assert sent(full) == [moved(1), moved(2)]


def test_messages_become_one_hint_for_each_chat() -> None:
    full = relay()
    full.publish([*(moved(1) for _ in range(8)), *(attending(number) for number in range(20))])
    assert sent(full) == [moved(1)]
