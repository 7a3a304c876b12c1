"""One training loop for every model of the book.

The loop is written out: accumulate, unscale, clip, step. The learning rate and the batch are
functions of the step, so that a checkpoint needs no more than the step to go on where it stopped:
on a CPU a resumed run equals the uninterrupted one to the bit. Label smoothing: Szegedy et al.
2016.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from utils import metrics, runtime
from utils.data import IGNORE
from utils.optimizers import adamw
from utils.parallel import Team
from utils.runtime import device_of

SCHEDULES = {  # how far above `final` the rate still is when the fraction `done` has passed
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
    "linear": lambda done: 1 - done,
    "constant": lambda done: 1.0,
}
LOOK_EVERY = 10  # steps between two looks at the loss: each makes the program wait for a GPU


@dataclass(frozen=True)
class TrainConfig:
    """How `fit` trains. Raises ValueError for a value outside its range.

    `warmup` is a fraction of `steps`; `learning_rate` the highest one, reached after the warm-up
    and lowered to `final` times itself along `schedule`. `clip` bounds the gradient's norm (0: no
    bound). `accumulate` batches make one step. `evaluate_every`, `checkpoint_every` in steps (0:
    only at the end). `mixed_precision` applies on CUDA only.
    """

    steps: int = 1000
    learning_rate: float = 2e-3
    schedule: str = "linear"
    warmup: float = 0.04
    final: float = 0.0
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0
    accumulate: int = 1
    label_smoothing: float = 0.0
    evaluate_every: int = 0
    checkpoint_every: int = 0
    mixed_precision: bool = True

    def __post_init__(self):
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule is {self.schedule!r}; choose from {', '.join(SCHEDULES)}")
        counts = ("steps", "accumulate", "evaluate_every", "checkpoint_every")
        for name in (*counts, "warmup", "final", "weight_decay", "clip", "label_smoothing"):
            value, least = getattr(self, name), int(name in ("steps", "accumulate"))
            most = 1 if name in ("warmup", "final", "label_smoothing") else math.inf
            if not least <= value <= most or (name in counts and value != int(value)):
                kind = "a whole number" if name in counts else "a number"
                raise ValueError(f"{name} must be {kind} from {least} to {most}, got {value}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")


@dataclass
class Score:
    """Total negative log-likelihood in nats of `tokens` predicted tokens."""

    nll: float
    tokens: int

    @property
    def loss(self) -> float:
        """Nats a token."""
        return self.nll / self.tokens

    @property
    def perplexity(self) -> float:
        return metrics.perplexity(self.nll, self.tokens)


@dataclass
class History:
    """What a run saw: loss of each step, (step, loss) of each validation, tokens and seconds.

    `best_step` is the step whose weights the model now holds.
    """

    losses: list[float] = field(default_factory=list)
    valid: list[tuple[int, float]] = field(default_factory=list)
    tokens: int = 0
    seconds: float = 0.0
    best_step: int = 0
    interrupted: bool = False

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / max(self.seconds, 1e-9)


def learning_rate(config: TrainConfig, step: int) -> float:
    """The learning rate of step 0, 1, …: linear warm-up, then the schedule down to `final`."""
    warm = round(config.warmup * config.steps)
    if step < warm:
        return config.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1, config.steps - warm)
    above = SCHEDULES[config.schedule](done)
    return config.learning_rate * (config.final + (1 - config.final) * above)


def cross_entropy(model, batch, label_smoothing: float = 0.0) -> torch.Tensor:
    """Summed −log p of the batch's targets (``eq-cross-entropy``), padding left out; a scalar.

    Teacher-forced: one call, T > 1. A batch with a source starts from `model.encode`.
    """
    state = None if batch.source is None else model.encode(batch.source)
    logits, _ = model(batch.inputs, state)  # (B, T, V)
    logits = logits.flatten(0, 1)  # (B·T, V)
    return F.cross_entropy(
        logits if logits.dtype == torch.float64 else logits.float(),  # never in half precision
        batch.targets.flatten(),
        ignore_index=IGNORE,
        reduction="sum",
        label_smoothing=label_smoothing,
    )


Objective = Callable[[nn.Module, Any, float], torch.Tensor]  # what `cross_entropy` is one of


@torch.inference_mode()
def evaluate(model: nn.Module, batches: Iterable, objective: Objective = cross_entropy) -> Score:
    """Teacher-forced Score of `model` on `batches`, in evaluation mode, without label smoothing.

    Total loss over total tokens: the result does not depend on how the data is batched. Raises
    ValueError where there is no token to predict.
    """
    where = device_of(model)
    nll, tokens = 0.0, 0
    with runtime.evaluating(model):
        for batch in batches:
            nll += float(objective(model, batch.to(where), 0.0))
            tokens += count_tokens(batch)
    if tokens == 0:
        raise ValueError("nothing to evaluate: the batches hold no token to predict")
    return Score(nll, tokens)


def count_tokens(batch) -> int:
    """The number of predicted tokens in a batch, padding left out."""
    return int((batch.targets != IGNORE).sum())


def fit(
    model: nn.Module,
    batches,
    config: TrainConfig,
    valid: Iterable | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
    optimizer: Callable[[nn.Module, TrainConfig], torch.optim.Optimizer] = adamw,
    objective: Objective = cross_entropy,
    team: Team | None = None,
    told: Callable[[History], None] = lambda history: None,
) -> History:
    """Train `model` on `batches[0]`, `batches[1]`, …, and leave the best weights in it.

    With `valid` (re-iterable batches) the best weights are those of the lowest validation loss,
    looked at every `evaluate_every` steps and at the end; without it, the last. `checkpoint` names
    a file to write and, where it exists, to go on from. Ctrl-C ends the run after the current
    step, saves, and returns what was learned. `optimizer`: a function of model and config that
    gives one (``utils.optimizers``); a group's learning rate is the schedule's times its "scale".
    `objective`: another summed loss of model, batch and label smoothing (``utils.speech`` has one).
    `team`: the processes that train together (``utils.parallel``); all call `fit` with the same
    arguments and get the same history. `told` is called after each validation.
    Raises ValueError where a checkpoint belongs to another configuration or model, and where
    batches hold no token to predict or `valid` can be read only once; FloatingPointError where the
    loss is no longer finite.
    """
    if isinstance(valid, Iterator):
        raise ValueError("valid is read again and again: give a list of batches, not an iterator")
    if isinstance(valid, Sized) and not len(valid):
        raise ValueError("nothing to evaluate: valid holds no batch")
    team = team or Team()
    run = _Run(model, batches, config, valid, checkpoint, optimizer, objective, team, told)
    run.resume()
    with runtime.interrupt_flag() as interrupted, run.bar(progress) as bar:
        while run.step < config.steps and not run.stopped(interrupted.is_set()):
            run.advance()
            bar.update()
            if run.step % LOOK_EVERY == 0 or run.step == config.steps:
                run.report(bar)
        run.finish()
    return run.history


class _Run:
    """The state of one call of `fit`: everything that a checkpoint holds."""

    def __init__(self, model, batches, config, valid, checkpoint, optimizer, objective, team, told):
        self.model, self.batches, self.config, self.valid = model, batches, config, valid
        self.path = None if checkpoint is None else Path(checkpoint)
        self.where, self.team, self.told = device_of(model), team, told
        self.loss = team.spread(model, objective)  # of this process' rows of a batch
        self.optimizer = optimizer(model, config)
        half = self.where.type == "cuda" and not runtime.has_bfloat16()
        if half and config.mixed_precision and team.kind == "shard":
            raise ValueError("shards need a GPU with bfloat16, or mixed_precision=False")
        self.scaler = torch.amp.GradScaler("cuda", enabled=half and config.mixed_precision)
        self.step, self.best, self.history, self.stop = 0, None, History(), False
        self.pending: list[torch.Tensor] = []  # losses not yet read off the device

    def stopped(self, interrupted: bool) -> bool:
        """Whether any process was interrupted: looked at when losses are, by all together."""
        if self.team.alone or self.step % LOOK_EVERY == 0:
            self.stop = self.team.any(interrupted)
        return self.stop

    def advance(self) -> None:
        """One optimizer step, and whatever is due after it."""
        started = time.perf_counter()
        self.loss.train()
        first = self.step * self.config.accumulate
        group = [self.batches[first + i] for i in range(self.config.accumulate)]
        tokens = sum(count_tokens(batch) for batch in group)  # before the move: no wait for a GPU
        if tokens == 0:
            raise ValueError(f"the batches of step {self.step} hold no token to predict")
        total = 0.0
        for batch in group:
            with self.team.exchange(self.loss, last=batch is group[-1]):
                with runtime.autocast(self.where, self.config.mixed_precision):
                    loss = self.loss(batch.to(self.where), self.config.label_smoothing)
                # the mean over the processes of this is the gradient of all tokens' mean
                self.scaler.scale(self.team.world * loss / tokens).backward()
            total = total + loss.detach()
        self._update()
        self.step += 1
        self.history.tokens += tokens
        self.pending.append(total / tokens)
        intervals = self.config.evaluate_every, self.config.checkpoint_every
        if any(map(self._due, (LOOK_EVERY, *intervals))):
            self._read_losses()
        self.history.seconds += time.perf_counter() - started
        if self._due(self.config.evaluate_every):
            self.validate()
        if self._due(self.config.checkpoint_every):
            self.save()

    def _update(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, self.step) * group.get("scale", 1.0)
        self.scaler.unscale_(self.optimizer)
        if self.config.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)

    def _due(self, every: int) -> bool:
        return bool(every) and self.step % every == 0

    def validate(self) -> None:
        """Score the validation data; keep the weights where they are the best so far."""
        if self.valid is None or (self.history.valid and self.history.valid[-1][0] == self.step):
            return
        loss = evaluate(self.loss, self.valid, self._summed).loss
        self._check_finite(loss)
        if self.best is None or loss < min(found for _, found in self.history.valid):
            self.best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
            self.history.best_step = self.step
        self.history.valid.append((self.step, loss))
        self.told(self.history)

    def _summed(self, loss: nn.Module, batch, label_smoothing: float) -> torch.Tensor:
        return self.team.sum(loss(batch, label_smoothing))

    def report(self, bar: tqdm) -> None:
        self._read_losses()
        recent = self.history.losses[-5 * LOOK_EVERY :]
        speed = self.history.tokens_per_second
        bar.set_postfix_str(f"loss {sum(recent) / len(recent):.3f}, {speed:,.0f} tokens/s")

    def _read_losses(self) -> None:
        if self.pending:  # waits for the device
            self.history.losses += self.team.sum(torch.stack(self.pending)).tolist()
        self.pending.clear()
        if self.history.losses:
            self._check_finite(self.history.losses[-1])

    def _check_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss} by step {self.step}: try a lower learning_rate "
                f"(now {self.config.learning_rate:g}), a longer warmup or a clip"
            )

    def bar(self, shown: bool) -> tqdm:
        return tqdm(
            total=self.config.steps, initial=self.step, unit="step", disable=not shown,
            mininterval=0.5, ascii=" ━", bar_format="{n_fmt}/{total_fmt} steps, {elapsed}{postfix}",
        )  # fmt: skip

    def finish(self) -> None:
        self._read_losses()
        self.history.interrupted = self.stop and self.step < self.config.steps
        if self.history.interrupted:
            self.save()  # before a validation that the uninterrupted run does not make
        if self.step:
            self.validate()
        if not self.history.interrupted:
            self.save()
        if self.valid is None or self.best is None:
            self.history.best_step = self.step
        else:
            self.model.load_state_dict(self.best)
        self.model.eval()

    def save(self) -> None:
        if self.path is None:
            return
        self._read_losses()
        plain = {
            "config": asdict(self.config), "history": asdict(self.history), "step": self.step,
            "scaler": self.scaler.state_dict(),
        }  # fmt: skip
        self.team.save(self.path, plain, self.model, self.optimizer, self.best)

    def resume(self) -> None:
        if self.path is None:
            return
        saved = self.team.load(self.path, self.model, self.optimizer, self._check)
        if saved is None:
            return
        if saved["scaler"]:  # empty where the last device needed none
            self.scaler.load_state_dict(saved["scaler"])
        self.step, self.best = saved["step"], saved["best"]
        self.history = History(**saved["history"])

    def _check(self, saved: dict) -> None:
        if "config" not in saved:
            raise ValueError(f"{self.path} holds {list(saved)}, but no run of fit to go on from")
        _check_same(saved["config"], self.config, self.path)


def _check_same(saved: dict, config: TrainConfig, path: Path) -> None:
    """A run may be looked at or saved more often, but not trained differently, after a restart."""
    free = ("evaluate_every", "checkpoint_every")
    for name in (f.name for f in fields(config) if f.name not in free):
        if saved.get(name) != getattr(config, name):
            raise ValueError(
                f"{path} was trained with {name}={saved.get(name)!r}, not "
                f"{getattr(config, name)!r}: use the same configuration or another file"
            )


if __name__ == "__main__":
    from utils.command import main

    raise SystemExit(main())
