"""What the settings are, each with where it came from; and whether a server could start with them."""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from bimip.cli.failures import Exit, Failure
from bimip.cli.settings import find_file
from bimip.cli.words import counted, printable, show_json
from bimip.config import ConfigError, Settings, load_with_sources
from bimip.config.differences import shown

DEFAULT: Final = "default"


def show_settings(
    config: Path | None, *, given_only: bool, as_json: bool = False, environ: Mapping[str, str] = os.environ
) -> None:
    """Print each setting, where it came from, and whether SIGHUP reloads it. Secrets show whether they are set."""
    settings, sources = load_with_sources(find_file(config, environ), environ)
    for section, key, value, is_hidden, reloads in shown(settings):
        source = sources.get((section, key), DEFAULT).removesuffix(f": {section}.{key}")
        if given_only and source == DEFAULT:
            continue
        if as_json:
            show_json({"section": section, "key": key, "value": value, "source": source, "reloads": reloads})
        else:
            text = repr(value) if isinstance(value, str) and not is_hidden else str(value)
            print(f"{section}.{key} = {printable(text)}   ({printable(source)}{'; reloads' if reloads else ''})")


def check_settings(config: Path | None, *, as_json: bool = False, environ: Mapping[str, str] = os.environ) -> None:
    """Check the settings as a start of the server would, with the files that they name, and tell all that is wrong."""
    file = find_file(config, environ)
    try:
        settings, sources = load_with_sources(file, environ)
        problems = [*problems_of(settings)]
    except ConfigError as error:
        sources, problems = {}, str(error).splitlines()
    if as_json:
        show_json({"problems": problems})
    if problems:
        lines = [] if as_json else problems
        raise Failure(Exit.SETTINGS, "\n".join([*lines, f"{counted(len(problems), 'problem')} in the settings"]))
    if not as_json:
        where = f"{printable(str(file))} and the environment" if file is not None else "the environment"
        print(f"a server can start with these: {counted(len(sources), 'setting')} from {where}, the rest by default")


def problems_of(settings: Settings) -> Iterator[str]:
    """Reads what the settings name, and tells all that cannot be used: the server starts where there is nothing."""
    from bimip.cli.tokens import check_key  # noqa: PLC0415 - a client's machine has not what these need
    from bimip.environment import readings_of  # noqa: PLC0415

    reads: list[Callable[[], object]] = [partial(check_key, settings), *readings_of(settings)]
    for read in reads:
        try:
            read()
        except ConfigError as error:
            yield from str(error).splitlines()
