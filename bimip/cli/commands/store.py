"""Words about the store."""
# ruff: noqa: PLC0415

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from bimip.cli.commands.options import Config, Json
from bimip.cli.failures import telling


class Engine(Enum):
    POSTGRES = "postgres"
    LMDB = "lmdb"


app = typer.Typer(help="The store: look at it, copy it, put a copy back.", no_args_is_help=True)


@app.command("check")
def check_store(
    config: Config = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make again what other records tell, and look again.")
    ] = False,
    json: Json = False,
) -> None:
    """Look for damage in the store of a server that is stopped."""
    with telling():
        from bimip.cli.settings import find_settings
        from bimip.cli.store import check_store as check

        check(find_settings(config), repair=repair, as_json=json)


@app.command("stats")
def store_stats(json: Json = False, config: Config = None) -> None:
    """Show what the store holds, of a running server too."""
    with telling():
        from bimip.cli.settings import find_settings
        from bimip.cli.store import show_stats

        show_stats(find_settings(config), as_json=json)


@app.command("backup")
def store_backup(
    target: Annotated[Path, typer.Argument(help="A folder that is not there yet.", metavar="DIR")],
    json: Json = False,
    config: Config = None,
) -> None:
    """Copy the store as it is now, of a running server too."""
    with telling():
        from bimip.cli.settings import find_settings
        from bimip.cli.store import make_backup

        make_backup(find_settings(config), target, as_json=json)


@app.command("compact")
def store_compact(json: Json = False, config: Config = None) -> None:
    """Write the store of a server that is stopped anew, without free pages and what they held."""
    with telling():
        from bimip.cli.settings import find_settings
        from bimip.cli.store import compact_store

        compact_store(find_settings(config), as_json=json)


@app.command("upgrade")
def store_upgrade(json: Json = False, config: Config = None) -> None:
    """Give the LMDB store of a stopped server this version's format. Make a backup first: there is no way back."""
    with telling():
        from bimip.cli.settings import find_settings
        from bimip.cli.store import upgrade_store

        upgrade_store(find_settings(config), as_json=json)


@app.command("restore")
def store_restore(
    source: Annotated[Path, typer.Argument(help="What `backup` made.", metavar="DIR")],
    json: Json = False,
    config: Config = None,
) -> None:
    """Put a backup in the place of the store of a server that is stopped; the store that is there is kept aside."""
    with telling():
        from bimip.cli.settings import find_settings
        from bimip.cli.store import restore_backup

        restore_backup(find_settings(config), source, as_json=json)


@app.command("migrate")
def store_migrate(json: Json = False, config: Config = None) -> None:
    """Make the schema that this version needs in the PostgreSQL database. Make a backup first: there is no way back."""
    with telling():
        from bimip.cli.settings import find_settings
        from bimip.cli.store import migrate_store

        migrate_store(find_settings(config), as_json=json)


@app.command("restored")
def store_restored(json: Json = False, config: Config = None) -> None:
    """Say that a copy of the PostgreSQL database was put back, so that devices compare nothing with what was lost."""
    with telling():
        from bimip.cli.settings import find_settings
        from bimip.cli.store import note_restored

        note_restored(find_settings(config), as_json=json)


@app.command("copy")
def store_copy(
    to: Annotated[Engine, typer.Option("--to", help="Where to: from store.path to store.dsn, or back.")],
    json: Json = False,
    config: Config = None,
) -> None:
    """Copy the store of a server that is stopped from LMDB to PostgreSQL, or back, and compare."""
    with telling():
        from bimip.cli.settings import find_settings
        from bimip.cli.store import copy_store

        copy_store(find_settings(config), to.value, as_json=json)
