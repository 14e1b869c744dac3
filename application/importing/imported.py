from attrs import define, field


@define
class Imported:
    """The outcome of an import. Rows that an earlier import brought are not counted."""

    people: int = 0
    chats: int = 0
    messages: int = 0
    marks: int = 0
    notes: list[str] = field(factory=list)
    """One line for each thing that was left out or changed."""
