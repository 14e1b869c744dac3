"""Who may do what in a group, as a table."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"


class Act(StrEnum):
    """What only some members of a group may do. Every member may post, read and leave."""

    DESCRIBE = "describe"
    ADD = "add"
    REMOVE = "remove"
    APPOINT = "appoint"
    DELETE = "delete"


MAY: Final[Mapping[Act, frozenset[Role]]] = {
    Act.DESCRIBE: frozenset({Role.OWNER, Role.ADMIN}),
    Act.ADD: frozenset({Role.OWNER, Role.ADMIN}),
    Act.REMOVE: frozenset(
        {Role.OWNER, Role.ADMIN}
    ),  # an admin may only remove plain members, see `Chat.remove`
    Act.APPOINT: frozenset({Role.OWNER}),
    Act.DELETE: frozenset({Role.OWNER}),
}
