"""The command line: every model trains by it, resumes where it stopped, and mistakes are named."""

import errno
import inspect
import json
import math
import os
import re
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from utils import runtime
from utils.command import run as command
from utils.command import training_data
from utils.command.catalogue import MODELS, build_model, select_arguments
from utils.command.job import Job, RunConfig
from utils.command.parser import parse
from utils.command.run import main, print_error, report, train
from utils.command.run_folder import load_run
from utils.command.training_data import PairData, TextData
from utils.data.batches import IGNORE, Batch, TextBatches
from utils.data.corpus import DataError
from utils.files import exclusive
from utils.training.checkpoint import load_checkpoint
from utils.training.config import TrainConfig
from utils.training.distributed import STRATEGIES, ProcessGroup
from utils.training.loop import fit
from utils.training.optimizers import adamw, muon
from utils.training.sharding import supports_sharding
from utils.training.state import History

ROOT = Path(__file__).resolve().parents[2]
TEXT = "to be or not to be, that is the question. " * 60
SMALL_MODELS = {  # options that make each model small
    "nnlm": "--order 3 --embedding-size 4 --hidden-size 4",
    "rnnlm": "--width 4 --cell gru",
    "lstmlm": "--width 4 --embedding-size 3",
    "gpt": "--width 4 --num-heads 2 --num-layers 1 --ngram-tables [50,60]",
    "seq2seq": "--width 4 --num-layers 1",
    "rnn": "--width 4 --context both",
    "attention": "--width 4 --attention-score location",
    "cnn": "--width 4 --num-layers 1 --pooling max",
    "transformer": "--width 4 --num-heads 2 --num-layers 1 --feedforward-size 5 --norm-first true",
}


@pytest.fixture(autouse=True)
def working_folder(offline, monkeypatch, tmp_path):
    """A folder for what runs leave, with a short text in it."""
    monkeypatch.chdir(tmp_path)
    Path("text").write_text(TEXT, encoding="utf-8")


def run(line):
    return main(line.split())


def command_line(name, steps=2):
    if MODELS[name].data_class is TextData:
        data = "--file text --batch-size 4 --context-length 8"
    else:
        data = "--tokenizer words"
    return f"{name} {SMALL_MODELS[name]} {data} --steps {steps} --device cpu"


def error_line(line, capsys):
    """The one line on stderr that a wrong command line gives."""
    capsys.readouterr()
    try:
        code = run(line)
    except SystemExit as stop:
        code = stop.code
    stderr = capsys.readouterr().err
    assert code == 2 and stderr.startswith("python -m utils.training") and ": error: " in stderr
    assert stderr.count("\n") == 1, "one line"
    return stderr.strip()


# ---- training -----------------------------------------------------------------------------------


def test_every_model_of_the_catalogue_is_tested():
    assert set(SMALL_MODELS) == set(MODELS)


@pytest.mark.parametrize("name", SMALL_MODELS)
def test_every_model_trains_and_is_loaded_again(name, capsys):
    assert run(f"{command_line(name)} --evaluate-every 1") == 0
    stdout = capsys.readouterr().out
    assert "weights of step" in stdout
    spelled = MODELS[name].data_class is TextData  # words do not tell the white space between them
    assert ("bits a character" in stdout) and ("no bits a character" in stdout) != spelled
    assert stdout.count("\nstep ") == 2
    description = json.loads(Path(f"runs/{name}/model.json").read_text(encoding="utf-8"))
    words = SMALL_MODELS[name].split()
    for option, value in zip(words[::2], words[1::2], strict=True):
        stored = description["model_options"][option.removeprefix("--").replace("-", "_")]
        assert value == json.dumps(stored, separators=(",", ":")).strip('"')
    model, tokenizer = load_run(f"runs/{name}")
    ids = torch.tensor([tokenizer.encode("to be")])
    state = model.encode(ids) if hasattr(model, "encode") else None
    logits, _ = model(ids, state)
    assert logits.shape[2] == len(tokenizer) and not model.training


