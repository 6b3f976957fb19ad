"""What happened in a run, for people."""

from collections.abc import Mapping

from tests.kit.checker import explain
from tests.simulation.simulation import Outcome

ROWS = (
    ("messages written", "written"),
    ("acknowledged", "acknowledged"),
    ("refused", "refused"),
    ("outcome unknown", "outcome unknown"),
    ("resent", "resent"),
    ("duplicates answered", "duplicates answered"),
    ("conflicts answered", "conflicts answered"),
    ("deliveries", "delivered"),
    ("redelivered", "redelivered"),
    ("entries expired", "expired"),
    ("told to a device as expired", "told as expired"),
    ("seen that disappear", "disappearing: seen"),
    ("seen that have disappeared", "disappearing: gone"),
    ("fetches", "fetches"),
    ("states asked for", "states asked for"),
    ("  that were answered", "states answered"),
    ("read receipts", "receipts"),
    ("  of which played", "played"),
    ("forwarded", "forwarded"),
    ("labels of devices", "labels"),
    ("lists of devices refused", "lists of devices refused"),
    ("read markers", "read markers"),
    ("siblings greeted", "siblings greeted"),
    ("  that heard it", "greetings of siblings"),
    ("subscriptions to push asked for", "subscriptions"),
    ("  messages pushed", "pushed: message"),
    ("  summaries pushed", "pushed: summary"),
    ("  calls pushed", "pushed: call"),
    ("  calls that ring no more", "pushed: call, over"),
    ("  taken away", "pushed: clear"),
    ("  that failed", "pushes that failed"),
    ("  whose answer was lost", "answers of gateways that were lost"),
    ("orders written by HTTP", "orders"),
    ("  that came again under their key", "orders that came again"),
    ("  that were refused", "orders refused"),
    ("  brought by a stream of events", "orders streamed"),
    ("streams of events", "streams"),
    ("messages told to a back end", "events: message.accepted"),
    ("  deliveries", "events: message.delivered"),
    ("  reads", "events: message.read"),
    ("  that failed", "events that failed"),
    ("  whose answer was lost", "answers of back ends that were lost"),
    ("commands", "commands"),
    ("  that were answered", "commands answered"),
    ("  that lost", "commands superseded"),
    ("changes of groups", "changes of groups"),
    ("  that were made", "groups changed"),
    ("  that were refused", "changes of groups refused"),
    ("locations", "locations"),
    ("  told to others", "locations told"),
    ("contacts changed", "contacts changed"),
    ("  requests", "contacts: REQUEST"),
    ("  acceptances", "contacts: ACCEPT"),
    ("  blocks", "contacts: BLOCK"),
    ("  that were refused", "changes of contacts refused"),
    ("intents", "intents"),
    ("  that were answered", "intents answered"),
    ("users shown to devices", "users shown"),
    ("activities", "activities"),
    ("  told to others", "activities told"),
    ("conversations resumed", "conversations resumed"),
    ("calls", "calls"),
    ("  told as answered", "calls: answer"),
    ("  told as timed out", "calls: timed_out"),
    ("  told as lost", "calls: lost"),
    ("connections", "connections"),
    ("cuts by devices", "cuts"),
    ("frames that met no room", "frames that met no room"),
    ("stores lost by devices", "stores lost"),
    ("starts of the server", "starts"),
    ("power losses", "power losses"),
    ("kills of the process", "process kills"),
    ("ended while it starts", "ended while it starts"),
    ("task kills", "task kills"),
    ("jumps of the wall clock", "clock jumps"),
    ("  said to be held, or followed again", "clock changes"),
    ("users erased", "erased users"),
    ("backups", "backups"),
    ("restores", "restores"),
    ("told another epoch", "told another epoch"),
)


def failure(outcome: Outcome) -> str:
    """What a person needs to see of a seed that failed, and how to see it again."""
    return f"seed {outcome.seed} failed; again: {outcome.replay}\n{explain(outcome.violations)}"


def summary(counts: Mapping[str, int], seeds: int) -> str:
    """A table: what happened, in all and per seed."""
    kills = sorted(name for name in counts if name.startswith("kill "))
    ends = sorted(name for name in counts if name.startswith(("power loss ", "process kill ")))
    rows = [*ROWS, *((f"  {name}", name) for name in (*ends, *kills))]
    lines = [f"{title:<45} {counts.get(name, 0):>9} {counts.get(name, 0) / seeds:>9.1f}" for title, name in rows]
    return "\n".join([f"{'':<45} {'in all':>9} {'per seed':>9}", *lines])
