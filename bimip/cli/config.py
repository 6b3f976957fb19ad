"""What the settings are, each with where it came from; and whether a server could start with them."""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from bimip.cli.failures import Exit, Failure
from bimip.cli.settings import find_file
from bimip.cli.words import counted, printable, show_json
from bimip.config import ConfigError, Secret, Settings, load_with_sources
from bimip.config.sections import SECTIONS

DEFAULT: Final = "default"


def show_settings(
    config: Path | None, *, given_only: bool, as_json: bool = False, environ: Mapping[str, str] = os.environ
) -> None:
    """Print each setting, and where it came from. Secrets show whether they are set."""
    settings, sources = load_with_sources(find_file(config, environ), environ)
    for (section, key), value, is_hidden in _values(settings):
        source = sources.get((section, key), DEFAULT).removesuffix(f": {section}.{key}")
        if given_only and source == DEFAULT:
            continue
        if as_json:
            show_json({"section": section, "key": key, "value": value, "source": source})
        else:
            shown = repr(value) if isinstance(value, str) and not is_hidden else str(value)
            print(f"{section}.{key} = {printable(shown)}   ({printable(source)})")


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


def _values(settings: Settings) -> Iterator[tuple[tuple[str, str], Any, bool]]:
    """Lists section and key of each setting, its value, and whether that is hidden: it is a secret, or has some."""
    for section, keys in SECTIONS.items():
        for name, key in keys.items():
            value = getattr(getattr(settings, key.part), name)
            if isinstance(value, Secret) or key.rule.holds_secrets:
                yield (section, name), "set" if value else "not set", True
            else:
                yield (section, name), _plain(value), False


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a setting is
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, tuple | list | frozenset) else value
