"""Kill anything, mid-anything: the sweep over every place where the server's tasks wait (see `fault_sweep.py`), what it
reached, and the deliberate faults that it finds.

    pytest tests/chaos/test_kill_anything.py        prints the table; about a minute and a half
"""

import sys
from collections import Counter
from collections.abc import Callable

import pytest

from bimip.retention import process as retention
from bimip.users import calls, locations, registry
from bimip.users.awareness import presence
from tests.chaos import faulty
from tests.chaos.await_points import Site, sites_of
from tests.chaos.fault_sweep import IMPOSSIBLE, Sweep, allowed, kind_of, modules
from tests.chaos.faulty import Patch
from tests.kit.faults import StoreFault

WORLDS = 20
"""At most, until LEAST are done."""
INJECTIONS = 230
"""At most, in one world; one whose root has its real budget gets fewer."""
LEAST = 1000
HUNTS = 8
"""At most so many worlds more, for places that were come by and never hit."""

OUTSIDE = "it is no process of the tree that runs this, but whoever opens the tree"
TLS = "the peers of these worlds speak without TLS: it is one await around another's"
TLS_STREAM = (
    "return await self._stream.receive_some(max_bytes)",
    "await self._stream.send_all(data)",
    "await self._stream.wait_send_all_might_not_block()",
    "await self._stream.aclose()",
)
PORTS = "no listener of the sweep is on every address: tests/gateway/test_listener.py opens one"
FULL = "no disk of the sweep is full: tests/journal/test_journal.py and tests/chaos/test_full_disk.py fill one"
CLOCK = "no operator of the sweep takes a clock over"
ASKED = "takes a request for the one whose failing start broke off its group's restart: tests/supervision does it"
ERASES = "nobody is erased in the sweep: the simulation does, and tests/scenarios/test_erasing.py stops at each step"
ERASING = (
    "await self._erase(user)",
    "await self._ask(Barrier())  # what their devices asked for before they were closed is decided",
    "await self._erase_in_conversations(user)",
    "await self._leave_conversations(user)",
    "await self._erase_records(user)",
    "result = await self._ask(FinishErasing(user))",
    "await trio.sleep(AGAIN_SECONDS)",
    "for number, known in await self._conversations(user):",
    "await self._ask(LeaveErased(user, number))",
    "await self._erase_messages(user, number)",
    "await self._exhaust(EraseReceipts(user, number))",
    "result = await self._ask(operation)",
    "await self._exhaust(DropAlone(user, number))",
    "await self._forget_contacts(user)",
    "await self._ask(ForgetContacts(user, owners))",
    "await self._ask(RestartStates(tuple(heads[at : at + RESTARTED_AT_ONCE])))",
    "await self._ask(ForgetMember(user, number))",
    "await self._exhaust(EraseLog(user, partition))",
    "await self._exhaust(EraseRecords(user))",
    "await self._exhaust(EraseDevice(user, device))",
    "await trio.lowlevel.checkpoint()",
    "await self._ask(EraseConflicts(user))",
    "result = await self._queue.execute(operation)",
)
ENDS = "no position is shared in the sweep for so long that it ends: tests/scenarios/test_locations.py waits"
BARS = (
    "is_there = await act(eid)",
    'return await _bar(request, self._parts.disable_user, "disabled")',
    'return await _bar(request, self._parts.enable_user, "enabled")',
    'return await _bar(request, lambda eid: revoke(eid, device), "revoked")',
)
BARRED = "no operator of the sweep keeps users out: tests/users/test_tokens.py does it"
CREATES = "no operator of the sweep creates a user: tests/scenarios/test_sending.py does it"
EVICTS = "no operator of the sweep evicts a device: tests/scenarios/test_pins.py does it"
TRIES = "no operator of the sweep tries a subscription: tests/scenarios/test_push.py does"
NETWORK = "the gateway of these worlds is in memory: tests/push/test_http.py has real sockets"
SENDS = (
    "async with answering as response:",
    "await response.aread()  # so that the connection can be used again",
    "await vars(self)[name].aclose()",
    "addresses = await self._addresses(host, port)",
    "return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)",
    "found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)",
    "await trio.sleep(seconds)",
)
DRAINS = "nobody drains in the sweep: tests/gateway/test_draining.py does, and kills the listener in it"
DRAINING = (
    "await self._close_all()",
    "await trio.sleep_forever()",
    "await self._let_others(len(left))",
    "Draining._close_all: await self._answered()",
    "await trio.sleep_until(max(self._due(began, len(left) / many), trio.current_time() + STEP_SECONDS))",
    "await self._hang_up()",
    "await self._answer()",
    "await self._let_others(count)",
    "await self._sockets.wait_gone(number)",
    "await trio.lowlevel.checkpoint()",
)
RELOADING = (
    "new = await load()",
    "await _restart(parts, path)",
    "await parts.processes.restart(path)",
)
NOT_REACHED = dict.fromkeys([("bimip.retention.erasing", text) for text in ERASING], ERASES) | {
    **dict.fromkeys([("bimip.push.http", text) for text in SENDS], NETWORK),
    (
        "bimip.api.caller",
        "await trio.sleep(wait)",
    ): "of a device that spent its rate: tests/api/test_devices.py has one",
    (
        "bimip.api.events",
        "EventConnection.wait_closed: await self.wait_changed()",
    ): "it is for peers and tests: no task awaits it",
    (
        "bimip.gateway.serving",
        "await http.refuse(self._stream, request, self, _problem(error))",
    ): "where too many ask by HTTP from one address: tests/gateway/test_http.py has them",
    ("bimip.http.server", "await exchange.answer(problem_response(problem))"): "see the gateway, which asks for it",
    ("bimip.http.server", "HttpServer.refuse: await exchange.end()"): "see the gateway, which asks for it",
    (
        "bimip.http.server",
        "await trio.sleep_forever()  # nobody reads the next request while this one is being answered",
    ): "who listens for its peer to leave, the stream of events, has said that no other request follows",
    ("bimip.users.locations", "if isinstance(await self._queue.execute(end), Refused):"): ENDS,
    ("bimip.users.locations", "await trio.sleep(AGAIN_SECONDS)"): ENDS,
    ("bimip.push.process", "await trio.sleep(AGAIN_SECONDS)"): "no store of the sweep fails as push walks it",
    (
        "bimip.webhooks.process",
        "await trio.sleep(AGAIN_SECONDS)",
    ): "no store of the sweep fails as webhooks are opened: tests/scenarios/test_webhooks.py has one that does",
    ("bimip.console.application", "found = await self._parts.erase_user(eid)"): ERASES,
    ("bimip.console.application", "found = await self._parts.try_push(eid, device, name)"): TRIES,
    (
        "bimip.operations",
        "answers = await self._parts.pushing.test([subscription for _, _, subscription in found])",
    ): TRIES,
    (
        "bimip.push.process",
        "answers[subscription] = await send_test(gateway, self._post, subscription, name, self._wall_clock())",
    ): TRIES,
    ("bimip.push.process", "Push.test: async with trio.open_nursery() as nursery:"): TRIES,
    ("bimip.push.trial", "response = await post(request)"): TRIES,
    ("bimip.operations", "result = await self._parts.queue.execute(BeginErasing(normal_eid(eid)))"): ERASES,
    (
        "bimip.operations",
        "result = await self._parts.queue.execute(operation._replace(eid=normal_eid(operation.eid)))",
    ): BARRED,
    ("bimip.console.application", "found = await self._parts.create_user(eid)"): CREATES,
    ("bimip.operations", "result = await self._parts.queue.execute(CreateUser(normal))"): CREATES,
    ("bimip.operations", "foreseen = await self.foresee_eviction(eid, device)"): EVICTS,
    ("bimip.operations", "result = await self._parts.queue.execute(Forget(known.number), owner=user)"): EVICTS,
    ("bimip.operations", "is_there = await self.bar_tokens(RevokeIssued(eid, device))"): BARRED,
    ("bimip.operations", "await trio.sleep((SECOND_MS - into_second + CLOCK_SLACK_MS) / SECOND_MS)"): BARRED,
    **dict.fromkeys([("bimip.console.application", text) for text in BARS], BARRED),
    (
        "bimip.console.answers",
        "await trio.lowlevel.checkpoint()  # others have their turn, also where nothing was found",
    ): "nobody is exported in the sweep: tests/scenarios/test_erasing.py does it",
    ("bimip.parts", "await self.draining.wait_drained()"): OUTSIDE,
    **dict.fromkeys([("bimip.reloading", text) for text in RELOADING], OUTSIDE),
    ("bimip.gateway.draining", "await self._drained.wait()"): OUTSIDE,
    **dict.fromkeys([("bimip.gateway.draining", text) for text in DRAINING], DRAINS),
    (
        "bimip.gateway.listener",
        'ipv4 = await trio.open_tcp_listeners(port, host="0.0.0.0")  # noqa: S104 - that is what was asked for',
    ): PORTS,
    ("bimip.gateway.listener", "return [*ipv4, *await trio.open_tcp_listeners(port, host=host)]"): PORTS,
    ("bimip.gateway.listener", "stream = await self._listener.accept()"): TLS,
    ("bimip.gateway.listener", "await self._listener.aclose()"): TLS,
    **dict.fromkeys([("bimip.gateway.tls_stream", text) for text in TLS_STREAM], TLS),
    (
        "bimip.gateway.poller",
        "Poller.run: await trio.lowlevel.checkpoint()",
    ): "after a round that was cut short, or where a source wants another turn: rounds of the sweep are short",
    (
        "bimip.journal.journal",
        "Journal._serve: await trio.lowlevel.checkpoint()",
    ): "between batches that write nothing while more waits: tests/journal/test_journal.py has them",
    (
        "bimip.journal.transaction",
        "WriteTransaction._apply: await self.end()",
    ): "the first of three: the sweep damages nothing",
    (
        "bimip.operations",
        "return not isinstance(await self._parts.queue.execute(NoteTime(self._parts.timekeeper.known())), Refused)",
    ): CLOCK,
    ("bimip.console.application", "is_noted = await self._parts.accept_clock()"): CLOCK,
    ("bimip.journal.journal", "if await self._worker.run(self._store.has_room):"): FULL,
    ("bimip.journal.journal", "await self._worker.run(self._store.settle)"): FULL,
    ("bimip.journal.journal", "await self._answer_for(seconds, self._answer_without_writing)"): FULL,
    ("bimip.journal.journal", "Journal._wait_for_room: await self._open()"): FULL,
    ("bimip.journal.journal", "await self._recover(another)"): FULL,
    (
        "bimip.processes",
        "await trio.sleep(OUTAGE_SECONDS)",
    ): "no store of the sweep is away: tests/test_processes.py has one that is",
    ("bimip.retention.process", "await self._queue.execute(NoteTime(known))"): "once an hour: no world lives so long",
    (
        "bimip.retention.process",
        "await self._ask(NoteSeen(due))",
    ): "of who is connected for hours: tests/scenarios/test_devices.py has them",
    ("bimip.retention.process", "await trio.sleep_until(wake_at)"): "a server waits for what expires in the same place",
    (
        "bimip.concurrency.slices",
        "await trio.sleep_until(self._not_before)",
    ): "the time of work stands still in the sweep: tests/concurrency/test_slices.py has a clock",
    ("bimip.supervision.tree", "async with trio.open_nursery() as above.nursery:"): OUTSIDE,
    ("bimip.supervision.tree", "await child.wait_settled()"): OUTSIDE,
    ("bimip.supervision.tree", "await above.terminate_child(spec.id)"): OUTSIDE,
    ("bimip.supervision.tree", "await self.wait_gone(self.slot.child)"): OUTSIDE,
    (
        "bimip.supervision.tree",
        "await slot.keeper.terminate_child(slot.spec.id)",
    ): "nobody terminates a process by its path: operators kill and restart",
    ("bimip.supervision.static", "await self._ask(_Request(_Do.TERMINATE, child_id))"): "see Tree.terminate",
    ("bimip.supervision.static", "await self._stop(slot, State.STOPPED)"): "see Tree.terminate",
    (
        "bimip.supervision.running",
        "await child.wait_ended()",
    ): "the second of two: after an Overdue report, which is a failure of the sweep",
    ("bimip.supervision.static", "await self._start_left_behind()"): ASKED,
    (
        "bimip.supervision.static",
        "RunningSupervisor._start_left_behind: child = await self._start(slot)",
    ): ASKED,
    (
        "bimip.gateway.connection",
        "WebSocketConnection.wait_closed: await self._wait_changed()",
    ): "it is for peers and tests: no task awaits it",
}
"""By module and line of code, with its function where others have the same line."""


