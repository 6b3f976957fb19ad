"""Every method of a client says in its docstring, or its class does for all of them, what it raises and what cancelling
it leaves behind; the map of the facets names it, and its types are checked.
"""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import bimip.client.facets
from bimip.client.facets.facet import Facet
from tests.client.facets.support import CLIENT, FACETS

RAISES, CANCELLING = re.compile(r"\braises?\b", re.IGNORECASE), re.compile(r"\bcancel", re.IGNORECASE)


def methods() -> Iterator[tuple[str, type, object]]:
    """Each public method and property, by the name by which programs have it, and the class that defines it."""
    for path, part in {"client": CLIENT, **{f"client.{name}": facet for name, facet in FACETS.items()}}.items():
        for owner in type(part).__mro__[: -len(Facet.__mro__)]:
            for name, member in vars(owner).items():
                if not name.startswith("_") or name == "__anext__":
                    yield f"{path}.{name}", owner, member


METHODS = {path: (owner, member) for path, owner, member in methods()}


def said_of(path: str) -> tuple[str, str]:
    """The docstrings of a method and of its class."""
    owner, member = METHODS[path]
    return inspect.getdoc(member) or "", owner.__doc__ or ""


def test_all_methods_are_looked_at() -> None:
    assert {"client.ping", "client.acknowledge", "client.messages.send", "client.messages.edit"} <= METHODS.keys()
    assert {path.split(".")[1] for path in METHODS} >= FACETS.keys()


@pytest.mark.parametrize("path", METHODS)
def test_a_method_says_what_it_does(path: str) -> None:
    assert re.match(r"[A-Z][^.:]*[.:]?", said_of(path)[0])


@pytest.mark.parametrize("path", [path for path, (_, member) in METHODS.items() if inspect.iscoroutinefunction(member)])
def test_a_coroutine_says_what_it_raises_and_what_cancelling_leaves(path: str) -> None:
    said = " ".join(said_of(path))

    assert RAISES.search(said)
    assert CANCELLING.search(said)


def takes_arguments(member: object) -> bool:
    return callable(member) and len(inspect.signature(member).parameters) > 1


@pytest.mark.parametrize(
    "path",
    [
        path
        for path, (_, member) in METHODS.items()
        if not inspect.iscoroutinefunction(member) and takes_arguments(member)
    ],
)
def test_a_function_that_is_given_something_says_what_it_raises(path: str) -> None:
    assert RAISES.search(" ".join(said_of(path)))


@pytest.mark.parametrize("facet", FACETS)
def test_the_map_names_what_a_facet_has(facet: str) -> None:
    found = re.search(rf"^    {facet} .*\n(?: {{20}}.*\n)*", bimip.client.facets.__doc__ or "", re.MULTILINE)
    assert found is not None
    named = set(re.findall(r"\w+", found[0]))

    assert {path.split(".")[2] for path in METHODS if path.startswith(f"client.{facet}.")} - named == set()


@pytest.mark.parametrize("path", [path for path in METHODS if not path.endswith("__")])
def test_the_types_of_a_method_are_checked(path: str) -> None:
    assert re.search(rf"\b{re.escape(path)}\b", (Path(__file__).parents[1] / "typing_api.py").read_text())
