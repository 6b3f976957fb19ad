import json
from pathlib import Path

import pytest

from bimip.conformance.__main__ import main
from bimip.conformance.playing import Outcome
from bimip.conformance.report import is_good, json_of, row_of, summary_of
from bimip.conformance.sequences import SEQUENCES

FIRST, SECOND, THIRD = SEQUENCES[:3]
OUTCOMES = [
    Outcome(FIRST, seconds=1.25),
    Outcome(SECOND, "shown is ['two', 'one']", seconds=2),
    Outcome(THIRD, "the client is none of these", is_skipped=True),
]


def test_a_row_says_what_was_to_be_what_was_and_where_that_stands() -> None:
    passed, failed, skipped = (row_of(one) for one in OUTCOMES)

    assert passed.split() == ["passed", FIRST.name, "1.2", "s"]
    assert [line.strip() for line in failed.splitlines()[1:]] == [
        "shown is ['two', 'one'].",
        f"{SECOND.rule}.",
        f"PROTOCOL.md#{SECOND.anchor}",
    ]
    assert skipped.splitlines()[1].strip() == "the client is none of these."


def test_what_was_skipped_fails_nothing() -> None:
    assert summary_of(OUTCOMES) == "1 passed, 1 FAILED, 1 skipped"
    assert summary_of([]) == "0 passed"
    assert (is_good(OUTCOMES), is_good([OUTCOMES[0], OUTCOMES[2]])) == (False, True)


def test_a_program_reads_the_same() -> None:
    rows = json.loads(json_of(OUTCOMES))

    assert [(row["sequence"], row["result"], row["why"]) for row in rows] == [
        (FIRST.name, "passed", ""),
        (SECOND.name, "failed", "shown is ['two', 'one']"),
        (THIRD.name, "skipped", "the client is none of these"),
    ]
    assert {(row["rule"], row["anchor"]) for row in rows} == {(one.rule, one.anchor) for one in SEQUENCES[:3]}


def test_a_command_that_ends_by_itself_fails_with_what_it_said(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--json", "--only", "says-hello", "--", "sh", "-c", "echo it is broken >&2; exit 7"])
    [row] = json.loads(capsys.readouterr().out)

    assert code == 1
    assert row["why"] == "the client ended by itself, with exit code 7; its standard error ends with: it is broken"


def test_a_command_that_says_what_is_no_line_fails(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--only", "says-hello", "--", "sh", "-c", "echo hello; cat"])
    told = capsys.readouterr().out

    assert code == 1
    assert "the client said a line that is none, 'hello'" in told
    assert told.endswith("\n0 passed, 1 FAILED\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name the client's command"),
        (["--only", "no-such", "--", "true"], "there is no sequence no-such"),
        (["--only", "says-hello", "--", "/no/such/command"], "the command cannot be started"),
    ],
)
def test_what_cannot_be_played_says_why(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_the_sequences_are_listed_with_their_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert [line.split()[0] for line in lines] == [one.name for one in SEQUENCES]
    assert all(line.endswith(f"{one.rule}.") for line, one in zip(lines, SEQUENCES, strict=True))


def test_each_sequence_names_a_heading_of_the_protocol() -> None:
    protocol = (Path(__file__).parents[2] / "proto" / "PROTOCOL.md").read_text("utf-8")
    headings = {line.lstrip("# ").lower().replace(" ", "-") for line in protocol.splitlines() if line.startswith("#")}

    assert {one.anchor for one in SEQUENCES} <= headings
