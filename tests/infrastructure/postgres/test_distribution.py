from infrastructure.postgres.schema.base import metadata
from infrastructure.postgres.schema.distribution import placements

FOUND = {each.table: each for each in placements()}


def test_each_table_has_a_place() -> None:
    assert FOUND.keys() == metadata.tables.keys()


def test_all_rows_of_one_key_are_together() -> None:
    groups: dict[str, set[str]] = {}
    for each in FOUND.values():
        if each.column:
            groups.setdefault(each.beside or each.table, set()).add(each.column)
            assert each.column in metadata.tables[each.table].primary_key.columns
    assert all(len(columns) == 1 for columns in groups.values())
    assert {FOUND[each].beside or each for each in ("message", "chat_head", "reading", "receipt")} == {"chat"}
    assert FOUND["profile_of_account"].beside == "account"


def test_how_citus_is_told() -> None:
    assert FOUND["chat"].statement == (
        "SELECT create_distributed_table('chat', 'chat_id', colocate_with => 'none')"
    )
    assert FOUND["message"].statement == (
        "SELECT create_distributed_table('message', 'chat_id', colocate_with => 'chat')"
    )
    assert FOUND["direct_chat"].column == "one_id"
    assert FOUND["origin"].statement == "SELECT create_reference_table('origin')"
