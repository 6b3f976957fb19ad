import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from bimip.gateway.authentication import Verifier, issue
from bimip.gateway.settings import Algorithm, TokenSettings
from bimip.session.close import Close
from bimip.session.tokens import TokenError
from bimip.settings import ConfigError, Secret

NOW_MS = 1_700_000_000_000
NOW = NOW_MS // 1000
SECRET = "a secret for tests, long enough for HS256"

ED = ed25519.Ed25519PrivateKey.generate()
RSA = rsa.generate_private_key(65537, 2048)


def private_pem(key: Any) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()  # type: ignore[no-any-return]


def public_pem(key: Any) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()  # type: ignore[no-any-return]


KEYS: list[tuple[Algorithm, str, str]] = [
    ("EdDSA", private_pem(ED), public_pem(ED)),
    ("RS256", private_pem(RSA), public_pem(RSA)),
    ("HS256", SECRET, SECRET),
]


def verifier(**changes: Any) -> Verifier:
    given = {"algorithm": "HS256", "key": SECRET} | changes
    return Verifier(TokenSettings(**(given | {"key": Secret(given["key"])})))


def signed(payload: dict[str, Any], headers: dict[str, Any] | None = None) -> str:
    """Any claims, rightly signed. Claims that are None are left out."""
    claims = {"sub": "alice@example.org", "did": "phone", "exp": NOW + 60, "jti": "t1"} | payload
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, SECRET, algorithm="HS256", headers=headers)


def by_hand(header: dict[str, Any], payload: dict[str, Any], key: bytes | None) -> str:
    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    text = f"{part(json.dumps(header).encode())}.{part(json.dumps(payload).encode())}"
    signature = b"" if key is None else hmac.new(key, text.encode(), hashlib.sha256).digest()
    return f"{text}.{part(signature)}"


@pytest.mark.parametrize(("algorithm", "signing_key", "key"), KEYS, ids=[each[0] for each in KEYS])
def test_what_was_issued_is_verified(algorithm: Algorithm, signing_key: str, key: str) -> None:
    token = issue(
        algorithm=algorithm,
        signing_key=signing_key,
        eid="zoë@example.org",
        device="phone",
        now_ms=NOW_MS,
        lifetime_seconds=60,
        jti="t1",
        audience="bimip",
        issuer="https://id.example.org",
    )
    claims = verifier(algorithm=algorithm, key=key, audience="bimip", issuer="https://id.example.org").verify(
        token, NOW_MS
    )

    assert (claims.eid, claims.device, claims.jti) == ("zoë@example.org", "phone", "t1")
    assert claims.expires_at == NOW_MS + 60_000


@pytest.mark.parametrize("algorithm", ["EdDSA", "RS256"])
def test_a_private_key_serves_for_its_public_half(algorithm: Algorithm) -> None:
    signing_key = {name: key for name, key, _ in KEYS}[algorithm]
    token = issue(
        algorithm=algorithm, signing_key=signing_key, eid="a", device="d", now_ms=NOW_MS, lifetime_seconds=60, jti="t"
    )

    assert verifier(algorithm=algorithm, key=signing_key).verify(token, NOW_MS).eid == "a"


def test_a_token_without_jti_gets_one_that_names_it() -> None:
    one, other = (verifier().verify(signed({"jti": None, "exp": NOW + n}), NOW_MS).jti for n in (60, 61))

    assert one == verifier().verify(signed({"jti": None}), NOW_MS).jti
    assert one != other


def test_the_name_of_a_token_without_jti_is_that_of_what_was_signed() -> None:
    """A signature of another spelling, or another one of the same text, makes no other token of it."""
    claims = verifier().verify(signed({"jti": None}), NOW_MS)
    what_is_signed, _, _ = signed({"jti": None}).rpartition(".")

    assert claims.jti == hashlib.sha256(what_is_signed.encode()).hexdigest()[:32]


