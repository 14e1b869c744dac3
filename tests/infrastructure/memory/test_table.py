from attrs import define
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from infrastructure.memory.table import Table


@define
class Thing:
    name: str


def test_what_is_not_put_back_is_not_kept() -> None:
    committed = {1: Thing("one")}
    table = Table(committed)
    thing = table.get(1)
    assert thing is not None
    thing.name = "changed"
    assert table.get(1) == Thing("one")
    table[1] = thing
    thing.name = "changed again"
    assert table.get(1) == Thing("changed")
    assert committed == {1: Thing("one")}
    table.apply()
    assert committed == {1: Thing("changed")}


def test_what_others_commit_is_seen_unless_it_was_written_here() -> None:
    committed: dict[int, str] = {}
    one, other = Table(committed), Table(committed)
    one[1] = "one"
    other[1] = "other"
    other[2] = "other"
    other.apply()
    assert (one.get(1), one.get(2)) == ("one", "other")


keys, texts = st.integers(0, 4), st.text(max_size=2)


class TableMachine(RuleBasedStateMachine):
    """A table over a dictionary behaves like a dictionary that was copied, until it is applied."""

    def __init__(self) -> None:
        super().__init__()
        self.committed: dict[int, str] = {}
        self.table = Table(self.committed)
        self.model: dict[int, str] = {}

    @rule(key=keys, text=texts)
    def put(self, key: int, text: str) -> None:
        self.table[key] = text
        self.model[key] = text

    @rule(key=keys)
    def delete(self, key: int) -> None:
        if key in self.model:
            del self.table[key]
            del self.model[key]
        else:
            assert key not in self.table

    @rule()
    def apply(self) -> None:
        self.table.apply()
        assert self.committed == self.model

    @rule()
    def give_up(self) -> None:
        self.table = Table(self.committed)
        self.model = dict(self.committed)

    @invariant()
    def they_agree(self) -> None:
        assert dict(self.table.items()) == self.model
        assert sorted(self.table.values()) == sorted(self.model.values())
        assert all(self.table.get(key) == self.model.get(key) for key in range(5))
        assert all((key in self.table) == (key in self.model) for key in range(5))


TestTableMachine = TableMachine.TestCase
