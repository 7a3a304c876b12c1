"""Where the figures of a benchmark come from, and the file that holds them."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import time
from datetime import date
from pathlib import Path

import torch

from utils.data.files import write_text_atomically

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "book" / "results"


def parser(name: str, docstring: str | None) -> argparse.ArgumentParser:
    """The command line of the benchmark `name`, which has an option for its file of results."""
    summary = (docstring or "").split("\n")[0]
    command_line = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=summary)
    command_line.add_argument(
        "--out", type=Path, default=RESULTS / f"{name}.json", help="file of the results"
    )
    return command_line


def provenance(
    name: str,
    arguments: list[str],
    *,
    commit: str | None,
    seeds: list[int],
    origin: str,
    started: float,
) -> dict:
    """Command, `commit_now`, machine, versions, seeds, the data's origin, seconds since `started`.

    `started` is a reading of ``time.perf_counter``. `--out` is not part of the command.
    """
    out = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    out.add_argument("--out")
    _, arguments = out.parse_known_args(arguments)
    return {
        "command": shlex.join(["python", "-m", f"benchmarks.{name}", *arguments]),
        "commit": commit,
        "date": date.today().isoformat(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": [round(load, 1) for load in os.getloadavg()],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "seeds": seeds,
        "origin": origin,
        "seconds": round(time.perf_counter() - started),
    }


def commit_now() -> str | None:
    """The commit that is checked out; ask before the run, for a long one may see another."""
    git = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return git.stdout.strip() or None


def write(path: Path, results: dict, *, keep: bool = False) -> None:
    """Write the file atomically; with `keep`, its parts that are not in `results` stay in it."""
    old = json.loads(path.read_text(encoding="utf-8")) if keep and path.exists() else {}
    write_text_atomically(path, json.dumps(old | results, indent=1, ensure_ascii=False) + "\n")
    print(f"wrote {path.name}")
