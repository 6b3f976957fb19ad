"""`python -m bimip.conformance [OPTIONS] -- COMMAND …`: plays the sequences with a client and prints a report."""

import argparse
import sys
from collections.abc import Sequence

import trio

from bimip.conformance.client import CommandLauncher
from bimip.conformance.frames import BINARY, TEXT
from bimip.conformance.play import PATIENCE
from bimip.conformance.playing import Outcome, play_all
from bimip.conformance.report import is_good, json_of, row_of, summary_of
from bimip.conformance.sequences import SEQUENCES


def main(arguments: Sequence[str] | None = None) -> int:
    """Plays what the arguments name. Returns the exit code: 1 where a sequence failed, 2 where none can be played."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.list:
        print("\n".join(f"{one.name:46}{one.rule}." for one in SEQUENCES))
        return 0
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        parser.error("name the client's command: python -m bimip.conformance -- node client.mjs")
    known = {one.name for one in SEQUENCES}
    if unknown := sorted(set(options.only) - known):
        parser.error(f"there is no sequence {', '.join(unknown)}: --list names them")
    chosen = [one for one in SEQUENCES if not options.only or one.name in options.only]

    def tell(outcome: Outcome) -> None:
        if not options.json:
            print(row_of(outcome), flush=True)

    async def play() -> list[Outcome]:
        return await play_all(
            chosen,
            lambda: CommandLauncher(command),
            options.subprotocol,
            tell,
            jobs=options.jobs,
            patience=options.patience,
        )

    try:
        outcomes = trio.run(play, strict_exception_groups=True)
    except* OSError as group:
        parser.error(f"the command cannot be started: {_first(group)}")
    print(json_of(outcomes) if options.json else f"\n{summary_of(outcomes)}")
    return 0 if is_good(outcomes) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bimip.conformance", description=__doc__)
    parser.add_argument("--subprotocol", choices=(BINARY, TEXT), default=BINARY, help="what the client speaks")
    parser.add_argument("--only", action="append", default=[], metavar="SEQUENCE", help="may be given several times")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--list", action="store_true", help="print the sequences and what each looks at")
    parser.add_argument("--jobs", type=int, default=4, help="sequences at a time (4)")
    parser.add_argument(
        "--patience", type=float, default=PATIENCE, help="seconds for which something is waited for (20)"
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the client's command, behind --")
    return parser


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


if __name__ == "__main__":
    sys.exit(main())
