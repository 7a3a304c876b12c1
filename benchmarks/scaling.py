"""How loss falls with parameters and tokens: section 2.2's experiment, larger.

    python benchmarks/scaling.py            about a quarter of an hour on one thread

Every width is trained afresh on every budget, with each seed, by ``utils.scaling``; the largest is
left out of the fit that it tests. Before that, each width tries half and twice the learning rate
that the rule gives it, to show what the rule costs. Results go to book/results/scaling.json, or
where `--out=FILE` says, when all runs are done.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict
from pathlib import Path

import scipy

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import record  # noqa: E402
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


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--out", type=Path, default=record.RESULTS / "scaling.json")
    chosen = parser.parse_args(arguments)
    begun = time.perf_counter()
    commit = record.commit_now()
    corpus = data.load_text()
    runs = scaling.CharacterRuns(corpus)
    settings = {
        "layers": scaling.LAYERS, "heads": scaling.HEADS, "block": scaling.BLOCK,
        "batch": scaling.BATCH, "valid_characters": scaling.VALID, "vocabulary": runs.vocab_size,
    }  # fmt: skip
    tried = {"steps": TRIAL, "scales": SCALES, "rows": rates(runs, chosen.widths, TRIAL)}
    found = grid(runs, chosen.widths, chosen.steps, chosen.seeds)
    source = record.provenance(
        "scaling.py", arguments, commit, list(range(chosen.seeds)), corpus.origin, begun
    )
    source["scipy"] = scipy.__version__
    content = {"settings": settings, "rates": tried, "runs": found, "provenance": source}
    record.write(chosen.out, content)


if __name__ == "__main__":
    main(sys.argv[1:])
