"""The options of the command line, built by jsonargparse from signatures and docstrings.

There is a subcommand for each model. Its options are the parameters of the model's parts, of its
data, of `TrainConfig` and of `RunConfig`. An option that several of them take appears once.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

from utils.command.catalogue import MODELS
from utils.command.job import RunConfig
from utils.training.config import TrainConfig

PROGRAM = "python -m utils.training"
DESCRIPTION = """Train a model of the book. The same command again resumes from the run's
checkpoint. Started by torchrun, it trains with several processes."""
EXIT_CODES = """exit codes: 0 the run is finished; 1 it failed, as the loss is no longer finite, the
disk is full, memory is exhausted, a file or folder cannot be read or written, or a corpus cannot be
obtained; 2 the command is wrong, as --file is not a text or --out not a folder, or does not suit
the data, the machine or an earlier run in the folder; 130 Ctrl-C ended the run, 143 SIGTERM did,
and 129 SIGHUP, which a closed terminal sends: the same command resumes from the checkpoint."""


def parse(arguments: Sequence[str] | None = None) -> tuple[str, dict[str, Any]]:
    """Read a command line.

    Parameters
    ----------
    arguments
        The words after the program's name; by default those of this process.

    Returns
    -------
    model : str
        The name of the model.
    options : dict
        The values of all options by name.

    Raises
    ------
    SystemExit
        With code 2 after one line on stderr if the command line is wrong; with code 0 after a help
        text.

    Examples
    --------
    >>> from utils.command.parser import parse
    >>> model, options = parse(["gpt", "--width=64", "--steps=500"])
    >>> model, options["width"], options["steps"]
    ('gpt', 64, 500)
    """
    values = build_parser().parse_args(arguments)
    return values.model, values[values.model].as_dict()


def build_parser() -> ArgumentParser:
    """Build the parser of the whole command line."""
    parser = _Parser(PROGRAM, description=DESCRIPTION, epilog=EXIT_CODES, allow_abbrev=False)
    models = parser.add_subcommands(dest="model", metavar="MODEL", title="models")
    for name, spec in MODELS.items():
        parts = ", ".join(part.__name__ for part in spec.parts)
        models.add_subcommand(name, _model_parser(name), help=parts)
    return parser


def _model_parser(name: str) -> ArgumentParser:
    """Build the parser of the options of one model."""
    spec = MODELS[name]
    parser = _Parser(usage=f"{PROGRAM} {name} [--OPTION VALUE ...]")
    options: set[str] = set()
    for part in spec.parts:
        add = parser.add_class_arguments if inspect.isclass(part) else parser.add_function_arguments
        options.update(add(part, skip={*options, "vocab_size"}))
    parser.set_defaults(**spec.defaults)
    for config in (spec.data_class, TrainConfig, RunConfig):
        options.update(parser.add_class_arguments(config, skip=set(options)))
    return parser


class _Parser(ArgumentParser):
    """jsonargparse, with options spelled with dashes and error messages of one line."""

    def add_argument(self, *names: str, **options: Any) -> Any:
        """Add an argument; jsonargparse uses this method for groups of arguments too."""
        return super().add_argument(*(name.replace("_", "-") for name in names), **options)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print one line and exit with code 2."""
        message = " ".join(message.split())
        choice = r'Parser key "(\w+)": Expected a typing\.Literal\[(.*)\]\. Got value: (.*)'
        if option := re.fullmatch(choice, message):
            choices = ", ".join(name.strip(" '") for name in option[2].split(","))
            message = f"{option[1]} is {option[3]!r}; choose from {choices}"
        if option := re.match(r'Parser key "(\w+)":', message):
            message = f"argument --{option[1].replace('_', '-')}:{message[option.end() :]}"
        if option := re.match(r"[Uu]nrecognized arguments: (--\S+)", message):
            message = f"unknown option {option[1]}: {self._expected(option[1])}"
        self.exit(2, f"{self.prog.replace(' [options]', '')}: error: {message}\n")

    def _expected(self, option: str) -> str:
        """Return the option that is spelled most like an unknown one, or all options."""
        options = [name for name in self._option_string_actions if name.startswith("--")]
        similar = difflib.get_close_matches(option, options, 1)
        return f"did you mean {similar[0]}?" if similar else f"expected one of {', '.join(options)}"
