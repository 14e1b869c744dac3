"""
What the original messenger was recorded to say, and how our answers are held beside it.

A line of `exchanges/*.jsonl` is one recording: its number, what was asked, what came back. Values that differ by nature
stand there as what they are: ``<uuid>``, ``<time>``, ``<jwt>``, ``<name>`` (a text or nothing), ``<text>``, ``<count>``,
``<messages>``; ``<new x>`` is a uuid that gets the name x from then on, ``<is x>`` the one of that name. In what is asked
``{x}`` stands for it, and ``{n*100}`` for a hundred times n.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from attrs import define, field

FOLDER = Path(__file__).with_name("exchanges")

Known = dict[str, str]


def recorded(name: str) -> Iterator[dict[str, Any]]:
    with (FOLDER / f"{name}.jsonl").open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def filled(value: Any, known: Mapping[str, str]) -> Any:
    """What is asked, with what stands for something in its place."""
    if isinstance(value, dict):
        return {key: filled(each, known) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, known) for each in value]
    if isinstance(value, str):
        value = re.sub(r"\{(.)\*(\d+)\}", lambda found: found[1] * int(found[2]), value)
        return re.sub(r"\{([a-z][a-z0-9 -]*)\}", lambda found: known[found[1]], value)
    return value


def _is_uuid(value: Any) -> bool:
    return isinstance(value, str) and str(UUID(value)) == value


def _is_time(value: Any) -> bool:
    """Without an offset; the fraction may be left out."""
    return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is None


KINDS: Mapping[str, Callable[[Any], bool]] = {
    "uuid": _is_uuid,
    "time": _is_time,
    "jwt": lambda value: re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", value) is not None,
    "name": lambda value: value is None or isinstance(value, str),
    "text": lambda value: isinstance(value, str),
    "date": lambda value: isinstance(value, str),
    "count": lambda value: type(value) is int and value >= 0,
    "messages": lambda value: isinstance(value, list),
}

UNORDERED = {"data", "members"}
"""Lists of things with ids for which the original promised no order; the order of messages is a fact."""


@define(eq=False)
class Comparison:
    """The comparison of one exchange. ``found`` says each difference as ``path: recorded -> ours``; ``added`` names what ours has more."""

    known: Known
    found: set[str] = field(factory=set)
    added: set[str] = field(factory=set)

    def differ(self, path: str, was: object, now: object) -> None:
        self.found.add(f"{path}: {_short(was)} -> {_short(now)}")

    def bodies(self, was: Any, now: Any) -> None:
        """Two of different sorts differ once, not in everything that is in them."""
        if (sort := _sort(was)) != (ours := _sort(now)):
            self.found.add(f"{sort} -> {ours}")
        else:
            self.compare(was, now, "")

    def compare(self, was: Any, now: Any, path: str) -> None:
        match was:
            case dict() if isinstance(now, dict):
                for key in was.keys() - now.keys():
                    self.differ(f"{path}.{key}", was[key], "nothing")
                for key in now.keys() - was.keys():
                    self.added.add(f"{path}.{key}")
                for key in was.keys() & now.keys():
                    self.compare(was[key], now[key], f"{path}.{key}")
            case list() if isinstance(now, list):
                self._lists(was, now, path)
            case str() if found := re.fullmatch(r"<(\w+)(?: (.+))?>", was):
                self._kinds(found[1], found[2], now, path)
            case str() if "<text>" in was and isinstance(now, str):
                if not re.fullmatch(re.escape(was).replace("<text>", ".+"), now):
                    self.differ(path, was, now)
            case str() if isinstance(now, str):
                if filled(was, self.known) != now:
                    self.differ(path, was, now)
            case _:
                if was != now or type(was) is not type(now):
                    self.differ(path, was, now)

    def _lists(self, was: list[Any], now: list[Any], path: str) -> None:
        if path.rpartition(".")[2] in UNORDERED:
            now = list(now)
            now = [found for each in was if (found := self._taken(each, now)) is not None] + now
        if len(was) != len(now):
            self.differ(path, f"{len(was)} entries", "more" if len(now) > len(was) else f"{len(now)} entries")
        for each, other in zip(was, now, strict=False):
            self.compare(each, other, f"{path}[]")

    def _taken(self, wanted: Any, among: list[Any]) -> Any:
        """Takes the element with the same key, id or name out of ``among``."""
        if "key" in wanted:
            found = next((each for each in among if each.get("key") == wanted["key"]), None)
            if found is not None:
                among.remove(found)
            return found
        name = wanted["id"].removeprefix("<is ").removesuffix(">")
        for each in among:
            if each["id"] == self.known.get(name) or (
                name == "<uuid" and each.get("name") == filled(wanted["name"], self.known)
            ):
                among.remove(each)
                return each
        return None

    def _kinds(self, kind: str, name: str | None, now: Any, path: str) -> None:
        match kind, name:
            case "new", str():
                if isinstance(now, str):
                    self.known[name] = now
                    self.known[f"{name} bare"] = now.replace("-", "")
                fits = _holds(_is_uuid, now)
            case "is", str():
                fits = now == self.known[name]
            case _:
                fits = _holds(KINDS[kind], now)
        if not fits:
            self.differ(path, f"<{kind}>" if name is None else f"<{kind} {name}>", now)


def _sort(body: Any) -> str:
    match body:
        case {"status": "success"}:
            return "success"
        case {"status": "error", "error": {"code": code}}:
            return str(code)
    return "no envelope"


def attributes(cookie: str) -> dict[str, str | bool]:
    """The attributes of a Set-Cookie header; names and SameSite in lower case."""
    first, *rest = cookie.split("; ")
    found: dict[str, str | bool] = {"value": first.partition("=")[2]}
    for each in rest:
        name, sign, value = each.partition("=")
        found[name.lower()] = (value.lower() if name.lower() == "samesite" else value) if sign else True
    return found


def _holds(kind: Callable[[Any], bool], value: Any) -> bool:
    try:
        return kind(value)
    except (TypeError, ValueError):
        return False


def _short(value: object) -> str:
    if _holds(_is_time, value):
        return "<time>"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
