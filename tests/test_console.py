"""Output on consoles with few characters: nothing that the book prints raises an error."""

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
# Each part prints on the console as it was at the start; one process, as the imports take seconds.
PROGRAM = """
import runpy, sys
from utils.data.corpora import load_text
from utils.data.download import OfflineRequested
from utils.notebook import check

def run(module, *arguments):
    sys.stdout.reconfigure(errors="strict")
    print("PART")
    sys.argv[1:] = arguments
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        assert not end.code, module

check.equation("eq-a", 1.0, 1.0)
print("PART")
OfflineRequested.remedy = "\\u5199"
load_text()
run("utils.training", "--help")
run("utils.training", "gpt", "--help")
run("benchmarks.loop", "--help")
"""


def test_programs_print_on_a_console_of_256_characters():
    """As on a Windows console of Western Europe."""
    result = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", PROGRAM],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "cp1252", "LLM_BOOK_OFFLINE": "1"},
        capture_output=True,
        encoding="cp1252",
        check=False,
    )
    assert result.returncode == 0, result.stderr
    checked, standin, models, options, benchmark = result.stdout.split("PART\n")
    assert r"\u2713 eq-a: 1 number agrees" in checked
    assert "STAND-IN" in standin and r"\u5199" in standin
    assert "models:" in models
    assert r"\u" in options
    assert "--rounds" in benchmark


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


def test_other_streams_get_the_text_unchanged(monkeypatch, capsys):
    stream = io.StringIO()  # has no encoding, like the stream of a notebook no `reconfigure`
    monkeypatch.setattr(sys, "stdout", stream)
    make_output_safe()
    safe_print("−1 ✓")
    assert stream.getvalue() == "−1 ✓\n"
    monkeypatch.setattr(sys, "stdout", None)  # of a program without a console
    make_output_safe()
    safe_print("−1")


def test_every_program_makes_its_output_safe():
    assert len(PROGRAMS) > 10
    for path in PROGRAMS:
        calls = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert "make_output_safe" in calls, path
