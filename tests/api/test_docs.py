"""The page of the document: anybody may read it, it is what was looked at, and it needs nobody but this server."""

import gzip
import re
import subprocess
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import httpx
import pytest
import trio

import bimip.api.docs
from bimip.api.docs import DIGESTS, PATH, POLICY
from tests.api.kit import Api, open_api
from tests.kit.browser import CHROMIUM, FLAGS, needs_browser


async def read(api: Api, path: str, method: str = "GET") -> httpx.Response:
    return await api.ask(method, path.removeprefix("/api/v1"), shown="")


async def test_anybody_reads_the_page_and_all_that_it_names(api: Api) -> None:
    page = await read(api, PATH)
    named = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    answers = {path: await read(api, path) for path in named}

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert set(answers) == {f"{PATH}/{name}" for name in ("page.js", *DIGESTS)} | {"/api/v1/openapi.json"}
    assert {answer.status_code for answer in (page, *answers.values())} == {200}
    assert (await read(api, PATH, "HEAD")).text == ""


async def test_its_files_are_those_that_were_looked_at(api: Api) -> None:
    for name, digest in DIGESTS.items():
        answer = await read(api, f"{PATH}/{name}")

        assert answer.headers["content-encoding"] == "gzip"
        assert sha256(answer.content).hexdigest() == digest
        assert (
            sha256(gzip.decompress((files("bimip.api") / f"swagger_ui/{name}.gz").read_bytes())).hexdigest() == digest
        )


async def test_its_files_are_read_when_somebody_asks_and_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    def counted(package: str) -> Traversable:
        asked.append(package)
        return files(package)

    monkeypatch.setattr(bimip.api.docs, "files", counted)
    async with open_api(tmp_path) as api:
        before = len(asked)
        lengths = {len((await read(api, f"{PATH}/swagger-ui.css")).content) for _ in range(2)}

    assert (before, len(asked), len(lengths)) == (0, 1, 1)


async def test_its_policy_lets_it_have_nothing_of_others(api: Api) -> None:
    page = await read(api, PATH)

    assert page.headers["content-security-policy"] == POLICY
    sources = {word for rule in POLICY.split("; ") for word in rule.split()[1:]}
    assert sources == {"'none'", "'self'", "'unsafe-inline'", "data:"}
    assert "unsafe" not in next(rule for rule in POLICY.split("; ") if rule.startswith("script-src"))
    assert not re.findall(r"(?:src|href)=\"(?!/|data:)", page.text)
    assert "<script>" not in page.text


@needs_browser
async def test_a_browser_shows_the_endpoints(api: Api, tmp_path: Path) -> None:
    assert CHROMIUM is not None
    url = f"http://127.0.0.1:{api.port}{PATH}"
    flags = (*FLAGS, f"--user-data-dir={tmp_path}", "--virtual-time-budget=20000", "--dump-dom")
    done = await trio.run_process([CHROMIUM, *flags, url], capture_stdout=True, stderr=subprocess.DEVNULL)
    shown = done.stdout.decode()

    assert "/messages/{id}/delivery-state" in re.sub(r"<[^>]+>", "", shown).replace("\N{ZERO WIDTH SPACE}", "")
    assert shown.count('class="opblock ') > 40
