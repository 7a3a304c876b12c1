"""The command lines of the benchmarks: their parser, and the types of its options."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.result_files import RESULTS_FOLDER


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


def results_file(text: str) -> Path:
    """Read the name of a file of results, which may exist or not.

    Raises
    ------
    ArgumentTypeError
        If something else than a file is there, or a file where a folder must be: the program then
        ends with code 2 before it measures.
    """
    path = Path(text)
    if (path.exists() and not path.is_file()) or not _nearest(path.absolute().parent).is_dir():
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
    if not _nearest(path.absolute()).is_dir():
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
