"""What thousands of tasks wait on: each costs a few hundred bytes, where an event and a cancel scope cost kilobytes.

    timers.py     a signal that also comes at a time: all of them by one task
    watch.py      a version that only rises: take it, look, wait only while it is unchanged
    buckets.py    how fast something may go on
    shares.py     who had how much of one's time of late
    slices.py     long work: one slice a round, first of whoever had least

Beside `supervision` it imports nothing of the project, and it knows nothing of messaging.
"""

from bimip.concurrency.slices import Slices
from bimip.concurrency.timers import Timer, Timers
from bimip.concurrency.watch import Watch

__all__ = ["Slices", "Timer", "Timers", "Watch"]
