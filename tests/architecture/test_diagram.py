"""docs/database.md shows the tables as they are."""

from pathlib import Path

from infrastructure.postgres.schema.diagram import diagram, put_into

PAGE = Path(__file__).parents[2] / "docs" / "database.md"


def test_the_page_shows_the_tables_as_they_are() -> None:
    text = PAGE.read_text()
    assert diagram() in text, "make diagram"
    assert put_into(text) == text


def test_an_old_picture_is_replaced() -> None:
    text = PAGE.read_text()
    old = text.replace("erDiagram", "erDiagram\n    forgotten {\n    }")
    assert old != text
    assert put_into(old) == text
