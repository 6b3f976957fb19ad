"""What scripts/bench runs. `scripts/bench --help` lists the workloads; README.md beside this explains them."""

import argparse
import os
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from scripts.benchmarks import (
    catchup,
    fairness,
    floors,
    groups,
    idle,
    latency,
    peers,
    plot,
    profiling,
    rest,
    results,
    sdk,
    sdk_peers,
    server,
    throughput,
    tls,
    tree,
)
from scripts.benchmarks.throughput import Load

Case = tuple[str, Callable[[], dict[str, Any]]]
WORKLOADS = (
    "quick",
    "throughput",
    "latency",
    "idle",
    "catchup",
    "growth",
    "groups",
    "presence",
    "rest",
    "sdk",
    "tree",
    "page",
    "restart",
    "fairness",
    "floors",
    "profile",
    "all",
)

OVER_TLS = ("quick", "throughput", "latency", "idle", "catchup", "groups", "profile")

TRAFFIC = (
    ("accepted /s", "accepted_per_s"),
    ("delivered /s", "delivered_per_s"),
    ("server µs each", "server_us_per_message"),
    ("client µs", "client_us_per_message"),
    ("SENT p50 ms", "accepted_ms.p50"),
    ("p99", "accepted_ms.p99"),
    ("last device p50 ms", "last_device_ms.p50"),
    ("p99", "last_device_ms.p99"),
    ("disk bytes", "disk_bytes_per_message"),
    ("lost", "undelivered"),
    ("doubled", "duplicates"),
)
COLUMNS: dict[str, tuple[tuple[str, str], ...]] = {
    "idle": (
        ("connects /s", "connects_per_s"),
        ("µs each", "server_us_per_connect"),
        ("RSS KiB each", "rss_kib_per_connection"),
        ("PSS KiB", "pss_kib_per_connection"),
        ("idle: µs each and s", "heartbeat_us_per_connection_and_s"),
    ),
    "catchup": (
        ("pulled /s", "pulled_per_s"),
        ("server µs each", "pull_us_per_message"),
        ("stored /s", "filled_per_s"),
        ("µs each", "fill_us_per_message"),
        ("disk bytes", "disk_bytes_per_message"),
        ("lost", "undelivered"),
        ("doubled", "duplicates"),
    ),
    "groups": (
        ("accepted /s", "accepted_per_s"),
        ("delivered /s", "delivered_per_s"),
        ("server µs each", "server_us_per_message"),
        ("server µs per delivery", "server_us_per_delivery"),
        ("SENT p50 ms", "accepted_ms.p50"),
        ("p99", "accepted_ms.p99"),
        ("last device p50 ms", "last_device_ms.p50"),
        ("p99", "last_device_ms.p99"),
        ("lost", "undelivered"),
        ("doubled", "duplicates"),
    ),
    "growth": (
        ("append µs", "append_us_per_message"),
        ("on the wall", "append_wall_us_per_message"),
        ("catch up µs", "pull_us_per_entry"),
        ("disk bytes", "disk_bytes_per_message"),
    ),
    "fairness": (
        ("p50 ms alone", "quiet.last_device_ms.p50"),
        ("p99", "quiet.last_device_ms.p99"),
        ("p50 ms attacked", "last_device_ms.p50"),
        ("p99", "last_device_ms.p99"),
        ("p99 ratio", "p99_ratio"),
        ("login ms alone", "quiet.login_ms.median"),
        ("longest", "quiet.login_ms.longest"),
        ("login ms attacked", "login_ms.median"),
        ("longest", "login_ms.longest"),
        ("longest turn ms", "turn_ms"),
        ("the journal's", "journal_turn_ms"),
    ),
    "presence": (
        ("changes", "changes"),
        ("items told", "items"),
        ("to who stayed", "items_to_who_stayed"),
        ("coalesced", "coalesced"),
        ("server s", "server_s"),
        ("peak MiB", "peak_mib"),
        ("wrong views", "wrong_views"),
    ),
    "rest": (
        ("messages /s", "accepted_per_s"),
        ("requests /s", "requests_per_s"),
        ("server µs each", "server_us_per_message"),
        ("answer p50 ms", "accepted_ms.p50"),
        ("p99", "accepted_ms.p99"),
        ("by socket /s", "socket.accepted_per_s"),
        ("µs each", "socket.server_us_per_message"),
        ("SENT p50 ms", "socket.accepted_ms.p50"),
        ("µs ratio", "us_ratio"),
        ("sockets' p99 ms alone", "p99_alone"),
        ("beside", "p99_beside"),
        ("p99 ratio", "p99_ratio"),
        ("lost", "undelivered"),
        ("doubled", "duplicates"),
    ),
    "sdk": (
        ("messages /s", "per_s"),
        ("client µs each", "client_us"),
        ("seconds", "seconds"),
        ("Hello answered ms", "hello_ms"),
        ("client's peak MiB", "peak_mib"),
    ),
    "tree": tuple(
        (f"{view}: {words}", f"{view}.{key}")
        for view in tree.VIEWS
        for words, key in (
            ("first ms", "first_ms"),
            ("KiB", "first_kib"),
            ("bytes /s", "bytes_per_s"),
            ("% of a core", "percent"),
        )
    ),
    "page": (
        ("first paint ms", "paint_ms"),
        ("the list", "list_ms"),
        ("first message", "message_ms"),
        ("frame p50 ms, conversation", "conversation.p50_ms"),
        ("p99", "conversation.p99_ms"),
        ("longest", "conversation.longest_ms"),
        ("rows", "conversation.rows"),
        ("frame p50 ms, list", "list.p50_ms"),
        ("p99", "list.p99_ms"),
        ("longest", "list.longest_ms"),
        ("rows", "list.rows"),
    ),
    "restart": (("ready s", "ready_s"), ("empty store s", "ready_empty_s"), ("store MiB", "store_mib")),
    "floors": (("µs", "median_us"), ("p99", "p99_us")),
}


