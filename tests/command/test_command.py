"""The command line: every model trains by it, resumes where it stopped, and mistakes are named."""

import inspect
import json
import math
import re
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from tests.helpers.command_lines import SMALL_MODELS, TEXT, command_line, error_line, run
from utils import runtime
from utils.command import run as command
from utils.command import training_data
from utils.command.catalogue import MODELS, build_model, select_arguments
from utils.command.job import Job, RunConfig
from utils.command.parser import parse
from utils.command.run import print_error, report, train
from utils.command.run_folder import load_run
from utils.command.training_data import PairData, TextData
from utils.data.batches import IGNORE, Batch, TextBatches
from utils.training.checkpoint import load_checkpoint
from utils.training.config import TrainConfig
from utils.training.distributed import ProcessGroup
from utils.training.loop import fit
from utils.training.optimizers import adamw, muon
from utils.training.sharding import supports_sharding
from utils.training.state import History

# ---- training -----------------------------------------------------------------------------------


def test_every_model_of_the_catalogue_is_tested():
    assert set(SMALL_MODELS) == set(MODELS)


@pytest.mark.parametrize("name", SMALL_MODELS)
def test_every_model_trains_and_is_loaded_again(name, capsys):
    assert run(f"{command_line(name)} --evaluate-every 1") == 0
    stdout = capsys.readouterr().out
    for part in ("bits a character", "weights of step"):
        assert part in stdout
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
    text, letters = "a" * (sum(map(command.count_tokens, valid)) + 1), type(tokenizer).train("a")
    num_characters = data.num_characters(text, letters)
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
            b"word " * 10,
            "",
            "own.txt is too short: context_length=64 needs 65 tokens; there are 45",
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
    line = error_line(f"gpt --file own.txt --device cpu --steps 1 {options}", capsys)
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
