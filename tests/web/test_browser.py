"""`bimip.mjs` in a browser: a page imports it from the server, and its devices have each message once."""

import re
from pathlib import Path

from bimip.api.openapi import CLIENT_PATH
from bimip.testing import free_port
from tests.chaos.process_driver import ROOT, Served, served, token
from tests.kit.browser import Site, browsing, needs_browser, site

PAGES = {f"/{name}": (Path(__file__).parent / name).read_text() for name in ("page.html", "page.mjs")}
OWN_COPY = "/bimip.mjs"
PAGES[OWN_COPY] = (ROOT / "bimip" / "web" / "bimip.mjs").read_text()
TEXTS = [f"message {number}" for number in range(60)]


README = (ROOT / "README.md").read_text("utf-8")
WATCHED = """\
<body><script type="module">
  const tell = () => fetch("/told", { method: "POST", body: JSON.stringify({ readme: document.body.innerText }) });
  new MutationObserver(tell).observe(document.body, { childList: true });
</script>
"""


class Page:
    """A page of a site that a browser shows, with Alice's and Bob's devices."""

    def __init__(self, of: Site, port: int) -> None:
        self.site = of
        self._port = port

    def open(self, device: str, module: str = "") -> None:
        """Has a device connect, by the server's own module or another one."""
        module = module or f"http://127.0.0.1:{self._port}{CLIENT_PATH}"
        url = f"ws://127.0.0.1:{self._port}"
        self.site.say(what="open", device=device, module=module, url=url, token=token(device))

    def send(self, texts: list[str], to: str = "bob") -> None:
        self.site.say(what="send", device="alice", to=to, texts=texts)


@needs_browser
def test_a_page_has_each_message_once_over_a_killed_server_and_a_reload(tmp_path: Path) -> None:
    port = free_port()
    (lines,) = re.findall(r"^```html\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    readme = {"/readme.html": WATCHED + lines.replace("127.0.0.1:8470", f"127.0.0.1:{port}"), "/token": token("carl")}
    with site(PAGES | readme) as allowed, site(PAGES) as stranger:
        settings = {"BIMIP_GATEWAY_PORT": str(port), "BIMIP_GATEWAY_ORIGINS": allowed.origin}
        page, other = Page(allowed, port), Page(stranger, port)
        server = Served(tmp_path, **settings)
        try:
            with browsing(f"{allowed.origin}/page.html", tmp_path / "profile"):
                for device in ("bob", "alice"):
                    page.open(device)
                    allowed.wait_for("connected", device=device)
                page.send(TEXTS[:20])
                allowed.wait_for("shown", 10, device="bob")
                server.process.kill()
                server.process.wait()
                for device in ("bob", "alice"):
                    allowed.wait_for("disconnected", device=device)
                page.send(TEXTS[20:40])
                allowed.say(what="close", device="bob")
                allowed.wait_for("closed", device="bob")
                allowed.say(what="reload")
                allowed.wait_for("loaded", 2)
                for device in ("bob", "alice"):
                    page.open(device, OWN_COPY)  # the server is not there
                page.send(TEXTS[40:])
                with served(tmp_path, **settings):
                    for url in (f"{stranger.origin}/page.html", "/readme.html"):
                        allowed.say(what="frame", url=url)
                    other.open("mallory")
                    refused = stranger.wait_for("failed")
                    page.send(["Hello Carl"], to="carl")
                    allowed.wait(lambda: any("Hello Carl" in text for text in allowed.all("readme")))
                    allowed.wait(lambda: TEXTS[-1] in allowed.all("shown", device="bob"))
                    allowed.wait(lambda: {*TEXTS, "Hello Carl"} <= set(allowed.all("sent")))
                    for device, count in (("bob", 2), ("alice", 1)):
                        allowed.say(what="close", device=device)
                        allowed.wait_for("closed", count, device=device)
        finally:
            server.process.kill()
            server.process.wait()

    assert allowed.all("shown", device="bob") == TEXTS
    assert sorted(allowed.all("sent")) == sorted([*TEXTS, "Hello Carl"])
    assert allowed.all("error") == allowed.all("failed") == []
    assert allowed.all("readme")[-1].strip() == "alice: Hello Carl"
    assert "Failed to fetch dynamically imported module" in refused
    assert stranger.all("connected") == []
