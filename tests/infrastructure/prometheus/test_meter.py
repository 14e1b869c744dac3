import os
import re
import time
from pathlib import Path

import pytest
from attrs import define

from infrastructure.prometheus.meter import PrometheusMeter
from tests.metrics import Pool, complete_meter


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
    meter.loop_lagged(0.0004)
    meter.caught_up()
    hands.at += 2.5
    for outcome in ("sent", "sent", "failed", "error"):
        meter.letter_tried(outcome)
    meter.socket_opened()
    meter.socket_opened()
    meter.socket_closed()
    meter.frame_received()
    meter.frames_sent(1)
    meter.frames_sent(1)
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
        "messenger_loop_lag_seconds_sum": 0.0004,
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
    text = complete_meter().text().decode()
    named = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    explained = set(re.findall(r"^# HELP (\S+) \S", text, re.MULTILINE))
    assert {name for name in named if not name.endswith("_created")} <= explained
    assert all(name.startswith(("messenger_", "process_")) for name in named)


def test_durations_below_a_millisecond_are_told_apart() -> None:
    text = PrometheusMeter().text().decode()
    for name in ("commit_to_socket", "loop_lag"):
        buckets = re.findall(rf'^messenger_{name}_seconds_bucket{{le="([\d.]+)"}}', text, re.MULTILINE)
        assert len([each for each in buckets if float(each) < 0.001]) >= 3


def test_a_process_is_told_as_other_programs_tell_theirs() -> None:
    """Under the names that dashboards for any process use, with the values that the system has for this one."""
    found = figures(PrometheusMeter())
    assert abs(found["process_open_fds"] - len(list(Path("/proc/self/fd").iterdir()))) < 10
    assert found["process_open_fds"] < found["process_max_fds"]
    assert 0 < found["process_cpu_seconds_total"] <= sum(os.times()[:2]) + 1
    assert 2**20 < found["process_resident_memory_bytes"] < 2**35
    assert 0 < found["process_start_time_seconds"] < time.time() + 2


def test_a_build_is_told_by_labels() -> None:
    meter = PrometheusMeter()
    meter.describe_build(version="1.2.3", revision=None, python="3.13.1")
    assert figures(meter)['messenger_build_info{python="3.13.1",revision="",version="1.2.3"}'] == 1


def test_pools_are_asked_whenever_figures_are_read() -> None:
    states = iter([Pool(in_use=1), Pool(in_use=3, waits=2)])
    meter = PrometheusMeter()
    meter.watch_pools({"reads": lambda: next(states)})
    assert figures(meter)['messenger_pool_connections{pool="reads",state="in_use"}'] == 1
    found = figures(meter)
    assert found['messenger_pool_connections{pool="reads",state="in_use"}'] == 3
    assert found['messenger_pool_connections{pool="reads",state="idle"}'] == 2
    assert found['messenger_pool_size{pool="reads"}'] == 6
    assert found['messenger_pool_waits_total{pool="reads"}'] == 2
    assert found['messenger_pool_wait_seconds_total{pool="reads"}'] == 0.5


def test_pages_are_told_by_the_server_that_they_were_read_from() -> None:
    pages = {"replica": 0, "primary": 0}
    meter = PrometheusMeter()
    meter.watch_pages(lambda: pages)
    assert figures(meter)['messenger_replica_pages_total{from="replica"}'] == 0
    pages["replica"] += 2
    pages["primary"] += 1
    assert figures(meter)['messenger_replica_pages_total{from="replica"}'] == 2
    assert figures(meter)['messenger_replica_pages_total{from="primary"}'] == 1


@pytest.mark.parametrize("kind", ["messages", "marks"])
def test_batches_are_counted_from_nothing(kind: str) -> None:
    found = figures(PrometheusMeter())
    for figure in ("batch_commands", "batch_seconds", "commit_seconds"):
        assert found[f'messenger_{figure}_count{{kind="{kind}"}}'] == 0


@pytest.mark.parametrize("outcome", ["sent", "failed", "error"])
def test_letters_are_counted_from_nothing(outcome: str) -> None:
    assert figures(PrometheusMeter())[f'messenger_letters_total{{outcome="{outcome}"}}'] == 0


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
