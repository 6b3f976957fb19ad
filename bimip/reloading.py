"""SIGHUP: the settings are read again, and a running server takes over what it can.

Which settings those are, each says where it is declared (`reloads`); how one comes to be obeyed, is here:

    at each use                gateway (draining), health
    handed to who keeps them   tokens, rates, logging
    by a restart in order      push, webhooks: their processes read them as they start

It is all or nothing: where anything of the new settings is wrong, or names what cannot be read, the old ones stay. What
differs is logged, and no secret. Files that settings name are read again too, though their names are the same: the
certificate, the tokens' key, secrets of webhooks.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from bimip.config import ConfigError, Settings
from bimip.config.differences import Difference, differences, take_over
from bimip.gateway.authentication import Verifier
from bimip.gateway.tls import Certificate
from bimip.parts import Parts
from bimip.supervision import SupervisionError

_log = structlog.get_logger("bimip")

RESTARTED: Final = {"push": "bimip/push", "webhooks": "bimip/webhooks"}
"""Whose settings a process has from its start on, by the part of `Settings`."""


async def reload(parts: Parts, load: Callable[[], Awaitable[Settings]], set_log_level: Callable[[str], None]) -> str:
    """Reads the settings by `load`, which raises ConfigError, and takes over what a running server can. Returns what
    came of it, in a word. Cancelling may leave processes with the older ones.
    """
    old = parts.settings
    try:
        new = await load()
        taken = take_over(old, new)
        read = _Read(taken)
    except (ConfigError, ValueError) as error:
        for problem in str(error).splitlines():
            _log.error("the settings were not reloaded; the old ones stay", problem=problem)
        parts.reloads["refused"] += 1
        return "refused"
    found = differences(old, new)
    _tell(found)
    parts.settings = taken
    stale = {path for part, path in RESTARTED.items() if getattr(old, part) != getattr(taken, part)}
    stale |= read.hand_to(parts)
    if old.rates != taken.rates:
        parts.services.rates.configure(taken.rates)
    set_log_level(taken.logging.level)
    parts.traces.every = taken.logging.sample_messages
    for path in sorted(stale):
        await _restart(parts, path)
    parts.reloads["taken"] += 1
    return "taken over" if any(one.reloads for one in found) else "nothing to take over"


class _Read:
    """Reads what settings name, before anything is taken over. Raises ConfigError, and ValueError for a key that is
    none.
    """

    def __init__(self, settings: Settings) -> None:
        if problems := [*settings.contradictions()]:
            because = "beside what needs a restart and is as it was"
            raise ConfigError("\n".join(f"{problem} ({because})" for problem in problems))
        self._verifier = Verifier(settings.tokens)
        self._certificate: Certificate | None = settings.gateway.read_certificate()
        self._webhook_secrets = settings.webhooks.read_secrets()

    def hand_to(self, parts: Parts) -> set[str]:
        """Returns the paths of processes that have older ones."""
        parts.verifier.adopt(self._verifier)
        if parts.certificate is not None and self._certificate is not None:
            parts.certificate.adopt(self._certificate)
        if parts.webhook_secrets == self._webhook_secrets:
            return set()
        _log.info("secrets of webhooks were read again, and are others")
        parts.webhook_secrets = self._webhook_secrets
        return {RESTARTED["webhooks"]}


def _tell(found: list[Difference]) -> None:
    for one in found:
        setting = f"{one.section}.{one.key}"
        if one.reloads:
            _log.info("a setting was reloaded", setting=setting, old=one.old, new=one.new)
        else:
            _log.warning("a setting needs a restart; the old one stays", setting=setting, old=one.old, new=one.new)
    if not any(one.reloads for one in found):
        _log.info("no setting was reloaded; files that settings name were read again")


async def _restart(parts: Parts, path: str) -> None:
    assert parts.processes is not None
    try:
        await parts.processes.restart(path)
    except SupervisionError as error:  # its supervisor goes on as for a crash
        _log.error("a process did not start again with the new settings", path=path, error=str(error))