def main(argv: Sequence[str] | None = None) -> int:
    options = parse(argv)
    allow_many_files()
    with tls.spoken() if options.tls else nullcontext():
        return run(options)


def run(options: argparse.Namespace) -> int:
    print(" · ".join(f"{name}: {value}" for name, value in results.about().items()), flush=True)
    if options.peers is not None:
        options.peers = Path(options.peers or os.environ.get("PEERBENCH", ""))
        if not (options.peers / "bench" / "bench.py").exists():
            print("Name the harness's folder: --peers FOLDER, or PEERBENCH=FOLDER.", file=sys.stderr)
            return 2
        if options.what != "sdk":
            return compare(options)
    if options.what == "profile":
        for load in (load_of(options, window=window, pairs=options.pairs or 50) for window in (20, 1)):
            print(f"\n{describe(load)}\n{profiling.measure(load)}", flush=True)
        return 0
    found: dict[str, Any] = {}
    curve: list[Any] = []
    for name in workloads_of(options):
        if name == "latency":
            curve = latency_curve(options)
            found[name] = {f"{run['rate']}/s": [run] for run in curve}
            show("latency", found[name])
        else:
            found[name] = run_cases(name, cases(name, options), options.runs)
    if options.json:
        results.write_json(options.json, {"about": results.about(), "results": found})
    if options.plot:
        plot.write(options.plot, curve, "BIMIP: 150-byte messages to three devices, fsync before SENT")
    return verdict(found)


