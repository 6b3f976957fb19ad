import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import pytest

from bimip.config import Secret, Settings
from bimip.config.sections import SECTIONS
from bimip.settings import Declared


def declared() -> list[tuple[str, str]]:
    """All settings, by whose they are and their names."""
    return [
        (part.name, one.name)
        for part in fields(Settings)
        for one in fields(getattr(Settings(), part.name))
        if Declared in one.metadata
    ]


def test_each_setting_that_a_floor_declares_stands_in_one_section() -> None:
    assert sorted((key.part, name) for keys in SECTIONS.values() for name, key in keys.items()) == sorted(declared())


def test_no_number_has_two_owners() -> None:
    names = [name for section in ("gateway", "limits") for name in SECTIONS[section]]

    assert len(names) == len(set(names))


def test_every_default_is_allowed() -> None:
    settings = Settings()
    for keys in SECTIONS.values():
        for name, key in keys.items():
            default = getattr(getattr(settings, key.part), name)
            given = default.reveal() if isinstance(default, Secret) else default
            given = list(given) if isinstance(given, tuple) else given

            assert key.rule.parse(given) == default
    assert list(settings.contradictions()) == []


@pytest.mark.parametrize(
    ("part", "changes", "what"),
    [
        ("limits", {"window_bytes": 1}, "limits.window_bytes"),
        ("store", {"quota_bytes": 1 << 45}, "store.quota_bytes"),
        ("retention", {"dedup_days": 1}, "retention.dedup_days"),
        ("gateway", {"tls_key": "key.pem"}, "gateway.tls_key"),
        ("tokens", {"key": Secret("k"), "key_file": "f"}, "tokens.key"),
        ("console", {"operator_token": Secret("t"), "operator_token_file": "f"}, "console.operator_token"),
        ("console", {"metrics_token": Secret("t"), "metrics_token_file": "f"}, "console.metrics_token"),
    ],
)
def test_each_floor_tells_what_cannot_be_true_together(part: str, changes: dict[str, Any], what: str) -> None:
    settings = replace(Settings(), **{part: replace(getattr(Settings(), part), **changes)})
    (sentence,) = settings.contradictions()

    assert sentence.startswith(f"{what} ")


def test_settings_are_read_where_only_the_commands_for_devices_are_installed() -> None:
    """Without what the server alone needs (pyproject.toml: `server`)."""
    absent = ("google.protobuf", "jwt", "cryptography", "lmdb", "structlog", "hypercorn", "starlette")
    asked = f"import sys, bimip.config; print([name for name in {absent} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)

    assert told.stdout == "[]\n"