def other_last_letter(text: str) -> str:
    """The same bytes: the last letter of 43 has two bits that nobody reads."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + letters[letters.index(text[-1]) ^ 1]


@pytest.mark.parametrize(
    "respell",
    [
        lambda token: token + "=",
        lambda token: token + "==",
        lambda token: token + "\n",
        lambda token: " " + token,
        lambda token: token.replace(".", "=.", 1),
        lambda token: token.replace(".", "\n.", 1),
        lambda token: token + "*",
        lambda token: token + "é",
        lambda token: token + ".",
        lambda token: token[:-2] + "\r\n" + token[-2:],
        other_last_letter,
    ],
)
def test_a_token_has_one_spelling(respell: Callable[[str], str]) -> None:
    token = signed({"jti": None})

    assert verifier().verify(token, NOW_MS).eid
    with pytest.raises(TokenError, match="not a valid token"):
        verifier().verify(respell(token), NOW_MS)


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        ({"sub": None}, "'sub'"),
        ({"did": None}, "'did'"),
        ({"exp": None}, "'exp'"),
        ({"sub": ""}, "'sub'"),
        ({"sub": 7}, "not a valid token"),
        ({"sub": "a\nb"}, "'sub'"),
        ({"sub": " a"}, "'sub'"),
        ({"sub": "a\u202eb"}, "'sub'"),
        ({"sub": "a" * 256}, "255 bytes"),
        ({"sub": "é" * 128}, "255 bytes"),
        ({"did": "d" * 65}, "64 bytes"),
        ({"did": ["phone"]}, "'did'"),
        ({"did": "\x00"}, "'did'"),
        ({"jti": "j" * 65}, "64 bytes"),
        ({"jti": ""}, "'jti'"),
        ({"exp": "soon"}, "'exp'"),
        ({"exp": True}, "'exp'"),
        ({"exp": float("nan")}, "'exp'"),
        ({"exp": float("inf")}, "'exp'"),
        ({"exp": 10**30}, "'exp'"),
        ({"exp": -1}, "'exp'"),
        ({"nbf": NOW + 31}, "not valid yet"),
        ({"nbf": "now"}, "'nbf'"),
    ],
)
def test_claims_that_are_refused(payload: dict[str, Any], sentence: str) -> None:
    token = signed(payload)
    with pytest.raises(TokenError) as caught:
        verifier().verify(token, NOW_MS)

    assert sentence in caught.value.reason
    assert caught.value.code == Close.UNAUTHENTICATED


def test_a_lone_surrogate_is_refused() -> None:
    token = by_hand({"alg": "HS256"}, {"sub": "a\ud800", "did": "d", "exp": NOW + 60}, SECRET.encode())

    with pytest.raises(TokenError, match="'sub'"):
        verifier().verify(token, NOW_MS)


def test_expiry_has_its_own_code_and_some_leeway() -> None:
    token = signed({"exp": NOW})
    with pytest.raises(TokenError) as caught:
        verifier(leeway_seconds=30).verify(token, NOW_MS + 30_000)

    assert caught.value.code == Close.TOKEN_EXPIRED
    assert verifier(leeway_seconds=30).verify(token, NOW_MS + 29_999).expires_at == NOW_MS


def test_what_is_not_valid_yet_has_the_same_leeway() -> None:
    assert verifier(leeway_seconds=30).verify(signed({"nbf": NOW + 30}), NOW_MS).eid == "alice@example.org"


@pytest.mark.parametrize("audience", [None, "other", ["other"]])
def test_another_audience_is_refused(audience: object) -> None:
    with pytest.raises(TokenError, match=r"audience|'aud'"):
        verifier(audience="bimip").verify(signed({"aud": audience}), NOW_MS)


def test_an_audience_does_not_matter_where_none_is_configured() -> None:
    assert verifier().verify(signed({"aud": "anybody"}), NOW_MS).jti == "t1"


@pytest.mark.parametrize("issuer", [None, "other"])
def test_another_issuer_is_refused(issuer: object) -> None:
    with pytest.raises(TokenError, match=r"issuer|'iss'"):
        verifier(issuer="us").verify(signed({"iss": issuer}), NOW_MS)


@pytest.mark.parametrize("headers", [{"crit": ["exp"]}, {"crit": []}, {"crit": ["b64"], "b64": True}, {"b64": True}])
def test_extensions_are_refused(headers: dict[str, Any]) -> None:
    payload = {"sub": "a", "did": "d", "exp": NOW + 60}
    with pytest.raises(TokenError):
        verifier().verify(by_hand({"alg": "HS256"} | headers, payload, SECRET.encode()), NOW_MS)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, "HS256", "HS512", "ES256", 7, ["EdDSA"]])
def test_the_tokens_own_algorithm_decides_nothing(algorithm: object) -> None:
    payload = {"sub": "a", "did": "d", "exp": NOW + 60}
    for key in (None, public_pem(ED).encode(), SECRET.encode()):
        with pytest.raises(TokenError):
            verifier(algorithm="EdDSA", key=public_pem(ED)).verify(by_hand({"alg": algorithm}, payload, key), NOW_MS)


def test_a_public_key_is_no_secret() -> None:
    """Key confusion: HS256 over the public key's text, shown to a server that verifies RS256."""
    payload = {"sub": "a", "did": "d", "exp": NOW + 60}
    token = by_hand({"alg": "HS256"}, payload, public_pem(RSA).encode())
    with pytest.raises(TokenError, match="RS256"):
        verifier(algorithm="RS256", key=public_pem(RSA)).verify(token, NOW_MS)
    token = by_hand({"alg": "RS256"}, payload, public_pem(RSA).encode())
    with pytest.raises(TokenError, match="signature"):
        verifier(algorithm="RS256", key=public_pem(RSA)).verify(token, NOW_MS)


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("EdDSA", public_pem(RSA)),
        ("EdDSA", public_pem(ec.generate_private_key(ec.SECP256R1()))),
        ("EdDSA", private_pem(ec.generate_private_key(ec.SECP256R1()))),
        ("EdDSA", SECRET),
        ("RS256", public_pem(ED)),
        ("RS256", public_pem(rsa.generate_private_key(65537, 1024))),
        ("RS256", ""),
        ("HS256", "short"),
        ("HS256", public_pem(ED)),
    ],
)
def test_a_key_of_another_kind_is_no_configuration(algorithm: Algorithm, key: str) -> None:
    with pytest.raises((ValueError, ConfigError), match=r"needs|PEM|key"):
        Verifier(TokenSettings(algorithm, Secret(key)))


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "...", "a.b.c", "é.é.é", "\x00", "\ud800", "x" * 8193, "[" * 4000, "eyJhbGciOiJIUzI1NiJ9.e30."],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(TokenError):
        verifier().verify(token, NOW_MS)


