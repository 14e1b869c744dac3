"""
Tells by which values a statement could be routed to the nodes of a distributed database, from PostgreSQL's own parse of it.

A table may be divided by its key (`infrastructure.postgres.schema.base`). A router then has to know the key of each table in a
statement before it runs: from a parameter, or from the rows of ``unnest``, of which each is routed by itself. A key that is
equal to a column of another table becomes known only when that table was read: such a statement takes a second step.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from attrs import define, field, frozen
from pglast import ast, parse_sql
from pglast.enums import A_Expr_Kind, BoolExprType, SubLinkType
from sqlalchemy import Table

from infrastructure.postgres.schema.base import metadata, with_all_tables

Column = tuple[int, str]
"""A column of one mention of a table, by the number of the mention."""


def dividing_column(table: Table) -> str | None:
    """Returns the key of a table, of a lookup the first column of its value, and None of reference data."""
    key: str = table.info["keyed_by"]
    if key == "reference":
        return None
    if key == "lookup":
        return table.primary_key.columns.keys()[0]
    return key


KEYS: Final[Mapping[str, str | None]] = {
    table.name: dividing_column(table) for table in with_all_tables(metadata).sorted_tables
}
"""The key of each table; None for tables that every node has."""


@define(eq=False)
class Mention:
    """One mention of something in FROM, or the table that a statement changes."""

    number: int
    table: str | None
    known: frozenset[str] | None = None
    """The columns of a query or function that can only have known values. None means all of them."""

    def knows(self, column: str) -> bool:
        return self.table is None and (self.known is None or column in self.known)


@frozen
class Route:
    """How the statement finds the rows of its tables. Each table is written with its key."""

    direct: frozenset[str]
    """Tables whose key is known before the statement runs."""
    later: frozenset[str]
    """Tables whose key is known when another one was read."""
    nowhere: frozenset[str]
    """Tables of which all parts would have to be asked."""
    faults: frozenset[str]
    """What a distributed table never accepts."""

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(KEYS[table] or "" for table in self.direct | self.later | self.nowhere)

    @property
    def is_direct(self) -> bool:
        """Whether the statement can be carried out where one key is, or be divided by the keys of its arrays."""
        return not (self.later or self.nowhere or self.faults) and len(self.keys) <= 1


@define(eq=False)
class _Scope:
    """The names that one query can see."""

    outer: "_Scope | None" = None
    names: dict[str, Mention] = field(factory=dict)
    queries: dict[str, frozenset[str]] = field(factory=dict)
    """The columns of each WITH query that can only have known values."""

    def find(self, name: str) -> Mention | None:
        return self.names.get(name) or (self.outer.find(name) if self.outer else None)

    def query(self, name: str) -> frozenset[str] | None:
        if name in self.queries:
            return self.queries[name]
        return self.outer.query(name) if self.outer else None

    def only(self) -> Mention | None:
        """What a column without the name of a table belongs to, if there is just one thing."""
        if len(self.names) == 1:
            return next(iter(self.names.values()))
        return None


@define(eq=False)
class _Reader:
    mentions: list[Mention] = field(factory=list)
    equal: list[tuple[Column, Column]] = field(factory=list)
    known: set[Column] = field(factory=set)
    faults: set[str] = field(factory=set)

    # names

    def mention(
        self, scope: _Scope, name: str, table: str | None, known: frozenset[str] | None = None
    ) -> Mention:
        made = Mention(len(self.mentions), table, known)
        self.mentions.append(made)
        scope.names[name] = made
        return made

    def column(self, scope: _Scope, node: Any) -> Column | None:
        if isinstance(node, ast.TypeCast):
            return self.column(scope, node.arg)
        if not isinstance(node, ast.ColumnRef) or not isinstance(node.fields[-1], ast.String):
            return None
        *table, last = [part.sval for part in node.fields]
        if table:
            owner = scope.find(table[-1])
        else:
            owner = scope.only()
            if owner is None:
                owners = [
                    each for each in scope.names.values() if each.table and last in _columns(each.table)
                ]
                owner = owners[0] if len(owners) == 1 else None
        return (owner.number, last) if owner else None

    def is_known(self, scope: _Scope, node: Any) -> bool:
        """Whether an expression has a value before any table is read."""
        if isinstance(node, (ast.ParamRef, ast.A_Const)):
            return True
        if isinstance(node, (ast.TypeCast, ast.CollateClause)):
            return self.is_known(scope, node.arg)
        if isinstance(node, ast.A_ArrayExpr):
            return all(self.is_known(scope, each) for each in node.elements or ())
        if isinstance(node, ast.RowExpr):
            return all(self.is_known(scope, each) for each in node.args)
        if (column := self.column(scope, node)) is not None:
            return self.mentions[column[0]].knows(column[1]) or column in self.known
        return False

    # conditions

    def condition(self, scope: _Scope, node: Any) -> None:
        """Takes in what must hold for each row of a query."""
        if node is None:
            return
        if isinstance(node, ast.BoolExpr) and node.boolop == BoolExprType.AND_EXPR:
            for each in node.args:
                self.condition(scope, each)
            return
        self.inside(scope, node)
        if isinstance(node, ast.A_Expr):
            is_equality = node.kind == A_Expr_Kind.AEXPR_OP and node.name[-1].sval == "="
            is_choice = node.kind in {A_Expr_Kind.AEXPR_IN, A_Expr_Kind.AEXPR_OP_ANY}
            if is_choice and node.name[-1].sval != "=":
                return
            if is_equality:
                self.same(scope, node.lexpr, node.rexpr)
            elif is_choice:
                choices = node.rexpr if isinstance(node.rexpr, tuple) else (node.rexpr,)
                if all(self.is_known(scope, each) for each in choices):
                    self.learn(scope, node.lexpr)
        if (
            isinstance(node, ast.SubLink)
            and node.subLinkType == SubLinkType.ANY_SUBLINK
            and not node.operName
        ):
            columns = self.query(node.subselect, scope)
            parts = node.testexpr.args if isinstance(node.testexpr, ast.RowExpr) else (node.testexpr,)
            for part, (_, is_known) in zip(parts, columns, strict=True):
                if is_known:
                    self.learn(scope, part)

    def same(self, scope: _Scope, one: Any, other: Any) -> None:
        if isinstance(one, ast.RowExpr) and isinstance(other, ast.RowExpr):
            for each, opposite in zip(one.args, other.args, strict=True):
                self.same(scope, each, opposite)
            return
        here, there = self.column(scope, one), self.column(scope, other)
        if here and there:
            self.equal.append((here, there))
        for column, value in ((here, other), (there, one)):
            if column and self.is_known(scope, value):
                self.known.add(column)

    def learn(self, scope: _Scope, node: Any) -> None:
        for part in node.args if isinstance(node, ast.RowExpr) else (node,):
            if column := self.column(scope, part):
                self.known.add(column)

    def inside(self, scope: _Scope, node: Any) -> None:
        """Reads the queries within an expression."""
        if isinstance(node, ast.SubLink):
            if not (node.subLinkType == SubLinkType.ANY_SUBLINK and not node.operName):
                self.query(node.subselect, scope)
            self.inside(scope, node.testexpr)
        elif isinstance(node, ast.Node):
            for name in node:
                self.inside(scope, getattr(node, name))
        elif isinstance(node, (tuple, list)):
            for each in node:
                self.inside(scope, each)

    # queries

    def source(self, scope: _Scope, node: Any) -> None:
        """Takes in one thing in FROM."""
        if isinstance(node, ast.JoinExpr):
            self.source(scope, node.larg)
            self.source(scope, node.rarg)
            self.condition(scope, node.quals)
            return
        alias = node.alias.aliasname if node.alias else None
        if isinstance(node, ast.RangeVar):
            query = scope.query(node.relname)
            name = alias or node.relname
            if query is not None:
                self.mention(scope, name, None, query)
            else:
                self.mention(scope, name, node.relname)
        elif isinstance(node, ast.RangeSubselect):
            columns = self.query(node.subquery, scope)
            names = (
                [each.sval for each in node.alias.colnames] if node.alias and node.alias.colnames else None
            )
            known = frozenset(
                names[place] if names else name for place, (name, is_known) in enumerate(columns) if is_known
            )
            self.mention(scope, alias or f"query {len(self.mentions)}", None, known)
        else:  # a function: what it is given decides
            given = node.functions[0][0] if isinstance(node, ast.RangeFunction) else node
            is_known = not list(_columns_in(given))
            self.mention(
                scope, alias or f"function {len(self.mentions)}", None, None if is_known else frozenset()
            )

    def with_queries(self, scope: _Scope, clause: Any) -> None:
        for each in clause.ctes if clause else ():
            names = [part.sval for part in each.aliascolnames or ()]
            scope.queries[each.ctename] = frozenset()  # while it reads itself
            columns = self.query(each.ctequery, scope)
            scope.queries[each.ctename] = frozenset(
                names[place] if names else name for place, (name, is_known) in enumerate(columns) if is_known
            )

    def query(self, node: Any, outer: _Scope | None = None) -> list[tuple[str, bool]]:
        """Reads a query. Returns its columns, each with whether it can only have known values."""
        scope = _Scope(outer)
        self.with_queries(scope, getattr(node, "withClause", None))
        if isinstance(node, ast.SelectStmt):
            return self.select(scope, node)
        if isinstance(node, ast.InsertStmt):
            return self.insert(scope, node)
        target = self.mention(scope, _name(node.relation), node.relation.relname)
        sources = node.fromClause if isinstance(node, ast.UpdateStmt) else node.usingClause
        for each in sources or ():
            self.source(scope, each)
        self.condition(scope, node.whereClause)
        if isinstance(node, ast.UpdateStmt):
            self.inside(scope, node.targetList)
            assert target.table is not None
            if KEYS[target.table] in {each.name for each in node.targetList}:
                self.faults.add(f"sets the key of {target.table}")
        return self.columns(scope, _returned(node))

    def select(self, scope: _Scope, node: ast.SelectStmt) -> list[tuple[str, bool]]:
        if node.larg is not None:
            one, other = self.query(node.larg, scope), self.query(node.rarg, scope)
            return [(name, is_known and also) for (name, is_known), (_, also) in zip(one, other, strict=True)]
        if node.valuesLists:
            rows = [[self.is_known(scope, each) for each in row] for row in node.valuesLists]
            self.inside(scope, node.valuesLists)
            return [(f"column{place}", all(each)) for place, each in enumerate(zip(*rows, strict=True), 1)]
        for each in node.fromClause or ():
            self.source(scope, each)
        self.condition(scope, node.whereClause)
        for clause in (
            node.havingClause,
            node.groupClause,
            node.sortClause,
            node.limitCount,
            node.limitOffset,
        ):
            self.inside(scope, clause)
        self.inside(scope, node.targetList)
        return self.columns(scope, node.targetList)

    def insert(self, scope: _Scope, node: ast.InsertStmt) -> list[tuple[str, bool]]:
        columns = self.query(node.selectStmt, scope)
        table = node.relation.relname
        target = self.mention(scope, _name(node.relation), table)
        names = [each.name for each in node.cols]
        if len(columns) == 1 and columns[0][0] == "*":  # the rows of a function
            columns *= len(names)
        for name, (_, is_known) in zip(names, columns, strict=True):
            if is_known:
                self.known.add((target.number, name))
        if (
            KEYS[table] is not None
            and isinstance(node.selectStmt, ast.SelectStmt)
            and node.selectStmt.valuesLists
        ):
            nested = _Reader()
            nested.inside(_Scope(), node.selectStmt.valuesLists)
            if nested.mentions:
                self.faults.add(f"inserts a value into {table} that a query finds")
        if clause := node.onConflictClause:
            scope.names["excluded"] = target
            self.inside(scope, clause)
            if KEYS[table] is not None and KEYS[table] in {each.name for each in clause.targetList or ()}:
                self.faults.add(f"sets the key of {table}")
        return self.columns(scope, _returned(node))

    def columns(self, scope: _Scope, targets: Iterable[Any] | None) -> list[tuple[str, bool]]:
        found = []
        for each in targets or ():
            value = each.val
            if isinstance(value, ast.ColumnRef) and isinstance(value.fields[-1], ast.A_Star):
                found += list(self.all_columns(scope, value))
                continue
            column = self.column(scope, value)
            found.append((each.name or (column[1] if column else ""), self.settled(scope, value)))
        return found

    def all_columns(self, scope: _Scope, star: ast.ColumnRef) -> Iterator[tuple[str, bool]]:
        owners = [scope.find(star.fields[0].sval)] if len(star.fields) > 1 else [*scope.names.values()]
        for owner in owners:
            assert owner is not None
            if owner.table:
                for name in _columns(owner.table):
                    yield name, self.reached((owner.number, name))
            elif owner.known is None:
                yield "*", True
            else:
                yield from ((name, True) for name in sorted(owner.known))

    def settled(self, scope: _Scope, node: Any) -> bool:
        column = self.column(scope, node)
        return self.reached(column) if column else self.is_known(scope, node)

    # what follows

    def reached(self, column: Column, *, through_tables: bool = False) -> bool:
        """
        Whether the value of a column is known before the statement runs; or, ``through_tables``, when tables were read whose
        keys are known.
        """
        seen, waiting = {column}, [column]
        while waiting:
            here = waiting.pop()
            if here in self.known or self.mentions[here[0]].knows(here[1]):
                return True
            if (
                through_tables
                and here != column
                and (here[0] in self._found or self.mentions[here[0]].table is None)
            ):
                return True
            for one, other in self.equal:
                for each, opposite in ((one, other), (other, one)):
                    if each == here and opposite not in seen:
                        seen.add(opposite)
                        waiting.append(opposite)
        return False

    _found: set[int] = field(factory=set)
    """Mentions of tables whose rows can be found."""

    def route(self) -> Route:
        keyed = {
            each.number: (each.table, key)
            for each in self.mentions
            if each.table and (key := KEYS.get(each.table))
        }
        direct = {number for number, (_, key) in keyed.items() if self.reached((number, key))}
        self._found = set(direct)
        while more := {
            number
            for number, (_, key) in keyed.items()
            if number not in self._found and self.reached((number, key), through_tables=True)
        }:
            self._found |= more

        def tables(numbers: Iterable[int]) -> frozenset[str]:
            return frozenset(keyed[number][0] for number in numbers)

        return Route(
            tables(direct),
            tables(self._found - direct),
            tables(set(keyed) - self._found),
            frozenset(self.faults),
        )


def _returned(node: Any) -> Any:
    return node.returningClause.exprs if node.returningClause else ()


def _name(relation: Any) -> str:
    name: str = relation.alias.aliasname if relation.alias else relation.relname
    return name


def _columns(table: str) -> list[str]:
    found = metadata.tables.get(table)
    return [] if found is None else found.columns.keys()


def _columns_in(node: Any) -> Iterator[ast.ColumnRef]:
    if isinstance(node, ast.ColumnRef):
        yield node
    elif isinstance(node, ast.Node):
        for name in node:
            yield from _columns_in(getattr(node, name))
    elif isinstance(node, (tuple, list)):
        for each in node:
            yield from _columns_in(each)


def route(statement: str) -> Route:
    """Finds the route of one statement, in which ``%s`` or ``%(name)s`` are the parameters."""
    numbered = re.sub(r"%(?:\((\w+)\))?s", "$1", statement).replace("%%", "%")
    (parsed,) = parse_sql(numbered)
    reader = _Reader()
    reader.query(parsed.stmt)
    return reader.route()
