"""The parser: the help names every option, and a wrong command line gives one line."""

import re
from itertools import chain

import pytest
import torch

from tests.helpers.command_lines import SMALL_MODELS, error_line, run
from utils.command.catalogue import MODELS
from utils.command.parser import _FORMS, _types_of, parse


def test_help_names_every_option_of_a_model(capsys):
    for line in ("--help", "gpt --help"):
        with pytest.raises(SystemExit) as stop:
            run(line)
        assert stop.value.code == 0
    stdout = " ".join(capsys.readouterr().out.split())  # without the line ends of the help
    _, options = parse(["gpt"])
    for name in (*SMALL_MODELS, *(f"--{option.replace('_', '-')}" for option in options)):
        assert re.search(rf"(?<![\w-]){name}(?![\w-])", stdout), name
    for text in (
        "default: 0.002",
        "--mixed-precision {true,false}",
        "Fraction of `steps`",
        "1 it failed, as the loss",
        "a file or folder cannot be read or written",
        "2 the command is wrong, as --file is not a text or --out not a folder",
        "130 Ctrl-C ended the run, 143 SIGTERM did, and 129 SIGHUP",
    ):
        assert text in stdout


@pytest.mark.parametrize(
    "line, message",
    [
        ("", 'expected "model" to be one of {nnlm,rnnlm,lstmlm,gpt,seq2seq'),
        ("gtp", "choose from 'nnlm', 'rnnlm', 'lstmlm', 'gpt'"),
        ("gpt --widht 8", "unknown option --widht: did you mean --width?"),
        ("nnlm --qqq 8", "unknown option --qqq: expected one of --help, --order, --embedding-size"),
        ("gpt --width x", "argument --width: expected an integer, got 'x'"),
        ("gpt --steps=1:30", "argument --steps: expected an integer, got '1:30'"),
        ("gpt --steps 0x10", "argument --steps: expected an integer, got '0x10'"),
        ("gpt --steps=1e3", "argument --steps: expected an integer, got '1e3'"),
        ("gpt --seed=1_000", "argument --seed: expected an integer, got '1_000'"),
        ("gpt --vocab-size 1e12", "argument --vocab-size: expected an integer, got '1e12'"),
        ("gpt --vocab-size=~", "argument --vocab-size: expected an integer, got '~'"),
        (f"gpt --num-layers={10**20}", "--num-layers: expected an integer of at most 10000, got"),
        (f"gpt --batch-size {10**20}", "--batch-size: expected an integer of at most 1000000, got"),
        ("gpt --accumulation-steps 1000001", "expected an integer of at most 1000000, got"),
        (f"gpt --width {2**63}", f"--width: expected an integer of at most {2**63 - 1}, got"),
        ("gpt --learning-rate 1:30.5", "--learning-rate: expected a number, got '1:30.5'"),
        ("gpt --progress 1", "argument --progress: expected true or false, got '1'"),
        ("gpt --betas 0.9", "argument --betas: expected a list of two numbers such as [0.9,0.98]"),
        ("gpt --betas 0.9,0.98", "expected a list of two numbers such as [0.9,0.98]"),
        ("gpt --ngram-table-sizes 10", "expected a list of integers such as [1000,2000]"),
        ("gpt --ngram-table-sizes=[10,]", "expected a list of integers such as [1000,2000], got"),
        ("gpt --betas=[0.9,-]", "expected a list of two numbers such as [0.9,0.98], got"),
        ("gpt --learning-rate=1e999", "expected a number that is not too large for a float, got"),
        ("gpt --file null", "argument --file: leave it out for its default, or write ./null"),
        ("gpt --file text --tokenizer bpe --vocab-size 1000000000000", "from 260 to 1000000, got"),
        ("gpt --file text --width 30", "4 heads do not divide a width of 30"),
        ("gpt --file text --positional-encoding x", "choose from learned, rotary, sinusoidal"),
        (
            "gpt --file text --context-length 0",
            "context_length must be a positive integer, got 0",
        ),
        ("gpt --file text --batch-size 0", "batch_size must be a positive integer, got 0"),
        ("gpt --file nowhere", "expected a text, found nothing at nowhere"),
        ("gpt --file .", "expected a text, found a folder at ."),
        ("gpt --file=", "file is empty: expected the name of a text file"),
        ("gpt --file text --out=", "out is empty: expected the name of a folder"),
        ("gpt --file text --context-length 99999", "context_length=99999 needs 100000 tokens"),
        ("gpt --corpus wiki", "choose from tiny_shakespeare"),
        ("gpt --tokenizer letters", "choose from characters, words, bpe"),
        ("rnn --target-language it", "choose from de, en, fr"),
        ("rnn --vocab-size 100", "byte-level BPE needs at least 260 tokens"),
        ("lstmlm --steps 0", "steps must be a positive integer, got 0"),
        ("lstmlm --schedule x", "choose from cosine, linear, constant"),
        ("lstmlm --label-smoothing 2", "label_smoothing must be a number from 0 to 1, got 2"),
        ("lstmlm --optimizer sgd", "choose from adamw, muon"),
        ("lstmlm --optimizer muon --strategy shard", "expected adamw"),
        ("lstmlm --strategy tensor", "strategy is 'tensor'; choose from data, shard"),
        ("lstmlm --device tpu", "no device 'tpu' on this machine; choose from"),
        ("lstmlm --file text --device cpu --out text", "File exists"),
    ],
)
def test_a_wrong_option_gives_one_line_with_the_expected_values(line, message, capsys):
    assert message in error_line(line, capsys)