RARELY_REACHED = {
    (
        "bimip.http.server",
        'await response({"type": "http", "method": "GET", "headers": []}, self.receive, self.send)',
    ): "an endpoint seldom raises before its answer begins",
    (
        "bimip.webhooks.process",
        "if isinstance(await self._queue.execute(OpenWebhooks(names)), Refused):",
    ): "once in a store's life, as a world opens: nobody is killed yet",
    (
        "bimip.retention.process",
        "Retention._walk: await self._expire(operation)",
    ): "what a world writes is seldom old enough; the walks over ids wait in the same place",
    (
        "bimip.users.calls",
        "Calls._lose_all: await trio.lowlevel.checkpoint()",
    ): "a call seldom rings as calls begin anew",
    (
        "bimip.users.intake",
        "await slices.run(self._go_on, account)",
    ): "a world seldom sends a batch that is handled in slices",
}
"""Whether they are come by changes with whatever else a world does."""


def place(site: Site) -> tuple[str, str]:
    named = site.module, f"{site.function}: {site.text}"
    return named if named in NOT_REACHED or named in RARELY_REACHED else (site.module, site.text)


SLICES = {
    calls: "CALLS_AT_ONCE",
    locations: "AT_ONCE",
    presence: "USERS_AT_ONCE",
    registry: "MEASURED_AT_ONCE",
}
"""What is done of much until others have their turn: so small here that even what a world has takes several."""


