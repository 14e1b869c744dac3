"""Figures of several processes as those of one."""

import asyncio
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from infrastructure.prometheus.meter import PrometheusMeter
from infrastructure.prometheus.summing import SharedFigures, summed
from tests.contracts.buses import until


def figures(text: bytes) -> dict[tuple[str, str], float]:
    return {
        (sample.name, ",".join(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def busy_meter(times: int, seconds: float = 0.003) -> PrometheusMeter:
    meter = PrometheusMeter()
    meter.describe_build(version="1.0", revision="abc", python="3")
    for _ in range(times):
        meter.request_answered("GET", "/livez", 200, seconds)
        meter.socket_opened()
        meter.frames_sent(1)
    return meter


def test_one_process_is_told_as_it_is() -> None:
    text = busy_meter(3).text()
    assert summed([text]) == text


def test_counters_histograms_and_gauges_are_added_up() -> None:
    texts = [busy_meter(3).text(), busy_meter(4, seconds=0.3).text()]
    found = figures(summed(texts))
    assert found["messenger_http_requests_total", "GET,/livez,200"] == 7
    assert found["messenger_http_request_seconds_count", "GET,/livez"] == 7
    assert found["messenger_http_request_seconds_bucket", "0.005,GET,/livez"] == 3
    assert found["messenger_http_request_seconds_bucket", "+Inf,GET,/livez"] == 7
    assert found["messenger_sockets", ""] == 7
    assert found["messenger_frames_sent_total", ""] == 7


def test_what_has_no_sum_is_told_once() -> None:
    texts = [busy_meter(1).text(), busy_meter(1).text()]
    found = figures(summed(texts))
    assert found["messenger_build_info", "3,abc,1.0"] == 1
    (one, other) = map(figures, texts)
    began = "process_start_time_seconds", ""
    assert found[began] == min(one[began], other[began])
    created = "messenger_http_requests_created", "GET,/livez,200"
    assert found[created] == min(one[created], other[created])


def test_names_and_kinds_stay_what_they_were() -> None:
    text = busy_meter(2).text()
    declared = sorted(line for line in text.decode().splitlines() if line.startswith("# TYPE"))
    both = summed([text, text]).decode().splitlines()
    assert sorted(line for line in both if line.startswith("# TYPE")) == declared
    assert figures(summed([text, text])).keys() == figures(text).keys()


async def test_each_process_answers_for_all_that_answer(tmp_path: Path) -> None:
    places = [tmp_path / str(number) for number in range(3)]
    meters = [busy_meter(1), busy_meter(2)]
    shared = [SharedFigures(meter.text, place, places) for meter, place in zip(meters, places, strict=False)]
    places[0].touch()  # left over by a process that was killed
    running = [asyncio.create_task(each.run()) for each in shared]
    await until(lambda: all(place.is_socket() for place in places[:2]))
    for each in shared:
        assert figures(await each.text())["messenger_sockets", ""] == 3
    for task in running:
        task.cancel()
    await asyncio.wait(running)
    assert figures(await shared[0].text())["messenger_sockets", ""] == 1
