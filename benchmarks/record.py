"""The files of the benchmarks' results, and what is recorded about each run.

Results are JSON files in book/results. A benchmark starts a `Run`, adds ``run.provenance(…)`` to
its figures and hands them to `write_results`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import torch

from utils.files import exclusive, write_text_atomically

ROOT = Path(__file__).resolve().parents[1]
RESULTS_FOLDER = ROOT / "book" / "results"


def benchmark_parser(name: str, docstring: str | None) -> argparse.ArgumentParser:
    """Return the parser of a benchmark's command line, which has the option `--out`.

    Parameters
    ----------
    name
        The benchmark's module.
    docstring
        Its docstring, whose first line describes it.

    Returns
    -------
    parser : argparse.ArgumentParser
        A parser to which the benchmark adds its own options.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}", description=(docstring or "").split("\n")[0]
    )
    parser.add_argument(
        "--out", type=Path, default=RESULTS_FOLDER / f"{name}.json", help="the file of the results"
    )
    return parser


@dataclass(frozen=True)
class Run:
    """One run of a benchmark.

    Parameters
    ----------
    name
        The benchmark's module.
    arguments
        The arguments of its command line.
    commit
        The commit that was checked out when it started; None outside a repository.
    start_time
        The reading of ``time.perf_counter`` when it started.
    """

    name: str
    arguments: tuple[str, ...]
    commit: str | None
    start_time: float

    @classmethod
    def start(cls, name: str, arguments: Sequence[str]) -> Run:
        """Return a run that starts now.

        Parameters
        ----------
        name
            The benchmark's module.
        arguments
            The arguments of its command line.

        Returns
        -------
        run : Run
            The run.
        """
        return cls(name, tuple(arguments), _current_commit(), time.perf_counter())

    def restarted(self) -> Run:
        """Return this run for a part of it that starts now, by the code of the same commit."""
        return replace(self, start_time=time.perf_counter())

    @property
    def command(self) -> str:
        """The command line without `--out`."""
        out = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        out.add_argument("--out")
        _, arguments = out.parse_known_args(self.arguments)
        return shlex.join(["python", "-m", f"benchmarks.{self.name}", *arguments])

    def provenance(
        self, *, seeds: Sequence[int], origin: str, **versions: str
    ) -> dict[str, str | int | float | list[float] | None]:
        """Return what is stored about the run beside its figures, to be called at its end.

        Parameters
        ----------
        seeds
            The seeds of the figures.
        origin
            Where the data come from: "real" or "stand-in".
        **versions
            Versions of packages other than torch.

        Returns
        -------
        provenance : dict
            Command, commit, date, machine, versions, seeds, origin of the data and duration.
        """
        return {
            "command": self.command,
            "commit": self.commit,
            "date": date.today().isoformat(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "load": _load(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "seeds": list(seeds),
            "origin": origin,
            "seconds": round(time.perf_counter() - self.start_time),
            **versions,
        }


def write_results(path: Path, results: dict[str, Any], *, keep_others: bool = False) -> None:
    """Write a file of results, completely or not at all.

    Parameters
    ----------
    path
        The file; missing folders are created.
    results
        Its parts by name.
    keep_others
        Whether parts of an earlier file that `results` does not name stay in it, also those that
        another benchmark writes at the same time.

    Raises
    ------
    ValueError
        If the earlier file is damaged. The results are then printed, so that they are not lost.
    OSError
        If the file cannot be written; likewise.
    """
    try:
        with exclusive(path, wait=True):
            earlier = _read_results(path) if keep_others and path.exists() else {}
            write_text_atomically(path, _as_json(earlier | results))
    except (OSError, ValueError):
        print(_as_json(results), flush=True)
        raise
    print(f"wrote {path.name}")


def _as_json(results: dict[str, Any]) -> str:
    """Return the text of a file of results."""
    return json.dumps(results, indent=1, ensure_ascii=False) + "\n"


def _read_results(path: Path) -> dict[str, Any]:
    """Read a file of results; raise ValueError with its name if it is none."""
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no file of results: {error}") from error
    if not isinstance(results, dict):
        raise ValueError(f"{path} is no file of results: expected a JSON object")
    return results


def _load() -> list[float] | None:
    """Return the load of the machine in the last 1, 5 and 15 minutes; None on Windows."""
    return [round(load, 1) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None


def _current_commit() -> str | None:
    """Return the commit that is checked out now; a long run may end with another."""
    try:
        git = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
        )
    except OSError:  # there is no git
        return None
    return git.stdout.strip() or None
