"""What is measured of a model: accuracy, pass@k, divergence from the start, what is forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from statistics import fmean
from typing import Any

import torch

from benchmarks.after_pretraining.models import logits_of
from benchmarks.after_pretraining.task import (
    HELD_OUT_SENTENCES,
    MAX_ANSWER,
    TOKENIZER,
    Split,
    length_reward,
    line_batch,
    prompt_ids,
    question_batch,
    questions,
    right_reward,
)
from utils.data.answer_batches import answer_batch
from utils.data.batches import Batch
from utils.data.vocabulary import EOS
from utils.decoding.sampling import sample
from utils.metrics.pass_at_k import pass_at_k
from utils.models.gpt import GPT
from utils.training.evaluation import evaluate
from utils.training.policy_gradient import token_kl

NUM_QUESTIONS = 300
PASS_QUESTIONS, PASS_DRAWS = 50, 32
PASS_KS = (1, 2, 4, 8, 16, 32)


def draw_answers(model: GPT, moves: Sequence[str], *, seed: int) -> list[list[int]]:
    """Draw an answer to each question: its ids, with EOS where it ended.

    Parameters
    ----------
    model
        The model.
    moves
        The questions.
    seed
        The seed of the draws.

    Returns
    -------
    answers : list of list of int
        At most MAX_ANSWER ids each.
    """
    prompts = torch.tensor([prompt_ids(ride) for ride in moves])
    generator = torch.Generator().manual_seed(seed)
    drawn = sample(model, prompts, max_length=MAX_ANSWER, generator=generator)
    return [ids if len(ids) == MAX_ANSWER else [*ids, EOS] for ids in drawn]


def as_text(answer: Sequence[int]) -> str:
    """Return the text of an answer; one that did not end has a mark, so that it is not right."""
    return TOKENIZER.decode(answer[:-1]) if answer[-1] == EOS else TOKENIZER.decode(answer) + "…"


def drawn_batch(moves: Sequence[str], answers: Sequence[Sequence[int]]) -> Batch:
    """Make a batch of questions and drawn answers."""
    return answer_batch([prompt_ids(ride) for ride in moves], answers)


@cache
def asked(split: Split, count: int) -> tuple[str, ...]:
    """Return the questions of a split, which are the same in all runs."""
    return tuple(questions(split, count))


def accuracy(model: GPT, split: Split, *, seed: int = 0) -> float:
    """Return the share of right answers, one drawn for each question."""
    moves = asked(split, NUM_QUESTIONS)
    answers = draw_answers(model, moves, seed=seed)
    return fmean(right_reward(ride, as_text(a)) for ride, a in zip(moves, answers, strict=True))


def describe(model: GPT, start: GPT, *, seed: int = 0) -> dict[str, Any]:
    """Measure a model on the questions for reporting.

    Parameters
    ----------
    model
        The model.
    start
        The model that its training started from.
    seed
        The seed of the draws.

    Returns
    -------
    figures : dict
        Accuracy, length reward, share of worked answers, tokens, divergence from the start, and
        the losses on sentences and demonstrations.
    """
    moves = asked("reporting", NUM_QUESTIONS)
    answers = draw_answers(model, moves, seed=seed)
    texts = [as_text(answer) for answer in answers]
    batch = drawn_batch(moves, answers)
    divergence = token_kl(logits_of(model, batch), logits_of(start, batch), batch.targets)
    return {
        "accuracy": fmean(map(right_reward, moves, texts)),
        "length reward": fmean(map(length_reward, moves, texts)),
        "worked": fmean(float(text.find("=") > 0) for text in texts),
        "answer tokens": fmean(map(len, answers)),
        "KL from start": float(divergence.sum(1).mean()),
        "sentence loss": sentence_loss(model),
        "examples": [f"{ride}?{text}" for ride, text in zip(moves[:6], texts[:6], strict=True)],
    }


def sentence_loss(model: GPT) -> float:
    """Return the loss on sentences that no training has seen, in nats per character."""
    return float(evaluate(model, [line_batch(HELD_OUT_SENTENCES)]).loss)


def demonstration_loss(model: GPT, pairs: Sequence[tuple[str, str]]) -> float:
    """Return the loss on answers, in nats per character."""
    return float(evaluate(model, [question_batch(pairs)]).loss)


def pass_curve(model: GPT, *, seed: int = 0) -> list[float]:
    """Return pass@k for each k of PASS_KS, the mean over questions for reporting."""
    moves = asked("reporting", PASS_QUESTIONS)
    repeated = [ride for ride in moves for _ in range(PASS_DRAWS)]
    answers = draw_answers(model, repeated, seed=seed)
    rewards = [right_reward(ride, as_text(a)) for ride, a in zip(repeated, answers, strict=True)]
    right = [int(sum(rewards[i : i + PASS_DRAWS])) for i in range(0, len(rewards), PASS_DRAWS)]
    return [fmean(pass_at_k(PASS_DRAWS, n, k) for n in right) for k in PASS_KS]
