"""The operator's HTTP: is the server well, what does its tree do, and a hand to end or restart a part of it.

* `application.py`  the routes, and what the console needs of the rest of the server (`Parts`): start here
* `guards.py`       who may ask: the Host header, and the operator's token
* `answers.py`      JSON for everything, errors and crashes of a handler too
* `tree.py`         a snapshot of the supervision tree as JSON
* `readiness.py`    which restart budgets are nearly spent
* `server.py`       the listener and the connections (Hypercorn's), and what the process `console` runs

Nothing here is public: the listener is bound to loopback, the debug endpoint asks for the operator's token, and a Host
that is not a name of this machine is refused, so that no web page reaches it through a name of its own (DNS
rebinding). There is no CORS for the same reason.
"""

from bimip.console.application import Parts, make_application
from bimip.console.readiness import nearly_spent
from bimip.console.server import make_console, open_loopback

__all__ = ["Parts", "make_application", "make_console", "nearly_spent", "open_loopback"]
