"""What lies where: the top level, and tests that mirror what they test."""

import re
import subprocess
from collections.abc import Iterable
from pathlib import PurePosixPath

import pytest

import bimip
from tests.architecture.source import ROOT
from tests.architecture.test_floors import MAY_IMPORT

TOP = {"LICENSE", "README.md", "bimip", "config", "proto", "pyproject.toml", "scripts", "tests"}

FLOORS = {
    "api",
    "cli",
    "client",
    "concurrency",
    "config",
    "conformance",
    "console",
    "domain",
    "gateway",
    "http",
    "journal",
    "names",
    "push",
    "reading",
    "requests",
    "retention",
    "session",
    "storage",
    "supervision",
    "testing",
    "users",
    "web",
    "webhooks",
    "wire",
}

WHOLE = {
    "architecture": "the shape of the source",
    "benchmarks": "what is measured",
    "browser": "the web page",
    "chaos": "processes that are killed",
    "kit": "helpers: what scenarios, chaos, simulation and benchmarks share",
    "proto": "the contract",
    "scenarios": "the whole server",
    "scripts": "the project's commands",
    "simulation": "the whole server, from a seed",
}
"""Folders of tests that mirror no floor, and what they are about."""

TOPICS = {
    "tests/api/test_kills.py": "the API of a real server that is killed",
    "tests/api/test_readme.py": "the README's lines",
    "tests/cli/test_store_on_postgres.py": "the words about the store, where it is a database",
    "tests/requests/test_routes.py": "the table of routes, and each row of it",
    "tests/storage/test_damage_campaign.py": "every page of a store, damaged in every way",
    "tests/cli/test_commands.py": "all words of the command line",
    "tests/client/examples/test_examples.py": "the programs to begin with",
    "tests/client/encryption/test_conversation.py": "encrypted conversations, against the whole server",
    "tests/client/test_example.py": "the example in the head of the package",
    "tests/client/facets/test_docstrings.py": "what each method of a client says of itself",
    "tests/client/facets/test_examples.py": "the examples in the heads of the facets",
    "tests/client/test_client.py": "also what the client does as a whole",
    "tests/config/test_containers.py": "the image and how it is run, as config/ has them",
    "tests/config/test_nginx.py": "the proxy in front, as config/ has it",
    "tests/config/test_shipped.py": "the files in config/ beside the settings",
    "tests/conformance/test_clients.py": "the clients that the kit has, with the whole kit",
    "tests/conformance/test_vectors.py": "the vectors, against both codecs",
    "tests/conformance/test_sequences.py": "each sequence, and the client that is wrong in its point",
    "tests/console/test_console.py": "the console as a whole",
    "tests/domain/test_history.py": "all operations together, against a model",
    "tests/domain/test_group_histories.py": "groups and what is written to them, against a model",
    "tests/domain/test_repeating.py": "all operations: none has a second effect",
    "tests/gateway/test_faults.py": "the gateway as a whole, before sockets that die",
    "tests/gateway/test_fuzz.py": "the gateway as a whole, before random bytes",
    "tests/gateway/test_tls.py": "the gateway as a whole, over TLS",
    "tests/storage/test_contract.py": "every store",
    "tests/storage/test_crash_images.py": "journal and store, before disks that lose power",
    "tests/storage/test_disk_errors.py": "journal and store, before disks that fail",
    "tests/storage/test_golden.py": "the format: what the bytes are",
    "tests/storage/test_stores_against_memory.py": "two stores at once",
    "tests/storage/test_write_points.py": "store and journal, killed at each write",
    "tests/supervision/test_chaos.py": "a whole tree",
    "tests/testing/test_examples.py": "the examples in the head of the package",
    "tests/users/test_tokens.py": "tokens, through the whole server",
    "tests/web/test_browser.py": "the client in JavaScript, in a browser",
    "tests/web/test_javascript.py": "the client in JavaScript, which is one module",
    "tests/web/test_device.py": "the modules that stand on it, with devices of several users",
    "tests/web/test_browser_device.py": "the same in a browser, and with the SDK as the other end of gossip",
    "tests/wire/test_frame_fuzz.py": "what either codec accepts",
    "tests/wire/test_worst_frames.py": "what the worst frames cost",
    "tests/wire/test_generated.py": "the generated code",
    "tests/wire/test_seeds.py": "the examples of the source documents",
    "tests/wire/test_two_codecs.py": "the two generated codecs",
}
"""Tests of something that is larger than a file, and what that is."""


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    return listed.stdout.splitlines()


def out_of_place(paths: Iterable[str]) -> list[str]:
    """What the top level should not hold."""
    return sorted({top for path in paths if not (top := path.split("/")[0]).startswith(".")} - TOP)


