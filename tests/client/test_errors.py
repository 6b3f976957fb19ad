"""The tree in the head of errors.py is that of the classes."""

import inspect
import re

from bimip.client import errors


def drawn() -> dict[str, str]:
    """By each class in the drawing the one that it hangs from."""
    above: list[str] = []
    parents: dict[str, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"([│├└─ ]*)([A-Z]\w+)(?:  |$)", line):
            depth = len(found[1]) // 4
            above = [*above[:depth], found[2]]
            parents[found[2]] = above[depth - 1] if depth else ""
    return parents


def test_the_tree_that_is_drawn_is_that_of_the_classes() -> None:
    classes = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, errors.ClientError)]
    hang_from = {one.__name__: one.__bases__[0].__name__ for one in classes if one is not errors.ClientError}

    assert drawn() == {"ClientError": ""} | hang_from


def test_each_error_says_what_it_means() -> None:
    for name in drawn():
        assert vars(getattr(errors, name)).get("__doc__"), name
