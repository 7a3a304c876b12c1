"""Linear models of counted pieces, trained on one kind of noise and tested on others.

    python -m benchmarks.robustness.counting    some three minutes on one quiet core

Each is trained until its convex loss is least, so that no arm is cut short. Rows are the part
"counted" of book/results/robustness.json.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from benchmarks import command_line, result_files
from benchmarks.robustness.classifiers import SEEDS, TEST_SEED
from benchmarks.robustness.noise import DAMAGES, RandomPieces, damaged
from benchmarks.robustness.sentences import Examples, Sentences, load_sentences
from benchmarks.tuning import run_missing
from utils.console import make_output_safe
from utils.models.nbsvm import NBSVM

TRAININGS = ("clean", "typos", "capitals", "BPE-dropout")
C, TRIED = 0.1, [0.03, 0.1, 1.0]  # of the linear model, the best of those on validation
VARIANTS = 3  # copies of the training sentences, each damaged anew


def training_examples(sentences: Sentences, kind: str, *, seed: int) -> Examples:
    """Return VARIANTS copies of the training sentences, damaged at rates from zero to the test's.

    Parameters
    ----------
    sentences
        The sentences.
    kind
        "clean", "BPE-dropout" or a name of DAMAGES.
    seed
        Draws the damage.

    Returns
    -------
    examples : list of tuple
        Pieces and label of each sentence.
    """
    texts, labels = sentences.part("train")
    draw, examples = random.Random(seed), []
    pieces = RandomPieces(sentences.tokenizer)
    for _ in range(VARIANTS):
        if kind == "BPE-dropout":
            ids = [pieces.encode(text, draw) for text in texts]
            examples += list(zip(ids, labels, strict=True))
            continue
        changed = texts
        if kind in DAMAGES:
            damage, rate = DAMAGES[kind]
            changed = [damage(text, rate * draw.choice((0.0, 0.5, 1.0)), draw) for text in texts]
        examples += sentences.encoded(changed, labels)
    return examples


def as_piece_names(sequences: Iterable[Sequence[int]]) -> list[str]:
    """Return sentences whose words are the names of pieces."""
    return [" ".join(f"p{piece}" for piece in ids) for ids in sequences]


def right_answers(model: NBSVM, sequences: Sequence[Sequence[int]], labels: Sequence[int]) -> Any:
    """Return for each sentence whether the model classifies it rightly, (N,) bool."""
    return (model.decision_function(as_piece_names(sequences)) > 0) == (np.array(labels) == 1)


@cache
def trained(kind: str, seed: int) -> NBSVM:
    """Return a linear model of sentences that are damaged by draws of a seed."""
    examples = training_examples(load_sentences(), kind, seed=seed)
    return NBSVM(C=C).fit(
        as_piece_names(ids for ids, _ in examples), [label for _, label in examples]
    )


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
        For each kind of test the accuracy, and a text with 1 for each sentence that is classified
        rightly, else 0.
    """
    start, sentences = time.process_time(), load_sentences()
    model = trained(kind, 0 if kind == "clean" else seed)
    texts, labels = sentences.part("test")
    wanted = np.array(labels) == 1
    figures: dict[str, Any] = {}
    for name in ("clean", *DAMAGES):
        shown = texts
        if name in DAMAGES:
            shown = damaged(texts, *DAMAGES[name], seed=TEST_SEED + seed)
        answers = (
            model.decision_function(as_piece_names(sentences.tokenizer.encode_batch(shown))) > 0
        )
        figures[f"accuracy, {name}"] = float(np.mean(answers == wanted))
        figures[f"right, {name}"] = "".join("01"[int(right)] for right in answers == wanted)
    costs = {
        "parameters": len(model.coefficients),
        "tokens": None,
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return figures, costs


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("robustness", __doc__)
    parser.prog = "python -m benchmarks.robustness.counting"
    command_line.add_seeds(parser, SEEDS)
    options = parser.parse_args(arguments)
    run = result_files.Run.start("robustness.counting", arguments)
    rows = result_files.SeedRows(options.out, run, part="counted", origin=load_sentences().origin)
    for kind in TRAININGS:
        settings = {
            "optimizer": "liblinear",
            "learning_rate": None,
            "grid": None,
            "steps": None,
            "C": C,
            "values of C tried": TRIED,
            "kind": kind,
            "copies": VARIANTS,
        }
        run_missing(
            rows, kind, seeds=options.seeds, settings=settings, run=partial(run_counting, kind)
        )


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