def test_the_command_trains_as_fit_does(capsys):
    """The same configuration, given in Python; Muon changes the matrices inside a GPT."""
    run(
        "gpt --width 8 --num-heads 2 --num-layers 1 --dropout 0.2 --bias true --file text "
        "--batch-size 4 --context-length 8 --steps 3 --seed 5 --learning-rate 0.01 "
        "--betas [0.5,0.9] --optimizer muon --device cpu"
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
        options = {"valid": valid, "make_optimizer": make_optimizer, "progress": False}
        history = fit(model, batches, config, **options)
        losses[make_optimizer] = history.valid_losses[-1][1]
    assert losses[adamw] != losses[muon]
    loaded, _ = load_run("runs/gpt")
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("step 3")]
    assert line.endswith(f"validation {losses[muon]:.4f}")


@pytest.mark.parametrize("data_class", [TextData, PairData])
def test_the_seed_is_that_of_the_batches(data_class):
    data, inputs = data_class(tokenizer="words"), []
    corpus = data.load_corpus()
    tokenizer = data.train_tokenizer(corpus)
    for seed in (0, 0, 1):
        train_batches, _ = data.batches(corpus, tokenizer, seed=seed)
        inputs.append(train_batches[0].inputs)
    assert torch.equal(inputs[0], inputs[1]) and not torch.equal(inputs[0], inputs[2])


@pytest.mark.parametrize("name", ["rnn", "attention", "cnn", "transformer"])
def test_encoder_and_decoder_share_their_embedding(name):
    job = Job.from_options(*parse([name, *SMALL_MODELS[name].split()]))
    model = build_model(name, job.model_options, vocab_size=9)
    assert model.encoder.embedding.weight is model.decoder.embedding.weight


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
    assert load_checkpoint("resumed/checkpoint.safetensors")["step"] == 4
    capsys.readouterr()
    assert run(f"{line} --out resumed") == 0
    assert "resumes from resumed" in capsys.readouterr().out
    for name in ("weights.safetensors", "tokenizer.json", "model.json"):
        assert Path("uninterrupted", name).read_bytes() == Path("resumed", name).read_bytes()


def test_the_report_gives_the_lowest_loss_in_three_measures(capsys):
    """Here 2 bits a token; 20 tokens of 40 characters."""
    history = History(
        losses=[3.0, 2.0, 1.5],
        valid_losses=[(1, 3.0), (2, math.log(4)), (3, 2.0)],
        num_tokens=600,
        seconds=0.5,
    )
    batch = Batch(torch.zeros(2, 11).long(), torch.tensor([[4] * 10 + [IGNORE]] * 2))
    report(history, [batch], num_characters=40)
    first, second = capsys.readouterr().out.splitlines()
    expected = "1.3863 nats a token, perplexity 4.00, 1.000 bits a character"
    assert first == f"validation: {expected}"
    assert second == "trained 3 steps, 1,200 tokens a second"
    report(History(losses=[3.0], stop_signal=2), [batch], num_characters=40)
    assert capsys.readouterr().out.startswith("interrupted after 1 steps")
    report(History(), [], num_characters=None)
    assert capsys.readouterr().out == "trained 0 steps, 0 tokens a second\n"
    report(history, [batch], num_characters=None)
    assert "no bits a character, as its tokens do not spell" in capsys.readouterr().out


def test_bits_are_counted_for_each_character_that_is_predicted(capsys, monkeypatch):
    """A uniform model needs the same number of bits for each; of a text the first is given."""
    data = TextData(file="text", batch_size=4, context_length=8)
    corpus = data.load_corpus()
    tokenizer = data.train_tokenizer(corpus)
    assert data.num_characters(corpus.valid, tokenizer) == len(corpus.valid) - 1
    _, valid = data.batches(corpus, tokenizer, seed=0)
    history = History(losses=[4.0], valid_losses=[(1, math.log(16))])
    num_characters = data.num_characters("a" * sum(map(command.count_tokens, valid)) + "a", None)
    report(history, valid, num_characters=num_characters)
    assert "4.000 bits a character" in capsys.readouterr().out


