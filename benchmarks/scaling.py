"""How loss falls with parameters and tokens: section 2.2's experiment, larger.

    python benchmarks/scaling.py            about a quarter of an hour on one thread

Every width is trained afresh on every budget, with each seed, by ``utils.scaling``; the largest is
left out of the fit that it tests. Before that, each width tries half and twice the learning rate
that the rule gives it, to show what the rule costs. Results go to book/results/scaling.json, or
where `--out=FILE` says, when all runs are done.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import date
from pathlib import Path

import scipy
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from utils import data, scaling  # noqa: E402

WIDTHS = (8, 12, 20, 32, 48, 72, 104, 152)
STEPS = (80, 160, 320, 640, 1280)
SCALES, TRIAL = (0.5, 1.0, 2.0), 160  # of the rule's learning rate, and for how many steps


def grid(runs: scaling.CharacterRuns, widths, steps, seeds: int) -> list[dict]:
    """Every width on every budget with every seed."""
    found = []
    for width in widths:
        for count in steps:
            for seed in range(seeds):
                found.append(run := runs.train(width, count, seed))
                size = f"{run.parameters:7,} parameters, {run.tokens:7,} tokens"
                print(f"width {width:3d}, seed {seed}: {size}, {run.loss:.4f} nats", flush=True)
    return [asdict(run) for run in found]


def rates(runs: scaling.CharacterRuns, widths, steps: int) -> list[dict]:
    """Every width at half, once and twice its learning rate."""
    found = []
    for width in widths:
        losses = [runs.train(width, steps, scale=scale).loss for scale in SCALES]
        found.append({"width": width, "rate": scaling.rate_for(width), "losses": losses})
        print(f"width {width:3d} rate {found[-1]['rate']:.4f} × {SCALES}: {losses}")
    return found


def provenance(arguments: list[str], commit, seeds: int, origin: str, begun: float) -> dict:
    """Where the figures come from; the file that they go to does not belong to that."""
    arguments = [a for a in arguments if not a.startswith("--out")]
    return {
        "command": " ".join(["python benchmarks/scaling.py", *arguments]),
        "commit": commit, "date": date.today().isoformat(),
        "machine": platform.machine(), "cores": os.cpu_count(), "threads": torch.get_num_threads(),
        "python": platform.python_version(), "torch": torch.__version__,
        "scipy": scipy.__version__, "seeds": list(range(seeds)), "origin": origin,
        "seconds": round(time.perf_counter() - begun),
    }  # fmt: skip


def write(path: Path, found: dict) -> None:
    """The whole file or none of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--out", type=Path, default=ROOT / "book" / "results" / "scaling.json")
    chosen = parser.parse_args(arguments)
    begun = time.perf_counter()
    git = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    corpus = data.load_text()
    runs = scaling.CharacterRuns(corpus)
    settings = {
        "layers": scaling.LAYERS, "heads": scaling.HEADS, "block": scaling.BLOCK,
        "batch": scaling.BATCH, "valid_characters": scaling.VALID, "vocabulary": runs.vocab_size,
    }  # fmt: skip
    tried = {"steps": TRIAL, "scales": SCALES, "rows": rates(runs, chosen.widths, TRIAL)}
    found = grid(runs, chosen.widths, chosen.steps, chosen.seeds)
    source = provenance(arguments, git.stdout.strip() or None, chosen.seeds, corpus.origin, begun)
    write(chosen.out, {"settings": settings, "rates": tried, "runs": found, "provenance": source})


if __name__ == "__main__":
    main(sys.argv[1:])
