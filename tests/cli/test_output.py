"""Output that cannot be written is lost, and nothing else; wrong words are one sentence. In real processes."""

import os
import subprocess
import sys

import pytest

from bimip.cli.output import lossy

BIMIP = (sys.executable, "-m", "bimip")


def test_what_an_encoding_does_not_have_is_escaped_and_what_has_no_room_is_lost() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    stream = lossy(full, "ascii")
    print("\N{CHECK MARK} sent", file=stream)
    read, write = os.pipe()
    good = lossy(write, "ascii")
    print("\N{CHECK MARK} sent", file=good)

    assert stream.buffer.raw.lost  # type: ignore[attr-defined]
    assert os.read(read, 100) == b"\\u2713 sent\n"
    assert not good.buffer.raw.lost  # type: ignore[attr-defined]
    for number in (full, read, write):
        os.close(number)


@pytest.mark.parametrize("where", ["/dev/full", "a pipe that nobody reads", "nowhere"])
def test_the_code_says_what_became_of_the_work(where: str) -> None:
    read, write = os.pipe()
    os.close(read)
    out = os.open("/dev/full", os.O_WRONLY) if where == "/dev/full" else write
    line = f"exec {sys.executable} -m bimip --version{' >&-' if where == 'nowhere' else ''}"
    done = subprocess.run(["sh", "-c", line], stdout=out, stderr=subprocess.PIPE, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sned"], "bimip: No such command 'sned'. Did you mean 'send'? (`bimip --help` tells more)\n"),
        (["send"], "bimip: Missing argument 'to' (`bimip send --help` tells more)\n"),
        (["kill", "a", "b"], "bimip: Got unexpected extra argument(s) (b) (`bimip kill --help` tells more)\n"),
    ],
)
def test_wrong_words_are_one_sentence_and_a_code(words: list[str], said: str) -> None:
    done = subprocess.run([*BIMIP, *words], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr.replace("python -m bimip", "bimip")) == (2, "", said)


def test_help_loads_neither_the_server_nor_the_client() -> None:
    code = "import sys, bimip.cli.commands; print(sorted({'trio', 'lmdb', 'jwt', 'httpx', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
