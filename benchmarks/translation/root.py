"""What the root in the score of attention does to a recurrent decoder in its first steps.

With AdamW, a score divided by √D is the same as an undivided one whose matrix W starts √D times
smaller and has a learning rate √D times smaller, but for the ε of AdamW and the clipping of
gradients. So two more arms have one of the two changes each.
"""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import nn

from benchmarks.translation.recipes import build_recurrent
from benchmarks.translation.task import TranslationTask
from utils.data.batches import Batch
from utils.data.pair_batches import IdPair, PairBatches, pair_eval_batches
from utils.data.vocabulary import BOS
from utils.metrics.cost import count_parameters
from utils.models.encoder_decoder import EncoderDecoder, share_embeddings
from utils.runtime import evaluation_mode, seed_everything
from utils.training.config import TrainConfig
from utils.training.evaluation import evaluate
from utils.training.loop import fit
from utils.training.objectives import token_objective
from utils.training.optimizers import adamw

STEPS, BATCH_SIZE, RATE = 60, 32, 4e-3  # the rate of the race for this model
WARMUP_FRACTION = 0.9  # 54 steps, as many as in the race
MEASURED_STEPS = (0, 1, 2, 3, 5, 8, 13, 20, 30, 45, 60)
NUM_MEASURED = 40  # validation pairs of which the places are counted
LABEL_SMOOTHING, DROPOUT = 0.1, 0.1


@dataclass(frozen=True, kw_only=True)
class RootArm:
    """How the score of one arm is computed and trained.

    Parameters
    ----------
    score
        The score: "scaled" is divided by √D, "multiplicative" is not.
    divides_start, divides_rate
        Whether the first values of W, or its learning rate, are divided by √D.
    """

    score: Literal["scaled", "multiplicative"] = "multiplicative"
    divides_start: bool = False
    divides_rate: bool = False


ROOT_ARMS = {
    "with the root": RootArm(score="scaled"),
    "without": RootArm(),
    "without, smaller start": RootArm(divides_start=True),
    "without, smaller rate": RootArm(divides_rate=True),
}


def build_arm(arm: RootArm, vocab_size: int) -> EncoderDecoder[Any]:
    """Build the untrained model of an arm."""
    model = share_embeddings(build_recurrent(vocab_size, dropout=DROPOUT, score=arm.score))
    if arm.divides_start:
        weight = score_matrix(model)
        with torch.no_grad():
            weight /= math.sqrt(weight.shape[0])  # type: ignore[misc]
    return model


def score_matrix(model: nn.Module) -> nn.Parameter:
    """Return the matrix W of the score, (D, D)."""
    (weight,) = (p for n, p in model.named_parameters() if n.endswith("key_projection.weight"))
    return weight


def divided_adamw(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Build AdamW whose learning rate for the matrix of the score is divided by √D."""
    weight = score_matrix(model)
    optimizer = adamw(model, config)
    for group in optimizer.param_groups:
        group["params"] = [p for p in group["params"] if p is not weight]
    scale = 1 / math.sqrt(weight.shape[0])
    optimizer.add_param_group({"params": [weight], "lr_scale": scale, "weight_decay": 0.0})
    return optimizer


@torch.inference_mode()
def attended_places(model: EncoderDecoder[Any], pairs: list[IdPair]) -> float:
    """Return the mean over all steps of e to the entropy of the attention weights."""
    counts = []
    with evaluation_mode(model):
        for source, target in pairs:
            state = model.begin(torch.tensor([source]))
            ids = torch.tensor([[BOS, *target]])  # (1, T)
            weights = model.decoder.attention_weights(ids, state)[0]  # type: ignore[attr-defined]
            entropy = torch.special.entr(weights).sum(-1)  # (T,)
            counts.append(float(entropy.exp().mean()))
    return statistics.fmean(counts)


class WatchedBatches:
    """Batches that measure the model before some of the steps.

    Parameters
    ----------
    batches
        The training batches.
    model
        The model that they train.
    pairs
        Validation pairs.
    """

    def __init__(
        self, batches: PairBatches, model: EncoderDecoder[Any], pairs: list[IdPair]
    ) -> None:
        self._batches, self._model, self._pairs = batches, model, pairs
        self.places: list[float] = []

    def __getitem__(self, step: int) -> Batch:
        """Return the batch of a step."""
        if step in MEASURED_STEPS:
            self.measure()
        return self._batches[step]

    def measure(self) -> None:
        """Add the number of places that the model attends to now."""
        self.places.append(attended_places(self._model, self._pairs))


def run_arm(
    arm: RootArm, task: TranslationTask, *, seed: int, steps: int = STEPS
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train one arm.

    Parameters
    ----------
    arm
        The arm.
    task
        The data.
    seed
        Seed of the parameters and of the batches.
    steps
        Training steps.

    Returns
    -------
    figures : dict
        The places attended to, in steps and at the end, and the validation loss at the end.
    costs : dict
        Parameters, tokens and seconds of the processor.
    """
    start = time.process_time()
    seed_everything(seed)
    model = build_arm(arm, len(task.tokenizer))
    pairs = task.valid[:NUM_MEASURED]
    watched = WatchedBatches(
        PairBatches(task.train, batch_size=BATCH_SIZE, seed=seed), model, pairs
    )
    config = TrainConfig(steps=steps, learning_rate=RATE, warmup_fraction=WARMUP_FRACTION)
    make_optimizer = divided_adamw if arm.divides_rate else adamw
    objective = token_objective(label_smoothing=LABEL_SMOOTHING)
    options = partial(fit, make_optimizer=make_optimizer, objective=objective, progress=False)
    history = options(model, watched, config)
    history.raise_if_interrupted()
    watched.measure()
    valid = pair_eval_batches(task.valid[:300], batch_size=100)
    figures = {
        "steps measured": [step for step in MEASURED_STEPS if step < steps] + [steps],
        "places": watched.places,
        "places at the end": watched.places[-1],
        "source length": statistics.fmean(len(source) for source, _ in pairs),
        "loss (nats per token)": evaluate(model, valid).loss,
    }
    costs = {
        "parameters": count_parameters(model),
        "tokens": history.num_tokens,
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return figures, costs


def root_settings(arm: RootArm, *, steps: int = STEPS) -> dict[str, Any]:
    """Return the settings of an arm that rows store.

    Parameters
    ----------
    arm
        The arm.
    steps
        Training steps.

    Returns
    -------
    settings : dict
        The settings by name.
    """
    return {
        "optimizer": "AdamW",
        "learning_rate": RATE,
        "grid": None,
        "steps": steps,
        "warm-up fraction": WARMUP_FRACTION,
        "batch size": BATCH_SIZE,
        "score": arm.score,
        "start of W divided": arm.divides_start,
        "rate of W divided": arm.divides_rate,
    }
