"""Linear models of counted pieces, trained on one kind of noise and tested on others.

    python -m benchmarks.robustness.counting    some three minutes on one quiet core

Each is trained until its convex loss is least, so that no arm is cut short. Rows are the part
"counted" of book/results/robustness.json.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks import record
from benchmarks.robustness.classifiers import DAMAGES, TEST_SEED, VARIANTS, training_examples
from benchmarks.robustness.noise import damaged
from benchmarks.robustness.sentences import load_sentences
from benchmarks.tuning import run_missing
from utils.console import make_output_safe
from utils.models.nbsvm import NBSVM

TRAININGS = ("clean", "BPE-dropout", "typos", "capitals", "lost spaces")
C = 1.0  # of the linear model, the same for all


def spelled(sequences: Iterable[Sequence[int]]) -> list[str]:
    """Return sentences whose words are the names of pieces."""
    return [" ".join(f"p{piece}" for piece in ids) for ids in sequences]


def run_counting(kind: str, *, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train on damaged sentences and measure the share of right answers on each kind of damage.

    Parameters
    ----------
    kind
        "clean", "BPE-dropout" or a name of DAMAGES.
    seed
        Draws the damage of the training sentences and of the test sentences.

    Returns
    -------
    figures, costs : dict
        What was measured, and what it took.
    """
    start, sentences = time.process_time(), load_sentences()
    examples = training_examples(sentences, kind, "train", seed=seed)
    labels = [label for _, label in examples]
    model = NBSVM(C=C).fit(spelled(ids for ids, _ in examples), labels)
    texts, wanted = sentences.part("test")
    figures: dict[str, Any] = {}
    for name in ("clean", *DAMAGES):
        shown = texts
        if name in DAMAGES:
            shown = damaged(texts, *DAMAGES[name], seed=TEST_SEED + seed)
        answers = model.decision_function(spelled(sentences.tokenizer.encode_batch(shown))) > 0
        figures[f"accuracy, {name}"] = float(np.mean(answers == (np.array(wanted) == 1)))
    costs = {
        "parameters": len(model.coefficients),
        "tokens": None,
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return figures, costs


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = record.benchmark_parser("robustness", __doc__)
    parser.prog = "python -m benchmarks.robustness.counting"
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args(arguments)
    run = record.Run.start("robustness.counting", arguments)
    rows = record.SeedRows(options.out, run, part="counted", origin=load_sentences().origin)
    for kind in TRAININGS:
        settings = {
            "optimizer": "liblinear",
            "learning_rate": None,
            "grid": None,
            "steps": None,
            "C": C,
            "kind": kind,
            "copies": VARIANTS,
        }
        run_missing(rows, kind, options.seeds, settings, partial(run_counting, kind))


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
