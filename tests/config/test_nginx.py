"""`config/nginx.conf` as it stands, before a real server: another port and other paths are all that is exchanged."""

import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from trio_websocket import WebSocketConnection, wrap_client_stream

from bimip.gateway.settings import GatewaySettings
from bimip.http.settings import HttpSettings
from bimip.settings import MIB
from bimip.testing import free_port
from bimip.wire.limits import Limits
from tests.chaos.process_driver import ROOT, Served, served, token
from tests.gateway import certificates

CONFIG = (ROOT / "config" / "nginx.conf").read_text()
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
needs_nginx = pytest.mark.skipif(NGINX is None, reason="there is no nginx here")
CLIENT = "127.0.0.2"
"""Where the peers of these tests are: another address than the proxy's, which the settings trust."""
HEARTBEAT_SECONDS, IDLE_SECONDS = 1, 3
MANY = IDLE_SECONDS // HEARTBEAT_SECONDS + 1
"""Heartbeats, for which the proxy would not wait."""
SECONDS = 60


@dataclass
class Proxied:
    server: Served
    port: int
    tls: ssl.SSLContext
    folder: Path

    def client(self, **more: Any) -> httpx.Client:
        transport = httpx.HTTPTransport(verify=self.tls, local_address=CLIENT, http1=True)
        return httpx.Client(base_url=f"https://localhost:{self.port}/api/v1", transport=transport, timeout=30, **more)

    @asynccontextmanager
    async def websocket(self, shown: str, **headers: str) -> AsyncIterator[WebSocketConnection]:
        found = trio.socket.socket()
        await found.bind((CLIENT, 0))
        await found.connect(("127.0.0.1", self.port))
        stream = trio.SSLStream(trio.SocketStream(found), self.tls, server_hostname="localhost", https_compatible=True)
        extra = {"Authorization": f"Bearer {shown}", **headers}
        async with trio.open_nursery() as nursery:
            connection = await wrap_client_stream(
                nursery,
                stream,
                f"localhost:{self.port}",
                "/",
                subprotocols=["bimip.v1.json"],
                extra_headers=[(name.encode(), value.encode()) for name, value in extra.items()],
            )
            yield connection
            await connection.aclose()
            nursery.cancel_scope.cancel()


async def say_hello(connection: WebSocketConnection) -> None:
    await connection.send_message('{"route": 13, "hello": {"partitions": [{"partition": "chat"}]}}')
    assert "hello" in json.loads(await connection.get_message())


async def wait_for(connection: WebSocketConnection, text: str) -> None:
    while text not in await connection.get_message():
        pass


def substituted(folder: Path, port: int, server: int, *, idle_seconds: int) -> str:
    """The sample, with what a machine without rights has of its own. Each must stand there once."""
    certificate, key = certificates.make().write(folder)
    changes = {
        "pid /run/nginx.pid;": f"pid {folder}/nginx.pid;",
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "server 127.0.0.1:8470;": f"server 127.0.0.1:{server};",
        "/etc/nginx/bimip/chat.example.org.crt": certificate,
        "/etc/nginx/bimip/chat.example.org.key": key,
        "proxy_read_timeout 90s;": f"proxy_read_timeout {idle_seconds}s;",
        "proxy_send_timeout 90s;": f"proxy_send_timeout {idle_seconds}s;",
        "worker_processes auto;": "worker_processes 1;",
        "worker_rlimit_nofile 65536;": "",
        "worker_connections 32768;": "worker_connections 512;",
    }
    text = CONFIG
    for there, instead in changes.items():
        assert text.count(there) == 1, there
        text = text.replace(there, instead)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    own = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    return text.replace("http {\n", f"http {{\n{own}", 1)