class ListTokenizer:
    """Splits a text into the pieces of a list."""

    def __init__(self, pieces):
        self.pieces = pieces

    def encode(self, text):
        ids = []
        while text:
            i = next(i for i, piece in enumerate(self.pieces) if text.startswith(piece))
            ids.append(i)
            text = text[len(self.pieces[i]) :]
        return ids

    def decode(self, ids):
        return "".join(self.pieces[i] for i in ids)


def test_characters_are_counted_in_tokens_of_any_length():
    tokenizer = ListTokenizer(["to be", "to", " ", "be", "or", "not"])
    assert TextData().num_characters("to be or not to be", tokenizer) == 18 - 5
    pairs = [("x", "to be"), ("y", "be")]
    assert PairData().num_characters(pairs, tokenizer) == 5 + 2 + 2, "and the end of each"
    assert PairData().num_characters(pairs, training_data.WordTokenizer.train(["be"])) is None


@pytest.mark.parametrize("text", ["to  be", "To be", "to be\n", "to stay"])
def test_a_text_that_the_tokens_do_not_spell_has_no_bits(text):
    """With the vocabulary closed, a model of unknown words alone would need none."""
    words = training_data.WordTokenizer.train(["to be or not"])
    assert TextData().num_characters(text, words) is None
    characters = training_data.CharTokenizer.train(["To be or not\n"])
    expected = None if "s" in text else len(text) - 1
    assert TextData().num_characters(text, characters) == expected


def test_of_sentence_pairs_the_targets_are_predicted():
    pairs = [("ein Haus", "a house"), ("ja", "yes")]
    assert PairData().target_texts(pairs) == ["a house", "yes"]
    assert PairData().texts(pairs) == ["ein Haus", "a house", "ja", "yes"]
    assert TextData().target_texts("text") == TextData().texts("text") == ["text"]


@pytest.mark.skipif(
    not supports_sharding(torch.device("cpu")), reason="this torch shards on GPUs only"
)
def test_shards_in_one_process_are_the_whole_model():
    for strategy in ("data", "shard"):
        run(f"{command_line('gpt', 3)} --strategy {strategy} --out {strategy}")
    copies, shards = (load_run(strategy)[0].state_dict() for strategy in ("data", "shard"))
    assert copies.keys() == shards.keys()
    for name in copies:
        assert torch.allclose(copies[name], shards[name], atol=1e-6)


def test_a_loss_that_runs_away_ends_with_code_1(capsys):
    line = "gpt --width 8 --num-heads 2 --file text --batch-size 4 --context-length 8 --steps 40"
    assert run(f"{line} --learning-rate 1e30 --clip-norm 0 --device cpu") == 1
    stderr = capsys.readouterr().err
    assert stderr.count("\n") == 1 and "lower learning_rate" in stderr


# ---- options ------------------------------------------------------------------------------------


def test_options_are_the_parameters_of_the_library_with_their_defaults():
    for name, spec in MODELS.items():
        _, options = parse([name])
        job = Job.from_options(name, options)
        defaults = (TrainConfig(), RunConfig(), spec.data_class())
        assert (job.training, job.run, job.data) == defaults
        parameters = {}
        for part in spec.parts:
            parameters |= dict(inspect.signature(part).parameters)
        del parameters["vocab_size"]  # the tokenizer's: the data have an option of that name
        model_defaults = {k: p.default for k, p in parameters.items()} | spec.defaults
        assert job.model_options == model_defaults
        configs = (spec.data_class, TrainConfig, RunConfig)
        expected = {field.name for config in configs for field in fields(config)}
        assert options.keys() == expected | parameters.keys()


def test_each_part_of_a_model_gets_what_it_takes():
    for name, spec in MODELS.items():
        job = Job.from_options(*parse([name]))
        for part in spec.parts:
            parameters = dict(inspect.signature(part).parameters)
            del parameters["vocab_size"]
            expected = {k: spec.defaults.get(k, p.default) for k, p in parameters.items()}
            assert select_arguments(part, job.model_options) == expected


