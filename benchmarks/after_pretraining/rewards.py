"""Training on rewards: policy gradients, right answers of one's own, and DPO on pairs of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import nn

from benchmarks.after_pretraining.measure import as_text, draw_answers, drawn_batch
from benchmarks.after_pretraining.models import ROWS_IN_BATCH, logits_of, train_on
from benchmarks.after_pretraining.task import (
    draw_moves,
    length_reward,
    right_reward,
    stream_rng,
)
from utils.data.batches import Batch
from utils.models.gpt import GPT
from utils.training.config import TrainConfig
from utils.training.objectives import count_tokens
from utils.training.optimizers import adamw
from utils.training.policy_gradient import (
    group_advantages,
    policy_loss,
    target_log_probs,
    token_entropies,
)
from utils.training.preferences import dpo_loss

Gradient: TypeAlias = Literal["REINFORCE", "GRPO", "GRPO without deviation"]
GRADIENTS = get_args(Gradient)
GROUP = 8  # answers to a question
BASELINE_MEMORY = 0.9  # of the running mean of rewards
DPO_BETA = 0.1
REWARDS = {"right": right_reward, "length": length_reward}


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """A run of policy gradients.

    Parameters
    ----------
    gradient
        How advantages are computed.
    steps, rate
        Number of steps, and the constant learning rate.
    seed
        The seed of questions and draws.
    reward
        A name of REWARDS.
    kl_weight
        What a nat of log-probability over the start model takes from the reward.
    """

    gradient: Gradient
    steps: int
    rate: float
    seed: int
    reward: str = "right"
    kl_weight: float = 0.0


def train_policy(model: GPT, start: GPT, config: PolicyConfig) -> dict[str, list[float]]:
    """Train a model on the rewards of answers that it draws itself, in place.

    Parameters
    ----------
    model
        The model to train.
    start
        The model that it started from.
    config
        The run.

    Returns
    -------
    curves : dict of str to list of float
        Means over the answers drawn at each step: both rewards, tokens, entropy in nats per token.
    """
    optimizer = adamw(model, TrainConfig(steps=config.steps, learning_rate=config.rate))
    curves: dict[str, list[float]] = {name: [] for name in (*REWARDS, "tokens", "entropy")}
    baseline: float | None = None
    for step in range(config.steps):
        rng = stream_rng(config.seed, step)
        questions = [draw_moves(rng, "tuning") for _ in range(ROWS_IN_BATCH // GROUP)]
        moves = [ride for ride in questions for _ in range(GROUP)]
        answers = draw_answers(model, moves, seed=rng.randrange(2**31))
        batch = drawn_batch(moves, answers)
        logits = model(batch.inputs)[0]  # (B, T, V)
        log_probs = target_log_probs(logits, batch.targets)  # (B, T)
        pairs = list(zip(moves, map(as_text, answers), strict=True))
        rewards = torch.tensor([REWARDS[config.reward](*pair) for pair in pairs])  # (B,)
        _append_means(curves, pairs=pairs, answers=answers, logits=logits.detach(), batch=batch)
        if config.kl_weight:
            at_start = target_log_probs(logits_of(start, batch), batch.targets)
            rewards = rewards - config.kl_weight * (log_probs.detach() - at_start).sum(1)
        if config.gradient == "REINFORCE":
            mean = float(rewards.mean())
            baseline = mean if baseline is None else baseline
            advantages = rewards - baseline
            baseline = BASELINE_MEMORY * baseline + (1 - BASELINE_MEMORY) * mean
        else:
            scale = config.gradient == "GRPO"
            advantages = group_advantages(rewards.view(-1, GROUP), scale_by_std=scale).flatten()
        loss = policy_loss(
            log_probs,
            drawn_log_probs=log_probs.detach(),
            advantages=advantages,
            targets=batch.targets,
        )
        take_step(model, optimizer, loss / ROWS_IN_BATCH)
    return curves


def take_step(model: GPT, optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """Take a step of the optimizer with a clipped gradient."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def _append_means(
    curves: dict[str, list[float]],
    *,
    pairs: Sequence[tuple[str, str]],
    answers: Sequence[Sequence[int]],
    logits: torch.Tensor,
    batch: Batch,
) -> None:
    """Append the means of a step to the curves."""
    for name, reward in REWARDS.items():
        curves[name].append(fmean(reward(*pair) for pair in pairs))
    tokens = sum(map(len, answers))
    curves["tokens"].append(tokens / len(answers))
    curves["entropy"].append(float(token_entropies(logits, batch.targets).sum()) / tokens)


