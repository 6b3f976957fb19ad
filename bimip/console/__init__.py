"""The operator's HTTP: is the server well, what does its tree do, and a hand to end or restart a part of it.

* `application.py`  the routes: start here
* `parts.py`        what the console needs of the rest of the server
* `guards.py`       who may ask: the Host header, the operator's token, or the page by its session
* `answers.py`      JSON for everything, errors and crashes of a handler too
* `tree.py`         a snapshot of the supervision tree as JSON
* `watching.py`     the tree as it changes, for the page
* `page.py`         the page itself: `assets/` has its files
* `login.py`        a session in place of the token, for the page; `sessions.py`: who has one
* `readiness.py`    which restart budgets are nearly spent
* `server.py`       the listener and the connections (Hypercorn's), and what the process `console` runs

Nothing here is public: the listener is bound to loopback, the debug endpoint asks for the operator's token, and a Host
that is not a name of this machine is refused, so that no web page reaches it through a name of its own (DNS
rebinding). There is no CORS for the same reason. The console's own page is the one that may ask, and says in a header
what no other site's can.
"""

from bimip.console.answers import AnswerError, refusal
from bimip.console.application import make_application
from bimip.console.guards import LOOPBACK_NAMES, check_own_page, name_of
from bimip.console.page import HEADERS as PAGE_HEADERS
from bimip.console.parts import Operable, Parts
from bimip.console.readiness import nearly_spent
from bimip.console.server import make_console, open_loopback
from bimip.console.sessions import Sessions
from bimip.console.watching import Watching, view_of

__all__ = [
    "LOOPBACK_NAMES",
    "PAGE_HEADERS",
    "AnswerError",
    "Operable",
    "Parts",
    "Sessions",
    "Watching",
    "check_own_page",
    "make_application",
    "make_console",
    "name_of",
    "nearly_spent",
    "open_loopback",
    "refusal",
    "view_of",
]