def test_deep_json_is_refused() -> None:
    token = by_hand({"alg": "HS256"}, {}, SECRET.encode())
    deep = base64.urlsafe_b64encode(b"[" * 4000).rstrip(b"=").decode()

    for broken in (f"{deep}.{token.split('.', 1)[1]}", f"{token.split('.', maxsplit=1)[0]}.{deep}.x"):
        with pytest.raises(TokenError):
            verifier().verify(broken, NOW_MS)


def test_no_error_quotes_the_token() -> None:
    for token in (signed({"sub": "a\nb"}), signed({"exp": 1}), signed({})[:-3] + "xxx", signed({"did": None})):
        with pytest.raises(TokenError) as caught:
            verifier().verify(token, NOW_MS)
        chain: BaseException | None = caught.value

        assert token not in str(chain)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_settings_do_not_show_their_key() -> None:
    assert SECRET not in repr(TokenSettings("HS256", Secret(SECRET)))


def test_nothing_is_issued_that_would_be_refused() -> None:
    with pytest.raises(TokenError):
        issue(algorithm="HS256", signing_key=SECRET, eid="", device="d", now_ms=0, lifetime_seconds=1, jti="t")
    with pytest.raises(ValueError, match="Ed25519"):
        issue(
            algorithm="EdDSA",
            signing_key=private_pem(RSA),
            eid="a",
            device="d",
            now_ms=0,
            lifetime_seconds=1,
            jti="t",
        )
