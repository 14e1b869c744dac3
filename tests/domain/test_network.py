import pytest

from domain.network import address, network_of
from domain.session import Origin


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("::FFFF:cb00:7105", "203.0.113.5"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_one_client_of_limits(text: str, network: str) -> None:
    assert network_of(text) == network
    assert Origin(address=text or None).network == network


def test_no_address() -> None:
    for text in ("", "unknown", "256.1.1.1", "1.2.3.4:80", "[::1]"):
        assert address(text) is None
