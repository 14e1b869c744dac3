"""Hostile values and texts, drawn from a seed: the same seed gives the same ones."""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

from attrs import define, field

IDS: Final = (
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "{21d79d31-3705-5068-a48b-18a2cdd3b0ae}",
    "urn:uuid:21d79d31-3705-5068-a48b-18a2cdd3b0ae",
    "21D79D3137055068A48B18A2CDD3B0AE",
    "21d79d31-3705-5068-a48b-18a2cdd3b0a",
    "٢1d79d31-3705-5068-a48b-18a2cdd3b0ae",
    "0",
    "-1",
    "None",
    "..",
    "%00",
)
"""Forms of ids that parsers accept, and such that look like one."""

TEXTS: Final = (
    "",
    " ",
    "\x00",
    "a\x00b",
    "\r\nSet-Cookie: a=b",
    "a\r\nBcc: eve@example.com",
    "{{7*7}}${7*7}<%= 7*7 %>#{7*7}",
    "{0.__class__.__mro__}",
    "%s%n%x",
    "<script>alert(1)</script>",
    "' OR 1=1 --",
    '"; DROP TABLE account; --',
    "../../../../etc/passwd",
    "..\\..\\windows",
    "\ufeff",
    "\u202e\u0661\u0000",
    "İ" * 50,
    "ﬃ" * 100,
    "e\u0301" * 500,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 30,
    "a" * 129,
    "a" * 5000,
    "a" * 3000 + "@" + "b" * 3000,
    "@" * 3000,
    ("a." * 1500) + "@example.com",
    "+" + "1" * 40,
    "!" * 3000 + "A",
    "constructor",
    "__proto__",
    "null",
    "true",
    "NaN",
)

NUMBERS: Final = (
    0,
    -1,
    1,
    2**31 - 1,
    2**31,
    2**53 + 1,
    2**63 - 1,
    2**63,
    2**64,
    10**30,
    -(2**63) - 1,
    0.5,
    -0.0,
    1e308,
)

JSON_TEXTS: Final = (
    "NaN",
    "-Infinity",
    "1e400",
    "1E-999",
    "01",
    "+1",
    "1" * 400,
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\\u0000"',
    "'a'",
    "{",
    "[",
    '{"a":1,"a":2}',
    '{"a":{"b":1,"b":2}}',
    "[" * 2000,
    '{"a":' * 500 + "1" + "}" * 500,
    '"' + "a" * 70000 + '"',
    "// comment\n1",
    "[1,]",
    "tru",
    "\x00",
)
"""JSON that parsers read differently, and texts that are none."""


@define
class Chance:
    random: Random
    known: Sequence[str] = field(default=())
    """Ids of things that exist."""

    def one(self, of: Sequence[Any]) -> Any:
        return self.random.choice(of)

    def happens(self, share: float) -> bool:
        return self.random.random() < share

    def id(self) -> str:
        return str(self.one(self.known) if self.known and self.happens(0.6) else self.one(IDS))

    def text(self) -> str:
        if self.happens(0.2):
            return "".join(
                chr(self.random.choice((0, 9, 10, 32, 65, 127, 160, 0x430, 0x2028, 0x1F600)))
                for _ in range(9)
            )
        return str(self.one(TEXTS))

    def value(self, depth: int = 3) -> Any:
        kinds: list[Callable[[], Any]] = [
            self.text,
            self.id,
            lambda: self.one(NUMBERS),
            lambda: self.one((None, True, False, {}, [], "")),
        ]
        if depth:
            kinds += [
                lambda: [self.value(depth - 1) for _ in range(self.random.randrange(4))],
                lambda: {self.text(): self.value(depth - 1) for _ in range(self.random.randrange(4))},
            ]
        return self.one(kinds)()

    def changed(self, example: Any) -> Any:
        """An example of something valid, with some of its parts exchanged, left out or added."""
        match example:
            case dict():
                made = {
                    name: self.changed(each) if self.happens(0.5) else each for name, each in example.items()
                }
                if made and self.happens(0.15):
                    del made[self.one(list(made))]
                if self.happens(0.15):
                    made[self.text()] = self.value(2)
                return made
            case list():
                return [self.changed(each) for each in example] + (
                    [self.value(1)] if self.happens(0.2) else []
                )
            case _:
                return self.value() if self.happens(0.4) else example

    def written(self, value: Any) -> bytes:
        """A value as JSON, sometimes as JSON that is broken or that parsers read differently."""
        text = json.dumps(value, ensure_ascii=self.happens(0.5))
        if self.happens(0.15) and '"' in text:
            # one value within it becomes something that a correct writer never writes
            text = text.replace(self.one(('"', "1", "null", "true")), str(self.one(JSON_TEXTS)), 1)
        if self.happens(0.08) and text.startswith("{") and len(text) > 2:
            text = f"{text[:-1]},{text[1:]}"  # every name twice
        if self.happens(0.04):
            text = str(self.one(JSON_TEXTS))
        data = text.encode("utf-8", "surrogatepass")
        if self.happens(0.05):
            place = self.random.randrange(len(data) + 1)
            data = data[:place] + bytes([self.random.randrange(256)]) + data[place + 1 :]
        return data
