"""Texts and names that try to be something else, or to leave their place."""

from typing import Final

_ZALGO: Final = "Z̷̡̛͔̲̯̘̤͍͙͔̻̭̽̿̐̈́̓͌̅̚͜͝͝a̵̢͈̖̹̙̘̽̅̓͊l̶͔̈́̒g̷̨̛̜̱̀̕o̴̢͎̅"

TEXTS: Final = [
    "<img src=x onerror=\"document.title='hacked'\">",
    "\u202eright to left override",
    "👩‍👩‍👧‍👦🏳️‍🌈" * 200,
    "😀" * 4000,
    "😀🎉",
    "z" * 3000,
    _ZALGO * 20,
    "שלום, это смешанный text עם כל מיני",
    "https://example.com/path?x=1&y=<b>, see there",
]

NAME: Final = ("<b>Имя</b> שלום " + "Щ" * 100)[:100]
"""The longest name that is allowed, in two directions. The domain refuses names that override the direction."""

OTHER_NAME: Final = (_ZALGO * 4)[:100]
