"""The command lines of the benchmarks: their parser, the options that many have, and their types.

What a misspelt option would leave unmeasured ends the program with code 2 before it measures.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from benchmarks.result_files import RESULTS_FOLDER

ArmT = TypeVar("ArmT")


def benchmark_parser(
    name: str, docstring: str | None, *, folder: Path | None = None
) -> argparse.ArgumentParser:
    """Return the parser of a benchmark's command line, described by its docstring's first line.

    It has the option `--out`, to which a benchmark adds its own: the file of the results, or of a
    benchmark that stores models the folder of these, by default `folder`.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}", description=(docstring or "").split("\n")[0]
    )
    parser.add_argument(
        "--out",
        type=folder_of_models if folder else results_file,
        default=folder or RESULTS_FOLDER / f"{name}.json",
        help="the folder of the models" if folder else "the file of the results",
    )
    return parser


def add_parts(
    parser: argparse.ArgumentParser, parts: Iterable[str], *, default: Iterable[str] = ()
) -> None:
    """Add the positional argument `parts`: the parts of a benchmark to run.

    Parameters
    ----------
    parser
        The parser of the benchmark.
    parts
        The names of its parts; another name is refused.
    default
        The parts that run where none is named; by default all.
    """
    names = list(parts)

    def part(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(f"no part {text}; there are {', '.join(names)}")
        return text

    parser.add_argument(
        "parts",
        nargs="*",
        type=part,
        metavar="PART",
        default=list(default) or names,
        help=f"of {', '.join(names)}",
    )


def add_arms(parser: argparse.ArgumentParser) -> None:
    """Add the option `--arms`: some arms of the parts, by default all; `chosen_arms` reads it."""
    parser.add_argument("--arms", nargs="+", metavar="ARM", help="only these arms of the parts")


def chosen_arms(
    parser: argparse.ArgumentParser,
    options: argparse.Namespace,
    parts: Mapping[str, Mapping[str, ArmT]],
) -> dict[str, dict[str, ArmT]]:
    """Select the arms that the arguments of `add_parts` and `add_arms` name.

    An arm that none of the chosen parts has ends the program with code 2.

    Parameters
    ----------
    parser
        The parser of the benchmark.
    options
        What it has read.
    parts
        The arms of each part by name.

    Returns
    -------
    arms : dict
        The arms by the names of part and arm, in the order of the options and of `parts`.
    """
    names = {name for part in options.parts for name in parts[part]}
    if unknown := sorted(set(options.arms or ()) - names):
        parser.error(
            f"argument --arms: no arm {', '.join(unknown)}; there are {', '.join(sorted(names))}"
        )
    return {
        part: {
            name: arm
            for name, arm in parts[part].items()
            if not options.arms or name in options.arms
        }
        for part in options.parts
    }


def add_seeds(
    parser: argparse.ArgumentParser,
    default: Iterable[int] | None,
    *,
    option: str = "--seeds",
    meaning: str = "of the runs",
) -> None:
    """Add the option `--seeds`, or one of another name: seeds, non-negative integers.

    Parameters
    ----------
    parser
        The parser of the benchmark.
    default
        The seeds that run where none are given; None where they differ from part to part.
    option
        The name of the option.
    meaning
        What the help says of them.
    """
    parser.add_argument(
        option,
        type=non_negative_integer,
        nargs="+",
        default=None if default is None else list(default),
        help=meaning,
    )


def results_file(text: str) -> Path:
    """Read the name of a file of results, which may exist or not.

    Raises
    ------
    ArgumentTypeError
        If something else than a file is there, or a file where a folder must be: the program then
        ends with code 2 before it measures.
    """
    path = Path(text)
    try:
        is_possible = path.is_file() or (
            not path.exists() and _nearest(path.absolute().parent).is_dir()
        )
    except OSError as error:  # such as a name that is too long
        raise argparse.ArgumentTypeError(f"expected the name of a file: {error}") from error
    if not is_possible:
        raise argparse.ArgumentTypeError(f"expected the name of a file, got {text!r}")
    return path


def folder_of_models(text: str) -> Path:
    """Read the name of a folder of models, which may exist or not.

    Raises
    ------
    ArgumentTypeError
        If something else than a folder is there, or a file where a folder must be.
    """
    path = Path(text)
    try:
        is_possible = _nearest(path.absolute()).is_dir()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"expected the name of a folder: {error}") from error
    if not is_possible:
        raise argparse.ArgumentTypeError(f"expected the name of a folder, got {text!r}")
    return path


def _nearest(path: Path) -> Path:
    """Return a path, or the nearest folder or file above it that exists."""
    return next(place for place in (path, *path.parents) if place.exists())


def positive_integer(text: str) -> int:
    """Read a number of seeds, steps or rounds of a command line, the ``type`` of its option.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is not a positive integer: the program then ends with code 2 before it measures.
    """
    return _integer(text, minimum=1)


def non_negative_integer(text: str) -> int:
    """Read a seed of a command line, as `positive_integer` reads a number of them.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is not a non-negative integer.
    """
    return _integer(text, minimum=0)


def _integer(text: str, *, minimum: int) -> int:
    """Read an integer of at least `minimum`."""
    if not text.isascii() or not text.isdecimal() or int(text) < minimum:
        expected = "a positive integer" if minimum else "a non-negative integer"
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
    return int(text)
