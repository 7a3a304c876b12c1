"""The ladder of section 5.1 with several seeds, and GPT on it.

    python -m benchmarks.ladder

Trains the window model, the simple recurrent network, the LSTM and GPT on characters and on words
of one text, each for as many steps as one quiet core does in a minute (the last GPT: in five), and
mixes each with the best Kneser–Ney n-gram. Steps are counted, so that a busy machine gets the same
losses later; the seconds are measured. book/results/ladder.json gets loss by time and the loss at
the end, alone and mixed, for each seed, and where each run came from. `--units` and `--seeds` pick
parts, which are kept beside those that are there. The test text is not touched: the notebook does
that, once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks import record
from utils import runtime
from utils.data.batches import TextBatches, text_eval_batches
from utils.data.corpora import load_text
from utils.data.tokenizers import CharTokenizer, WordTokenizer
from utils.decoding.fusion import best_mixture_weight, mix_log_probs
from utils.decoding.scoring import token_log_probs
from utils.metrics.cost import count_parameters
from utils.models.gpt import GPT
from utils.models.language_models import LSTMLM, NNLM, RNNLM
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts
from utils.training.config import TrainConfig
from utils.training.loop import fit
from utils.training.optimizers import adamw, muon

UNITS = {  # unit → tokenizer, its options, order of the n-gram
    "characters": (CharTokenizer, {}, 6),
    "words": (WordTokenizer, {"min_count": 5}, 5),
}
LOOKS = 20  # at a part of the validation text in a run


@dataclass(frozen=True)
class Rung:
    """A model by the size of its vocabulary, for how many steps it is trained, and how."""

    build: Callable[[int], nn.Module]
    steps: int
    rate: float
    batch: int = 16
    block: int = 64
    decay: float = 0.01
    optimizer: Callable = adamw


RUNGS = {
    "characters": {
        "window": Rung(lambda V: NNLM(V, order=8, embedding_size=16, hidden_size=160, direct=False), 15_000, 5e-3),
        "RNN": Rung(lambda V: RNNLM(V, width=192, embedding_size=32), 6500, 8e-3),
        "LSTM": Rung(lambda V: LSTMLM(V, width=128, layers=1, tied=False, embedding_size=32), 9000, 1.5e-2),
        "LSTM, wide": Rung(
            lambda V: LSTMLM(V, width=512, layers=1, tied=False, embedding_size=64), 1100, 6e-3
        ),
        "GPT": Rung(
            lambda V: GPT(V, width=128, layers=4, heads=4, context_length=64, ngram_tables=(V * V,)), 700, 1e-2, batch=12, decay=0.0,
            optimizer=muon,
        ),
        "GPT, five minutes": Rung(
            lambda V: GPT(V, width=128, layers=4, heads=4, context_length=128, ngram_tables=(V * V,)), 2500, 1e-2, batch=8, block=128,
            decay=0.0, optimizer=muon,
        ),
    },
    "words": {
        "window": Rung(
            lambda V: NNLM(V, order=4, embedding_size=64, hidden_size=128, direct=False, dropout=0.2), 2000, 6e-3, block=32
        ),
        "RNN": Rung(lambda V: RNNLM(V, width=128, embedding_size=64, dropout=0.2), 2000, 5e-3, block=32),
        "LSTM": Rung(lambda V: LSTMLM(V, width=128, layers=1, dropout=0.2), 2100, 1.2e-2, block=32),
        "GPT": Rung(
            lambda V: GPT(V, width=128, layers=2, heads=4, context_length=64, dropout=0.2), 950, 5e-3, batch=8,
            optimizer=muon,
        ),
    },
}  # fmt: skip


def climb(rung: Rung, V: int, ids: dict, counted: torch.Tensor, seed: int) -> dict:
    """Train one model from one seed: its figures.

    "seconds" are those of the training steps; the curve, over them, is of windows that start blank,
    and "line" the n-gram's loss on the same tokens. "loss" and "mixed" are of the whole validation
    text, the state handed on.
    """
    runtime.seed_everything(seed)
    model = rung.build(V)
    config = TrainConfig(
        steps=rung.steps,
        learning_rate=rung.rate,
        weight_decay=rung.decay,
        evaluate_every=-(-rung.steps // LOOKS),
    )
    stream = TextBatches(ids["train"], batch_size=rung.batch, context_length=rung.block, seed=seed)
    part = ids["valid"][:20_000]
    some = text_eval_batches(part, batch_size=20, context_length=rung.block)
    history = fit(model, stream, config, valid=some, progress=False, optimizer=rung.optimizer)
    own = token_log_probs(model, ids["valid"])
    weight = best_mixture_weight(own, counted)
    mixed = -float(mix_log_probs(own, counted, weight).mean())
    line = -float(counted[: len(part) - 1].mean())
    curve = [(history.seconds * step / rung.steps, loss) for step, loss in history.valid]
    return {
        "seed": seed, "loss": -float(own.mean()), "mixed": mixed, "weight": weight,
        "parameters": count_parameters(model), "steps": rung.steps, "seconds": history.seconds,
        "curve": curve, "line": line,
    }  # fmt: skip


def measure(unit: str, corpus, seed: int) -> dict:
    """All models of one unit (characters or words) from one seed: {model: figures}."""
    kind, options, order = UNITS[unit]
    tokenizer = kind.train(corpus.train, **options)
    V = len(tokenizer)
    ids = {s: torch.tensor(tokenizer.encode(getattr(corpus, s))) for s in ("train", "valid")}
    begun = time.process_time()
    ngram = NGramLM.kneser_ney(NGramCounts(ids["train"], order=order, vocab_size=V), modified=True)
    seconds = time.process_time() - begun
    counted = ngram.score(ids["valid"])[1:]
    found = {f"{order}-gram": {"loss": -float(counted.mean()), "seconds": seconds}}
    for name, rung in RUNGS[unit].items():
        found[name] = row = climb(rung, V, ids, counted, seed)
        alone, mixed, seconds = row["loss"], row["mixed"], row["seconds"]
        losses = f"{alone:.3f}, mixed {mixed:.3f} nats"
        print(f"{unit}, {name}, seed {seed}: {losses}, {seconds:.0f} s", flush=True)
    return found


def main(arguments: list[str]) -> None:
    parser = record.parser("ladder", __doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--units", nargs="+", choices=list(UNITS), default=list(UNITS))
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    corpus = load_text()
    for unit in chosen.units:
        for seed in chosen.seeds:
            started, commit = time.perf_counter(), record.commit_now()
            part = measure(unit, corpus, seed)
            part["provenance"] = record.provenance(
                "ladder",
                arguments,
                commit=commit,
                seeds=[seed],
                origin=corpus.origin,
                started=started,
            )
            record.write(chosen.out, {f"{unit}, seed {seed}": part}, keep=True)


if __name__ == "__main__":
    main(sys.argv[1:])
