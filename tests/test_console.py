"""Output on consoles with few characters: nothing that the book prints raises an error."""

import ast
import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from utils import console
from utils.console import make_output_safe, safe_print

ROOT = Path(__file__).resolve().parents[1]


def is_program(path):
    """Whether a module runs as a program: a condition of its own, not one in a string."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    tests = [ast.unparse(node.test) for node in body if isinstance(node, ast.If)]
    return "__name__ == '__main__'" in tests


PROGRAMS = sorted(
    path
    for folder in ("benchmarks", "tools", "utils")
    for path in (ROOT / folder).rglob("*.py")
    if is_program(path)
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

check.equation("eq-a", loops=1.0, torch=1.0)
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
    assert r"\u2713 eq-a: loops = torch, 1 number agrees" in checked
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
    stream = Console()
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(UnicodeEncodeError):
        print("−1")
    safe_print("−1 é")
    make_output_safe()
    print("−2 é")
    assert stream.text() == [r"\u22121 é", r"\u22122 é"]


def test_other_streams_get_the_text_unchanged(monkeypatch, capsys):
    stream = io.StringIO()  # has no encoding, like the stream of a notebook no `reconfigure`
    monkeypatch.setattr(sys, "stdout", stream)
    make_output_safe()
    safe_print("−1 ✓")
    assert stream.getvalue() == "−1 ✓\n"
    monkeypatch.setattr(sys, "stdout", None)  # of a program without a console
    make_output_safe()
    safe_print("−1")


# prints once, waits for a line, prints again on both streams, and saves its result
LONG_PROGRAM = """
import sys
from pathlib import Path
from utils.console import make_output_safe

make_output_safe()
print("begun", flush=True)
input()
for stream in (sys.stdout, sys.stderr):
    print("done", file=stream, flush=True)
Path(sys.argv[1]).write_text("result")
"""


def run_and_stop_reading(path, output, write_end, options):
    """Run the long program, close what reads its output in between; return its exit code."""
    process = subprocess.Popen(
        [sys.executable, *options, "-c", LONG_PROGRAM, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=write_end,
        stderr=write_end,
    )
    os.close(write_end)
    assert os.read(output, 100).startswith(b"begun")
    os.close(output)
    process.communicate(b"\n")
    return process.returncode


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such terminals")
@pytest.mark.parametrize("options", [[], ["-u"]], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("channel", ["openpty", "pipe"])
def test_a_program_goes_on_when_nobody_reads_its_output(channel, options, tmp_path):
    """Its terminal is closed, or the next program of a pipe has ended."""
    output, write_end = getattr(os, channel)()
    path = tmp_path / "file"
    assert run_and_stop_reading(path, output, write_end, options) == 0
    assert path.read_text() == "result"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_an_error_of_the_disk_is_not_hidden(is_terminal):
    class Broken(io.RawIOBase):
        isatty = staticmethod(lambda: is_terminal)

        def write(self, data):
            raise OSError(errno.EIO, "Input/output error")

    if is_terminal:
        assert console._Output(Broken()).write(b"abc") == 3
    else:
        with pytest.raises(OSError, match="Input/output"):
            console._Output(Broken()).write(b"abc")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is full")
@pytest.mark.parametrize("options", [[], ["-u"]], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(
    "program",
    [
        ["-m", "benchmarks.loop", "--help"],  # argparse hides an error of print
        ["-m", "tools.corpora", "--help"],
        ["-c", "from utils.console import *; make_output_safe(); print('−' * 100_000); print(1)"],
        ["-c", "from utils.console import *; make_output_safe(); print(1)"],
    ],
    ids=["benchmark", "tool", "long output", "short output"],
)
def test_a_full_disk_is_told_in_one_line(program, options):
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, *options, *program],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.stderr == "stdout could not be written: No space left on device\n"
    assert result.returncode == 1


def test_other_errors_keep_their_traceback():
    program = "from utils.console import *; make_output_safe(); open('nowhere/file')"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "Traceback" in result.stderr and "nowhere/file" in result.stderr


def test_every_program_makes_its_output_safe():
    assert len(PROGRAMS) > 10
    for path in PROGRAMS:
        calls = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert "make_output_safe" in calls, path