@pytest.mark.parametrize("name", ["#notes.txt", "~", "&x", "5", "1:30", "[1]", '"a"', "true", "-"])
def test_the_name_of_a_file_or_folder_is_taken_as_it_is(name):
    for options in (["--file", name], ["--file=" + name]):
        assert parse(["gpt", *options])[1]["file"] == name
    assert parse(["gpt", "--out=" + name])[1]["out"] == name


@pytest.mark.parametrize(
    "words, expected",
    [
        (["--steps", "007"], {"steps": 7}),
        (["--weight-decay=.5"], {"weight_decay": 0.5}),
        (["--learning-rate", "2e-3"], {"learning_rate": 0.002}),
        (["--vocab-size=null"], {"vocab_size": None}),
        (["--betas", "[0.9, 0.98]"], {"betas": (0.9, 0.98)}),
        (["--betas=[.9,1e-3]"], {"betas": (0.9, 0.001)}),
        (["--ngram-table-sizes=[5,6]"], {"ngram_table_sizes": [5, 6]}),
        (["--ngram-table-sizes=[+5, 006]"], {"ngram_table_sizes": [5, 6]}),
        (["--ngram-table-sizes=[ ]"], {"ngram_table_sizes": []}),
        (["--progress", "false"], {"progress": False}),
    ],
)
def test_a_number_is_read_in_its_usual_forms(words, expected):
    _, options = parse(["gpt", *words])
    assert {name: options[name] for name in expected} == expected


def test_every_option_of_numbers_has_a_form():
    """The others are names, which jsonargparse takes as they are."""
    types = set(chain.from_iterable(_types_of(spec).values() for spec in MODELS.values()))
    with_numbers = {x.removesuffix(" | None") for x in types if re.search("int|float|bool", x)}
    assert with_numbers == set(_FORMS)


def test_an_unknown_option_is_answered_with_the_options_as_they_are_documented(capsys):
    _, _, listed = error_line("gpt --qqq 8", capsys).partition("expected one of ")
    options = listed.split(", ")
    assert {"--help", "--width", "--ngram-table-sizes", "--steps", "--out"} < {*options}
    assert all(re.fullmatch("--[a-z0-9-]+", option) for option in options), options


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_missing_gpu_gives_one_line_with_the_devices(capsys):
    line = error_line("gpt --device cuda", capsys).replace("'mps', ", "")
    assert "no device 'cuda' on this machine; choose from ['cpu'" in line
