"""Ten-fold cross-validation on the film reviews, as published: for section 9.1.

    python -m benchmarks.reviews            about seven minutes on one thread

The sentences are shuffled once and cut into ten folds, stratified by label. Nine folds are learned
from, the tenth is tested on, once. Each method has one setting for all folds, found by trials on
the same sentences, mostly cut in other ways. The network trains for a fixed number of epochs, its
rate falling to zero, so that no sentence is set aside to stop it by. Results go to
book/results/reviews.json, or where `--out=FILE` says.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from sklearn.model_selection import StratifiedKFold

from benchmarks import record
from utils import runtime
from utils.data.corpora import load_reviews
from utils.data.pair_batches import LabelledBatches
from utils.data.tokenizers import WordTokenizer
from utils.models.classifiers import Classifier, WordCNN, predict_logits
from utils.models.nbsvm import NBSVM
from utils.training.config import TrainConfig
from utils.training.loop import fit
from utils.training.objectives import adversarial_objective

FOLDS = 10
COUNTING = {"order": 2, "alpha": 0.5, "C": 1.0, "blend": 0.25, "loss": "logistic"}
SIZES = {"embedding": 128, "filters": 100, "spans": (1, 2, 3, 4), "dropout": 0.3}
TRAINING = {"learning_rate": 5e-3, "warmup": 0.1, "weight_decay": 0.05, "label_smoothing": 0.1}
EPOCHS, BATCH, DROPOUT, MISLED = 4, 64, 0.5, 1.0  # the last: size of the adversarial step


def counting(train: list, test: list, seed: int) -> float:
    """Accuracy on `test` of NBSVM with pairs of words; the seed changes nothing."""
    texts, labels = zip(*train, strict=True)
    scores = NBSVM(**COUNTING).fit(texts, labels).decide([text for text, _ in test])
    return float(np.mean((scores > 0) == [label == 1 for _, label in test]))


def convolution(train: list, test: list, seed: int) -> float:
    """Accuracy on `test` of Kim's network, its words' vectors random at first."""
    tokenizer = WordTokenizer.train([text for text, _ in train], min_count=2)
    examples = [(tokenizer.encode(text), label) for text, label in train]
    runtime.seed_everything(seed)
    encoder = WordCNN(len(tokenizer), **SIZES)
    model = Classifier(encoder, input_size=SIZES["filters"] * len(SIZES["spans"]), dropout=DROPOUT)
    batches = LabelledBatches(examples, batch_size=BATCH, seed=seed)
    config = TrainConfig(steps=EPOCHS * len(batches), **TRAINING)
    fit(model, batches, config, progress=False, objective=adversarial_objective(MISLED))
    told = predict_logits(model, [tokenizer.encode(text) for text, _ in test]).argmax(1).numpy()
    return float(np.mean(told == [label for _, label in test]))


MODELS = {"NBSVM": counting, "CNN": convolution}


def folds(sentences: list, seed: int = 0) -> list[tuple[list, list]]:
    """(train, test) of each fold; every sentence is tested on once."""
    labels = [label for _, label in sentences]
    cut = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(labels, labels)
    shuffled = np.random.default_rng(seed).permutation
    return [([sentences[i] for i in shuffled(train)], [sentences[i] for i in test])
            for train, test in cut]  # fmt: skip


def main(arguments: list[str]) -> None:
    parser = record.parser("reviews", __doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--folds", type=int, nargs="+", default=list(range(FOLDS)))
    parser.add_argument("--seeds", type=int, default=1)
    chosen = parser.parse_args(arguments)
    corpus, commit = load_reviews(), record.commit_now()
    cut = folds(corpus.all)
    for name in chosen.models:
        started, runs = time.perf_counter(), []
        for seed in range(chosen.seeds):
            for fold in chosen.folds:
                accuracy = MODELS[name](*cut[fold], seed)
                runs.append({"fold": fold, "seed": seed, "accuracy": accuracy})
                print(f"{name} fold {fold} seed {seed}: {accuracy:.2%}", flush=True)
        source = record.provenance(
            "reviews",
            arguments,
            commit=commit,
            seeds=list(range(chosen.seeds)),
            origin=corpus.origin,
            started=started,
        )
        found = [100 * run["accuracy"] for run in runs]
        part = {
            "per cent right": float(np.mean(found)),
            "standard error": float(np.std(found, ddof=1)) / len(found) ** 0.5,
            "runs": runs, "provenance": source,
        }  # fmt: skip
        settings = COUNTING if name == "NBSVM" else {
            **SIZES, **TRAINING, "epochs": EPOCHS, "batch": BATCH, "output dropout": DROPOUT,
            "adversarial": MISLED,
        }  # fmt: skip
        print(f"{name}: {part['per cent right']:.2f} % over {len(runs)} runs")
        record.write(chosen.out, {name: {"settings": settings, **part}}, keep=True)


if __name__ == "__main__":
    main(sys.argv[1:])
