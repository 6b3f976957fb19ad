import pytest
from starlette.requests import Request

from bimip.http.assets import Asset


def asked(tag: str) -> Request:
    return Request({"type": "http", "headers": [(b"if-none-match", tag.encode())]})


@pytest.mark.parametrize(("known", "status"), [("{}", 304), ('"x", W/{}', 304), ('"x"', 200), ("", 200)])
def test_a_browser_that_has_the_file_is_not_sent_it_again(known: str, status: int) -> None:
    asset = Asset.of("page.mjs", b"export {};")
    response = asset.answer(asked(known.format(asset.tag)), {"x-content-type-options": "nosniff"})

    assert (response.status_code, response.body) == (status, b"" if status == 304 else asset.content)
    assert response.headers["etag"] == asset.tag
    assert (response.headers["cache-control"], response.headers["x-content-type-options"]) == ("no-cache", "nosniff")


def test_another_content_has_another_tag() -> None:
    assert Asset.of("page.mjs", b"1").tag != Asset.of("page.mjs", b"2").tag
