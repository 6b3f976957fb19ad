"""The conversation at the head of PROTOCOL.md happens as it stands there."""

import json
import re
from pathlib import Path
from typing import Any

from trio.testing import MockClock

from bimip.testing.virtual import settings_for_tests
from tests.gateway.harness import frame
from tests.kit.gateway_server import TEXT, Caller, open_gateway_server

PAGE = (Path(__file__).parents[2] / "proto/PROTOCOL.md").read_text("utf-8")
(SCRIPT,) = re.findall(r"```conversation\n(.*?)```", PAGE, re.DOTALL)
LINES = [(*line.split(maxsplit=2)[:2], json.loads(line.split(maxsplit=2)[2])) for line in SCRIPT.splitlines() if line]
OF_THE_MOMENT = {"epoch", "server_time", "signal_offset", "signal_id", "time", "agent", "created"}
TIMES_OF_THE_SERVER = {"signals"}


def comparable(value: Any, inside: str = "") -> Any:
    """Without what is another number each time."""
    if isinstance(value, dict):
        dropped = OF_THE_MOMENT | ({"timestamp"} if inside in TIMES_OF_THE_SERVER else set())
        return {name: comparable(one, name) for name, one in value.items() if name not in dropped}
    return [comparable(one, inside) for one in value] if isinstance(value, list) else value


async def heard(caller: Caller, known: int) -> list[Any]:
    await caller.heard()
    _, _, data = caller.data.partition(b"\r\n\r\n")
    texts, at = [], 0
    while at + 2 <= len(data):
        opcode, size, at = data[at] & 0x0F, data[at + 1], at + 2
        if size >= 126:
            wide = 2 if size == 126 else 8
            size, at = int.from_bytes(data[at : at + wide]), at + wide
        if opcode == TEXT:
            texts.append(json.loads(data[at : at + size]))
        at += size
    return texts[known:]


async def test_it_happens_as_it_stands_there(autojump_clock: MockClock) -> None:
    async with open_gateway_server(settings_for_tests()) as gate:
        callers: dict[str, Caller] = {}
        taken: dict[str, list[Any]] = {}
        for who, arrow, value in LINES:
            if who not in callers:
                callers[who], taken[who] = gate.knock(is_json=True), []
                await callers[who].open(f"{who}@example.org", "phone")
            if arrow == "→":
                await callers[who].stream.send_all(frame(TEXT, json.dumps(value).encode()))
            for name, caller in callers.items():
                said = await heard(caller, len(taken[name]))
                told = [line for one, way, line in LINES if (one, way) == (name, "←")]
                for one in said:
                    expected = told[len(taken[name])] if len(told) > len(taken[name]) else None
                    assert comparable(one) == comparable(expected), json.dumps(one)
                    taken[name].append(one)
        assert {name: len(said) for name, said in taken.items()} == {
            name: sum((who, way) == (name, "←") for who, way, _ in LINES) for name in callers
        }
