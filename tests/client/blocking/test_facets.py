"""The blocking facets are those of the client, all of them."""

import ast
from pathlib import Path
from typing import Any, cast

from bimip import client
from bimip.client import blocking, events
from bimip.client.blocking import facets
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


def test_all_that_facets_take_and_return_is_in_the_window() -> None:
    module = ast.parse(Path(facets.__file__).read_text(encoding="utf-8"))
    taken = [
        alias.name
        for node in module.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bimip.")
        for alias in node.names
        if alias.asname is None and alias.name != "Blocking"
    ]

    assert [name for name in taken if not (hasattr(client, name) or hasattr(events, name))] == []