def allow_many_files() -> None:
    """A socket is a file, here and in the server, which inherits this."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures the server; see scripts/benchmarks.")
    parser.add_argument("what", nargs="?", choices=WORKLOADS, default="quick")
    parser.add_argument("--runs", type=int, default=1, help="how often each case is measured: medians and ranges")
    parser.add_argument("--json", type=Path, help="write every run to this file")
    parser.add_argument("--plot", type=Path, help="write throughput against latency as SVG (with latency or all)")
    parser.add_argument("--seconds", type=float, default=10.0, help="measured in each case, after a warm-up")
    parser.add_argument("--pairs", type=int, help="one case only: pairs of users")
    parser.add_argument("--window", type=int, help="one case only: unaccepted messages of each sender")
    parser.add_argument("--receivers", type=int, default=2, help="one case only: devices of each receiver")
    parser.add_argument("--alone", action="store_true", help="one case only: each message in a frame of its own")
    parser.add_argument("--connections", type=int, default=5_000, help="idle, tree: how many")
    parser.add_argument("--rates", type=_integers, default=latency.RATES, help="latency: messages per second, 1,2,3")
    parser.add_argument("--entries", type=_integers, help="growth: log entries, 1,2,3 (10^7 takes a long time)")
    parser.add_argument("--users", type=_integers, help="growth: users, 1,2,3")
    parser.add_argument("--tls", action="store_true", help=f"over TLS: {', '.join(OVER_TLS)}")
    parser.add_argument("--attack", default="", help="fairness: only attacks with this in their name")
    parser.add_argument("--peers", nargs="?", const="", metavar="HARNESS", help="compare; its folder, or $PEERBENCH")
    parser.add_argument("--variants", help="peers: which; with rest those that are written to by HTTP")
    parser.add_argument("--workloads", help="peers: which")
    options = parser.parse_args(argv)
    by_rest = options.what == "rest"
    ours, others = (peers.OURS_BY_REST, peers.PEERS_BY_REST) if by_rest else (peers.OURS, peers.PEERS)
    options.variants = options.variants or ",".join((ours, *others))
    options.workloads = options.workloads or ("window 1" if by_rest else ",".join(peers.WORKLOADS))
    if options.tls and (options.what not in OVER_TLS or options.peers is not None):
        parser.error(f"--tls is for our own {', '.join(OVER_TLS)}")
    if options.plot and options.what not in {"latency", "all"}:
        parser.error("--plot needs the workload latency (or all)")
    return options


def workloads_of(options: argparse.Namespace) -> Sequence[str]:
    return WORKLOADS[1:-2] if options.what == "all" else (options.what,)


def load_of(options: argparse.Namespace, **given: Any) -> Load:  # noqa: ANN401 - Load's fields
    seconds = options.seconds
    return replace(Load(seconds=seconds, warm_seconds=min(3.0, seconds / 3)), **given)


def cases(name: str, options: argparse.Namespace) -> list[Case]:  # noqa: PLR0911 - one for each workload
    if name == "quick":
        return [*(_traffic(load_of(options, window=window)) for window in (20, 1)), _paced(load_of(options), 200)]
    if name == "throughput":
        return [_traffic(load) for load in throughput_loads(options)]
    if name in {"idle", "tree"}:
        measure = idle.measure if name == "idle" else tree.measure
        return [(f"{options.connections} connections", lambda: _on_server(measure, options.connections))]
    if name == "groups":
        chosen_loads = [
            load
            for window in ((options.window,) if options.window else (20, 1))
            for load in groups.loads(window, options.seconds)
        ]
        return [(groups.describe(load), partial(_on_server, groups.measure, load)) for load in chosen_loads]
    if name == "fairness":
        chosen = [attack for attack in fairness.ATTACKS if options.attack in attack]
        return [(attack, partial(_on_server, fairness.measure, attack)) for attack in chosen]
    if name == "rest":
        posts = [(rest.describe(load), partial(_on_server, rest.measure, load)) for load in rest.loads(options.seconds)]
        return posts + [(who, partial(_on_server, rest.measure_beside, who, options.seconds)) for who in rest.BESIDE]
    if name == "sdk":
        others = [] if options.peers is None else sdk_peers.cases(options.peers)
        return [*sdk.cases(), *others]
    if name == "catchup":
        return [("200 users, 500 messages each", _catch_up), ("200 users, 500 entries, both wrote", _catch_up_both)]
    if name == "floors":
        return [(what, floor) for what, floor in floors.FLOORS.items()]
    return _offline_cases(name, options)


def _offline_cases(name: str, options: argparse.Namespace) -> list[Case]:
    from scripts.benchmarks import growth, page, presence  # noqa: PLC0415 - these need the server's libraries here

    if name == "page":
        if not page.IS_THERE:
            print("page is not measured: there is no browser here; install chromium", file=sys.stderr)
            return []
        return [(f"{page.CONVERSATIONS} conversations, {page.MESSAGES:,} messages in one", page.measure)]
    if name == "presence":
        crowd = replace(presence.Crowd(), seconds=options.seconds)
        return [(what, lambda row=row: row) for what, row in presence.measured(crowd)]  # type: ignore[misc]
    if name == "restart":
        return [("10^6 entries, 10^4 users", growth.restart)]
    by_entries = growth.by_entries(options.entries or growth.ENTRIES)
    by_users = [] if options.entries else growth.by_users(options.users or growth.USERS)
    return [
        (f"{row['entries']:,} entries, {row['users']:,} users", lambda row=row: row)  # type: ignore[misc]
        for row in (*by_entries, *by_users)
    ]


def throughput_loads(options: argparse.Namespace) -> list[Load]:
    if options.pairs or options.window or options.alone or options.receivers != 2:
        return [
            load_of(
                options,
                pairs=options.pairs or 50,
                window=options.window or 20,
                receivers=options.receivers,
                together=not options.alone,
            )
        ]
    given: list[dict[str, Any]] = [{"window": window} for window in (20, 1, 5, 100)]
    given += [{"pairs": pairs} for pairs in (1, 10, 500)]
    given += [{"pairs": 500, "window": 1}, {"together": False}, {"pairs": 1, "receivers": 10}]
    return [load_of(options, **one) for one in given]


def describe(load: Load) -> str:
    frames = "" if load.together else ", a frame each"
    return f"{load.pairs} pairs, window {load.window}, {load.copies} copies{frames}"


def _traffic(load: Load) -> Case:
    return describe(load), lambda: _on_server(throughput.measure, load)


def _paced(load: Load, rate: int) -> Case:
    return f"{load.pairs} pairs, {rate}/s", lambda: _on_server(latency.measure, load, rate)


def _on_server(measure: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:  # noqa: ANN401 - the workload's
    with server.running() as running:
        found = measure(running, *given)
        if complaints := running.complaints():
            print(f"the server complained:\n{complaints}", file=sys.stderr)
        return found


def _catch_up() -> dict[str, Any]:
    with server.temporary_folder() as folder:
        return catchup.measure(folder, 200, 500)


def _catch_up_both() -> dict[str, Any]:
    with server.temporary_folder() as folder:
        return catchup.measure_both(folder, 200, 500)


def run_cases(name: str, given: Sequence[Case], runs: int) -> dict[str, list[dict[str, Any]]]:
    """Cases alternate, so that what else the machine does meets all of them."""
    found: dict[str, list[dict[str, Any]]] = {case: [] for case, _ in given}
    for turn in range(runs):
        for case, measure in given:
            print(f"{name}, run {turn + 1} of {runs}: {case} ...", file=sys.stderr, flush=True)
            found[case].append(measure())
    show(name, found)
    return found


def latency_curve(options: argparse.Namespace) -> list[dict[str, Any]]:
    """With several runs, the one in the middle at each rate, by its p99."""
    load = load_of(options, pairs=options.pairs or 50)
    curves = [latency.to_saturation(load, rates=options.rates) for _ in range(options.runs)]
    rows = zip(*curves, strict=False)
    return [_middle(row) for row in rows]


def _middle(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return sorted(runs, key=lambda run: float(run["last_device_ms"].get("p99", 0)))[(len(runs) - 1) // 2]


def show(name: str, found: Mapping[str, Sequence[dict[str, Any]]]) -> None:
    columns = COLUMNS.get(name, TRAFFIC)
    lines = []
    for case, runs in found.items():
        summary = results.summary(runs)
        cells = [results.shown(summary, key) for _, key in columns]
        lines.append([case, *cells, "; ".join(dict.fromkeys(summary["limits"]))])
    print("\n" + results.table([name, *(head for head, _ in columns), "limit"], lines), flush=True)


def verdict(found: Mapping[str, Mapping[str, Sequence[dict[str, Any]]]]) -> int:
    """A server that lost, doubled or left out something has no figure."""
    wrong = [
        f"{name}, {case}: {what} {run[what]}"
        for name, by_case in found.items()
        for case, runs in by_case.items()
        for run in runs
        for what in ("unaccepted", "undelivered", "duplicates", "wrong_views", "failures")
        if run.get(what)
    ]
    for line in wrong:
        print(f"WRONG: {line}", file=sys.stderr)
    return 1 if wrong else 0


def compare(options: argparse.Namespace) -> int:
    found = peers.measure(options.peers, options.variants.split(","), options.workloads.split(","), options.runs)
    print(peers.table(found))
    for line in peers.errors(found):
        print(f"not measured: {line}", file=sys.stderr)
    if options.json:
        kept = {f"{workload}, {variant}": runs for (workload, variant), runs in found.items()}
        results.write_json(options.json, {"about": results.about(), "results": kept})
    return 0


def _integers(text: str) -> tuple[int, ...]:
    return tuple(int(float(part)) for part in text.split(","))


if __name__ == "__main__":
    server.stop_when_told()
    sys.exit(main())
