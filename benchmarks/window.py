"""Perplexity of the feed-forward language model against its window: for section 4.1.1.

    python -m benchmarks.window                      some five minutes on one quiet core
    python -m benchmarks.window --orders 3           one window

Words of Tiny Shakespeare. Each order has its own learning rate: tried are those of RATES, and more
while the best is at the edge, with the first seed. The best trial is also the run of this seed; the
other seeds follow. The validation text chooses rates and parameters, the test text is measured.
Kneser–Ney models count the same tokens; their rows are the same for all seeds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from torch.nn import functional as F

from benchmarks import command_line, result_files, tuning
from utils.console import make_output_safe
from utils.data.batches import TextBatches, text_eval_batches
from utils.data.corpora import load_text
from utils.data.tokenizers import WordTokenizer
from utils.data.vocabulary import UNK
from utils.decoding.scoring import token_log_probs
from utils.metrics.cost import count_parameters
from utils.models.language_models import NNLM
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.loop import fit

ORDERS, STEPS = (2, 3, 5), 1800  # twice the training text
COUNTED_ORDERS = (2, 3, 4, 5)
RATES, MAX_TRIALS = (0.016, 0.032, 0.064), 6
MIN_COUNT = 20  # a word seen less often in training becomes <unk>
FREQUENT = 50  # occurrences of the words whose vectors are compared
BATCH_SIZE, CONTEXT_LENGTH = 4, 64
SIZES: dict[str, Any] = {"embedding_size": 32, "hidden_size": 64, "dropout": 0.2}


@dataclass(frozen=True, eq=False)
class Task:
    """The words of a text.

    Parameters
    ----------
    ids
        Ids of the parts "train", "valid" and "test", each (N,).
    tokenizer
        The vocabulary, from the training text.
    origin
        Where the text comes from: "real" or "stand-in".
    """

    ids: Mapping[str, torch.Tensor]
    tokenizer: WordTokenizer
    origin: str

    @classmethod
    def load(cls) -> Task:
        """Load Tiny Shakespeare, or its stand-in."""
        corpus = load_text()
        tokenizer = WordTokenizer.train(corpus.train, min_count=MIN_COUNT)
        texts = {"train": corpus.train, "valid": corpus.valid, "test": corpus.test}
        ids = {part: torch.tensor(tokenizer.encode(text)) for part, text in texts.items()}
        return cls(ids, tokenizer, corpus.origin)


@cache
def run_trial(
    task: Task, order: int, *, steps: int, rate: float, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train once.

    Parameters
    ----------
    task
        The data.
    order
        The order n of the model, which reads n − 1 words.
    steps
        Number of optimizer steps.
    rate
        The highest learning rate.
    seed
        Seed of the parameters and of the batches.

    Returns
    -------
    figures : dict
        Losses in nats per word, the curve of the validation loss, and mean cosines of vectors.
    costs : dict
        Parameters, tokens and seconds of the processor.

    Raises
    ------
    KeyboardInterrupt, SystemExit
        If a signal stopped the training.
    """
    start = time.process_time()
    seed_everything(seed)
    model = NNLM(len(task.tokenizer), order=order, use_direct_layer=False, **SIZES)
    windows = TextBatches(
        task.ids["train"], batch_size=BATCH_SIZE, context_length=CONTEXT_LENGTH, seed=seed
    )
    config = TrainConfig(
        steps=steps, learning_rate=rate, weight_decay=0.01, validate_every=max(1, steps // 8)
    )
    valid = text_eval_batches(task.ids["valid"], batch_size=8, context_length=256)
    history = fit(model, windows, config, valid=valid, progress=False)
    history.raise_if_interrupted()  # half a run is no row
    figures: dict[str, Any] = {"validation curve": history.validations, **losses_of(model, task)}
    for name, layer in (("C", model.embedding), ("U", model.output)):
        twins, others = twin_cosines(task, layer.weight.detach())
        figures |= {f"cosine of twins, {name}": twins, f"cosine of others, {name}": others}
    costs = {
        "parameters": count_parameters(model),
        "tokens": steps * BATCH_SIZE * CONTEXT_LENGTH,
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return figures, costs


def losses_of(model: NNLM | NGramLM, task: Task) -> dict[str, float]:
    """Measure a model on the validation and the test text, in nats per word."""
    losses = {part: -token_log_probs(model, task.ids[part]) for part in ("valid", "test")}
    is_known = task.ids["test"][1:] != UNK
    return {
        "validation loss": float(losses["valid"].mean()),
        "test loss": float(losses["test"].mean()),
        "test loss, known words": float(losses["test"][is_known].mean()),
    }


def twin_cosines(task: Task, vectors: torch.Tensor) -> tuple[float, float]:
    """Compare the vectors of frequent words with and without a capital, such as The and the.

    Parameters
    ----------
    task
        The text.
    vectors
        A vector for each word, (V, E).

    Returns
    -------
    twins, others : float
        The mean cosine of a word and its capitalized twin, and of all other such pairs; 0 without.
    """
    frequency = torch.bincount(task.ids["train"], minlength=len(task.tokenizer))
    index = task.tokenizer.vocab.index
    pairs = [
        (small, index[word.capitalize()])
        for word, small in index.items()
        if word.islower() and word.capitalize() in index
    ]
    frequent = [pair for pair in pairs if min(frequency[list(pair)]) >= FREQUENT]
    if len(frequent) < 2:
        return 0.0, 0.0
    small, large = torch.tensor(frequent).T
    unit = F.normalize(vectors.double(), dim=1)
    cosines = unit[small] @ unit[large].T  # (pairs, pairs): the diagonal holds the twins
    total, twins = float(cosines.sum()), float(cosines.diagonal().sum())
    count = len(frequent)
    return twins / count, (total - twins) / (count * (count - 1))


def tune(
    task: Task, order: int, *, steps: int, seed: int, rows: result_files.SeedRows
) -> dict[float, float]:
    """Try rates until the best has a worse one on each side; each trial is a row.

    Parameters
    ----------
    task
        The data.
    order, steps
        The model and its budget.
    seed
        The seed of the trials.
    rows
        The rows of the trials.

    Returns
    -------
    scores : dict of float to float
        The validation losses by rate.

    Raises
    ------
    RuntimeError
        If the best rate is still at an edge after MAX_TRIALS trials.
    """

    def score(rate: float) -> float:
        return tuning.trial_score(
            rows,
            f"n = {order}, rate {rate:g}",
            seeds=[seed],
            settings=settings_of(steps, rate, None),
            run=partial(run_trial, task, order, steps=steps, rate=rate),
            figure="validation loss",
        )

    return tuning.tune(score, RATES, max_trials=MAX_TRIALS)


def settings_of(
    steps: int | None, rate: float | None, grid: Sequence[float] | None
) -> dict[str, Any]:
    """Return the settings of a row; None stands for what counting does not have."""
    settings = {"learning_rate": rate, "grid": grid, "steps": steps, "min count": MIN_COUNT}
    if steps is None:
        return settings | {"optimizer": None}
    batches = {"batch size": BATCH_SIZE, "context length": CONTEXT_LENGTH}
    return settings | {"optimizer": "AdamW"} | SIZES | batches


def count_ngrams(task: Task, seeds: Sequence[int], rows: result_files.SeedRows) -> None:
    """Measure Kneser–Ney models; their rows are the same for each seed.

    Parameters
    ----------
    task
        The data.
    seeds
        The seeds of the rows.
    rows
        The rows to write.
    """
    start = time.process_time()
    counts = NGramCounts(
        task.ids["train"], order=max(COUNTED_ORDERS), vocab_size=len(task.tokenizer)
    )
    for order in COUNTED_ORDERS:
        figures = losses_of(NGramLM.kneser_ney(counts, order=order, modified=True), task)
        costs = {
            "parameters": None,
            "tokens": len(task.ids["train"]),
            "processor_seconds": round(time.process_time() - start, 2),
        }
        settings = settings_of(None, None, None)
        for seed in rows.missing(f"n = {order}", seeds, settings):
            rows.write(f"n = {order}", seed, figures=figures, settings=settings, costs=costs)


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("window", __doc__)
    parser.add_argument(
        "--orders", type=command_line.positive_integer, nargs="+", default=list(ORDERS)
    )
    command_line.add_seeds(parser, range(3))
    parser.add_argument("--steps", type=command_line.positive_integer, default=STEPS)
    options = parser.parse_args(arguments)
    if min(options.orders) < 2:
        parser.error("argument --orders: expected 2 or more, a word and the one before it")
    torch.set_num_threads(1)
    benchmark, task = result_files.Run.start("window", arguments), Task.load()
    counted, trials, rows = (
        result_files.SeedRows(options.out, benchmark, part=part, origin=task.origin)
        for part in ("counts", "trials", "network")
    )
    count_ngrams(task, options.seeds, counted)
    for order in options.orders:
        scores = tune(task, order, steps=options.steps, seed=options.seeds[0], rows=trials)
        rate = min(scores, key=lambda rate: scores[rate])
        settings = settings_of(options.steps, rate, list(scores))
        run = partial(run_trial, task, order, steps=options.steps, rate=rate)
        tuning.run_missing(rows, f"n = {order}", seeds=options.seeds, settings=settings, run=run)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
