"""The command line: every model trains by it, goes on where it stopped, and says what is wrong."""

import inspect
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from utils import runtime
from utils.command.catalogue import MODELS, TextData
from utils.command.job import RunConfig
from utils.command.run import load_run, main, train
from utils.training.checkpoint import load_checkpoint
from utils.training.config import TrainConfig
from utils.training.loop import fit

ROOT = Path(__file__).resolve().parents[1]
WRITTEN = "to be or not to be, that is the question. " * 60
SMALL = {  # options that make a model small
    "nnlm": "--order 3 --embedding 4 --hidden 4",
    "rnnlm": "--width 4 --cell gru",
    "lstmlm": "--width 4 --embedding 3",
    "gpt": "--width 4 --heads 2 --layers 1 --grams 50 60",
    "seq2seq": "--width 4 --layers 1",
    "rnn": "--width 4 --context both",
    "attention": "--width 4 --score location",
    "cnn": "--width 4 --layers 1 --pooling max",
    "transformer": "--width 4 --heads 2 --layers 1 --hidden 5 --norm-first",
}


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """Stand-ins of the corpora, a short text, and a folder for what runs leave."""
    monkeypatch.setenv("LLM_BOOK_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    Path("text").write_text(WRITTEN, encoding="utf-8")


def run(line):
    return main(line.split())


def options(name, steps=2):
    data = "--file text --batch 4 --block 8" if name in list(SMALL)[:4] else "--tokens words"
    return f"{name} {SMALL[name]} {data} --steps {steps} --device cpu"


def fails(line, capsys):
    """The one line that a wrong command line gives."""
    capsys.readouterr()
    try:
        code = run(line)
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr().err
    assert code == 2 and said.startswith("python -m utils.training") and ": error: " in said
    assert said.count("\n") == 1, "one line"
    return said.strip()


def test_all_models_are_offered():
    assert set(SMALL) == set(MODELS)


@pytest.mark.parametrize("name", SMALL)
def test_every_model_trains_and_is_read_back(name, capsys):
    assert run(f"{options(name)} --evaluate-every 1") == 0
    said = capsys.readouterr().out
    assert said.count("\nstep ") == 2 and "bits a character" in said and "weights of step" in said
    about = json.loads(Path(f"runs/{name}/model.json").read_text(encoding="utf-8"))
    words = SMALL[name].removesuffix(" --norm-first").split()
    for option, value in zip(words[::2], words[1::2], strict=False):  # of --grams the first
        kept = about[option.strip("-")]
        assert value == str(kept[0] if option == "--grams" else kept)
    model, tokenizer = load_run(f"runs/{name}")
    sample = torch.tensor([tokenizer.encode("to be")])
    state = model.encode(sample) if hasattr(model, "encode") else None
    logits, _ = model(sample, state)
    assert logits.shape[2] == len(tokenizer) and not model.training


def test_what_is_trained_is_what_fit_trains(capsys):
    """The same configuration, given in Python."""
    run("lstmlm --width 4 --dropout 0.2 --file text --batch 4 --block 8 --steps 3 --seed 5 "
        "--learning-rate 0.01 --betas 0.5 0.9 --no-tied --optimizer muon --device cpu")  # fmt: skip
    source = TextData(file="text", batch=4, block=8, seed=5)
    corpus = source.read()
    tokenizer = catalogue.tokenizer_of(source, corpus)
    batches, valid = source.batches(corpus, tokenizer)
    runtime.seed_everything(5)
    model = MODELS["lstmlm"][0](len(tokenizer), 4, dropout=0.2, tied=False)
    config = TrainConfig(steps=3, learning_rate=0.01, betas=(0.5, 0.9))
    made = command.OPTIMIZERS["muon"]
    history = fit(model, batches, config, valid=valid, progress=False, optimizer=made)
    trained, _ = load_run("runs/lstmlm")
    for name, value in model.state_dict().items():
        assert torch.equal(trained.state_dict()[name], value), name
    (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("step 3")]
    assert line.endswith(f"validation {history.valid[-1][1]:.4f}")


def test_a_second_call_goes_on_where_the_first_stopped(monkeypatch, capsys):
    whole = f"{options('lstmlm', 6)} --dropout 0.3 --checkpoint-every 2"
    run(f"{whole} --out whole")

    class Stopped(catalogue.data.TextBatches):
        def __getitem__(self, step):
            if step == 5:
                raise KeyboardInterrupt
            return super().__getitem__(step)

    with monkeypatch.context() as patch:
        patch.setattr(catalogue.data, "TextBatches", Stopped)
        with pytest.raises(KeyboardInterrupt):
            run(f"{whole} --out parts")
    assert load_checkpoint("parts/checkpoint.safetensors")["step"] == 4
    capsys.readouterr()
    assert run(f"{whole} --out parts") == 0
    assert "goes on from parts" in capsys.readouterr().out
    for name in ("weights.safetensors", "tokenizer.json", "model.json"):
        assert Path("whole", name).read_bytes() == Path("parts", name).read_bytes()


def test_options_are_the_fields_and_their_defaults():
    _, commands = command.parsers()
    for name, parts in MODELS.items():
        chosen = vars(commands[name].parse_args([]))
        assert TrainConfig(**command.pick(TrainConfig, chosen)) == TrainConfig()
        assert {f.name for f in fields(TrainConfig)} <= chosen.keys()
        for part in parts:
            takes = catalogue.options_of(part)
            assert command.pick(part, chosen) == {k: default for k, (_, default) in takes.items()}
            if part not in catalogue.PASSED_ON:
                assert set(takes) == set(inspect.signature(part).parameters) - catalogue.INNER
    assert {"heads", "norm_first", "hidden"} <= vars(commands["transformer"].parse_args([])).keys()


def test_help_names_every_option_of_a_model(capsys):
    for line in ("--help", "gpt --help"):
        with pytest.raises(SystemExit) as stop:
            run(line)
        assert stop.value.code == 0
    said = capsys.readouterr().out
    for word in (*SMALL, "--heads INT", "--learning-rate FLOAT", "[0.002]", "--no-mixed-precision",
                 "fraction of `steps`"):  # fmt: skip
        assert word in said


@pytest.mark.parametrize(
    "line, told",
    [
        ("", "required: MODEL"),
        ("gtp", "choose from 'nnlm', 'rnnlm', 'lstmlm', 'gpt'"),
        ("gpt --widht 8", "unknown option --widht: did you mean --width?"),
        ("nnlm --qqq 8", "unknown option --qqq: expected one of --order, --embedding"),
        ("gpt --width x", "argument --width: invalid int value: 'x'"),
        ("gpt --betas 0.9", "argument --betas: expected 2 arguments"),
        ("gpt --file text --width 30", "4 heads do not divide a width of 30"),
        ("gpt --file text --positions x", "choose from learned, rotary, sinusoidal"),
        ("gpt --file text --block 0", "block must be at least 1; got 0"),
        ("gpt --file text --batch 0", "batch_size must be at least 1; got 0"),
        ("gpt --file nowhere", "expected a text, found none at nowhere"),
        ("gpt --file text --block 99999", "block=99999 needs 100000 tokens"),
        ("gpt --corpus wiki", "choose from tiny_shakespeare"),
        ("gpt --tokens letters", "choose from characters, words, bpe"),
        ("rnn --target it", "choose from de, en, fr"),
        ("rnn --vocabulary 100", "byte-level BPE needs at least 260 tokens"),
        ("lstmlm --steps 0", "steps must be a whole number from 1"),
        ("lstmlm --schedule x", "choose from cosine, linear, constant"),
        ("lstmlm --optimizer sgd", "choose from adamw, muon"),
        ("lstmlm --optimizer muon --parallel shard", "expected adamw"),
        ("lstmlm --parallel tensor", "choose from data, shard"),
        ("lstmlm --device tpu", "there is no device 'tpu' here; choose from"),
        ("lstmlm --file text --device cpu --out text", "File exists"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(line, told, capsys):
    assert told in fails(line, capsys)


def test_each_process_says_what_is_wrong_with_it(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert command.complain("gpt", ValueError("the disk is full"), 2) == 2
    assert "gpt, process 1: error: the disk is full" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_named(capsys):
    assert "there is no device 'cuda' here; choose from ['cpu'" in fails(
        "gpt --device cuda", capsys
    ).replace("'mps', ", "")


def test_a_batch_that_cannot_be_shared_is_named(monkeypatch):
    source = TextData(file="text", batch=10)
    team = command.parallel.Team(world=4)
    chosen = {"file": "text", "batch": source.batch, **vars(TrainConfig())}
    with pytest.raises(ValueError, match="batch must be divisible by 4 processes, got 10"):
        train("lstmlm", chosen, RunConfig(), team)


@pytest.mark.parametrize(
    "change, told",
    [
        ("--width 5", "checkpoint with width=4, not 5"),
        ("--dropout 0.1", "checkpoint with dropout=0.0, not 0.1"),
        ("--batch 6", "checkpoint with batch=4, not 6"),
        ("--seed 1", "checkpoint with seed=0, not 1"),
        ("--optimizer muon", "checkpoint with optimizer='adamw', not 'muon'"),
        ("--parallel shard", "checkpoint with parallel='data', not 'shard'"),
        ("--learning-rate 0.5", "learning_rate=0.002, not 0.5"),
        ("--betas 0.5 0.9", "betas=(0.9, 0.98), not (0.5, 0.9)"),
    ],
)
def test_a_folder_of_another_run_is_refused(change, told, capsys):
    line = f"{options('lstmlm')} --out here"
    assert run(line) == 0
    before = {path.name: path.read_bytes() for path in Path("here").iterdir()}
    assert told in fails(f"{line} {change}", capsys)
    assert "checkpoint with model='lstmlm', not 'rnnlm'" in fails(
        f"{options('rnnlm')} --out here", capsys
    )
    assert {path.name: path.read_bytes() for path in Path("here").iterdir()} == before


def test_a_loss_that_runs_away_ends_with_1(capsys):
    line = "rnnlm --width 8 --file text --batch 4 --block 8 --steps 40 --learning-rate 1e30"
    assert run(line + " --clip 0 --device cpu") == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "lower learning_rate" in said


@pytest.mark.skipif(
    not command.parallel.can_shard(torch.device("cpu")), reason="this torch shards on GPUs only"
)
def test_shards_in_one_process_are_the_whole_model():
    for kind in ("data", "shard"):
        run(f"{options('gpt', 3)} --parallel {kind} --out {kind}")
    whole, parts = (load_run(kind)[0].state_dict() for kind in ("data", "shard"))
    for name in whole:
        assert torch.allclose(whole[name], parts[name], atol=1e-6)


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "utils.training", "lstmlm", "--width", "x"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (
        "python -m utils.training lstmlm: error: argument --width: invalid int value: 'x'\n"
    )
