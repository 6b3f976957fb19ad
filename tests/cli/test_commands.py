"""Each command as somebody types it, up to where it would need a server."""

from pathlib import Path

import jwt
import pytest
from typer.testing import CliRunner

from bimip.cli.commands import app
from bimip.cli.failures import Exit
from bimip.storage.lmdb.store import LmdbStore

KEY = "k" * 32
SIGNING = {"BIMIP_TOKENS_ALGORITHM": "HS256", "BIMIP_TOKENS_KEY": KEY}
CLOSED = {"BIMIP_GATEWAY_PORT": "1", "BIMIP_CONSOLE_PORT": "1", "BIMIP_CONSOLE_OPERATOR_TOKEN": "o" * 16}


def typed(*words: str, **environ: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, words, env={"BIMIP_CONFIG": "", "BIMIP_TOKEN": "", "COLUMNS": "200"} | environ)
    return result.exit_code, result.stdout, result.stderr


def test_a_token_says_whose_it_is_and_for_how_long() -> None:
    code, out, _ = typed("token", "alice@example.org", "phone", "--ttl", "2h", **SIGNING)
    claims = jwt.decode(out.strip(), KEY, algorithms=["HS256"])

    assert code == Exit.OK
    assert (claims["sub"], claims["did"], claims["exp"] - claims["iat"]) == ("alice@example.org", "phone", 7200)
    assert claims["jti"]


def test_a_token_carries_the_configured_audience_and_issuer() -> None:
    _, out, _ = typed("token", "a", "b", **SIGNING, BIMIP_TOKENS_AUDIENCE="chat", BIMIP_TOKENS_ISSUER="us")
    claims = jwt.decode(out.strip(), KEY, algorithms=["HS256"], audience="chat", issuer="us")

    assert (claims["aud"], claims["iss"]) == ("chat", "us")


def test_a_token_is_signed_with_a_private_key(tmp_path: Path) -> None:
    private, public = ed25519(tmp_path)
    code, out, _ = typed("token", "a", "b", BIMIP_TOKENS_KEY_FILE=str(private))

    assert code == Exit.OK
    assert jwt.decode(out.strip(), public.read_text(), algorithms=["EdDSA"])["sub"] == "a"


def ed25519(folder: Path) -> tuple[Path, Path]:
    from cryptography.hazmat.primitives import serialization as pem  # noqa: PLC0415 - only here
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - only here

    key = Ed25519PrivateKey.generate()
    private, public = folder / "private.pem", folder / "public.pem"
    private.write_bytes(key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo),
    )
    return private, public


def test_a_public_key_cannot_sign(tmp_path: Path) -> None:
    _, public = ed25519(tmp_path)
    code, _, errors = typed("token", "a", "b", BIMIP_TOKENS_KEY_FILE=str(public))

    assert code == Exit.SETTINGS
    assert "only its private key can sign them" in errors


@pytest.mark.parametrize(
    ("words", "environ", "code", "sentence"),
    [
        (["token", "a", "b"], {}, Exit.SETTINGS, "tokens.key is not set"),
        (["token", "a", "b"], {"BIMIP_TOKENS_KEY": KEY}, Exit.SETTINGS, "tokens.key does not fit tokens.algorithm"),
        (["token", "a", "b", "--ttl", "soon"], SIGNING, Exit.USAGE, "'soon' is not a time such as 90s"),
        (["token", "a\nb", "b"], SIGNING, Exit.USAGE, "holds a character that is not printable"),
        (["token", "a", "b" * 65], SIGNING, Exit.USAGE, "is longer than 64 bytes"),
        (["token", "a", "b", "--config", "absent.toml"], {}, Exit.SETTINGS, "absent.toml cannot be read"),
        (["token", "a", "b"], {"BIMIP_CONFIG": "missing.toml"}, Exit.SETTINGS, "missing.toml cannot be read"),
        (["tree"], {"BIMIP_CONSOLE_PORT": "x"}, Exit.SETTINGS, "environment: BIMIP_CONSOLE_PORT is 'x'; allowed:"),
        (["tree"], {}, Exit.SETTINGS, "there is no operator's token"),
        (["tree"], CLOSED, Exit.UNREACHABLE, "no server answers at http://127.0.0.1:1"),
        (["tree", "--watch"], CLOSED, Exit.UNREACHABLE, "no server answers at http://127.0.0.1:1"),
        (["kill", "bimip/journal"], CLOSED, Exit.UNREACHABLE, "no server answers at http://127.0.0.1:1"),
        (["listen"], {}, Exit.USAGE, "as whom? give --as FILE with a token"),
        (["listen", "--as", "absent.token"], {}, Exit.USAGE, "--as absent.token cannot be read: No such file"),
        (["send", "bob", "hi"], {}, Exit.USAGE, "as whom? give --as FILE with a token"),
        (
            ["send", "bob", "hi"],
            CLOSED | {"BIMIP_TOKEN": "t"},
            Exit.UNREACHABLE,
            "no server answers at ws://127.0.0.1:1",
        ),
        (["listen"], CLOSED | {"BIMIP_TOKEN": "t"}, Exit.UNREACHABLE, "no server answers at ws://127.0.0.1:1"),
        (["send", "bob"], {}, Exit.USAGE, "say whom to write to, and what"),
        (["status"], {}, Exit.USAGE, "as whom? give --as FILE with a token"),
        (["status"], CLOSED | {"BIMIP_TOKEN": "t"}, Exit.UNREACHABLE, "no server answers at ws://127.0.0.1:1"),
        (["status", "set", "asleep"], {}, Exit.USAGE, "'asleep'"),
        (["status", "set", "away", "--for", "soon"], {}, Exit.USAGE, "'soon' is not a time such as 90s"),
        (["status", "set", "online", "--for", "2h"], {}, Exit.USAGE, "online is until you say another"),
        (
            ["status", "set", "dnd", "--for", "2h"],
            CLOSED | {"BIMIP_TOKEN": "t"},
            Exit.UNREACHABLE,
            "no server answers at ws://127.0.0.1:1",
        ),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_a_code(
    words: list[str], environ: dict[str, str], code: Exit, sentence: str
) -> None:
    exit_code, out, errors = typed(*words, **environ)

    assert (exit_code, out) == (code, "")
    assert sentence in errors
    assert "Traceback" not in errors


def test_a_device_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "binary.token"
    file.write_bytes(b"\xff\xfe")
    code, _, errors = typed("listen", "--as", str(file))

    assert code == Exit.USAGE
    assert "binary.token is no token" in errors


def test_help_names_every_command() -> None:
    code, out, _ = typed("--help")

    assert code == Exit.OK
    for command in ("serve", "token", "send", "listen", "tree", "kill"):
        assert f" {command} " in out


def test_backups_are_made_and_put_in_place(tmp_path: Path) -> None:
    environ = {"BIMIP_STORE_PATH": str(tmp_path / "store")}
    LmdbStore(tmp_path / "store").close()
    codes = [
        typed("store", "backup", str(tmp_path / "one"), **environ)[0],
        typed("store", "restore", str(tmp_path / "one"), **environ)[0],
        typed("store", "stats", **environ)[0],
        typed("store", "restore", str(tmp_path / "two"), **environ)[0],
    ]

    assert codes == [Exit.OK, Exit.OK, Exit.OK, Exit.FAILED]