@dataclass(frozen=True)
class Draws:
    """Answers that the start model has drawn, as many as a run of policy gradients draws.

    Parameters
    ----------
    answers
        Questions with all answers.
    right
        Questions with right answers.
    pairs
        Questions with a right and a wrong answer.
    """

    answers: list[tuple[str, list[int]]]
    right: list[tuple[str, list[int]]]
    pairs: list[tuple[str, list[int], list[int]]]

    @property
    def tokens(self) -> int:
        """The number of generated tokens."""
        return sum(len(answer) for _, answer in self.answers)


def draw_from_start(start: GPT, *, steps: int, seed: int) -> Draws:
    """Draw GROUP answers to each of many questions, and sort them by whether they are right.

    Parameters
    ----------
    start
        The model that draws.
    steps
        Number of steps of a run of policy gradients that draws as many.
    seed
        The seed of questions and draws.

    Returns
    -------
    draws : Draws
        All answers, the right ones, and pairs of a right and a wrong one.
    """
    rng = random.Random(seed)
    drawn, right, pairs = [], [], []
    for _ in range(steps):
        moves = [draw_moves(rng, "tuning") for _ in range(ROWS_IN_BATCH // GROUP)]
        repeated = [ride for ride in moves for _ in range(GROUP)]
        answers = draw_answers(start, repeated, seed=rng.randrange(2**31))
        for i, ride in enumerate(moves):
            group = answers[i * GROUP : (i + 1) * GROUP]
            drawn += [(ride, a) for a in group]
            good = [a for a in group if right_reward(ride, as_text(a))]
            bad = [a for a in group if not right_reward(ride, as_text(a))]
            right += [(ride, a) for a in good]
            pairs += [(ride, a, b) for a, b in zip(good, bad, strict=False)]
    return Draws(drawn, right, pairs)


class OwnAnswerBatches:
    """Batches of answers that the start model has drawn.

    Parameters
    ----------
    answers
        The answers, with their questions.
    seed
        The seed of their order.
    """

    def __init__(self, answers: Sequence[tuple[str, list[int]]], *, seed: int) -> None:
        self.answers, self.seed = answers, seed

    def __getitem__(self, step: int) -> Batch:
        """Return the batch of a step."""
        chosen = stream_rng(self.seed, step).choices(self.answers, k=ROWS_IN_BATCH)
        return drawn_batch([moves for moves, _ in chosen], [a for _, a in chosen])


def train_on_own_answers(
    model: GPT,
    answers: Sequence[tuple[str, list[int]]],
    *,
    steps: int,
    rate: float,
    seed: int,
) -> int:
    """Train a model on answers of the start model by maximum likelihood, in place.

    Parameters
    ----------
    model
        The model to train.
    answers
        The answers, with their questions.
    steps, rate
        Number of steps, and the constant learning rate.
    seed
        The seed of the order of answers.

    Returns
    -------
    tokens : int
        The number of predicted tokens.
    """
    stream = OwnAnswerBatches(answers, seed=seed)
    return train_on(model, stream, steps=steps, rate=rate, is_constant=True)


def train_by_dpo(
    model: GPT, start: GPT, draws: Draws, *, steps: int, rate: float, seed: int
) -> tuple[list[float], int]:
    """Train a model by DPO on pairs of a right and a wrong answer, in place.

    Parameters
    ----------
    model
        The model to train.
    start
        The model that it started from.
    draws
        The pairs.
    steps, rate
        Number of steps, and the constant learning rate.
    seed
        The seed of the order of pairs.

    Returns
    -------
    losses : list of float
        The loss of each step, in nats per pair.
    tokens : int
        The number of predicted tokens.
    """
    optimizer = adamw(model, TrainConfig(steps=steps, learning_rate=rate))
    losses, tokens = [], 0
    for step in range(steps):
        chosen = stream_rng(seed, step).choices(draws.pairs, k=ROWS_IN_BATCH // 2)
        moves = [ride for ride, _, _ in chosen] * 2
        batch = drawn_batch(moves, [a for _, a, _ in chosen] + [b for _, _, b in chosen])
        better, worse = _answer_log_probs(logits_of(start, batch), batch).chunk(2)
        log_probs = _answer_log_probs(model(batch.inputs)[0], batch)
        loss = dpo_loss(
            *log_probs.chunk(2), reference_preferred=better, reference_rejected=worse, beta=DPO_BETA
        ) / len(chosen)
        take_step(model, optimizer, loss)
        losses.append(loss.item())
        tokens += count_tokens(batch)
    return losses, tokens


def _answer_log_probs(logits: Any, batch: Batch) -> torch.Tensor:
    """Return log p of each answer of a batch, (B,)."""
    return target_log_probs(logits, batch.targets).sum(1)
