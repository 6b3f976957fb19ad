"""Rates and latencies between two looks at the metrics."""

import pytest
from rich.console import Console

from bimip.cli.top import measured, quantile, samples_of, top_lines

TEXT = """# TYPE bimip_refusals_total counter
bimip_refusals_total{code="INVALID"} 2.0
bimip_refusals_total{code="NOT_FOUND"} 3.0
# TYPE bimip_longest_turn_seconds gauge
bimip_longest_turn_seconds{of="all"} 0.25
bimip_longest_turn_seconds{of="journal"} 0.5
# TYPE bimip_message_accept_seconds histogram
bimip_message_accept_seconds_bucket{le="0.001"} 4.0
bimip_message_accept_seconds_bucket{le="0.01"} 8.0
bimip_message_accept_seconds_bucket{le="+Inf"} 8.0
bimip_message_accept_seconds_count 8.0
bimip_message_accept_seconds_sum 0.02
# TYPE bimip_ready gauge
bimip_ready 1.0
"""
BUSY = [{"eid": "ann", "device": "phone\x1b", "lag": 1234, "in_flight": 5, "unanswered": 6}]


def test_a_counter_is_summed_over_its_labels_and_of_a_gauge_the_most_counts() -> None:
    found = samples_of(TEXT)

    assert found["bimip_refusals_total"] == 5
    assert found["bimip_longest_turn_seconds"] == 0.5


def test_a_rate_is_what_a_counter_grew_by_each_second() -> None:
    after = samples_of(TEXT)
    told = measured({"bimip_refusals_total": 1}, after, 2.0, BUSY)

    assert told["rates"]["refused"] == 2
    assert told["rates"]["logins"] == 0
    assert told["busiest"] == BUSY


def test_a_server_that_began_anew_has_no_rate_below_nothing() -> None:
    told = measured({"bimip_refusals_total": 100}, samples_of(TEXT), 1.0, [])

    assert told["rates"]["refused"] == 5


@pytest.mark.parametrize(("part", "value"), [(0.25, 0.0005), (0.5, 0.001), (0.75, 0.0055), (1.0, 0.01)])
def test_a_quantile_lies_within_its_bucket(part: float, value: float) -> None:
    assert quantile({}, samples_of(TEXT), "bimip_message_accept_seconds", part) == pytest.approx(value)


def test_of_what_was_not_observed_there_is_no_quantile() -> None:
    after = samples_of(TEXT)

    assert quantile(after, after, "bimip_message_accept_seconds", 0.5) is None
    assert quantile({}, after, "bimip_nothing", 0.5) is None


def test_people_are_shown_it_without_what_would_move_their_screen() -> None:
    console = Console(width=160, record=True, highlight=False)
    console.print(top_lines(measured({}, samples_of(TEXT), 1.0, BUSY)))
    shown = console.export_text()

    assert shown.startswith("ready")
    assert "refused 5.0/s" in shown
    assert "accept p50 1.0 p99 9.8 ms" in shown
    assert "1,234" in shown
    assert "\x1b" not in shown
