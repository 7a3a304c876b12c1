"""The parser: the help names every option, and a wrong command line gives one line."""

import re

import pytest
import torch

from tests.helpers.command_lines import SMALL_MODELS, error_line, run
from utils.command.parser import parse


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
        ("gpt --width x", "argument --width: Expected a <class 'int'>. Got value: x"),
        ("gpt --betas 0.9", "argument --betas: Expected a <class 'tuple'>. Got value: 0.9"),
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


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_missing_gpu_gives_one_line_with_the_devices(capsys):
    line = error_line("gpt --device cuda", capsys).replace("'mps', ", "")
    assert "no device 'cuda' on this machine; choose from ['cpu'" in line
