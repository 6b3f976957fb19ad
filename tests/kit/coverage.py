"""Runs that need not be measured."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unmeasured() -> Iterator[None]:
    """Measuring coverage makes a test two to three times as long, and after the first runs of something there is
    nothing new in more of them. Neither threads nor processes that are started in here are measured.
    """
    tracer, threads_tracer = sys.gettrace(), threading.gettrace()
    told = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("COVERAGE_")}
    sys.settrace(None)
    threading.settrace(None)  # which undoes it
    try:
        yield
    finally:
        os.environ.update(told)
        threading.settrace(threads_tracer)
        sys.settrace(tracer)