def test_help_names_every_option_of_a_model(capsys):
    for line in ("--help", "gpt --help"):
        with pytest.raises(SystemExit) as stop:
            run(line)
        assert stop.value.code == 0
    stdout = capsys.readouterr().out
    _, options = parse(["gpt"])
    for name in (*SMALL_MODELS, *(f"--{option.replace('_', '-')}" for option in options)):
        assert re.search(rf"(?<![\w-]){name}(?![\w-])", stdout), name
    for text in (
        "default: 0.002",
        "--mixed-precision {true,false}",
        "Fraction of `steps`",
        "130 Ctrl-C ended the run",
    ):
        assert text in stdout


# ---- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line, message",
    [
        ("", 'expected "model" to be one of {nnlm,rnnlm,lstmlm,gpt,seq2seq'),
        ("gtp", "choose from 'nnlm', 'rnnlm', 'lstmlm', 'gpt'"),
        ("gpt --widht 8", "unknown option --widht: did you mean --width?"),
        ("nnlm --qqq 8", "unknown option --qqq: expected one of --help, --order, --embedding-size"),
        ("gpt --width x", "argument --width: Expected a <class 'int'>. Got value: x"),
        ("gpt --betas 0.9", "argument --betas: Expected a <class 'tuple'>. Got value: 0.9"),
        ("gpt --file text --width 30", "4 heads do not divide a width of 30"),
        ("gpt --file text --positional-encoding x", "choose from learned, rotary, sinusoidal"),
        (
            "gpt --file text --context-length 0",
            "context_length must be a positive whole number, got 0",
        ),
        ("gpt --file text --batch-size 0", "batch_size must be a positive whole number, got 0"),
        ("gpt --file nowhere", "expected a text, found none at nowhere"),
        ("gpt --file text --context-length 99999", "context_length=99999 needs 100000 tokens"),
        ("gpt --corpus wiki", "choose from tiny_shakespeare"),
        ("gpt --tokenizer letters", "choose from characters, words, bpe"),
        ("rnn --target-language it", "choose from de, en, fr"),
        ("rnn --vocab-size 100", "byte-level BPE needs at least 260 tokens"),
        ("lstmlm --steps 0", "steps must be a whole number from 1"),
        ("lstmlm --schedule x", "choose from cosine, linear, constant"),
        ("lstmlm --optimizer sgd", "choose from adamw, muon"),
        ("lstmlm --optimizer muon --strategy shard", "expected adamw"),
        ("lstmlm --strategy tensor", "strategy is 'tensor'; choose from data, shard"),
        ("lstmlm --device tpu", "there is no device 'tpu' here; choose from"),
        ("lstmlm --file text --device cpu --out text", "File exists"),
    ],
)
def test_a_mistake_is_named_in_one_line(line, message, capsys):
    assert message in error_line(line, capsys)


@pytest.mark.parametrize(
    "content, options, message",
    [
        ("Être".encode("latin-1"), "", "own.txt is no text in UTF-8: it has the byte 0xca"),
        (b"a\0b", "", "own.txt is no text in UTF-8: it has the NUL character at position 1"),
        (b"", "", "own.txt is empty"),
        (
            b"word " * 20,
            "",
            "own.txt is too short: context_length=64 needs 65 tokens; there are 90",
        ),
        (b"ab" * 9, "--context-length 8", "own.txt is too short: two tokens are the least"),
        (b".", "--tokenizer words", "own.txt is too short: context_length=64 needs 65 tokens"),
        (None, "", "expected a text, found a folder at"),
    ],
    ids="latin-1 nul empty short short-validation one-character folder".split(),
)
def test_a_file_that_is_no_text_to_train_on_is_named(content, options, message, capsys):
    path = Path("own.txt")
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    line = error_line(f"gpt --file own.txt --device cpu {options}", capsys)
    assert message in line and "own.txt" in line
    assert not any(path.is_file() for path in Path("runs").rglob("*"))


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
    ],
    ids=["utf-8-bom", "utf-16", "crlf", "cr"],
)
def test_a_text_from_another_system_trains_the_same_model(encode):
    text = TEXT.replace(", ", ",\n")
    Path("text").write_text(text, encoding="utf-8")
    Path("other").write_bytes(encode(text))
    corpus, same = (TextData(file=name).load_corpus() for name in ("text", "other"))
    assert (same.train, same.valid, same.test) == (corpus.train, corpus.valid, corpus.test)


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


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_named(capsys):
    line = error_line("gpt --device cuda", capsys).replace("'mps', ", "")
    assert "there is no device 'cuda' here; choose from ['cpu'" in line


