"""The README's picture of the database is the database's."""

from pathlib import Path

from infrastructure.postgres.schema.diagram import diagram, put_into

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_shows_the_tables_as_they_are() -> None:
    text = README.read_text()
    assert diagram() in text, "make diagram"
    assert put_into(text) == text


def test_an_old_picture_is_replaced() -> None:
    text = README.read_text()
    old = text.replace("erDiagram", "erDiagram\n    forgotten {\n    }")
    assert old != text
    assert put_into(old) == text
