"""Pages of history are encoded from their rows: as their messages would be, one by one."""

import orjson
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from application.views import NOBODY, HistoryPage, MessageView, ProfileView
from domain.ids import MessageId, Position, ProfileId, Seq
from domain.message import Message
from interfaces.wire import codec
from tests.strategies import bodies, chat_ids, moments, nonces, texts

people = st.just(NOBODY) | st.builds(
    ProfileView, id=st.uuids().map(ProfileId), **dict.fromkeys(("first_name", "username"), st.none() | texts)
)


@st.composite
def pages(draw: st.DrawFn) -> tuple[HistoryPage, list[MessageView]]:
    chat_id, authors = draw(chat_ids), draw(st.lists(people, min_size=1, max_size=3))
    shown = []
    for seq in range(1, 1 + draw(st.integers(0, 4))):
        author = draw(st.sampled_from(authors))
        message = Message(
            id=MessageId(draw(st.uuids())),
            chat_id=chat_id,
            seq=Seq(seq),
            author_id=author.id,
            body=draw(bodies),
            nonce=draw(st.none() | nonces),
            sent_at=draw(moments),
        )
        shown.append(
            MessageView(
                message=message,
                position=Position(seq + 1),
                sender=author,
                read_at=draw(st.none() | moments),
            )
        )
    by_id = {view.message.author_id: view.sender for view in shown}
    shown = [evolve(view, sender=by_id[view.message.author_id]) for view in shown]
    return HistoryPage.of(chat_id, range(1, len(shown) + 1), len(shown), shown), shown


@given(pages())
def test_a_page_is_written_as_its_messages_are(drawn: tuple[HistoryPage, list[MessageView]]) -> None:
    page, shown = drawn
    assert list(page.messages) == shown
    written = orjson.loads(codec.dumps(codec.history_json(page)))
    assert written["entities"] == [orjson.loads(codec.dumps(codec.message_json(view))) for view in shown]
    assert (written["totalCount"], written["hasBefore"], written["hasAfter"]) == (len(shown), False, False)
