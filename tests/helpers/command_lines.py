"""Short command lines of ``python -m utils.training``, and how they are run."""

from pathlib import Path

from utils.command.catalogue import MODELS
from utils.command.run import main
from utils.command.training_data import TextData

ROOT = Path(__file__).resolve().parents[2]
TEXT = "to be or not to be, that is the question. " * 60
SMALL_MODELS = {  # options that make each model small
    "nnlm": "--order 3 --embedding-size 4 --hidden-size 4",
    "rnnlm": "--width 4 --cell gru",
    "lstmlm": "--width 4 --embedding-size 3",
    "gpt": "--width 4 --num-heads 2 --num-layers 1 --ngram-table-sizes [50,60]",
    "seq2seq": "--width 4 --num-layers 1",
    "rnn": "--width 4 --vector-input both",
    "attention": "--width 4 --attention-score location",
    "cnn": "--width 4 --num-layers 1 --pooling max",
    "transformer": "--width 4 --num-heads 2 --num-layers 1 --feedforward-size 5 --norm-first true",
}


def run(line):
    return main(line.split())


def command_line(name, steps=2):
    if MODELS[name].data_class is TextData:
        data = "--file text --batch-size 4 --context-length 8"
    else:
        data = "--tokenizer words"
    return f"{name} {SMALL_MODELS[name]} {data} --steps {steps} --device cpu"


def error_line(line, capsys, expected_code=2):
    """The one line on stderr of a command that fails, by default as its line is wrong."""
    capsys.readouterr()
    try:
        code = run(line)
    except SystemExit as stop:
        code = stop.code
    stderr = capsys.readouterr().err
    assert (
        code == expected_code
        and stderr.startswith("python -m utils.training")
        and ": error: " in stderr
    )
    assert stderr.count("\n") == 1, "one line"
    return stderr.strip()
