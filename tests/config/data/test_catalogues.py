"""The lists that come with the messenger, as lists."""

import re
from itertools import pairwise

from config.data.catalogues import CATALOGUES, TEST
from config.data.countries import COUNTRIES
from config.data.time_zones import TIME_ZONES

CYRILLIC = re.compile(r"[А-ЯЁ][А-Яа-яЁё’,—\- ]+")


def test_the_originals_list_is_the_same_in_every_language() -> None:
    assert [(entry.key, entry.value, entry.english) for entry in TEST.entries] == [("test", "Тест", None)]


def test_names_are_told_apart() -> None:
    assert len({catalogue.name for catalogue in CATALOGUES}) == len(CATALOGUES)
    for catalogue in CATALOGUES:
        assert len({entry.key for entry in catalogue.entries}) == len(catalogue.entries), catalogue.name
    assert len({entry.value for entry in COUNTRIES.entries}) == len(COUNTRIES.entries)
    assert len({entry.english for entry in COUNTRIES.entries}) == len(COUNTRIES.entries)


def test_countries_are_those_of_the_standard() -> None:
    keys = [entry.key for entry in COUNTRIES.entries]
    assert len(keys) == 249
    assert keys == sorted(keys)
    assert [key for key in keys if not re.fullmatch("[A-Z]{2}", key)] == []
    assert [entry.value for entry in COUNTRIES.entries if not CYRILLIC.fullmatch(entry.value)] == []
    assert [entry.key for entry in COUNTRIES.entries if re.search("[А-яЁё]", entry.english or "х")] == []


def test_time_zones_go_from_west_to_east() -> None:
    def minutes(offset: str) -> int:
        sign, hours, rest = offset[3], offset[4:6], offset[7:9]
        return (1 if sign == "+" else -1) * (60 * int(hours) + int(rest))

    offsets = [minutes(entry.value) for entry in TIME_ZONES.entries]
    assert all(west <= east for west, east in pairwise(offsets))
    assert {"UTC", "Europe/Moscow", "Asia/Vladivostok", "America/New_York"} <= {
        e.key for e in TIME_ZONES.entries
    }
    assert {entry.key: entry.value for entry in TIME_ZONES.entries}["Asia/Kathmandu"] == "UTC+05:45"
