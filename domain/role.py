"""Roles in a group, and a table of what each of them may do."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"


class Act(StrEnum):
    """An act that only some members of a group may perform. Every member may post, read and leave."""

    DESCRIBE = "describe"
    ADD = "add"
    REMOVE = "remove"
    APPOINT = "appoint"
    DELETE = "delete"


MAY: Final[Mapping[Act, frozenset[Role]]] = {
    Act.DESCRIBE: frozenset({Role.OWNER, Role.ADMIN}),
    Act.ADD: frozenset({Role.OWNER, Role.ADMIN}),
    # An admin may only remove plain members, see `Chat.remove`.
    Act.REMOVE: frozenset({Role.OWNER, Role.ADMIN}),
    Act.APPOINT: frozenset({Role.OWNER}),
    Act.DELETE: frozenset({Role.OWNER}),
}
