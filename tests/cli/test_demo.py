from dataclasses import replace
from pathlib import Path

import jwt
import pytest

from bimip.cli import demo
from bimip.config import ConfigError, ConsoleSettings, Settings
from bimip.gateway.settings import TokenSettings


def settings(folder: Path) -> Settings:
    return Settings(
        tokens=TokenSettings(algorithm="HS256", key_file=str(folder / "demo" / "signing.key")),
        console=ConsoleSettings(operator_token_file=str(folder / "demo" / "operator.token")),
    )


def test_keys_are_made_once_and_tokens_for_every_device(tmp_path: Path) -> None:
    first = demo.prepare(settings(tmp_path))
    key = first.settings.tokens.read_key()
    operator = first.settings.console.read_operator_token()
    again = demo.prepare(settings(tmp_path))
    claims = jwt.decode(again.token_file(demo.ALICE, "phone").read_text().strip(), key.reveal(), algorithms=["HS256"])

    assert again.settings.tokens.read_key() == key
    assert again.settings.console.read_operator_token() == operator
    assert operator != key
    assert (claims["sub"], claims["did"]) == (demo.ALICE, "phone")
    assert sorted(file.name for file in first.folder.iterdir()) == [
        "alice-laptop.token",
        "alice-phone.token",
        "alice-terminal.token",
        "bob-laptop.token",
        "bob-phone.token",
        "bob-terminal.token",
        "operator.token",
        "server.pid",
        "signing.key",
    ]


def test_what_it_writes_is_for_the_owner_alone(tmp_path: Path) -> None:
    folder = demo.prepare(settings(tmp_path)).folder

    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


def test_settings_without_places_for_keys_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"config/demo\.toml has them"):
        demo.prepare(Settings())


def test_next_steps_can_be_copied(tmp_path: Path) -> None:
    prepared = demo.prepare(settings(tmp_path))
    steps = demo.next_steps(replace(prepared, folder=Path("data/demo")), ".venv/bin/bimip", Path("config/demo.toml"))

    assert ".venv/bin/bimip listen --as data/demo/bob-phone.token --store data/demo/bob-phone.db\n" in steps
    assert ".venv/bin/bimip chat --as data/demo/bob-terminal.token --store data/demo/bob-terminal.db\n" in steps
    assert '.venv/bin/bimip send --as data/demo/alice-phone.token bob@example.org "Hello Bob"\n' in steps
    assert ".venv/bin/bimip tree --watch --config config/demo.toml\n" in steps
    assert f"http://127.0.0.1:8471/   the token is in {tmp_path}/demo/operator.token\n" in steps
    assert 'kill -9 "$(cat data/demo/server.pid)"\n' in steps
