"""The files of the benchmarks' results, and what is recorded about each run.

Results are JSON files in book/results. A benchmark starts a `Run` and has its `SeedRows`, which
keep one row for each arm and seed (the format is in ``utils.notebook.seed_results``), so that a run
that was stopped goes on where it stopped. Benchmarks without seeds, and those that are not
converted yet, add ``run.provenance(…)`` to their figures and hand them to `write_results`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.code_version import code_version
from utils.files import exclusive, write_text_atomically
from utils.notebook.results import ROWS, parse_results
from utils.notebook.seed_results import StoredRow

ROOT = Path(__file__).resolve().parents[1]
RESULTS_FOLDER = ROOT / "book" / "results"


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
            A run with the present commit and time as its start.
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


class SeedRows:
    """The rows of one part of a benchmark's file: one for each arm and seed.

    Parameters
    ----------
    path
        The file of the results.
    run
        The run that writes rows.
    part
        The part of the benchmark that the arms belong to.
    origin
        Where the data come from: "real" or "stand-in".
    """

    def __init__(self, path: Path, run: Run, *, part: str, origin: str) -> None:
        self._path, self._run, self._part, self._origin = path, run, part, origin
        self._code = code_version(f"benchmarks.{run.name}")

    def missing(self, arm: str, seeds: Iterable[int], settings: Mapping[str, Any]) -> Iterator[int]:
        """Yield the seeds that have no row yet, or one of other code, settings or data.

        The file is read again before each seed, as another run may have written to it.

        Parameters
        ----------
        arm
            The name of the arm.
        seeds
            The seeds of its runs.
        settings
            What is set before the run, as in `StoredRow`.

        Yields
        ------
        seed : int
            A seed to run now and to hand to `write`.
        """
        wanted = json.loads(_as_json([self._code, self._origin, settings]))
        for seed in seeds:
            row = self._rows().get((self._part, arm, seed))
            if row and [row.code, row.provenance.get("origin"), row.settings] == wanted:
                print(f"{self._part}/{arm}, seed {seed}: is in {self._path.name}", flush=True)
                continue
            self._run = self._run.restarted()
            yield seed

    def figures(self, arm: str, seed: int) -> Mapping[str, Any]:
        """Return what was measured in a run that the file has, as `missing` reports."""
        return self._rows()[self._part, arm, seed].figures

    def write(
        self,
        arm: str,
        seed: int,
        *,
        figures: Mapping[str, Any],
        settings: Mapping[str, Any],
        costs: Mapping[str, Any],
    ) -> None:
        """Write the row of a seed that is done; all other rows and parts of the file stay.

        Parameters
        ----------
        arm
            The name of the arm.
        seed
            The seed of the run.
        figures, settings, costs
            As in `StoredRow`.

        Raises
        ------
        ValueError
            If the row is incomplete, a number is not finite, or the file is damaged. The figures
            are then printed.
        TypeError
            If JSON cannot hold a value; NumPy's numbers and arrays become Python's. The figures are
            then printed.
        OSError
            If the file cannot be written. The figures are then printed.
        """
        try:
            provenance = self._run.provenance(seeds=[seed], origin=self._origin)
            row = StoredRow(self._part, arm, seed, figures, settings, costs, self._code, provenance)
            with exclusive(self._path, wait=True):
                rows = self._rows() | {row.key: row}
                content = _read_results(self._path) if self._path.exists() else {}
                content[ROWS] = [rows[key].stored() for key in sorted(rows)]
                write_text_atomically(self._path, _as_json(content))
        except (OSError, TypeError, ValueError):
            _print_unwritten({"arm": arm, "seed": seed, **figures})
            raise
        print(f"{self._part}/{arm}, seed {seed}: wrote {self._path.name}", flush=True)

    def _rows(self) -> dict[tuple[str, str, int], StoredRow]:
        """Read the rows of all parts, by part, arm and seed."""
        content = _read_results(self._path) if self._path.exists() else {}
        rows = [StoredRow.from_stored(entry) for entry in content.get(ROWS, [])]
        return {row.key: row for row in rows}


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
        If a number is not finite or the earlier file is damaged. The results are then printed, so
        that they are not lost.
    TypeError
        If JSON cannot hold a value. The results are then printed.
    OSError
        If the file cannot be written. The results are then printed.
    """
    try:
        with exclusive(path, wait=True):
            earlier = _read_results(path) if keep_others and path.exists() else {}
            write_text_atomically(path, _as_json(earlier | results))
    except (OSError, TypeError, ValueError):
        _print_unwritten(results)
        raise
    print(f"wrote {path.name}")


def _as_json(results: Any) -> str:
    """Return the text of a file of results; raise ValueError for a number that is not finite."""
    text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False, default=_as_python)
    return text + "\n"


def _as_python(value: Any) -> Any:
    """Return a number or an array of NumPy as Python's own; raise TypeError for others."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a file of results holds numbers, texts and lists, not {type(value).__name__}")


def _print_unwritten(results: Any) -> None:
    """Print results that a file cannot hold or that could not be written."""
    print(json.dumps(results, indent=1, ensure_ascii=False, default=repr), flush=True)


def _read_results(path: Path) -> dict[str, Any]:
    """Read a file of results; raise ValueError with its name if it is none."""
    return parse_results(path.read_bytes(), name=str(path))


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
