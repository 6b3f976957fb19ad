from typing import Any, cast

from bimip.client import Client
from bimip.client.facets.facet import Facet

_NOTHING = cast("Any", None)

CLIENT = Client(_NOTHING, _NOTHING, _NOTHING)
"""One that is connected to nothing: it shows what clients have."""

FACETS = {name: part for name, part in vars(CLIENT).items() if isinstance(part, Facet) and not name.startswith("_")}
"""All that a client has by noun, by the name under which it has it."""
