import pytest

from domain.catalogue import LIMIT, BadCatalogue, Catalogue, Entry, Language
from domain.text import UnstorableText


def named(name: str, *keys: str) -> Catalogue:
    return Catalogue(name=name, title="Т", entries=tuple(Entry(key=key, value=key) for key in keys))


@pytest.mark.parametrize("name", ["test", "time-zones", "iso3166", "a1-b2"])
def test_a_name_is_a_part_of_a_path(name: str) -> None:
    assert named(name).name == name


@pytest.mark.parametrize(
    "name", ["", "Test", "time_zones", "-a", "a-", "a--b", "1a", "а", "a/b", "a" * (LIMIT + 1)]
)
def test_other_names_are_none(name: str) -> None:
    with pytest.raises(BadCatalogue):
        named(name)


def test_a_key_is_there_once() -> None:
    with pytest.raises(BadCatalogue):
        named("test", "a", "b", "a")


@pytest.mark.parametrize("text", ["", "x" * (LIMIT + 1)])
def test_texts_say_something_and_not_too_much(text: str) -> None:
    for make in (
        lambda: Entry(key=text, value="v"),
        lambda: Entry(key="k", value=text),
        lambda: Entry(key="k", value="v", english=text),
        lambda: Catalogue(name="test", title=text, entries=()),
    ):
        with pytest.raises(BadCatalogue):
            make()


def test_what_cannot_be_stored_is_refused() -> None:
    with pytest.raises(UnstorableText):
        Entry(key="k", value="\0")


def test_english_to_whom_it_concerns_and_only_where_there_is_some() -> None:
    both, one = Entry(key="DE", value="Германия", english="Germany"), Entry(key="test", value="Тест")
    assert [both.value_in(language) for language in Language] == ["Германия", "Germany"]
    assert [one.value_in(language) for language in Language] == ["Тест", "Тест"]
    heading = Catalogue(name="countries", title="Страны", english_title="Countries", entries=()).heading
    assert heading == Entry(key="countries", value="Страны", english="Countries")
