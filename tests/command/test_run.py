"""How a command ends: with the right exit code, and with one line if it failed."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.helpers.command_lines import ROOT, command_line, run
from utils.command import run as command
from utils.command import training_data
from utils.data.batches import TextBatches
from utils.data.corpus import DataError
from utils.training.checkpoint import load_checkpoint


@pytest.fixture
def python_handles_ctrl_c():
    """Python's own answer to Ctrl-C, which a job in the background does not start with."""
    handler_before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler_before)


class SignalledStream(TextBatches):
    """Sends signals to this process in step 3."""

    signals: tuple[int, ...] = ()

    def __getitem__(self, step):
        if step == 3:
            for number in self.signals:
                os.kill(os.getpid(), number)
        return super().__getitem__(step)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_not_finished_says_so_by_its_exit_code(
    number, code, monkeypatch, capsys, python_handles_ctrl_c
):
    line = f"{command_line('lstmlm', 6)} --dropout 0.3 --out run"
    monkeypatch.setattr(training_data, "TextBatches", SignalledStream)
    monkeypatch.setattr(SignalledStream, "signals", (number,))
    assert run(line) == code
    output = capsys.readouterr()
    assert "interrupted after 4 steps" in output.out and output.err == ""
    assert load_checkpoint("run/checkpoint.safetensors")["step"] == 4
    monkeypatch.setattr(SignalledStream, "signals", ())
    assert run(line) == 0 and run(f"{line} --out uninterrupted") == 0
    files = [Path(name, "weights.safetensors") for name in ("run", "uninterrupted")]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_second_ctrl_c_ends_the_run_at_once(monkeypatch, capsys, python_handles_ctrl_c):
    monkeypatch.setattr(training_data, "TextBatches", SignalledStream)
    monkeypatch.setattr(SignalledStream, "signals", (signal.SIGINT, signal.SIGINT))
    assert run(f"{command_line('lstmlm', 6)} --out run") == 130
    assert capsys.readouterr().err == "python -m utils.training lstmlm: interrupted\n"
    assert {path.name for path in Path("run").iterdir()} == {"model.json", "tokenizer.json"}


# The command as it is started, with Ctrl-C when a module is imported, or in the given function.
INTERRUPTED_COMMAND = """
import os, runpy, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)

def interrupt(*arguments, **options):
    os.kill(os.getpid(), signal.SIGINT)

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == moment:
            interrupt()

sys.meta_path.insert(0, Finder())
moment = sys.argv.pop(1)
if moment == "train":
    import utils.command.run
    utils.command.run.train = interrupt
runpy.run_module("utils.training", run_name="__main__", alter_sys=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("moment", ["torch", "torch.nn", "numpy", "utils.command.job", "train"])
def test_ctrl_c_is_answered_by_one_line_at_every_moment(moment):
    result = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_COMMAND, moment, *command_line("lstmlm").split()],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 130 and result.stdout == ""
    model = " lstmlm" if moment == "train" else ""
    assert result.stderr == f"python -m utils.training{model}: interrupted\n"


def test_a_full_disk_is_said_in_one_line(capsys):
    resource = pytest.importorskip("resource", reason="Windows limits no file sizes")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    line = f"{command_line('lstmlm')} --width 64 --embedding-size 64 --out run"
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        assert run(line) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    stderr = capsys.readouterr().err
    assert stderr.count("\n") == 1 and "error: [Errno 27] File too large" in stderr
    assert {path.name for path in Path("run").iterdir()} == {"model.json", "tokenizer.json"}


@pytest.mark.parametrize(
    "error, code, message",
    [
        (OSError(errno.ENOSPC, "No space left on device"), 1, "No space left on device"),
        (DataError("the corpus\ncannot be had"), 1, "the corpus cannot be had"),
        (torch.OutOfMemoryError("CUDA out of memory."), 1, "not enough memory: CUDA out of"),
        (MemoryError("many bytes"), 1, "not enough memory: many bytes"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 1, "not enough memory"),
        (ValueError("two\nlines"), 2, "error: two lines"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_fault_has_its_exit_code_and_one_line(error, code, message, monkeypatch, capsys):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(command, "train", fail)
    assert run("gpt --file text --device cpu") == code
    stderr = capsys.readouterr().err
    assert message in stderr and stderr.count("\n") == 1


def test_a_fault_of_the_program_is_not_hidden(monkeypatch):
    def fail(*arguments):
        raise RuntimeError("a bug")

    monkeypatch.setattr(command, "train", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        run("gpt --file text --device cpu")


def test_the_module_is_the_command():
    result = subprocess.run(
        [sys.executable, "-m", "utils.training", "lstmlm", "--width", "x"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr == (
        "python -m utils.training lstmlm: error: "
        "argument --width: Expected a <class 'int'>. Got value: x\n"
    )
