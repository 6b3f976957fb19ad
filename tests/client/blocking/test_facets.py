"""The blocking facets are those of the client, all of them."""

from typing import Any, cast

from bimip.client import blocking
from bimip.client.blocking.calls import Blocking
from tests.client.facets.support import CLIENT, FACETS


def test_a_blocking_client_has_every_facet_with_all_it_can_do() -> None:
    class Loop:
        call = None

    made = blocking.Client(CLIENT, cast("Any", Loop()))
    found = {name: part for name, part in vars(made).items() if isinstance(part, Blocking)}

    assert found.keys() == FACETS.keys()
    for name, part in FACETS.items():
        wanted = {member for member in dir(part) if not member.startswith("_")}
        assert {member for member in dir(found[name]) if not member.startswith("_")} == wanted
