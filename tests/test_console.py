"""Output on consoles that know few characters: nothing that the book prints ends a program."""

import ast
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from utils.console import make_output_safe, safe_print

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = sorted(
    path
    for folder in ("benchmarks", "tools", "utils")
    for path in (ROOT / folder).rglob("*.py")
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
)
CHECK = "from utils.notebook import check; check.equation('eq-a', 1.0, 1.0)"
STANDIN = "from utils.data.corpora import load_text; load_text()"


def run_on_cp1252(*arguments, **variables):
    """Run Python as on a Windows console of Western Europe."""
    return subprocess.run(
        [sys.executable, "-X", "utf8=0", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "cp1252"} | variables,
        capture_output=True,
        encoding="cp1252",
        check=False,
    )


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["-c", CHECK], r"\u2713 eq-a: 1 number agrees"),
        (["-m", "utils.training", "--help"], "models:"),
        (["-m", "utils.training", "gpt", "--help"], r"\u"),
        (["-m", "benchmarks.loop", "--help"], "--rounds"),
    ],
    ids=["check", "help", "help-of-a-model", "benchmark"],
)
def test_programs_print_on_a_console_of_256_characters(arguments, expected):
    result = run_on_cp1252(*arguments)
    assert result.returncode == 0, result.stderr
    assert expected in result.stdout


def test_a_standin_is_announced_whatever_the_reason_says():
    code = f"import utils.data.download as d; d.OfflineRequested.remedy = '写'; {STANDIN}"
    result = run_on_cp1252("-c", code, LLM_BOOK_OFFLINE="1")
    assert result.returncode == 0, result.stderr
    assert "STAND-IN" in result.stdout and r"\u5199" in result.stdout


class Console(io.TextIOWrapper):
    """A console of the encoding cp1252."""

    def __init__(self):
        super().__init__(io.BytesIO(), encoding="cp1252")

    def text(self):
        self.flush()
        return self.buffer.getvalue().decode("cp1252").splitlines()


def test_characters_that_a_console_lacks_are_escaped(monkeypatch):
    console = Console()
    monkeypatch.setattr(sys, "stdout", console)
    with pytest.raises(UnicodeEncodeError):
        print("−1")
    safe_print("−1 é")
    make_output_safe()
    print("−2 é")
    assert console.text() == [r"\u22121 é", r"\u22122 é"]


def test_other_streams_get_the_text_as_it_is(monkeypatch, capsys):
    stream = io.StringIO()  # has no encoding, like the stream of a notebook no `reconfigure`
    monkeypatch.setattr(sys, "stdout", stream)
    make_output_safe()
    safe_print("−1 ✓")
    assert stream.getvalue() == "−1 ✓\n"
    monkeypatch.setattr(sys, "stdout", None)  # of a program without a console
    make_output_safe()
    safe_print("−1")


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_program_makes_its_output_safe(path):
    calls = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert "make_output_safe" in calls
