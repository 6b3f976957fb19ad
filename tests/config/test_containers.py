"""`config/Dockerfile` and `config/compose.yml`, read without Docker: what they name there is, and fits the server."""

import ipaddress
import json
import re
import shlex
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from bimip.config import Settings, load_settings
from bimip.run import STOP_SECONDS
from tests.chaos.process_driver import ROOT
from tests.config.test_shipped import VARIABLES

CONFIG = ROOT / "config"
INSTRUCTIONS = {
    "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "RUN", "STOPSIGNAL", "USER", "VOLUME",
    "WORKDIR",
}  # fmt: skip
OUR_OWN = {"BIMIP_CONFIG"}
"""Names a file, not a setting."""


class Instruction(NamedTuple):
    name: str
    flags: dict[str, str]
    said: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.said)


def instructions() -> list[Instruction]:
    """The lines of the Dockerfile, each whole, without comments."""
    lines = [line for line in (CONFIG / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    found = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, said = line.strip().partition(" ")
            flags = dict(re.findall(r"--(\w[\w-]*)=(\S+)", said)) if name != "RUN" else {}
            found.append(
                Instruction(name, flags, said if name == "RUN" else re.sub(r"^(\s*--\w[\w-]*=\S+)+", "", said))
            )
    return found


def stages() -> list[list[Instruction]]:
    found: list[list[Instruction]] = []
    for one in instructions():
        if one.name == "FROM":
            found.append([])
        found[-1].append(one)
    return found


def last(name: str) -> Instruction:
    """What holds in the image: of several of a kind the last one does."""
    return [one for one in stages()[-1] if one.name == name][-1]


def image_environment() -> dict[str, str]:
    return {
        name: value
        for one in stages()[-1]
        if one.name == "ENV"
        for name, _, value in (word.partition("=") for word in one.words)
    }


def copied() -> list[str]:
    """What the image takes from the project's folder, by stage."""
    return [
        source for one in instructions() if one.name == "COPY" and "from" not in one.flags for source in one.words[:-1]
    ]


def compose() -> dict[str, Any]:
    found = yaml.safe_load((CONFIG / "compose.yml").read_text())
    assert isinstance(found, dict)
    return found


def service() -> dict[str, Any]:
    found = compose()["services"]["bimip"]
    assert isinstance(found, dict)
    return found


def settings_of(environment: dict[str, str]) -> Settings:
    """What the server in the container has: the file that lies in it, and the environment."""
    inside = Path(environment["BIMIP_CONFIG"])
    assert ["config/bimip.toml", str(inside)] in [one.words for one in stages()[-1] if one.name == "COPY"]
    return load_settings(CONFIG / "bimip.toml", environment)


def seconds(text: str) -> int:
    found = re.fullmatch(r"([0-9]+)s", text)
    assert found is not None, text
    return int(found[1])


def test_it_is_made_of_known_instructions_on_a_pinned_slim_base() -> None:
    bases = {one.words[0] for one in instructions() if one.name == "FROM"}
    (base,) = bases
    version = re.fullmatch(r"python:3\.([0-9]+)-slim", base)

    assert {one.name for one in instructions()} <= INSTRUCTIONS
    assert version is not None, base
    assert int(version[1]) >= 11


def test_what_it_copies_there_is_and_is_all_that_the_package_is_built_of() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {
        *wheel["packages"],
        *wheel["force-include"],
        project["project"]["readme"],
        *project["project"]["license-files"],
    }
    built = [one for one in stages()[0] if one.name == "COPY"]
    present = {source for one in built for source in one.words[:-1]}

    assert [source for source in copied() if not (ROOT / source).exists()] == []
    assert {one for one in needed if one not in present and one.partition("/")[0] not in present} == set()
    assert "pyproject.toml" in present


def test_what_is_ignored_is_nothing_that_it_copies() -> None:
    lines = [
        line for line in (CONFIG / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] not in {"", "#"}
    ]
    kept = [line[1:] for line in lines if line.startswith("!")]

    assert lines[0] == "*"
    assert [one for one in copied() if not any(fnmatch(one, f"{pattern}*") for pattern in kept)] == []
    assert [one for one in kept if not (ROOT / one).exists()] == []
    assert not any(one.startswith((".git", "data", ".venv")) for one in kept)


def test_what_is_installed_is_pinned_with_hashes() -> None:
    installs = [one.said for one in instructions() if "pip install" in one.said]

    assert all("--no-deps" in said for said in installs)
    assert ["--require-hashes -r scripts/requirements.txt" in said for said in installs] == [True, False]
    assert "--no-build-isolation ." in installs[1]
    assert "hatchling==" in (ROOT / "scripts" / "requirements.txt").read_text()


def test_it_is_nobody_in_particular_and_starts_the_server_without_a_shell() -> None:
    uid, gid = last("USER").said.strip().split(":")
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    (entry,) = json.loads(last("ENTRYPOINT").said)

    assert int(uid) > 0
    assert int(gid) > 0
    assert entry in scripts
    assert json.loads(last("CMD").said) == ["serve"]
    assert last("STOPSIGNAL").said.strip() == "SIGTERM"


def test_ports_and_paths_are_those_of_the_settings() -> None:
    environment = image_environment()
    settings = settings_of(environment)
    volume = Path(last("VOLUME").said.strip())
    asks = json.loads(last("HEALTHCHECK").said.strip().removeprefix("CMD "))

    assert {name for name in environment if name.startswith("BIMIP_")} <= VARIABLES | OUR_OWN
    assert int(last("EXPOSE").said) == settings.gateway.port
    assert settings.gateway.host == "::"
    assert Path(settings.store.path).parent == volume == Path(last("WORKDIR").said.strip())
    assert f"http://{settings.console.host}:{settings.console.port}/readyz" in asks[-1]
    compile(asks[-1], "the health check", "exec")


def test_compose_runs_this_image_with_settings_that_there_are() -> None:
    given = service()["environment"]
    settings = settings_of(image_environment() | given)
    secrets = {f"/run/secrets/{name}" for name in service()["secrets"]}

    assert (ROOT / service()["build"]["dockerfile"]).name == "Dockerfile"
    assert (ROOT / service()["build"]["dockerfile"]).exists()
    assert given.keys() <= VARIABLES
    assert {value for name, value in given.items() if name.endswith("_FILE")} == secrets
    assert set(service()["secrets"]) == set(compose()["secrets"])
    assert settings.gateway.allow_plaintext


def test_compose_lets_nobody_in_but_the_proxy_and_the_server_nowhere() -> None:
    environment = image_environment() | service()["environment"]
    settings = settings_of(environment)
    ((host, outside, inside),) = (port.split(":") for port in service()["ports"])
    (network,) = compose()["networks"]["bimip"]["ipam"]["config"]
    nginx = (CONFIG / "nginx.conf").read_text()

    assert host == "127.0.0.1"
    assert f"server {host}:{outside};" in nginx
    assert int(inside) == settings.gateway.port
    assert settings.gateway.proxies == (f"{network['gateway']}/32",)
    assert ipaddress.ip_address(network["gateway"]) in ipaddress.ip_network(network["subnet"])
    assert service()["read_only"] is True
    assert service()["cap_drop"] == ["ALL"]
    assert service()["security_opt"] == ["no-new-privileges:true"]
    assert service()["volumes"] == [f"store:{last('VOLUME').said.strip()}"]
    assert "store" in compose()["volumes"]


def test_compose_waits_for_a_drain_to_end() -> None:
    settings = settings_of(image_environment() | service()["environment"])

    assert settings.gateway.drain_spread_seconds > 0
    assert seconds(service()["stop_grace_period"]) >= settings.gateway.longest_drain_seconds + STOP_SECONDS
