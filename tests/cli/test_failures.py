import pytest

from bimip.cli.failures import Exit, Failure, telling
from bimip.config import ConfigError


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (Failure(Exit.REFUSED, "no"), Exit.REFUSED, "bimip: no\n"),
        (ConfigError("one\ntwo"), Exit.SETTINGS, "bimip: one\nbimip: two\n"),
        (
            ModuleNotFoundError("none", name="vodozemac"),
            Exit.FAILED,
            "bimip: this command needs vodozemac, which is not installed: pip install 'bimip[e2ee]'\n",
        ),
        (KeyboardInterrupt(), Exit.INTERRUPTED, ""),
    ],
)
def test_a_failure_is_told_and_has_its_code(
    error: BaseException, code: Exit, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised, telling():
        raise error

    assert raised.value.code == code
    assert capsys.readouterr().err == said


def test_a_fault_of_this_program_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), telling():
        raise ZeroDivisionError
