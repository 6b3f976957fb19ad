"""What the demonstration needs, made where the settings say: keys that nobody else has, and tokens for two people."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from bimip.cli.settings import console_url, gateway_url, page_url
from bimip.cli.tokens import sign
from bimip.config import ConfigError, Settings
from bimip.web import Demonstration, PageDevice

ALICE, BOB = "alice@example.org", "bob@example.org"
PAGE_DEVICES = ("page-phone", "page-laptop", "chat")
"""Of each of the two, in a browser: others than those of the terminals, as a device has one connection."""
DEVICES = tuple((eid, device) for eid in (ALICE, BOB) for device in ("phone", "laptop", "terminal"))
LIFETIME_SECONDS = 30 * 86_400  # from each start on


@dataclass(frozen=True, slots=True)
class Demo:
    folder: Path
    settings: Settings

    def token_file(self, eid: str, device: str) -> Path:
        return self.folder / f"{eid.split('@', maxsplit=1)[0]}-{device}.token"

    def store_file(self, eid: str, device: str) -> Path:
        return self.token_file(eid, device).with_suffix(".db")


def prepare(settings: Settings) -> Demo:
    """Make what is missing. The key and the operator's token stay from start to start, devices get new tokens."""
    tokens, console = settings.tokens, settings.console
    if tokens.algorithm != "HS256" or not tokens.key_file or not console.operator_token_file:
        raise ConfigError(
            "the demonstration needs tokens.algorithm HS256, tokens.key_file and console.operator_token_file; "
            "config/demo.toml has them"
        )
    demo = Demo(Path(tokens.key_file).parent, settings)
    for file in (Path(tokens.key_file), Path(console.operator_token_file)):
        if file.exists():
            file.chmod(0o600)
        else:
            _write(file, secrets.token_hex(32))
    for eid, device in DEVICES:
        _write(demo.token_file(eid, device), sign(settings, eid, device, LIFETIME_SECONDS))
    _write(demo.folder / "server.pid", str(os.getpid()))
    return demo


def demonstration(demo: Demo, program: str) -> Demonstration:
    """Gathers what the page in a browser is given."""
    devices = [
        PageDevice(eid, device, sign(demo.settings, eid, device, LIFETIME_SECONDS))
        for eid in (ALICE, BOB)
        for device in PAGE_DEVICES
    ]
    return Demonstration(devices, os.getpid(), _kill_command(demo), _again(program))


def _kill_command(demo: Demo) -> str:
    return f'kill -9 "$(cat {demo.folder / "server.pid"})"'


def _again(program: str) -> str:
    return "scripts/run" if Path("scripts/run").exists() else f"{program} serve --demo"


def next_steps(demo: Demo, program: str, config: Path | None) -> str:
    """Lists what a newcomer types next, each line ready to be copied."""

    def listen(eid: str, device: str) -> str:
        return f"{program} listen --as {demo.token_file(eid, device)} --store {demo.store_file(eid, device)}"

    chat = f"{program} chat --as {demo.token_file(BOB, 'terminal')} --store {demo.store_file(BOB, 'terminal')}"
    its_settings = f" --config {config}" if config is not None else ""
    sender = demo.token_file(ALICE, "phone")
    return f"""
BIMIP's demonstration. Open this in a browser: four devices of two people, and what happens below them

  {page_url(demo.settings)}/

It is a messenger too, at {page_url(demo.settings)}/chat
Clients connect at {gateway_url(demo.settings)}, the console is at {console_url(demo.settings)}

Or open more terminals in this folder. Each is a device:

  Bob's phone       {listen(BOB, "phone")}
  Bob's laptop      {listen(BOB, "laptop")}
  Alice's laptop    {listen(ALICE, "laptop")}

Or one with a full screen, to talk in:

  Bob's terminal    {chat}

Alice writes on her phone. Bob's devices get it, and her own laptop shows what she wrote:

  Alice's phone     {program} send --as {sender} {BOB} "Hello Bob"
  The processes     {program} tree --watch{its_settings}
  In a browser      {console_url(demo.settings)}/   the token is in {demo.settings.console.operator_token_file}

Kill it in the middle, and start it again. Every device carries on where it stood:

  Many messages     {program} send --as {sender} {BOB} "Message" --count 100 --every 0.2
  Kill              {_kill_command(demo)}
  Again             {_again(program)}

Ctrl-C here stops the server in order.
"""


def _write(file: Path, text: str) -> None:
    """Writes a file for its owner alone, whole or not at all."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    with open(new, "x", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
        out.write(text + "\n")
    new.replace(file)