def test_a_batch_that_cannot_be_divided_is_named():
    job = Job.from_options(*parse("lstmlm --file text --batch-size 10".split()))
    with pytest.raises(ValueError, match="batch_size must be divisible by 4 processes, got 10"):
        train(job, ProcessGroup(world_size=4))


@pytest.mark.parametrize(
    "change, message",
    [
        ("--width 5", "checkpoint with width=4, not 5"),
        ("--dropout 0.1", "checkpoint with dropout=0.0, not 0.1"),
        ("--batch-size 6", "checkpoint with batch_size=4, not 6"),
        ("--seed 1", "checkpoint with seed=0, not 1"),
        ("--optimizer muon", "checkpoint with optimizer='adamw', not 'muon'"),
        ("--strategy shard", "checkpoint with strategy='data', not 'shard'"),
        ("--learning-rate 0.5", "learning_rate=0.002, not 0.5"),
        ("--betas [0.5,0.9]", "betas=(0.9, 0.98), not (0.5, 0.9)"),
    ],
)
def test_a_folder_of_another_run_is_refused(change, message, capsys):
    line = f"{command_line('lstmlm')} --out run"
    assert run(line) == 0
    before = {path.name: path.read_bytes() for path in Path("run").iterdir()}
    assert message in error_line(f"{line} {change}", capsys)
    assert "checkpoint with model='lstmlm', not 'rnnlm'" in error_line(
        f"{command_line('rnnlm')} --out run", capsys
    )
    assert {path.name: path.read_bytes() for path in Path("run").iterdir()} == before


def test_a_folder_of_another_version_of_the_book_is_refused(capsys):
    line = f"{command_line('lstmlm')} --out run"
    assert run(line) == 0
    path = Path("run/model.json")
    description = json.loads(path.read_text(encoding="utf-8"))
    del description["seed"]
    path.write_text(json.dumps(description), encoding="utf-8")
    assert "model.json was written by another version of the book" in error_line(line, capsys)
    with pytest.raises(ValueError, match="train the model anew"):
        load_run("run")


# ---- the folder of a run ------------------------------------------------------------------------


@pytest.fixture
def finished_run():
    """A folder with a run of two steps, and the command line that made it."""
    line = f"{command_line('lstmlm')} --out run"
    assert run(line) == 0
    return line


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x: [], "not the description of a run: expected a JSON object"),
        (lambda x: 3, "not the description of a run: expected a JSON object"),
        (lambda x: x | {"model": "foo"}, "is damaged: model is 'foo'; choose from nnlm"),
        (lambda x: x | {"model": ["gpt"]}, r"is damaged: model is \['gpt'\]"),
        (lambda x: x | {"vocab_size": "19"}, "is damaged: vocab_size is '19'"),
        (lambda x: x | {"model_options": None}, "is damaged: model_options is None"),
        (lambda x: x | {"data": {}}, "is damaged: tokenizer is None; choose from characters"),
        (lambda x: x | {"seed": True}, "is damaged: seed is True"),
        (lambda x: x | {"other": 1}, "written by another version of the book"),
    ],
)
def test_a_description_that_is_none_is_named(finished_run, change, message, capsys):
    path = Path("run/model.json")
    path.write_text(json.dumps(change(json.loads(path.read_text(encoding="utf-8")))))
    assert re.search(f"run/model.json .*{message}", error_line(finished_run, capsys))
    with pytest.raises(ValueError, match=message):
        load_run("run")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"<!doctype html>"])
