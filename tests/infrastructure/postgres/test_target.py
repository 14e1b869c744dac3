"""What a database's address says, and that libpq reads out of it what was put in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy.engine import make_url

from infrastructure.postgres.driver.target import DEFAULTS, Target, parse

anything = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


def told(url: str) -> dict[str, str]:
    """What differs from the defaults."""
    parameters = parse(url).parameters
    return {name: value for name, value in parameters.items() if DEFAULTS.get(name) != value}


class TestShapes:
    def test_the_plain_one(self) -> None:
        expected = {"user": "u", "password": "p", "host": "h", "port": "5433", "dbname": "d"}
        for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
            assert told(f"{scheme}://u:p@h:5433/d") == expected

    def test_a_folder_with_a_socket(self) -> None:
        expected = {"user": "u", "password": "p", "host": "/var/run/pg", "port": "5433", "dbname": "d"}
        assert told("postgresql://u:p@%2Fvar%2Frun%2Fpg:5433/d") == expected
        assert told("postgresql://u:p@/d?host=/var/run/pg&port=5433") == expected
        assert told("postgresql://u:p@/d?host=%2Fvar%2Frun%2Fpg&port=5433") == expected
        assert (
            told(Target.of(user="u", password="p", host="/var/run/pg", port=5433, database="d").url)
            == expected
        )

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://u@one:1,two:2/d?target_session_attrs=read-write",
            "postgresql://u@/d?host=one,two&port=1,2&target_session_attrs=read-write",
            "postgresql://u@/d?host=one:1&host=two:2&target_session_attrs=read-write",
            "postgresql://u@one:1,two:2/d",  # writes are needed: the standby would be of no use
        ],
    )
    def test_several_hosts(self, url: str) -> None:
        expected = {"user": "u", "host": "one,two", "port": "1,2", "dbname": "d"}
        assert told(url) == expected | {"target_session_attrs": "read-write"}

    def test_several_hosts_may_be_any(self) -> None:
        assert told("postgresql://u@one,two/d?target_session_attrs=any")["target_session_attrs"] == "any"

    def test_addresses_of_ipv6(self) -> None:
        assert told("postgresql://u@[::1]:5433/d") == {
            "user": "u",
            "host": "::1",
            "port": "5433",
            "dbname": "d",
        }
        assert told("postgresql://u@/d?host=::1") == {"user": "u", "host": "::1", "dbname": "d"}

    def test_blanks_may_stand_as_they_are(self) -> None:
        assert told("postgresql://u:two words@h/d")["password"] == "two words"

    def test_a_plus_is_a_plus(self) -> None:
        assert told("postgresql://u:a+b@h/d?application_name=x+y") == {
            **told("postgresql://u:a%2Bb@h/d"),
            "application_name": "x+y",
        }

    @pytest.mark.parametrize(
        "url",
        [
            "mysql://u@h/d",
            "postgresql:u@h/d",
            "",
            "postgresql://u@h:port/d",
            "postgresql://u@h:0/d",
            "postgresql://u@h/d?colour=red",
            "postgresql://u:%00@h/d",
        ],
    )
    def test_what_is_no_address_is_refused_without_repeating_it(self, url: str) -> None:
        with pytest.raises(ValueError, match=r"^(an address|a port|only parameters|no NUL)") as error:
            parse(url)
        assert "u@h" not in str(error.value)


class TestSearchPath:
    @pytest.mark.parametrize(
        ("options", "schema", "left"),
        [
            ("", "public", ""),
            ("-csearch_path=talk", "talk", ""),
            ("-c search_path=talk,public -c geqo=off", "talk,public", "-c geqo=off"),
            ("--search_path=talk", "talk", ""),
            (r"-csearch_path=talk,\ public", "talk, public", ""),
        ],
    )
    def test_it_is_what_the_url_says_and_otherwise_public(self, options: str, schema: str, left: str) -> None:
        target = Target({**DEFAULTS, "options": options})
        assert target.schema == schema
        assert target.libpq["options"] == left, "PgBouncer accepts no options"


@given(anything, anything, anything)
def test_every_character_arrives_by_every_way(user: str, password: str, database: str) -> None:
    target = Target.of(user=user, password=password, host="h", port=5433, database=database)
    assert parse(target.url) == target
    read = conninfo_to_dict(make_conninfo(**target.libpq))
    assert (read["user"], read["password"], read["dbname"]) == (user, password, database)
    url = make_url(target.url)
    assert (url.username, url.password, url.host, url.port) == (user, password, "h", 5433)


def test_no_password_is_shown() -> None:
    assert "hunter2" not in repr(parse("postgresql://u:hunter2@h/d"))