def mirrors_nothing(paths: Iterable[str]) -> list[str]:
    """Tests without the file that they are named after."""
    known = set(paths)
    found = []
    for path in sorted(known):
        parts = PurePosixPath(path).parts
        if parts[0] != "tests" or not parts[-1].startswith("test_") or path in TOPICS or parts[1] in WHOLE:
            continue
        tested = parts[-1].removeprefix("test_")
        if "/".join(("bimip", *parts[1:-1], tested)) not in known:
            found.append(path)
    return found


def unknown_folders(paths: Iterable[str]) -> list[str]:
    folders = {path.split("/")[1] for path in paths if path.startswith("tests/") and path.count("/") > 1}
    return sorted(folders - FLOORS - set(WHOLE))


def untested(paths: Iterable[str], folders: Iterable[str]) -> list[str]:
    """Files of these folders without tests of their own."""
    known = set(paths)
    found = []
    for path in sorted(known):
        parts = PurePosixPath(path).parts
        inside = any(path.startswith(f"bimip/{folder}/") for folder in folders)
        if inside and parts[-1] not in ONLY_NAMES:
            test = "/".join(("tests", *parts[1:-1], f"test_{parts[-1]}"))
            if test not in known:
                found.append(path)
    return found


ONLY_NAMES = {
    "__init__.py",
    "decision.py",
    "ids.py",
    "identity.py",
    "operation.py",
    "operation_kind.py",
    "records.py",
    "route.py",
    "rules.py",
    "sealing.py",
    "services.py",
}
"""Declarations: there is nothing in them that could go wrong."""

needs_git = pytest.mark.skipif(not tracked(), reason="not a checkout: nothing tells which files belong to the project")


@needs_git
def test_the_top_level_holds_what_it_should_and_nothing_else() -> None:
    assert out_of_place(tracked()) == []


@needs_git
def test_every_folder_of_tests_is_a_floor_or_has_a_topic() -> None:
    assert unknown_folders(tracked()) == []


@needs_git
def test_tests_are_named_after_what_they_test() -> None:
    assert mirrors_nothing(tracked()) == []


@needs_git
def test_every_file_has_tests_where_a_file_is_one_rule_or_one_question() -> None:
    assert untested(tracked(), {"domain", "session", "reading", "requests", "client/core"}) == []


def test_a_stray_file_is_found() -> None:
    assert out_of_place(["bimip/app.py", "notes.md", "docs/a.md", ".gitignore"]) == ["docs", "notes.md"]


def test_a_test_of_nothing_is_found() -> None:
    paths = [
        "bimip/domain/core/ids.py",
        "tests/domain/core/test_ids.py",
        "tests/domain/test_more.py",
        "tests/test_config.py",
    ]

    assert mirrors_nothing(paths) == ["tests/domain/test_more.py", "tests/test_config.py"]


def test_a_folder_of_tests_without_a_topic_is_found() -> None:
    assert unknown_folders(["tests/domain/core/test_ids.py", "tests/misc/test_all.py", "tests/test_app.py"]) == ["misc"]


def test_a_file_without_tests_is_found() -> None:
    assert untested(["bimip/domain/a.py", "bimip/users/b.py"], {"domain"}) == ["bimip/domain/a.py"]
    paths = ["bimip/client/core/x/a.py", "bimip/client/b.py", "bimip/client/core/c.py", "tests/client/core/test_c.py"]
    assert untested(paths, {"client/core"}) == ["bimip/client/core/x/a.py"]


def floors_of_readme() -> dict[str, str]:
    """The floor of each folder in the README's map; "" of those that stand on none."""
    readme = (ROOT / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d?) ?\| ((?:`bimip/[\w.]+/?`,? ?)+)\|", readme, re.MULTILINE)
    return {name: floor for floor, named in rows for name in re.findall(r"`bimip/(\w+)/?`", named)}


def floors_of_package() -> dict[str, str]:
    """The same in the head of the package."""
    found: dict[str, str] = {}
    floor = ""
    for line in (bimip.__doc__ or "").splitlines():
        if row := re.fullmatch(r" {4}(?:(floor \d|\w[\w ]*\w) +| {3,})(\w+)(/|\.py) .*", line):
            floor = row[1] or floor
            if row[3] == "/":
                found[row[2]] = floor.removeprefix("floor ") if floor.startswith("floor") else ""
    return found


def test_both_maps_have_every_folder_on_its_floor() -> None:
    assert set(floors_of_readme()) == FLOORS
    assert floors_of_package() == floors_of_readme()


def test_no_folder_knows_one_of_a_higher_floor() -> None:
    floors = {f"bimip.{name}": floor for name, floor in floors_of_readme().items() if floor}
    up = [
        f"{part} on {floors[part]} imports {other} on {floors[other]}"
        for part, others in MAY_IMPORT.items()
        for other in others
        if part in floors and other in floors and floors[other] > floors[part]
    ]

    assert up == []
    assert len(floors) > 15