def test_a_description_that_is_no_json_is_named(finished_run, content, capsys):
    Path("run/model.json").write_bytes(content)
    assert "run/model.json is not the description of a run" in error_line(finished_run, capsys)


def test_weights_of_another_run_or_damaged_ones_are_refused(finished_run):
    """A width in model.json that was changed, a tokenizer of another run, a flipped bit."""
    assert run(f"{command_line('lstmlm')} --out other --tokenizer words") == 0
    files = {name: Path("run", name) for name in ("model.json", "tokenizer.json")}
    content = {name: path.read_bytes() for name, path in files.items()}
    description = json.loads(content["model.json"])
    description["model_options"]["dropout"] = 0.1
    files["model.json"].write_text(json.dumps(description))
    with pytest.raises(ValueError, match="weights.safetensors does not belong to model.json"):
        load_run("run")
    files["model.json"].write_bytes(content["model.json"])
    other = training_data.CharTokenizer.train(["ab"])
    other.save(files["tokenizer.json"])
    with pytest.raises(ValueError, match=r"tokenizer.json has \d+ tokens, where model.json"):
        load_run("run")
    files["tokenizer.json"].write_bytes(content["tokenizer.json"])
    load_run("run")
    weights = bytearray(Path("run/weights.safetensors").read_bytes())
    weights[-1] ^= 1
    Path("run/weights.safetensors").write_bytes(weights)
    with pytest.raises(ValueError, match="weights.safetensors is damaged"):
        load_run("run")


def test_a_run_is_not_resumed_with_other_data(finished_run, capsys):
    Path("text").write_text(TEXT.replace("question", "answer..", 1), encoding="utf-8")
    line = error_line(finished_run, capsys)
    assert "run has a checkpoint of other data than text (real) is now" in line
    Path("text").write_text(TEXT, encoding="utf-8")
    assert run(finished_run) == 0


def test_two_runs_with_one_folder_are_not_made_at_a_time(capsys):
    line = f"{command_line('lstmlm')} --out run"
    with exclusive(Path("run/run"), wait=False):
        assert "another run is writing to run" in error_line(line, capsys)
        assert [path.name for path in Path("run").iterdir()] == [".run.lock"]
    assert not Path("run").exists()
    assert run(line) == 0 and not list(Path("run").glob(".*"))


def test_a_command_that_is_refused_leaves_no_folder(capsys):
    error_line(f"{command_line('lstmlm')} --out new --context-length 99999", capsys)
    assert not Path("new").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_files_of_a_run_have_the_permissions_of_any_other_file(strategy):
    if not (strategy == "data" or supports_sharding(torch.device("cpu"))):
        pytest.skip("this torch shards on GPUs only")
    umask = os.umask(0o027)
    try:
        assert run(f"{command_line('lstmlm')} --out run --strategy {strategy}") == 0
    finally:
        os.umask(umask)
    paths = [Path("run"), *Path("run").rglob("*")]
    assert len(paths) >= 5
    for path in paths:
        assert path.stat().st_mode & 0o777 == (0o750 if path.is_dir() else 0o640), path


# ---- exit codes ---------------------------------------------------------------------------------


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
        if name == sys.argv[1]:
            interrupt()

sys.meta_path.insert(0, Finder())
if sys.argv[1] == "train":
    import utils.command.run
    utils.command.run.train = interrupt
sys.argv[1:] = sys.argv[2:]
runpy.run_module("utils.training", run_name="__main__", alter_sys=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(
    "moment", ["torch", "torch.nn", "safetensors", "utils.command.job", "train"]
)
def test_ctrl_c_is_answered_by_one_line_at_every_moment(moment):
    result = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_COMMAND, moment, "lstmlm", "--file=text"],
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
