"""
`docs/protocol.md` says of the socket of all chats what the registry of frames says, and of limits what the settings say. The
tables of the socket of one chat are held in `test_protocol_page`.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, get_args

import orjson
import pytest
from attrs import fields

from application.ports.own_changes import Lost
from config.settings.groups import Socket, Sync
from domain.events import Removal
from interfaces.live.entry import REPLAY_MOST
from interfaces.live.roster import CROWD
from interfaces.wire import server_frames as told
from interfaces.wire.client_frames import (
    CATCH_UP_MOST,
    HISTORY_DEFAULT,
    HISTORY_MOST,
    ID_LIMIT,
    PAGE_DEFAULT,
)
from interfaces.wire.places import SEEN_MOST
from interfaces.wire.reasons import Reset
from interfaces.wire.registry import (
    ENTRY_CODES,
    ORDER,
    Channel,
    ClientFrame,
    hints,
    of_clients,
    of_server,
)
from interfaces.wire.schema import Schema
from interfaces.ws.all_chats_desk import READERS_MOST
from tests.interfaces.ws.test_protocol_page import PAGE, codes, names, table

ALL_CHATS: Final = "## The socket of all chats"
RUNNING: Final = " ".join(PAGE.split())
"""The page as one line, where sentences are whole."""


def fields_of(kind: Any) -> set[str]:
    """The fields of a type of frames or of parts of frames, besides its type."""
    return set(hints(kind)) - {"type"}


def named_in(cell: str) -> set[str]:
    """The names in a cell, without what is in brackets after them or said of them after a colon."""
    return names(re.sub(r"\([^()]*\)|:.*", "", cell))


def plain(some: set[str]) -> set[str]:
    return {each.strip("`[]") for each in some}


DEFAULTS: Final[dict[str, float]] = {
    each.metadata["name"]: each.default for group in (Socket, Sync) for each in fields(group)
}
"""The settings of sockets and of their frames over HTTP."""

REQUESTS: Final = {row.type: row for row in of_clients(Channel.ALL_CHATS) if row.type != "auth"}
TABLE: Final = table("frame | fields beside `id`", below=ALL_CHATS)


class TestRequests:
    def test_every_one_is_there(self) -> None:
        assert {first.strip("`") for first in TABLE} == set(REQUESTS)

    @pytest.mark.parametrize("row", REQUESTS.values(), ids=lambda row: row.type)
    def test_it_has_its_fields_and_its_answer(self, row: ClientFrame) -> None:
        asked, answer = (cell.strip() for cell in TABLE[f"`{row.type}`"].split(" | "))
        named: dict[str, Schema] = {}
        schema = row.schema(named)
        properties = orjson.loads(orjson.dumps(schema["properties"]))
        assert plain(named_in(asked)) == set(properties) - {"type", "id"}
        assert row.answer
        if answer == "nothing more":
            assert row.answer is told.Nothing
        elif answer == "an entry, and `chat_id`":
            assert row.answer is told.EntryOfChat
        elif "type" in hints(row.answer):
            assert answer == f"`{next(iter(get_args(hints(row.answer)['type'])))}`"
        else:
            whole, _, _ = answer.partition(";")
            assert plain(named_in(whole)) == fields_of(row.answer)
            inner = plain(names(whole)) - plain(named_in(whole))
            assert not inner or inner == fields_of(PARTS[row.type])

    def test_limits_of_pages(self) -> None:
        assert f"`limit` ({PAGE_DEFAULT}, at most {HISTORY_MOST})" in TABLE["`get_history`"]
        assert f"`limit` (at most {CATCH_UP_MOST})" in TABLE["`catch_up`"]
        assert f"{READERS_MOST:,} at most" in TABLE["`get_readers`"]


PARTS: Final[dict[str, Any]] = {
    "send_message": told.SentMessage,
    "get_readers": told.Reader,
    "add_members": told.Member,
    "watch_presence": told.Availability,
}
"""The parts of answers that the table lists."""


def lines_of(kind: str) -> Iterator[set[str]]:
    """The names in each line of the page that shows a frame of the server of this type."""
    for line in re.findall(rf'<- \{{"type": "{kind}".*', PAGE):
        yield set(re.findall(r'"([a-z_]+)"', line)) - {"type", kind}


class TestEntering:
    def test_lines_that_show_frames(self) -> None:
        greeting = fields_of(told.Limits)
        assert [*lines_of("auth_success")] == [
            fields_of(kind) | greeting for kind in (told.AuthSuccess, told.AuthSuccessAll)
        ]
        assert [*lines_of("snapshot")] == [fields_of(told.Snapshot) - {"id"}]
        assert [*lines_of("resumed")] == [fields_of(told.ResumedAll)]
        assert [*lines_of("answer")] == [{"id", "watching"} | fields_of(told.Availability)]
        assert [*lines_of("presence")] == [fields_of(told.PresenceTold)]
        assert [*lines_of("presence_ended")] == [fields_of(told.PresenceEnded)]

    def test_an_entry(self) -> None:
        rows = table("part of an entry", below=ALL_CHATS)
        assert {each for first in rows for each in plain(names(first))} == fields_of(told.Entry)
        assert plain(names(rows["`chat`"])) == fields_of(told.Chat)

    @pytest.mark.parametrize(
        ("start", "kind", "values"),
        [
            ("`chat_removed`", told.ChatRemoved, set(Removal)),
            ("`chat_added`", told.ChatAdded, set()),
            ("`read_up_to`", told.ReadUpToOwn, set()),
            ("`gap`", told.Gap, set()),
            ('`reset` with `scope: "chat"`', told.ResetOne, {Reset.AHEAD}),
            ('`reset` with `scope: "all"`', told.ResetAll, set(Lost)),
        ],
    )
    def test_what_a_returning_client_is_told(self, start: str, kind: Any, values: set[str]) -> None:
        rows = table("frame | meaning", below="A returning client sends")
        (first,) = (each for each in rows if each.startswith(start))
        assert plain(names(first.removeprefix(start))) == fields_of(kind) - {"scope"}
        assert values <= plain(names(rows[first]))

    def test_every_frame_of_this_socket_is_told_of(self) -> None:
        below = PAGE.partition(ALL_CHATS)[2]
        own = [row for row in of_server(Channel.ALL_CHATS) if row not in of_server(Channel.CHAT)]
        assert len(own) > 10
        missing = [row.type for row in own if not re.search(rf"[`\"]{row.type}[`\"]", below)]
        assert missing == []

    def test_codes_of_a_refused_entry(self) -> None:
        assert codes("code | meaning", below="A refused `auth`") == set(ENTRY_CODES[Channel.CHAT])


VALUES: Final = {
    0.75: "three quarters",
    1: "one a second",
    5: "five",
    6: "six",
    10: "ten",
    75: "three quarters",
}
"""Numbers that the page may write as words."""


def writings(value: float) -> set[str]:
    """How a number, a duration in seconds or a size in bytes may be written."""
    whole = int(value) if value == int(value) else value
    written = {f"{whole:,}", str(whole), VALUES.get(whole, "")}
    for unit, size in (("KiB", 1024), ("MiB", 1024 * 1024)):
        if whole % size == 0:
            written.add(f"{whole // size} {unit}")
    return {each for each in written if each}


def mentions() -> Iterator[tuple[str, str]]:
    """Each setting of sockets that the page names in a row or a sentence, which says a number too, and that text."""
    texts = [line for line in PAGE.splitlines() if line.startswith("|")]
    paragraphs = re.sub(r"^\|.*$", "", PAGE, flags=re.MULTILINE).split("\n\n")
    texts += [
        sentence
        for each in paragraphs
        for sentence in re.split(r"(?<=[.:;])\s+(?=[A-Z`])", " ".join(each.split()))
    ]
    for text in texts:
        for name in re.findall(r"`((?:WS|SYNC)_[A-Z_]+)`", text):
            yield name, text


MENTIONS: Final = [*mentions()]


class TestLimits:
    @pytest.mark.parametrize(("name", "text"), MENTIONS, ids=[name for name, _ in MENTIONS])
    def test_a_setting_is_named_with_its_default(self, name: str, text: str) -> None:
        value = DEFAULTS[name]
        found = [
            each for each in writings(value) if re.search(rf"(?<![\d,]){re.escape(each)}(?![\d,]\d)", text)
        ]
        assert found, (value, text)

    def test_every_limit_of_one_socket_is_in_the_table(self) -> None:
        rows = table("what | default")
        assert len(rows) > 10
        named = {name for name, text in MENTIONS if text.startswith("|")}
        prose = {"WS_CHATS_PAGE", "WS_CURSOR_SECONDS", "WS_PRESENCE_SECONDS"}
        of_node = {
            "WS_NODE_OUTBOX_BYTES",
            "WS_NODE_WAITING_BYTES",
            "WS_NODE_TAIL_BYTES",
            "WS_ENTERING",
            "WS_ENTRY_SECONDS",
        }
        assert DEFAULTS.keys() - named - of_node == prose
        assert prose <= {name for name, _ in MENTIONS}

    @pytest.mark.parametrize(
        "sentence",
        [
            f"More than {REPLAY_MOST:,} events were missed.",
            f"More than {REPLAY_MOST:,} events of this chat were missed",
            f"In a chat of more than {CROWD} members",
            f"the newest {REPLAY_MOST:,} at most",
            f"a string of up to {ID_LIMIT} characters",
            f"the positions of up to {SEEN_MOST:,} chats",
            f"`limit`: {HISTORY_DEFAULT} by default, at most {HISTORY_MOST}",
            ORDER,
        ],
    )
    def test_numbers_and_the_order_of_answers_are_those_of_the_code(self, sentence: str) -> None:
        assert sentence in RUNNING
