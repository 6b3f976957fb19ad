"""The examples in the head of `bimip.testing` are what an author of programs writes: they run as they stand, by a
pytest that knows nothing of this project but what is installed.
"""

import subprocess
import sys
import textwrap
from pathlib import Path

import bimip.testing


def examples() -> list[str]:
    """The blocks of the docstring that begin with an import, each a file of tests."""
    found: list[list[str]] = []
    is_inside = False
    for line in (bimip.testing.__doc__ or "").splitlines():
        if line and not line.startswith("    "):
            is_inside = False
        elif line.startswith("    import ") and not is_inside:
            is_inside = True
            found.append([])
        if is_inside:
            found[-1].append(line)
    return [textwrap.dedent("\n".join(lines)).strip() + "\n" for lines in found]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_each_example_runs_as_it_stands(tmp_path: Path) -> None:
    for number, example in enumerate(examples()):
        (tmp_path / f"test_{number}.py").write_text(example)

    done = run(tmp_path)

    assert len(examples()) == 3
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_who_has_no_pytest_trio_is_told_where_it_is_needed(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(bimip_memory_server): ...\n")
    (tmp_path / "pytest_trio.py").write_text("raise ImportError")

    done = run(tmp_path, "-p", "no:trio")

    assert "pip install 'bimip[testing]'" in done.stdout


def test_the_plugin_costs_who_does_not_use_it_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\ndef test_it():\n"
        "    assert 'bimip.testing.plugin' in sys.modules\n"
        "    assert not {'bimip.app', 'bimip.client', 'lmdb', 'jwt'} & set(sys.modules)\n"
    )

    done = run(tmp_path)

    assert done.returncode == 0, done.stdout
