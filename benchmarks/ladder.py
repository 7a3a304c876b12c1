"""The ladder of section 5.1 with several seeds: ``python benchmarks/ladder.py --help``.

Trains the window model, the simple recurrent network and the LSTM on characters and on words of one
text, mixes each with the best Kneser–Ney n-gram, and writes book/results/ladder.json: mean and
standard deviation over seeds of validation loss, seconds and speed, and where each run came from.
The test text is not touched: the notebook does that, once.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from utils import metrics, runtime, training  # noqa: E402
from utils.data import TextBatches, load_text, text_eval_batches  # noqa: E402
from utils.lm import LSTMLM, NNLM, RNNLM  # noqa: E402
from utils.ngram import NGramCounts, NGramLM  # noqa: E402
from utils.vocab import CharTokenizer, WordTokenizer  # noqa: E402

OUT = ROOT / "book" / "results" / "ladder.json"
UNITS = {  # unit → tokenizer, its options, order of the n-gram, block of the networks
    "characters": (CharTokenizer, {}, 6, 64),
    "words": (WordTokenizer, {"min_count": 5}, 5, 32),
}
MODELS = {  # unit → name → (model from V, learning rate)
    "characters": {
        "window": (lambda V: NNLM(V, 8, 16, 160, direct=False), 5e-3),
        "RNN": (lambda V: RNNLM(V, 192, embedding=32), 8e-3),
        "LSTM": (lambda V: LSTMLM(V, 128, layers=1, tied=False, embedding=32), 1.5e-2),
        "LSTM, wide": (lambda V: LSTMLM(V, 512, layers=1, tied=False, embedding=64), 6e-3),
    },
    "words": {
        "window": (lambda V: NNLM(V, 4, 64, 128, direct=False, dropout=0.2), 6e-3),
        "RNN": (lambda V: RNNLM(V, 128, embedding=64, dropout=0.2), 5e-3),
        "LSTM": (lambda V: LSTMLM(V, 128, layers=1, dropout=0.2), 1.2e-2),
    },
}


@torch.inference_mode()
def log_p(model, ids: torch.Tensor, block: int = 512) -> torch.Tensor:
    """log p of each token of `ids` but the first, after all those before it: (N − 1,) float64."""
    where, found, state = training.device_of(model), [], None
    for start in range(0, len(ids) - 1, block):
        part = ids[start : start + block + 1].to(where)
        logits, state = model(part[None, :-1], state)  # (1, block, V)
        found.append(logits[0].double().log_softmax(-1).gather(-1, part[1:, None])[:, 0].cpu())
    return torch.cat(found)


def best_mixture(network: torch.Tensor, counts: torch.Tensor) -> tuple[float, float]:
    """The weight of the network that gives the lowest loss, and that loss in nats a token."""

    def loss(weight: float) -> float:
        parts = network + math.log(weight), counts + math.log(1 - weight)
        return -float(torch.logaddexp(*parts).mean())

    weight = min(map(float, np.linspace(0.01, 0.99, 99)), key=loss)
    return weight, loss(weight)


def one_run(make, rate: float, ids: dict, counted: torch.Tensor, block: int, seed: int, args):
    """Train one model from one seed: its figures, and its number of parameters."""
    runtime.seed_everything(seed)
    model = make().to(runtime.device(args.device))
    config = training.TrainConfig(
        args.steps, rate, weight_decay=0.01, evaluate_every=max(1, args.steps // 20)
    )
    stream = TextBatches(ids["train"], args.batch, block, seed)
    some = text_eval_batches(ids["valid"][:20_000], batch_size=20, block=100)
    history = training.fit(model, stream, config, some, progress=False)
    own = log_p(model, ids["valid"])
    weight, mixed = best_mixture(own, counted)
    figures = {
        "loss": -float(own.mean()), "mixed": mixed, "weight": weight, "seconds": history.seconds,
        "tokens_per_second": history.tokens_per_second,
        "crosses_after": crossing(history, -float(counted.mean())),
    }  # fmt: skip
    return figures, metrics.parameters(model)


def crossing(history: training.History, line: float) -> float | None:
    """Training seconds at which the loss first lay below `line`, or None."""
    steps = len(history.losses)
    below = [step for step, loss in history.valid if loss < line]
    return history.seconds * below[0] / steps if below else None


def spread(values: list) -> dict:
    """Mean and standard deviation of one figure over the seeds, and the figures themselves."""
    found = [value for value in values if value is not None]
    if not found:
        return {"mean": None, "sd": None, "values": values}
    deviation = statistics.stdev(found) if len(found) > 1 else None
    return {"mean": statistics.fmean(found), "sd": deviation, "values": values}


def measure(unit: str, corpus, args) -> dict:
    """All models of one unit (characters or words): {model: figures}."""
    kind, options, order, block = UNITS[unit]
    tokenizer = kind.train(corpus.train, **options)
    V = len(tokenizer)
    ids = {s: torch.tensor(tokenizer.encode(getattr(corpus, s))) for s in ("train", "valid")}
    started = time.perf_counter()
    ngram = NGramLM.kneser_ney(NGramCounts(ids["train"], order, V), modified=True)
    seconds = time.perf_counter() - started
    counted = ngram.score(ids["valid"])[1:]
    found = {f"{order}-gram": {"loss": -float(counted.mean()), "seconds": seconds}}
    for name, (make, rate) in MODELS[unit].items():
        rows = []
        for seed in range(args.seeds):
            figures, size = one_run(partial(make, V), rate, ids, counted, block, seed, args)
            rows.append(figures)
            print(f"{unit}, {name}, seed {seed}: {figures['loss']:.3f}", flush=True)
        found[name] = {key: spread([row[key] for row in rows]) for key in rows[0]}
        found[name]["parameters"] = size
    return found


def provenance(corpus, args) -> dict:
    """Command, commit, machine, versions, date: where the figures come from."""
    git = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "command": "python benchmarks/ladder.py " + " ".join(sys.argv[1:]),
        "commit": commit or None, "date": date.today().isoformat(),
        "machine": platform.machine(), "processors": os.cpu_count(),
        "device": str(runtime.device(args.device)), "threads": torch.get_num_threads(),
        "python": platform.python_version(), "torch": torch.__version__,
        "corpus": corpus.name, "origin": corpus.origin, "seeds": list(range(args.seeds)),
        "steps": args.steps, "batch": args.batch,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=10_000, help="optimizer steps of each run")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each model")
    parser.add_argument("--batch", type=int, default=16, help="windows in a batch")
    parser.add_argument("--device", default=None, help="cuda, mps or cpu; the best one otherwise")
    parser.add_argument("--units", nargs="+", choices=list(UNITS), default=list(UNITS))
    parser.add_argument("--out", type=Path, default=OUT, help="the file to write")
    args = parser.parse_args()
    corpus, started = load_text(), time.perf_counter()
    figures = {unit: measure(unit, corpus, args) for unit in args.units}
    content = provenance(corpus, args) | {"seconds": time.perf_counter() - started, **figures}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"wrote {args.out.name}")


if __name__ == "__main__":
    main()
