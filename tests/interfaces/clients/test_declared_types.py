"""The type declarations of the JavaScript client name the fields that the registry of frames has."""

import re
from pathlib import Path
from types import UnionType
from typing import Any, Final, NotRequired, Union, get_args, get_origin

import pytest

from interfaces.wire import server_frames as told
from interfaces.wire.registry import hints

DECLARED: Final = (
    Path(__file__).parents[3] / "interfaces" / "clients" / "javascript" / "index.d.ts"
).read_text()


def interface(name: str, source: str = DECLARED) -> dict[str, tuple[bool, bool]]:
    """The fields of an interface: whether each may be missing, and whether it may be null."""
    found = re.search(rf"export interface {name} \{{\n(.*?)\n\}}", source, re.DOTALL)
    assert found, f"{name} is declared"
    # fields of objects inside are indented further
    fields = re.findall(r"^  (\w+)(\??): (.+)$", found[1], re.MULTILINE)
    return {field: (bool(mark), kind.rstrip(";").endswith("| null")) for field, mark, kind in fields}


def of_registry(kind: Any) -> dict[str, tuple[bool, bool]]:
    made = {}
    for field, hint in hints(kind).items():
        is_optional = get_origin(hint) is NotRequired
        inner = get_args(hint)[0] if is_optional else hint
        while hasattr(inner, "__metadata__"):
            inner = inner.__origin__
        options = get_args(inner) if get_origin(inner) in {Union, UnionType} else ()
        made[field] = is_optional, type(None) in options
    return made


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Person", told.Person),
        ("Message", told.Message),
        ("Entry", told.Entry),
        ("Member", told.Member),
    ],
)
def test_a_part_of_frames_is_declared_as_it_is(name: str, kind: Any) -> None:
    assert interface(name) == of_registry(kind)


def test_so_is_the_chat_within_an_entry() -> None:
    inner = re.search(r"  chat: \{\n(.*?)\n  \};", DECLARED, re.DOTALL)
    assert inner
    source = "export interface Chat {\n" + re.sub("^  ", "", inner[1], flags=re.MULTILINE) + "\n}"
    assert interface("Chat", source) == of_registry(told.Chat)
