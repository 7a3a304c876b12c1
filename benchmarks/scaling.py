"""How loss falls with parameters and tokens: section 2.2's experiment, larger.

    python -m benchmarks.scaling            about a quarter of an hour on one thread

Every width is trained afresh on every budget, with each seed, by ``utils.scaling``; the largest is
left out of the fit that it tests. Before that, each width tries half and twice the learning rate
that the rule gives it, to show what the rule costs. Results go to book/results/scaling.json, or
where `--out=FILE` says, when all runs are done.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict

import scipy

from benchmarks import record
from utils.data.corpora import load_text
from utils.studies import scaling
from utils.studies.scaling import (
    BATCH_SIZE,
    CONTEXT_LENGTH,
    HEADS,
    LAYERS,
    VALID_CHARACTERS,
    CharacterScaling,
)

WIDTHS = (8, 12, 20, 32, 48, 72, 104, 152)
STEPS = (80, 160, 320, 640, 1280)
SCALES, TRIAL = (0.5, 1.0, 2.0), 160  # of the rule's learning rate, and for how many steps


def grid(runs: CharacterScaling, widths, steps, seeds: int) -> list[dict]:
    """Every width on every budget with every seed."""
    found = []
    for width in widths:
        for count in steps:
            for seed in range(seeds):
                found.append(run := runs.train(width, count, seed))
                size = f"{run.parameters:7,} parameters, {run.tokens:7,} tokens"
                print(f"width {width:3d}, seed {seed}: {size}, {run.loss:.4f} nats", flush=True)
    return [asdict(run) for run in found]


def rates(runs: CharacterScaling, widths, steps: int) -> list[dict]:
    """Every width at half, once and twice its learning rate."""
    found = []
    for width in widths:
        losses = [runs.train(width, steps, scale=scale).loss for scale in SCALES]
        found.append({"width": width, "rate": scaling.learning_rate_for(width), "losses": losses})
        print(f"width {width:3d} rate {found[-1]['rate']:.4f} × {SCALES}: {losses}")
    return found


def main(arguments: list[str]) -> None:
    parser = record.parser("scaling", __doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    chosen = parser.parse_args(arguments)
    started = time.perf_counter()
    commit = record.commit_now()
    corpus = load_text()
    runs = CharacterScaling(corpus)
    settings = {
        "layers": LAYERS, "heads": HEADS, "block": CONTEXT_LENGTH,
        "batch": BATCH_SIZE, "valid_characters": VALID_CHARACTERS, "vocabulary": runs.vocab_size,
    }  # fmt: skip
    tried = {"steps": TRIAL, "scales": SCALES, "rows": rates(runs, chosen.widths, TRIAL)}
    found = grid(runs, chosen.widths, chosen.steps, chosen.seeds)
    source = record.provenance(
        "scaling",
        arguments,
        commit=commit,
        seeds=list(range(chosen.seeds)),
        origin=corpus.origin,
        started=started,
    )
    source["scipy"] = scipy.__version__
    content = {"settings": settings, "rates": tried, "runs": found, "provenance": source}
    record.write(chosen.out, content)


if __name__ == "__main__":
    main(sys.argv[1:])
