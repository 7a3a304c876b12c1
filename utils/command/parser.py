"""The options of the command line, built by jsonargparse from signatures and docstrings.

There is a subcommand for each model. Its options are the parameters of the model's parts, of its
data, of `TrainConfig` and of `RunConfig`. An option that several of them take appears once.
"""

from __future__ import annotations

import difflib
import inspect
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

from utils.command.catalogue import MODELS, ModelSpec
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

# How the values of an option of each type are written, and what they are called.
_FORMS = {
    "int": ("[+-]?[0-9]{1,4000}", "an integer"),
    "float": (r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", "a number"),
    "bool": ("true|false", "true or false"),
    "Sequence[int]": (r"\[[-+0-9, ]*\]", "a list of integers such as [1000,2000]"),
    "tuple[float, float]": (r"\[[-+.eE0-9, ]*\]", "a list of two numbers such as [0.9,0.98]"),
}
_TYPES_OF_ITEMS = {"Sequence[int]": "int", "tuple[float, float]": "float"}
# The largest value of an option of integers whose range its class checks only from below: beyond
# it torch and NumPy fail in words of their own, or build layer after layer until memory ends.
_LARGEST_INTEGER = 2**63 - 1
_LARGEST = {"num_layers": 10_000, "batch_size": 10**6, "accumulation_steps": 10**6}


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
    parser = _Parser(
        PROGRAM,
        description=DESCRIPTION,
        epilog=EXIT_CODES,
        allow_abbrev=False,
        parser_mode="json",  # YAML would read "#notes.txt" and "~" as nothing
    )
    models = parser.add_subcommands(dest="model", metavar="MODEL", title="models")
    for name, spec in MODELS.items():
        parts = ", ".join(part.__name__ for part in spec.parts)
        models.add_subcommand(name, _model_parser(name), help=parts)
    return parser


def _model_parser(name: str) -> ArgumentParser:
    """Build the parser of the options of one model."""
    spec = MODELS[name]
    parser = _Parser(usage=f"{PROGRAM} {name} [--OPTION VALUE ...]", parser_mode="json")
    options: list[str] = []
    for part in spec.parts:
        add = parser.add_class_arguments if inspect.isclass(part) else parser.add_function_arguments
        options += add(part, skip={*options, "vocab_size"})
    parser.set_defaults(**spec.defaults)
    for config in (spec.data_class, TrainConfig, RunConfig):
        options += parser.add_class_arguments(config, skip=set(options))
    types = _types_of(spec)
    parser.types = {name: types[name] for name in options}
    return parser


def _types_of(spec: ModelSpec) -> dict[str, str]:
    """Return the types in the signatures of a model's parts and configurations, by name."""
    types: dict[str, str] = {}
    for part in (RunConfig, TrainConfig, *spec.parts, spec.data_class):
        for name, parameter in inspect.signature(part).parameters.items():
            types[name] = inspect.formatannotation(parameter.annotation).strip("'")
    return types


class _Parser(ArgumentParser):
    """jsonargparse, with options spelled with dashes and error messages of one line."""

    types: Mapping[str, str] = {}  # the types of all options but help, by name

    def add_argument(self, *names: str, **options: Any) -> Any:
        """Add an argument; jsonargparse uses this method for groups of arguments too."""
        return super().add_argument(*(name.replace("_", "-") for name in names), **options)

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, *positional: Any, **named: Any
    ) -> Any:
        """Parse the words of a command line; jsonargparse calls it for the words of a model too.

        Numbers are checked and rewritten first: jsonargparse reads single ones as YAML, to which
        1:30 is 90 and ``5 # x`` is 5.
        """
        if args is None or not self.types:
            return super().parse_args(args, *positional, **named)
        words = []
        option = ""  # whose value the next word is
        for word in args:
            name, equals, value = word.partition("=")
            if not word.startswith("--"):
                words.append(self._checked(option, word))
                option = ""
            elif equals:
                words.append(f"{name}={self._checked(name, value)}")
                option = ""
            else:
                words.append(word)
                option = word
        return super().parse_args(words, *positional, **named)

    def _checked(self, option: str, word: str) -> str:
        """Return the value of an option in the form for jsonargparse, or exit with code 2."""
        name = option.removeprefix("--").replace("-", "_")
        option_type = self.types.get(name, "")
        try:
            rewritten = _rewrite(word, option_type)
            is_integer = option_type.removesuffix(" | None") == "int" and rewritten != "null"
            if is_integer and name != "seed":  # whose range `RunConfig` checks
                largest = _LARGEST.get(name, _LARGEST_INTEGER)
                if int(rewritten) > largest:
                    raise ValueError(f"expected an integer of at most {largest}")
            return rewritten
        except ValueError as error:
            self.error(f"argument {option}: {error}, got {word!r}")

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
        options = ["--help", *(f"--{name.replace('_', '-')}" for name in self.types)]
        similar = difflib.get_close_matches(option, options, 1)
        return f"did you mean {similar[0]}?" if similar else f"expected one of {', '.join(options)}"


def _rewrite(word: str, option_type: str) -> str:
    """Return the value of an option in the form that YAML and JSON share.

    Parameters
    ----------
    word
        The value on the command line.
    option_type
        The type of the option in its signature, such as "int | None".

    Returns
    -------
    word : str
        The same value; a value of another type than a number, a bool or a list as it is.

    Raises
    ------
    ValueError
        If it is not a value of this type; the message says what was expected.
    """
    kind = option_type.removesuffix(" | None")
    if word == "null" and kind != option_type:
        if kind == "str":
            raise ValueError("leave it out for its default, or write ./null for a file")
        return word
    pattern, expected = _FORMS.get(kind, (".*", ""))
    if not re.fullmatch(pattern, word, re.DOTALL):
        raise ValueError(f"expected {expected}")
    if kind == "int":
        return str(int(word))
    if kind == "float":
        if math.isinf(float(word)):
            raise ValueError("expected a number that is not too large for a float")
        return repr(float(word))
    return _rewrite_list(word, kind) if kind in _TYPES_OF_ITEMS else word


def _rewrite_list(word: str, list_type: str) -> str:
    """Return a list of numbers in the form of JSON, which knows neither .9 nor +5 nor [5,]."""
    items = [item.strip() for item in word[1:-1].split(",")] if word[1:-1].strip() else []
    try:
        return f"[{', '.join(_rewrite(item, _TYPES_OF_ITEMS[list_type]) for item in items)}]"
    except ValueError as error:
        raise ValueError(f"expected {_FORMS[list_type][1]}") from error
