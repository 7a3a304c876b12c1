"""Ten-fold cross-validation on the film reviews, as published.

The sentences are shuffled once and cut into ten folds, stratified by label. Each fold is the test
set once, and the other nine are trained on. The constant of a linear method is chosen inside each
nine tenths. The network has one setting for all folds, found by trials on the same sentences,
mostly cut in other ways; it trains for a fixed number of epochs, its learning rate falling to zero,
so that no sentence is set aside for early stopping.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedKFold

from benchmarks.reviews.counting import (
    Fit,
    classify_right,
    fit_logistic,
    fit_naive_bayes,
    fit_nbsvm,
    fit_scaled_logistic,
    fit_tf_idf,
)
from benchmarks.reviews.task import as_digits
from utils.data.examples import LabelledReview
from utils.data.labelled_batches import LabelledBatches
from utils.data.tokenizers import WordTokenizer
from utils.models.classifiers import Classifier, WordCNNEncoder, predict_logits
from utils.runtime import seed_everything
from utils.training.adversarial import adversarial_objective
from utils.training.config import TrainConfig
from utils.training.loop import fit

NUM_FOLDS = 10
TUNED: dict[str, tuple[Fit, tuple[float, ...]]] = {  # with the constants that are tried
    "naive Bayes": (fit_naive_bayes, (0.01, 0.1, 1.0, 10.0)),
    "logistic regression": (fit_logistic, (0.1, 1.0, 10.0, 100.0)),
    "logistic regression, TF-IDF": (fit_tf_idf, (1.0, 10.0, 100.0)),
    "logistic regression, scaled": (fit_scaled_logistic, (0.01, 0.1, 1.0)),
    "NBSVM": (fit_nbsvm, (1e-4, 1e-3, 0.01, 0.1)),
}


@dataclass(frozen=True)
class Fold:
    """One division of the reviews into two parts.

    Parameters
    ----------
    train
        The reviews that a classifier is trained on.
    test
        Those that it is tested on.
    """

    train: list[LabelledReview]
    test: list[LabelledReview]

    def compare(self, predictions: np.ndarray) -> np.ndarray:
        """Return which of the test's labels `predictions` (N,) has right, (N,) bool."""
        is_right: np.ndarray = predictions == np.array([label for _, label in self.test])
        return is_right


@dataclass(frozen=True)
class CNNMethod:
    """The convolutional network of Kim 2014 with random word vectors, trained adversarially.

    Parameters
    ----------
    embedding_size, num_filters, kernel_sizes, dropout
        Arguments of `WordCNNEncoder`.
    learning_rate, warmup_fraction, weight_decay
        Fields of `TrainConfig`.
    label_smoothing
        Probability mass that label smoothing takes from each label.
    epochs
        How many times each sentence is trained on.
    batch_size
        Sentences in a training step.
    output_dropout
        Probability of dropout before the output.
    adversarial_epsilon
        Norm ε of the adversarial step.
    """

    embedding_size: int = 128
    num_filters: int = 100
    kernel_sizes: tuple[int, ...] = (1, 2, 3, 4)
    dropout: float = 0.3
    learning_rate: float = 5e-3
    warmup_fraction: float = 0.1
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    epochs: int = 4
    batch_size: int = 64
    output_dropout: float = 0.5
    adversarial_epsilon: float = 1.0

    def train_and_test(self, fold: Fold, *, seed: int) -> tuple[np.ndarray, dict[str, float]]:
        """Train on one part of a fold and classify the other.

        Parameters
        ----------
        fold
            The reviews to train on and those to test on.
        seed
            Seed of the parameters and of the order of the data.

        Returns
        -------
        is_right : numpy.ndarray
            Which of the N reviews to test on are judged right, (N,) bool.
        chosen : dict
            Nothing: the setting is the same in all folds.
        """
        tokenizer = WordTokenizer.train([text for text, _ in fold.train], min_count=2)
        examples = [(tokenizer.encode(text), label) for text, label in fold.train]
        seed_everything(seed)
        encoder = self._build_encoder(len(tokenizer))
        input_size = self.num_filters * len(self.kernel_sizes)
        model = Classifier(encoder, input_size=input_size, dropout=self.output_dropout)
        batches = LabelledBatches(examples, batch_size=self.batch_size, seed=seed)
        config = TrainConfig(
            steps=self.epochs * len(batches),
            learning_rate=self.learning_rate,
            warmup_fraction=self.warmup_fraction,
            weight_decay=self.weight_decay,
        )
        objective = adversarial_objective(
            encoder.embedding,
            epsilon=self.adversarial_epsilon,
            label_smoothing=self.label_smoothing,
        )
        history = fit(model, batches, config, progress=False, objective=objective)
        history.raise_if_interrupted()
        logits = predict_logits(model, [tokenizer.encode(text) for text, _ in fold.test])
        return fold.compare(logits.argmax(1).numpy()), {}

    def _build_encoder(self, vocab_size: int) -> WordCNNEncoder:
        """Build the network without its output."""
        return WordCNNEncoder(
            vocab_size,
            embedding_size=self.embedding_size,
            num_filters=self.num_filters,
            kernel_sizes=self.kernel_sizes,
            dropout=self.dropout,
        )


