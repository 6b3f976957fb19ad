"""The settings of the whole server: what `config/bimip.toml` explains.

    sections.py   `Settings`: which floor has which settings, and what must agree among them
    differences.py  how they are shown, and what of others a running server takes over
    loading.py    from defaults, a TOML file and the environment to `Settings`, or to everything that is wrong with them

A setting is declared once, with its default and its rule, by the floor that obeys it (`bimip.settings`). Its name in
the file is a section and a key. The section is where an operator looks for it, which is not always its floor:
`[limits]` holds those of several. What is imported for that is light: commands for devices are installed without most
of what a server needs.
"""

from bimip.config.loading import load_settings, load_with_sources
from bimip.config.sections import ConsoleSettings, HealthSettings, LoggingSettings, Settings
from bimip.settings import ConfigError, Secret

__all__ = [
    "ConfigError",
    "ConsoleSettings",
    "HealthSettings",
    "LoggingSettings",
    "Secret",
    "Settings",
    "load_settings",
    "load_with_sources",
]
