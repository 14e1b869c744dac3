from datetime import timedelta

from interfaces.http.limits import nothing_left

MINUTE = timedelta(minutes=1)


def test_nothing_is_left_for_a_while() -> None:
    assert nothing_left("sign-in", wait=2.1, most=10, within=MINUTE) == {
        "RateLimit": '"sign-in";r=0;t=3',
        "RateLimit-Policy": '"sign-in";q=10;w=60',
        "Retry-After": "3",
    }


def test_no_wait_is_told_as_none() -> None:
    assert nothing_left("same-text", wait=0.0) == {"RateLimit": '"same-text";r=0;t=1', "Retry-After": "1"}