@dataclass(frozen=True)
class TunedMethod:
    """A method on counts, whose constant is chosen inside each nine tenths.

    Parameters
    ----------
    name
        Its name in `TUNED`.
    constants
        Values of C, or of the smoothing α of naive Bayes; of equal ones the middle is chosen.
    num_parts
        The training sentences are cut into so many parts; the constant is chosen on one of them,
        then the method learns from all.
    """

    name: str
    constants: tuple[float, ...]
    num_parts: int = 9

    def train_and_test(self, fold: Fold, *, seed: int) -> tuple[np.ndarray, dict[str, float]]:
        """Choose the constant and train on one part of a fold, and classify the other.

        Parameters
        ----------
        fold
            The reviews to train on and those to test on.
        seed
            Seed of the cut on which the constant is chosen.

        Returns
        -------
        is_right : numpy.ndarray
            Which of the N reviews to test on are judged right, (N,) bool.
        chosen : dict
            The constant.
        """
        labels = [label for _, label in fold.train]
        splitter = StratifiedKFold(self.num_parts, shuffle=True, random_state=seed)
        learned, held_out = next(splitter.split(labels, labels))
        train, valid = ([fold.train[i] for i in part] for part in (learned, held_out))
        learn, _ = TUNED[self.name]
        shares = {C: classify_right(learn(train, C), valid).mean() for C in self.constants}
        tied = [C for C, share in shares.items() if share == max(shares.values())]
        constant = tied[len(tied) // 2]
        decide = learn(fold.train, constant)
        decisions = decide([text for text, _ in fold.test])  # (N,)
        return fold.compare((decisions > 0).astype(int)), {"constant": constant}


METHODS: dict[str, Any] = {
    **{name: TunedMethod(name, constants) for name, (_, constants) in TUNED.items()},
    "CNN": CNNMethod(),
}


def make_folds(reviews: Sequence[LabelledReview], *, seed: int = 0) -> list[Fold]:
    """Cut the reviews into folds; each review is tested on once.

    Parameters
    ----------
    reviews
        All reviews.
    seed
        Seed of the order of the reviews.

    Returns
    -------
    folds : list of Fold
        `NUM_FOLDS` folds.
    """
    labels = [label for _, label in reviews]
    splitter = StratifiedKFold(NUM_FOLDS, shuffle=True, random_state=seed)
    rng = np.random.default_rng(seed)
    return [
        Fold(
            train=[reviews[i] for i in rng.permutation(train_indices)],
            test=[reviews[i] for i in test_indices],
        )
        for train_indices, test_indices in splitter.split(labels, labels)
    ]


def cross_validate(
    name: str, folds: Sequence[Fold], *, indices: Sequence[int], num_seeds: int
) -> dict[str, Any]:
    """Train and test a method on some of the folds, and return what is stored of it.

    Parameters
    ----------
    name
        Name of the method in `METHODS`.
    folds
        All folds.
    indices
        The indices of the folds to test on.
    num_seeds
        The number of seeds, from 0 on.

    Returns
    -------
    results : dict
        The settings, the mean accuracy, and of each run the accuracy, which of the test's sentences
        are judged right, and the constant.
    """
    method: Any = METHODS[name]
    runs: list[dict[str, Any]] = []
    for seed in range(num_seeds):
        for i in indices:
            is_right, chosen = method.train_and_test(folds[i], seed=seed)
            accuracy = float(is_right.mean())
            print(f"{name} fold {i} seed {seed}: {accuracy:.2%} {chosen}", flush=True)
            figures = {"accuracy": accuracy, "right": as_digits(is_right)}
            runs.append({"fold": i, "seed": seed, **figures, **chosen})
    percentages = [100 * run["accuracy"] for run in runs]
    deviation = float(np.std(percentages, ddof=1)) if len(runs) > 1 else None
    print(f"{name}: {np.mean(percentages):.2f} % over {len(runs)} runs")
    return {
        "settings": asdict(method),
        "accuracy_percent": float(np.mean(percentages)),
        "standard_error": None if deviation is None else deviation / len(runs) ** 0.5,
        "runs": runs,
    }
