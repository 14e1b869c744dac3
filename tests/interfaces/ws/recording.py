"""A frame of a client that remembers which of its fields were read."""

from typing import Any

from attrs import define, field


@define
class Recording(dict[str, Any]):
    read: set[str] = field(factory=set)

    def get(self, name: Any, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)


def recording(**fields: Any) -> Recording:
    made = Recording()
    made.update(fields)
    return made
