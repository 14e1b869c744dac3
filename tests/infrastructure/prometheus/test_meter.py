import re

import pytest
from attrs import define

from infrastructure.prometheus.meter import PrometheusMeter


@define
class Hands:
    at: float = 100.0

    def __call__(self) -> float:
        return self.at


def figures(meter: PrometheusMeter) -> dict[str, float]:
    lines = meter.text().decode().splitlines()
    return {name: float(value) for name, value in (x.rsplit(" ", 1) for x in lines if not x.startswith("#"))}


def test_everything_is_there_under_its_name() -> None:
    hands = Hands()
    meter = PrometheusMeter(hands)
    meter.request_answered("GET", "/chats/{chat_id}/", 200, 0.003)
    meter.request_answered("GET", "/chats/{chat_id}/", 404, 0.003)
    meter.batch_done("messages", 7, 0.004)
    meter.batch_committed("messages", 0.001)
    meter.batch_done("marks", 60, 0.003)
    meter.batch_committed("marks", 0.002)
    meter.update_delivered(0.0002)
    meter.caught_up()
    hands.at += 2.5
    for outcome in ("sent", "sent", "failed", "error"):
        meter.letter_tried(outcome)
    meter.socket_opened()
    meter.socket_opened()
    meter.socket_closed()
    meter.frame_received()
    meter.frame_sent()
    meter.frame_sent()
    meter.outbox_grew(300)
    meter.outbox_grew(-100)
    assert {
        'messenger_http_requests_total{method="GET",route="/chats/{chat_id}/",status="200"}': 1,
        'messenger_http_requests_total{method="GET",route="/chats/{chat_id}/",status="404"}': 1,
        'messenger_http_request_seconds_count{method="GET",route="/chats/{chat_id}/"}': 2,
        'messenger_batch_commands_sum{kind="messages"}': 7,
        'messenger_batch_commands_sum{kind="marks"}': 60,
        'messenger_batch_commands_bucket{kind="marks",le="100.0"}': 1,
        'messenger_batch_commands_bucket{kind="marks",le="50.0"}': 0,
        'messenger_batch_seconds_sum{kind="messages"}': 0.004,
        'messenger_batch_seconds_sum{kind="marks"}': 0.003,
        'messenger_commit_seconds_sum{kind="messages"}': 0.001,
        'messenger_commit_seconds_sum{kind="marks"}': 0.002,
        "messenger_commit_to_socket_seconds_sum": 0.0002,
        "messenger_cursor_lag_seconds": 2.5,
        'messenger_letters_total{outcome="sent"}': 2,
        'messenger_letters_total{outcome="failed"}': 1,
        'messenger_letters_total{outcome="error"}': 1,
        "messenger_sockets": 1,
        "messenger_frames_received_total": 1,
        "messenger_frames_sent_total": 2,
        "messenger_outbox_bytes": 200,
    }.items() <= figures(meter).items()


def test_every_figure_is_explained() -> None:
    meter = PrometheusMeter()
    meter.caught_up()
    text = meter.text().decode()
    named = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    explained = set(re.findall(r"^# HELP (\S+) \S", text, re.MULTILINE))
    assert {name for name in named if not name.endswith("_created")} <= explained
    assert all(name.startswith("messenger_") for name in named)


@pytest.mark.parametrize("kind", ["messages", "marks"])
def test_batches_are_counted_from_nothing(kind: str) -> None:
    found = figures(PrometheusMeter())
    for figure in ("batch_commands", "batch_seconds", "commit_seconds"):
        assert found[f'messenger_{figure}_count{{kind="{kind}"}}'] == 0


def test_before_a_node_has_looked_it_has_no_lag_to_tell() -> None:
    assert "messenger_cursor_lag_seconds" not in figures(PrometheusMeter())


@pytest.mark.parametrize("method", ["BREW", "x" * 100, "get"])
def test_made_up_methods_are_one_series(method: str) -> None:
    meter = PrometheusMeter()
    meter.request_answered(method, "none", 405, 0.1)
    assert figures(meter)['messenger_http_requests_total{method="other",route="none",status="405"}'] == 1


def test_nodes_in_one_process_do_not_share() -> None:
    one, other = PrometheusMeter(), PrometheusMeter()
    one.socket_opened()
    assert figures(other)["messenger_sockets"] == 0
