"""`python -m bimip`, and the `bimip` command."""

import sys


def main() -> None:
    """Runs the commands in a process of its own. The package may be installed without what its commands need: then it
    is the SDK alone.
    """
    try:
        from bimip.cli.commands import main as run  # noqa: PLC0415 - which may not be there
    except ModuleNotFoundError as error:
        if error.name != "typer":
            raise
        sys.exit("bimip: the commands need more than the SDK: pip install 'bimip[cli]', or 'bimip[server]'")
    run()


if __name__ == "__main__":
    main()