@contextmanager
def nginx(folder: Path, text: str) -> Iterator[subprocess.Popen[bytes]]:
    assert NGINX is not None
    path = folder / "nginx.conf"
    path.write_text(text)
    command = [NGINX, "-c", str(path), "-p", str(folder), "-e", str(folder / "nginx.log"), "-g", "daemon off;"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def wait_listening(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, log.read_text()
        time.sleep(0.02)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    folder = tmp_path_factory.mktemp("nginx")
    settings = {
        "BIMIP_GATEWAY_PROXIES": "127.0.0.1",
        "BIMIP_GATEWAY_HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS),
    }
    with served(folder, **settings) as server:
        port = free_port()
        text = substituted(folder, port, server.port, idle_seconds=IDLE_SECONDS)
        with nginx(folder, text) as process:
            wait_listening(port, process, folder / "nginx.log")
            tls = ssl.create_default_context(cafile=str(folder / "server.crt"))
            yield Proxied(server, port, tls, folder)


def seconds_of(name: str) -> int:
    (found,) = re.findall(rf"^\s*{name} (\d+)s;", CONFIG, re.MULTILINE)
    return int(found)


def test_its_times_fit_those_of_the_settings() -> None:
    heartbeat = Limits().heartbeat_seconds

    assert min(seconds_of("proxy_read_timeout"), seconds_of("proxy_send_timeout")) >= 2 * heartbeat
    assert seconds_of("keepalive_timeout") < HttpSettings().keep_alive_seconds
    assert f"server 127.0.0.1:{GatewaySettings().port};" in CONFIG


@needs_nginx
def test_rest_goes_through_it_over_kept_connections(proxied: Proxied) -> None:
    headers = {"authorization": f"Bearer {token('alice')}"}
    with proxied.client(headers=headers) as client:
        sent = client.post("/messages", json={"to": {"eid": "bob"}, "text": "hello"})
        again = client.get(f"/messages/{sent.json()['messageId']}/delivery-state")
        refused = client.post("/messages", content=b'{"text": "' + b"x" * 2 * MIB + b'"}')

    assert (sent.status_code, again.status_code) == (201, 200)
    assert (refused.status_code, refused.json()["code"]) == (413, "TOO_LARGE")


@needs_nginx
async def test_a_peer_is_known_by_its_own_address_whatever_it_says_of_itself(proxied: Proxied) -> None:
    with trio.fail_after(SECONDS):
        async with proxied.websocket(token("bob"), **{"X-Forwarded-For": "203.0.113.9"}) as bob:
            await say_hello(bob)
    logins = [one for one in proxied.server.events() if one["event"] == "login" and one["eid"] == "bob"]

    assert [one["address"] for one in logins] == [CLIENT]


@needs_nginx
async def test_a_quiet_device_is_not_cut_and_gets_what_comes(proxied: Proxied) -> None:
    shown = {"authorization": f"Bearer {token('erin')}"}
    url = f"https://localhost:{proxied.port}/api/v1/events"
    transport = httpx.AsyncHTTPTransport(verify=proxied.tls, local_address=CLIENT)
    beats = 0
    with trio.fail_after(SECONDS):
        async with (
            proxied.websocket(token("carol")) as carol,
            httpx.AsyncClient(transport=transport, timeout=SECONDS) as client,
            client.stream("GET", url, headers=shown) as events,
        ):
            await say_hello(carol)
            with trio.CancelScope() as scope:
                async for line in events.aiter_lines():
                    beats += line == ":"
                    if line == ":" and beats == MANY:
                        write_to(proxied, "carol", "erin")
                    elif "to-erin" in line:
                        scope.cancel()
            await wait_for(carol, "to-carol")

    assert beats >= MANY


def write_to(proxied: Proxied, *users: str) -> None:
    with proxied.client(headers={"authorization": f"Bearer {token('dora')}"}) as sender:
        for to in users:
            sender.post("/messages", json={"to": {"eid": to}, "text": "hello", "id": f"to-{to}"}).raise_for_status()


@needs_nginx
def test_a_refused_token_is_told_as_the_server_says_it(proxied: Proxied) -> None:
    opening = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "sec-websocket-protocol": "bimip.v1.json",
        "authorization": "Bearer none",
    }
    with proxied.client() as client:
        refused = client.get(f"https://localhost:{proxied.port}/", headers=opening)

    assert refused.status_code == 401
    assert refused.text.startswith("4100 ")
