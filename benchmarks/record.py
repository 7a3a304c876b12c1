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

from utils import runtime

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "book" / "results"


def provenance(
    script: str,
    arguments: list[str],
    commit: str | None,
    seeds: list[int],
    origin: str,
    begun: float,
) -> dict:
    """Command, `commit_now`, machine, versions, seeds, the data's origin, seconds since `begun`.

    `begun` is a reading of ``time.perf_counter``. Where the file goes is not part of the command.
    """
    place = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    place.add_argument("--out")
    _, arguments = place.parse_known_args(arguments)
    return {
        "command": shlex.join(["python", f"benchmarks/{script}", *arguments]),
        "commit": commit, "date": date.today().isoformat(),
        "machine": platform.machine(), "cores": os.cpu_count(), "threads": torch.get_num_threads(),
        "load": [round(load, 1) for load in os.getloadavg()],
        "python": platform.python_version(), "torch": torch.__version__,
        "seeds": seeds, "origin": origin,
        "seconds": round(time.perf_counter() - begun),
    }  # fmt: skip


def commit_now() -> str | None:
    """The commit that is checked out; ask before the run, for a long one may see another."""
    git = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return git.stdout.strip() or None


def write(path: Path, found: dict, keep: bool = False) -> None:
    """The whole file or none of it; with `keep`, parts that are not in `found` stay in it."""
    old = json.loads(path.read_text(encoding="utf-8")) if keep and path.exists() else {}
    runtime.write_text(path, json.dumps(old | found, indent=1, ensure_ascii=False) + "\n")
    print(f"wrote {path.name}")
