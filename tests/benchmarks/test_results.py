import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest

from scripts.benchmarks import __main__ as command
from scripts.benchmarks import latency, peers, plot, results, server


def test_a_summary_is_median_and_range() -> None:
    runs = [{"a": 1, "b": {"c": 5.0}, "limit": "x"}, {"a": 3, "b": {"c": 5.0}, "limit": "y"}, {"a": 2, "b": {"c": 5.0}}]
    found = results.summary(runs)

    assert found["a"] == {"median": 2, "min": 1, "max": 3}
    assert found["limits"] == ["x", "y"]
    assert (results.shown(found, "a"), results.shown(found, "b.c"), results.shown(found, "z")) == ("2 (1-3)", "5", "-")


def test_a_table_is_aligned() -> None:
    assert results.table(["", "µs", "limit"], [["one", "1", "a"], ["eleven", "1,100", "b"]]).splitlines() == [
        "           µs  limit",
        "one         1  a",
        "eleven  1,100  b",
    ]


def test_the_plot_has_a_point_for_each_rate() -> None:
    rows = [{"accepted_per_s": rate, "last_device_ms": {"p50": 1.0, "p99": rate / 10}} for rate in (100, 1_000, 9_000)]
    drawing = ET.fromstring(plot.svg(rows, "Title"))

    assert len(drawing.findall("{http://www.w3.org/2000/svg}circle")) == 6


def test_nothing_delivered_is_no_plot() -> None:
    with pytest.raises(ValueError, match="nothing was delivered"):
        plot.svg([{"accepted_per_s": 0.0, "last_device_ms": {}}], "Title")


def test_peers_are_compared_by_their_medians() -> None:
    found: peers.Found = {
        ("W1", "bimip"): [{"accepted_per_s": 300.0, "cpu_us_per_msg": 50.0}],
        ("W1", "prosody-internal"): [{"accepted_per_s": 100.0, "cpu_us_per_msg": 100.0}],
        ("W1", "synapse-sqlite"): [{"error": "not installed"}],
    }
    lines = peers.table(found).splitlines()

    assert lines[1].split()[:3] == ["bimip", "300", "50"]
    assert lines[3].split()[:5] == ["ours", "/", "theirs", "3.00", "0.50"]
    assert lines[1].endswith("synced")
    assert peers.errors(found) == ["synapse-sqlite, W1: not installed"]


def test_peers_that_are_written_to_by_http_are_compared_with_ours_by_http() -> None:
    found: peers.Found = {
        ("window 1", "bimip"): [{"accepted_per_s": 999.0}],
        ("window 1", "bimip-rest"): [{"accepted_per_s": 300.0}],
        ("window 1", "ejabberd-mnesia-rest"): [{"accepted_per_s": 100.0}],
        ("window 1", "ejabberd-mnesia"): [{"accepted_per_s": 333.0}],
    }
    rows = [line.split() for line in peers.table(found).splitlines()]
    ratios = {above[0]: [cell for cell in row[3:] if cell != "-"] for above, row in pairwise(rows)}
    options = command.parse(["rest", "--peers", "folder"])

    assert (ratios["ejabberd-mnesia-rest"], ratios["ejabberd-mnesia"]) == (["3.00"], ["3.00"])
    assert "/" not in rows[3][:2]  # nothing of ours is compared with itself
    assert options.variants.split(",") == ["bimip-rest", *peers.PEERS_BY_REST]
    assert options.workloads == "window 1"
    assert command.parse(["--peers"]).variants.split(",") == ["bimip", *peers.PEERS]


def test_without_the_harness_the_command_says_what_is_missing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code = command.main(["--peers", str(tmp_path)])

    assert code == 2
    assert "PEERBENCH" in capsys.readouterr().err


def test_a_server_that_loses_a_message_fails_the_command() -> None:
    assert command.verdict({"quick": {"case": [{"undelivered": 1}]}}) == 1
    assert command.verdict({"quick": {"case": [{"undelivered": 0, "failures": {}}]}}) == 0


def test_rates_are_tried_up_to_the_first_that_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    class Running:
        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(server, "running", Running)
    monkeypatch.setattr(latency, "measure", lambda _running, _load, rate: {"accepted_per_s": min(rate, 700)})
    found = latency.to_saturation(command.load_of(command.parse([])), rates=(100, 500, 1_000, 2_000))

    assert [row["accepted_per_s"] for row in found] == [100, 500, 700]
