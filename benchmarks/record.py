"""Where the figures of a benchmark come from, and the file that holds them."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import time
from datetime import date
from pathlib import Path

import torch

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
    kept = [i for i, a in enumerate(arguments) if "--out" not in (a, *arguments[max(i - 1, 0) : i])]
    arguments = [arguments[i] for i in kept if not arguments[i].startswith("--out=")]
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
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(old | found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, path)
    print(f"wrote {path.name}")
