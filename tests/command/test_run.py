"""The command: it trains as `fit` does and resumes, and ends with an exit code and one line."""

import errno
import math
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.helpers.command_lines import ROOT, TEXT, command_line, error_line, run
from utils import runtime
from utils.command import run as command
from utils.command import training_data
from utils.command.catalogue import MODELS
from utils.command.job import Job
from utils.command.parser import parse
from utils.command.run import print_error, report, train
from utils.command.run_folder import load_trained_model
from utils.command.training_data import TextData
from utils.data.batches import IGNORE_INDEX, Batch, TextBatches
from utils.data.errors import DataError
from utils.training import loop as training_loop
from utils.training.config import TrainConfig
from utils.training.distributed import Processes
from utils.training.history import History, Validation
from utils.training.loop import fit
from utils.training.objectives import token_objective
from utils.training.optimizers import adamw, muon
from utils.training.sharding import supports_sharding
from utils.training.tensor_file import read_tensor_file
from utils.training.validation import validate


@pytest.fixture
def python_handles_signals():
    """Python's own answers, also where the tests run in the background or under nohup."""
    handlers = {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL}
    numbers = {name: getattr(signal, name) for name in handlers if hasattr(signal, name)}
    before = {number: signal.signal(number, handlers[name]) for name, number in numbers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class SignalledStream(TextBatches):
    """Sends signals to this process in step 3."""

    signals: tuple[int, ...] = ()

    def __getitem__(self, step):
        if step == 3:
            for number in self.signals:
                os.kill(os.getpid(), number)
        return super().__getitem__(step)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("name, code", [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_an_interrupted_run_has_the_exit_code_of_its_signal(
    name, code, monkeypatch, capsys, python_handles_signals
):
    number = getattr(signal, name)
    line = f"{command_line('lstmlm', 6)} --dropout 0.3 --out run"
    monkeypatch.setattr(training_data, "TextBatches", SignalledStream)
    monkeypatch.setattr(SignalledStream, "signals", (number,))
    assert run(line) == code
    output = capsys.readouterr()
    assert "interrupted after 4 steps" in output.out and output.err == ""
    assert read_tensor_file("run/checkpoint.safetensors")["step"] == 4
    monkeypatch.setattr(SignalledStream, "signals", ())
    assert run(line) == 0 and run(f"{line} --out uninterrupted") == 0
    files = [Path(name, "weights.safetensors") for name in ("run", "uninterrupted")]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("name, code", [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_in_a_validation_has_its_exit_code(
    name, code, monkeypatch, capsys, python_handles_signals
):
    def send_and_validate(run, *arguments):
        if run.step == 2 and not run.history.validations:  # a second signal would act at once
            os.kill(os.getpid(), getattr(signal, name))
        validate(run, *arguments)

    line = f"{command_line('lstmlm', 6)} --validate-every 2 --out run"
    with monkeypatch.context() as patch:
        patch.setattr(training_loop, "validate", send_and_validate)
        assert run(line) == code
    assert "interrupted after 2 steps" in capsys.readouterr().out
    assert run(line) == 0 and "trained 6 steps" in capsys.readouterr().out


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_second_ctrl_c_ends_the_run_at_once(monkeypatch, capsys, python_handles_signals):
    monkeypatch.setattr(training_data, "TextBatches", SignalledStream)
    monkeypatch.setattr(SignalledStream, "signals", (signal.SIGINT, signal.SIGINT))
    assert run(f"{command_line('lstmlm', 6)} --out run") == 130
    assert capsys.readouterr().err == "python -m utils.training lstmlm: interrupted\n"
    assert {path.name for path in Path("run").iterdir()} == {"model.json", "tokenizer.json"}


def test_a_run_computes_in_full_precision_where_it_is_not_mixed(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(command, "train", lambda job, processes: History())
    assert run(command_line("lstmlm")) == 0 and not torch.backends.cudnn.allow_tf32


# The command as it is started, with Ctrl-C when a module is imported, or in the given function.
INTERRUPTED_COMMAND = """
import atexit, os, runpy, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)

def interrupt(*arguments, **options):
    os.kill(os.getpid(), signal.SIGINT)

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == moment:
            interrupt()

def interrupt_twice(*arguments, **options):
    try:
        interrupt()
    finally:
        interrupt()

def train_and_interrupt_the_exit(*arguments, **options):
    atexit.register(interrupt)
    return History()

sys.meta_path.insert(0, Finder())
moment = sys.argv.pop(1)
if moment != "torch":
    import utils.command.run
    from utils.training.history import History
    functions = {"train": interrupt, "twice": interrupt_twice, "exit": train_and_interrupt_the_exit}
    utils.command.run.train = functions[moment]
runpy.run_module("utils.training", run_name="__main__", alter_sys=True)
"""


def run_interrupted_command(moment):
    """The finished process of a command that is interrupted at a moment."""
    return subprocess.run(
        [sys.executable, "-c", INTERRUPTED_COMMAND, moment, *command_line("lstmlm").split()],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("moment", ["torch", "train"])
def test_ctrl_c_during_imports_or_training_gives_one_line(moment):
    result = run_interrupted_command(moment)
    assert result.returncode == 130 and result.stdout == ""
    model = " lstmlm" if moment == "train" else ""
    assert result.stderr == f"python -m utils.training{model}: interrupted\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("moment", ["twice", "exit"])
def test_ctrl_c_while_the_command_ends_kills_it_without_a_traceback(moment):
    """The operating system does it: Python's code for the signal no longer runs."""
    result = run_interrupted_command(moment)
    assert (result.returncode, result.stdout, result.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO])
@pytest.mark.parametrize("option", ["file", "out"])
def test_a_path_that_cannot_be_used_ends_with_code_1(option, code, monkeypatch, capsys):
    name = "read_bytes" if option == "file" else "mkdir"
    function, path = getattr(Path, name), {"file": Path("text"), "out": Path("new")}[option]

    def refuse(self, *arguments, **options):
        if self == path:
            raise OSError(code, os.strerror(code), str(path))
        return function(self, *arguments, **options)

    monkeypatch.setattr(Path, name, refuse)
    line = error_line(f"{command_line('lstmlm')} --out new", capsys, expected_code=1)
    assert line.endswith(f"error: [Errno {code}] {os.strerror(code)}: '{path}'")
    assert not Path("new").exists()


@pytest.mark.parametrize("wrong", ["--out text", "--out text/new", "--file text/new", "--file ."])
def test_a_path_of_another_kind_ends_with_code_2(wrong, capsys):
    assert "expected a" in error_line(f"lstmlm --file text --device cpu {wrong}", capsys)


def test_a_full_disk_is_reported_in_one_line(capsys):
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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is full")
@pytest.mark.parametrize(
    "line, code",
    [("gpt --help", 1), (command_line("lstmlm"), 1), (f"{command_line('lstmlm')} --width x", 2)],
    ids=["help", "training", "wrong"],
)
@pytest.mark.parametrize("streams", [["stdout"], ["stderr"], ["stdout", "stderr"]], ids="+".join)
def test_output_to_a_full_disk_ends_with_one_line_and_a_documented_code(line, code, streams):
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "utils.training", *line.split()],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
            check=False,
            **{
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                **dict.fromkeys(streams, full),
            },
        )
    if code == 1 and "stdout" not in streams:
        code = 0  # only the progress is lost
    assert result.returncode == code
    if "stderr" not in streams:
        assert re.fullmatch(r"python -m utils\.training.*: error: .*\n", result.stderr)
        assert code == 2 or "No space left on device" in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such streams")
def test_a_command_without_streams_trains():
    """As a service starts it, with both closed."""
    words = [sys.executable, "-m", "utils.training", *command_line("lstmlm").split()]
    result = subprocess.run(
        ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert result.returncode == 0 and Path("runs/lstmlm/weights.safetensors").is_file()


@pytest.mark.parametrize(
    "error, code, message",
    [
        (OSError(errno.ENOSPC, "No space left on device"), 1, "No space left on device"),
        (DataError("the corpus\ncannot be obtained"), 1, "the corpus cannot be obtained"),
        (torch.OutOfMemoryError("CUDA out of memory."), 1, "not enough memory: CUDA out of"),
        (MemoryError("many bytes"), 1, "not enough memory: many bytes"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 1, "not enough memory"),
        (RuntimeError("Storage size calculation overflowed with"), 1, "not enough memory: Storage"),
        (TypeError('at 1 "Overflow when unpacking long\nat'), 1, "not enough memory: at 1"),
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
        "python -m utils.training lstmlm: error: argument --width: expected an integer, got 'x'\n"
    )


def test_the_command_trains_as_fit_does(capsys):
    """The same configuration, given in Python; Muon changes the matrices inside a GPT."""
    run(
        "gpt --width 8 --num-heads 2 --num-layers 1 --dropout 0.2 --bias true --file text "
        "--batch-size 4 --context-length 8 --steps 3 --seed 5 --learning-rate 0.01 "
        "--betas [0.5,0.9] --optimizer muon --label-smoothing 0.1 --device cpu"
    )
    data = TextData(file="text", batch_size=4, context_length=8)
    corpus = data.load_corpus()
    tokenizer = data.train_tokenizer(corpus)
    batches, valid = data.batches(corpus, tokenizer, seed=5)
    config = TrainConfig(steps=3, learning_rate=0.01, betas=(0.5, 0.9))
    (build_gpt,) = MODELS["gpt"].parts
    sizes = {"width": 8, "num_heads": 2, "num_layers": 1, "context_length": 8}
    losses = {}
    for make_optimizer in (adamw, muon):
        runtime.seed_everything(5)
        model = build_gpt(len(tokenizer), **sizes, dropout=0.2, bias=True)
        history = fit(
            model,
            batches,
            config,
            valid=valid,
            progress=False,
            make_optimizer=make_optimizer,
            objective=token_objective(label_smoothing=0.1),
        )
        losses[make_optimizer] = history.validations[-1].loss
    assert losses[adamw] != losses[muon]
    loaded, _ = load_trained_model("runs/gpt")
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("step 3")]
    assert line.endswith(f"validation {losses[muon]:.4f}")


def test_a_model_without_a_matrix_for_muon_is_refused_before_a_file_is_written(capsys):
    line = error_line("lstmlm --file text --context-length 8 --device cpu --optimizer muon", capsys)
    assert "RNNLM has no linear layer to train with muon" in line
    assert not any(path.is_file() for path in Path("runs").rglob("*"))


def test_a_second_call_resumes_where_the_first_stopped(monkeypatch, capsys):
    line = f"{command_line('lstmlm', 6)} --dropout 0.3 --checkpoint-every 2"
    run(f"{line} --out uninterrupted")

    class StoppedStream(TextBatches):
        def __getitem__(self, step):
            if step == 5:
                raise KeyboardInterrupt
            return super().__getitem__(step)

    with monkeypatch.context() as patch:
        patch.setattr(training_data, "TextBatches", StoppedStream)
        assert run(f"{line} --out resumed") == 130
    assert read_tensor_file("resumed/checkpoint.safetensors")["step"] == 4
    capsys.readouterr()
    assert run(f"{line} --out resumed") == 0
    assert "resumes from resumed" in capsys.readouterr().out
    for name in ("weights.safetensors", "tokenizer.json", "model.json"):
        assert Path("uninterrupted", name).read_bytes() == Path("resumed", name).read_bytes()


def test_the_report_gives_the_lowest_loss_in_three_measures(capsys):
    """Here 2 bits per token; 20 tokens of 40 characters."""
    history = History(
        losses=[3.0, 2.0, 1.5],
        validations=[Validation(1, 3.0), Validation(2, math.log(4)), Validation(3, 2.0)],
        num_tokens=600,
        seconds=0.5,
    )
    batch = Batch(torch.zeros(2, 11).long(), torch.tensor([[4] * 10 + [IGNORE_INDEX]] * 2))
    report(history, [batch], num_characters=40)
    first, second = capsys.readouterr().out.splitlines()
    expected = "1.3863 nats per token, perplexity 4.00, 1.000 bits per character"
    assert first == f"validation: {expected} (in separate windows of 11 tokens)"
    assert second == "trained 3 steps, 1,200 tokens per second"
    report(History(losses=[3.0], stop_signal=2), [batch], num_characters=40)
    assert capsys.readouterr().out.startswith("interrupted after 1 steps")
    report(History(), [], num_characters=None)
    assert capsys.readouterr().out == "trained 0 steps, 0 tokens per second\n"
    report(history, [batch], num_characters=None)
    assert "no bits per character, as its tokens do not spell" in capsys.readouterr().out
    report(history, [replace(batch, source=torch.ones(2, 3).long())], num_characters=40)
    assert capsys.readouterr().out.splitlines()[0] == f"validation: {expected}"


def test_bits_are_counted_for_each_character_that_is_predicted(capsys, monkeypatch):
    """A uniform model needs the same number of bits for each; of a text the first is given."""
    data = TextData(file="text", batch_size=4, context_length=8)
    corpus = data.load_corpus()
    tokenizer = data.train_tokenizer(corpus)
    assert data.num_characters(corpus.valid, tokenizer) == len(corpus.valid) - 1
    _, valid = data.batches(corpus, tokenizer, seed=0)
    history = History(losses=[4.0], validations=[Validation(1, math.log(16))])
    text, letters = "a" * (sum(map(command.count_tokens, valid)) + 1), type(tokenizer).train("a")
    num_characters = data.num_characters(text, letters)
    report(history, valid, num_characters=num_characters)
    assert "4.000 bits per character" in capsys.readouterr().out


@pytest.mark.skipif(
    not supports_sharding(torch.device("cpu")), reason="this torch shards on GPUs only"
)
def test_shards_in_one_process_are_the_whole_model():
    for strategy in ("data", "shard"):
        run(f"{command_line('gpt', 3)} --strategy {strategy} --out {strategy}")
    copies, shards = (
        load_trained_model(strategy)[0].state_dict() for strategy in ("data", "shard")
    )
    assert copies.keys() == shards.keys()
    for name in copies:
        assert torch.allclose(copies[name], shards[name], atol=1e-6)


def test_a_diverging_loss_ends_with_code_1(capsys):
    line = "gpt --width 8 --num-heads 2 --file text --batch-size 4 --context-length 8 --steps 40"
    assert run(f"{line} --learning-rate 1e30 --clip-norm 0 --device cpu") == 1
    stderr = capsys.readouterr().err
    assert stderr.count("\n") == 1 and "lower learning_rate" in stderr


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    """A shell leaves the one of ``--out=~/runs`` to the program."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "own.txt").write_text(TEXT, encoding="utf-8")
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    line = command_line("rnnlm").replace("--file text", "--file=~/own.txt --out=~/runs")
    assert run(line) == 0
    assert (tmp_path / "home/runs/weights.safetensors").exists() and not Path("~").exists()


def test_each_process_names_its_own_errors(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("LOCAL_RANK", "1")
    print_error("gpt", ValueError("the disk is full"))
    assert "gpt, process 1: error: the disk is full" in capsys.readouterr().err


def test_a_batch_size_must_be_divisible_by_the_processes():
    job = Job.from_options(*parse("lstmlm --file text --batch-size 10".split()))
    with pytest.raises(ValueError, match="batch_size must be divisible by 4 processes, got 10"):
        train(job, Processes(world_size=4))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="torchrun and gloo are tried on Linux and macOS")
def test_torchrun_trains_with_two_processes(tmp_path):
    (tmp_path / "plays.txt").write_text(TEXT * 20, encoding="utf-8")
    line = command_line("gpt", 3).replace("--file text", f"--file {tmp_path / 'plays.txt'}")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "utils.training", *line.split(), "--out", str(tmp_path / "run")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "2 x cpu, data" in result.stdout
    assert result.stdout.count("step 3: loss") == 1, "only the first process reports"
    model, _ = load_trained_model(tmp_path / "run")
    assert all(weight.isfinite().all() for weight in model.parameters())