def swept() -> Sweep:
    with pytest.MonkeyPatch.context() as patch:
        for module, name in SLICES.items():
            patch.setattr(module, name, 1)
        patch.setattr(retention, "SCAN", 4)
        found = Sweep()
        for seed in range(WORLDS):
            if found.injections < LEAST:
                found.run_world(seed, INJECTIONS)
        for seed in range(WORLDS, WORLDS + HUNTS):
            if found.missed():
                found.run_world(seed, INJECTIONS, hunts=True)
    return found


def table(sweep: Sweep) -> str:
    kinds = sorted({kind for kind, _, _ in sweep.results})
    lines = [f"{'kind':12}{'killed':>8}{'raised':>8}  what became of it"]
    for kind in kinds:
        rows = {key: count for key, count in sweep.results.items() if key[0] == kind}
        totals = [sum(count for key, count in rows.items() if key[1] == verb) for verb in ("killed", "raised")]
        became = Counter[str]()
        for key, count in rows.items():
            became[key[2]] += count
        text = ", ".join(f"{result}: {count}" for result, count in became.most_common())
        lines.append(f"{kind:12}{totals[0]:8}{totals[1]:8}  {text}")
    return "\n".join(lines)


def test_whatever_is_killed_or_raises_wherever_it_waits_nothing_is_lost_doubled_or_reordered(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One test, so that of all processes that run tests one makes the sweep."""
    sweep = swept()
    hit = [site for site in sweep.sites if sweep.hits(site)]
    ways = sum(len(allowed(site)) for site in sweep.sites if place(site) not in NOT_REACHED)
    done = sum(1 for count in sweep.done.values() if count)
    counts = sweep.counts
    lines = [
        f"kill anything: {sweep.injections} tasks killed or made to raise in {counts['worlds']} worlds",
        table(sweep),
        f"{len(hit)} of {len(sweep.sites)} places hit, {done} of {ways} ways; {len(NOT_REACHED)} not reached",
        (
            f"{counts['written']} messages written, {counts['acknowledged']} acknowledged, {counts['delivered']} "
            f"delivered, over {counts['connections']} connections; lost {counts['lost']}, doubled "
            f"{counts['duplicated']}, reordered {counts['reordered']}, escaped {counts['escaped']}; the debug tree "
            f"compared at {counts['places of the debug tree compared']} places"
        ),
    ]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")

    assert sweep.failures == []
    assert sweep.injections >= LEAST
    assert {kind for kind, _, _ in sweep.results} == {kind_of(f"bimip/{path}") for path in PROCESSES}
    assert set(sweep.store_faults) == set(StoreFault)  # the store failed in every way
    assert "\n".join(missed(sweep)) == ""  # every place was hit, or has a reason
    assert needlessly_excused(sweep) == []


PROCESSES = (
    "timers", "health", "journal", "users", "users/a", "users/a/b", "users/a/b/reader", "users/a/b/fetcher",
    "push", "presence", "calls", "locations", "retention", "gateway", "gateway/poller", "gateway/connections",
    "gateway/connections/1", "gateway/listener", "console", "webhooks",
)  # fmt: skip


def missed(sweep: Sweep) -> list[str]:
    """Lists the places that should have been hit and were not."""
    return [
        f"{site} ({sweep.visited[site]} visits)"
        for site in sweep.sites
        if not sweep.hits(site) and place(site) not in NOT_REACHED | RARELY_REACHED
    ]


def needlessly_excused(sweep: Sweep) -> list[str]:
    """Lists the places that were reached and have a reason why they are not."""
    reached = [str(site) for site in sweep.sites if sweep.visited[site] and place(site) in NOT_REACHED]
    return [site for site in reached if not TWO_OF_A_KIND & {site.rpartition(": ")[2]}]


def test_each_reason_is_of_a_place_that_there_is() -> None:
    """Without a sweep, so that whoever changes a place sees it at once."""
    sites = sites_of(modules())

    assert set(NOT_REACHED | RARELY_REACHED) - {place(site) for site in sites} == set()
    assert {text for text, _ in IMPOSSIBLE} - {f"{site.function}: {site.text}" for site in sites} == set()


TWO_OF_A_KIND = {"await child.wait_ended()", "await trio.lowlevel.checkpoint()", "await self.end()"}
"""Stands twice, and the first one is reached."""


@pytest.mark.parametrize(
    ("fault", "signs"),
    [
        (faulty.the_position_moves_before_the_frame_is_taken, ("lost", "skipped", "wait for")),
        (faulty.the_journal_forgets_what_it_took, ("never answered",)),
        (faulty.what_is_tried_again_gets_another_key, ("duplicated", "half-appended", "damaged", "answered")),
        (faulty.a_device_that_ended_stays_in_its_session, ("all have left",)),
        (faulty.the_readers_end_leaves_the_connection_open, ("there is still no", "wait for")),
    ],
)
def test_the_sweep_finds_a_deliberate_fault(
    fault: Callable[[Patch], None],
    signs: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fault(monkeypatch.setattr)
    sweep = Sweep()
    for seed in range(1, 25):  # mostly found in the third
        sweep.run_world(seed, 60)
        if any(sign in failure for failure in sweep.failures for sign in signs):
            break
    with capsys.disabled():
        first = next(iter(sweep.failures), "nothing")
        found = first.splitlines()[0][:120]
        sys.stdout.write(f"\n{fault.__name__}: found after {sweep.injections} injections: {found}\n")

    assert any(sign in failure for failure in sweep.failures for sign in signs)
