"""What browsers are given: the client in JavaScript, and the pages that stand on it.

* `*.mjs`             the client, for any page and for Node: `bimip.mjs` is the connection
* `static/`           the pages' own files, without a build step: `demo.html` begins with `demo.mjs`, `chat.html` with
                      `chat.mjs`; what both share lies beside them
* `pages.py`          serves those, at `/` and `/chat`
* `demonstration.py`  what `bimip serve --demo` has beside them: tokens for the page's devices, the tree, and a hand to
                      kill a process
"""

from bimip.web.demonstration import Demonstration, PageDevice, demonstration_routes
from bimip.web.pages import page_routes

__all__ = ["Demonstration", "PageDevice", "demonstration_routes", "page_routes"]
