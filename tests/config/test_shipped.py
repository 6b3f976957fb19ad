"""What lies in config/ beside the settings: it names what there is."""

from pathlib import Path

from bimip.config.sections import SECTIONS
from bimip.gateway.settings import GatewaySettings
from bimip.run import STOP_SECONDS

CONFIG = Path(__file__).parents[2] / "config"
VARIABLES = {f"BIMIP_{section}_{key}".upper() for section, keys in SECTIONS.items() for key in keys}


def unit() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (CONFIG / "bimip.service").read_text().splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_the_unit_is_told_by_the_server_and_stops_and_reloads_it() -> None:
    found = unit()

    assert (found["Type"], found["NotifyAccess"]) == (["notify"], ["main"])
    assert int(found["WatchdogSec"][0]) >= 10
    assert found["ExecStart"] == ["/opt/bimip/bin/bimip serve --config /etc/bimip/bimip.toml"]
    assert found["ExecReload"] == ["/bin/kill -HUP $MAINPID"]


def test_the_unit_waits_for_a_stop() -> None:
    """As long as one takes by default; a longer one says so itself."""
    assert int(unit()["TimeoutStopSec"][0]) >= GatewaySettings().longest_drain_seconds + STOP_SECONDS


def test_the_unit_sets_settings_that_there_are() -> None:
    named = {value.partition("=")[0] for value in unit()["Environment"]}

    assert named <= VARIABLES
    assert "BIMIP_STORE_PATH" in named


def test_what_the_server_does_not_need_the_unit_forbids() -> None:
    found = unit()
    yes = ["NoNewPrivileges", "ProtectHome", "ProtectClock", "PrivateDevices", "PrivateTmp", "RestrictSUIDSGID"]

    assert [found[name] for name in yes] == [["yes"]] * len(yes)
    assert found["CapabilityBoundingSet"] == [""]
    assert found["ProtectSystem"] == ["strict"]
    assert found["UMask"] == ["0077"]
