"""What /metrics tells of a server that something happened to."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import trio
import yaml
from prometheus_client.parser import text_string_to_metric_families
from trio.testing import MockClock

from bimip import metrics
from bimip.client.wire import bimip as pb
from bimip.parts import kind_of_process
from bimip.push.process import OUTCOMES
from bimip.testing.push import MemoryGateway
from tests.kit.memory_server import World, go_on, open_world, settle
from tests.scenarios.test_presence import say
from tests.scenarios.test_push import bob_away, failing, with_push


async def scraped(world: World) -> Mapping[str, float]:
    """Each sample, by its name and its labels as the format has them."""
    text, _ = metrics.exposed(world.server, await world.server.users.measure_lag(), "")
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


async def test_a_message_is_counted_accepted_and_delivered_and_timed_both_ways(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob = await world.join("ann", "phone", go_on()), await world.join("bob", "phone", go_on())
        await ann.post("bob", b"Hi", "one")
        await settle()
        bob.acknowledge(1)
        await settle()
        told = await scraped(world)

    assert told["bimip_messages_accepted_total"] == 1
    assert told["bimip_deliveries_total"] == 1
    assert told["bimip_message_accept_seconds_count"] == 1
    assert told["bimip_message_deliver_seconds_count"] == 1
    assert 0.1 <= told["bimip_message_deliver_seconds_sum"] < 0.2  # `settle` is a tenth of a second
    assert told["bimip_journal_commit_seconds_count"] >= 2
    assert told["bimip_journal_batch_operations_count"] >= 2


async def test_what_waited_for_a_device_that_was_away_is_not_timed(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann = await world.join("ann", "phone", go_on())
        await world.register("bob")
        await ann.post("bob", b"Hi", "one")
        bob = await world.join("bob", "phone", go_on())
        await settle()
        bob.acknowledge(1)
        await settle()
        told = await scraped(world)

    assert told["bimip_deliveries_total"] == 1
    assert told["bimip_message_deliver_seconds_count"] == 0


async def test_a_resend_is_a_duplicate_and_not_accepted_again(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann = await world.join("ann", "phone", go_on())
        await world.register("bob")
        for _ in range(3):
            await ann.post("bob", b"Hi", "one")
        told = await scraped(world)

    assert (told["bimip_messages_accepted_total"], told["bimip_messages_duplicate_total"]) == (1, 2)


async def test_messages_of_a_hello_are_counted_as_others_are(autojump_clock: MockClock) -> None:
    hi = pb.Message(id="one", to=pb.Identity(eid="bob"), type=1, payload=b"Hi")
    lost = pb.Message(id="two", to=pb.Identity(eid="nobody"), type=1, payload=b"Hi")
    wrong = pb.Message(id="three", to=pb.Identity(eid="bob"), type=-1, payload=b"Hi")
    async with open_world() as world:
        await world.register("bob")
        await world.join("ann", "phone", go_on(), messages=[hi, hi, lost, wrong])
        told = await scraped(world)

    assert (told["bimip_messages_accepted_total"], told["bimip_messages_duplicate_total"]) == (1, 1)
    assert told["bimip_refusals_total{code=NOT_FOUND}"] == 1
    assert told["bimip_refusals_total{code=INVALID}"] == 1


async def test_refusals_are_counted_by_code_whoever_refuses(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann = await world.join("ann", "phone", go_on())
        ann.write("nobody", b"Hi", "one")  # the journal's
        ann.send(message=pb.Message(id="two", to=pb.Identity(eid="bob"), type=-1))  # a check's
        ann.send(devices=pb.Devices(action=pb.DevicesAction.REMOVE, name="none"), ref=3)  # a request's own
        await settle()
        told = await scraped(world)

    assert told["bimip_refusals_total{code=NOT_FOUND}"] == 2
    assert told["bimip_refusals_total{code=INVALID}"] == 1
    assert told["bimip_messages_accepted_total"] == 0


async def test_receipts_are_counted_by_kind(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob = await world.join("ann", "phone", go_on()), await world.join("bob", "phone", go_on())
        sent = await ann.post("bob", b"Hi", "one")
        bob.read(sent.conversation, 1)
        await settle()
        told = await scraped(world)

    assert told["bimip_receipts_total{status=READ}"] == 1
    assert told["bimip_receipts_total{status=PLAYED}"] == 0


async def test_lag_is_that_of_all_connected_devices_together(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        slow = world.connect("bob", "phone", room=0)
        await world.fill("bob", *range(5))
        slow.send(hello=pb.Hello(partitions=[pb.Position(partition="chat", offset=0)]))
        await settle()
        await world.join("ann", "phone", go_on())
        told = await scraped(world)

    assert (told["bimip_users_connected"], told["bimip_devices_connected"]) == (2, 2)
    assert (told["bimip_devices_behind"], told["bimip_lag_messages"], told["bimip_lag_messages_max"]) == (1, 5, 5)


async def test_hellos_are_counted_by_where_the_device_stood(autojump_clock: MockClock) -> None:
    chat = pb.Position(partition="chat", offset=0)
    async with open_world() as world:
        await world.register("ann")
        await world.fill("ann", 1, 2)
        before = await scraped(world)
        (await world.join("ann", "phone", pb.Position(partition="chat", offset=2))).cut()
        (await world.join("ann", "phone", chat)).cut()
        (await world.join("ann", "phone", chat, epoch=1)).cut()
        nowhere = world.connect("ann", "phone")
        nowhere.send(hello=pb.Hello(partitions=[pb.Position(partition="none")]))
        await nowhere.closed()
        told = await scraped(world)

    outcomes = ("current", "behind", "another_epoch", "refused")
    assert [
        told[f"bimip_hellos_total{{outcome={one}}}"] - before[f"bimip_hellos_total{{outcome={one}}}"]
        for one in outcomes
    ] == [1, 1, 1, 1]


async def test_crashes_and_restarts_are_counted_by_process_and_those_of_users_as_one(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        for name in ("ann", "bob"):
            await world.join(name, "phone", go_on())
            await world.kill(f"users/{name}/phone/fetcher")
        await world.kill("retention")
        await settle()
        told = await scraped(world)

    assert told["bimip_process_crashes_total{process=reader or fetcher}"] == 2
    assert told["bimip_process_restarts_total{process=reader or fetcher}"] == 2
    assert told["bimip_process_restarts_total{process=bimip/retention}"] == 1
    assert not any("ann" in name for name in told)


async def test_a_process_without_a_line_of_its_own_is_told_by_what_it_describes(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await settle()
        told = await scraped(world)

    assert told["bimip_process_value{process=bimip/retention,value=removed}"] == 0
    assert not [name for name in told if "process_value{process=bimip/webhooks" in name], "it has lines of its own"
    assert told["bimip_restart_budget_left{process=bimip}"] == 10


async def test_no_sample_is_added_by_users_devices_or_conversations(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        for name in ("ann", "bob"):
            await world.join(name, "phone", go_on())
        few = await scraped(world)
        for number in range(20):
            client = await world.join(f"user-{number}", "phone", go_on())
            await client.post("ann", b"Hi", f"{number}")
        many = await scraped(world)

    assert set(many) == set(few)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("bimip/journal", "bimip/journal"),
        ("bimip/users", "bimip/users"),
        ("bimip/users/ann%2Fb", "user"),
        ("bimip/users/ann/phone", "device"),
        ("bimip/users/ann/phone/reader", "reader or fetcher"),
        ("bimip/gateway/connections", "bimip/gateway/connections"),
        ("bimip/gateway/connections/17", "connection"),
    ],
)
def test_a_process_is_counted_under_one_of_few_names(path: str, kind: str) -> None:
    assert kind_of_process(path) == kind


async def test_openmetrics_is_told_to_who_asks_for_it(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        lag = await world.server.users.measure_lag()
        text, content_type = metrics.exposed(world.server, lag, "application/openmetrics-text; version=1.0.0")

    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")


def exposed_names() -> set[str]:
    """The names of all samples that a server tells."""

    async def names() -> set[str]:
        async with open_world() as world:
            await world.join("ann", "phone", go_on())
            await world.kill("retention")
            await settle()
            return {name.partition("{")[0] for name in await scraped(world)}

    return trio.run(names, clock=MockClock(autojump_threshold=0))


ABSENT = {"up", "bimip_store_disk_free_bytes", "bimip_connections_refused_total", "bimip_connections_closed_total"}
"""What Prometheus says itself, and what a store in memory and a server to which nobody connects do not tell."""
NAME = re.compile(r"\b(?:bimip|process)_[a-z_]+|\bup\b")
CONFIG = Path(__file__).parents[1] / "config"


def expressions(file: str) -> list[str]:
    text = (CONFIG / file).read_text()
    if file.endswith(".json"):
        return [target["expr"] for panel in json.loads(text)["panels"] for target in panel["targets"]]
    return [rule["expr"] for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("file", ["grafana.json", "alerts.yml"])
def test_what_is_drawn_and_alerted_on_is_told(file: str) -> None:
    known = exposed_names() | ABSENT
    used = [set(NAME.findall(expression)) - {"process_"} for expression in expressions(file)]

    assert all(used)
    assert sorted(set().union(*used) - known) == []


def test_each_alert_says_what_is_wrong_and_where_to_look() -> None:
    rules = [rule for group in yaml.safe_load((CONFIG / "alerts.yml").read_text())["groups"] for rule in group["rules"]]

    assert len({rule["alert"] for rule in rules}) == len(rules)
    assert {rule["labels"]["severity"] for rule in rules} == {"critical", "warning"}
    assert all(rule["annotations"]["summary"] and rule["annotations"]["description"] for rule in rules)


async def test_devices_that_have_most_to_do_come_first(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        slow = world.connect("bob", "phone", room=0)
        await world.fill("bob", *range(5))
        slow.send(hello=pb.Hello(partitions=[pb.Position(partition="chat", offset=0)]))
        ann = await world.join("ann", "phone", go_on())
        await settle()
        await ann.post("ann", b"Hi", "one")
        busiest = await world.server.users.list_busiest(1)

    assert [(one["eid"], one["lag"]) for one in busiest] == [("bob", 5)]


async def test_what_is_pushed_what_is_not_taken_and_what_is_held_is_counted(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with open_world(settings=with_push(), gateway=gateway) as world:
        ann = await bob_away(world)
        gateway.answer = failing(503, 0, 400, 201, 410)
        await ann.post("bob", b"hello", "m1")  # refused in the end
        await trio.sleep(20)
        await ann.post("bob", b"hello", "m2")
        await trio.sleep(20)
        laptop = await world.join("bob", "laptop", go_on("sync"))
        await say(laptop, pb.AwarenessStatus.DND)
        laptop.cut()
        await ann.post("bob", b"hello", "m3")
        await trio.sleep(20)
        held = await scraped(world)
        laptop = await world.join("bob", "laptop", go_on("sync"))
        await say(laptop, pb.AwarenessStatus.AWAY)
        laptop.cut()
        await trio.sleep(20)
        told = await scraped(world)

    assert told["bimip_push_sent_total{kind=message}"] == 1
    outcomes = {name: told[f"bimip_push_failed_total{{outcome={name}}}"] for name in OUTCOMES}
    assert outcomes == {"again": 1, "unreachable": 1, "refused": 1, "unsendable": 0, "gone": 1}
    assert held["bimip_push_held_total{reason=quiet}"] > 0
    assert held["bimip_push_users"] == 1
    assert told["bimip_push_users"] == 0


async def test_a_gateway_that_is_left_alone_is_told_and_who_waits_for_it(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    async with open_world(settings=with_push(), gateway=gateway) as world:
        ann = await bob_away(world)
        gateway.answer = failing(*[503] * 1000)
        await ann.post("bob", b"hello", "m1")
        before = await scraped(world)
        await trio.sleep(600)
        told = await scraped(world)
        await world.kill("push")
        gone = await scraped(world)

    assert before["bimip_push_breakers{state=open}"] == 0
    assert told["bimip_push_breakers{state=open}"] + told["bimip_push_breakers{state=half_open}"] == 1
    assert told["bimip_push_waiting"] + told["bimip_push_users_to_look_at"] == 1
    assert gone["bimip_push_breakers{state=open}"] == 0
