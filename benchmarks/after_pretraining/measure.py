"""What is measured of a model: accuracy, pass@k, divergence from the start, what is forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from statistics import fmean
from typing import Any

import torch

from benchmarks.after_pretraining.models import logits_of
from benchmarks.after_pretraining.task import (
    CUT_MARK,
    HELD_OUT_SENTENCES,
    MAX_ANSWER,
    TOKENIZER,
    Split,
    floors,
    is_worked,
    length_reward,
    line_batch,
    prompt_ids,
    questions,
    right_reward,
    working_reward,
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
WORKED_KS = (1, 2, 4, 8)


def draw_answers(
    model: GPT, moves: Sequence[str], *, seed: int, mark: str = "?"
) -> list[list[int]]:
    """Draw an answer to each question: its ids, with EOS where it ended.

    Parameters
    ----------
    model
        The model.
    moves
        The questions.
    seed
        The seed of the draws.
    mark
        What follows the moves: a space makes them the beginning of a note of pretraining.

    Returns
    -------
    answers : list of list of int
        At most MAX_ANSWER ids each.
    """
    prompts = torch.tensor([prompt_ids(ride, mark) for ride in moves])
    generator = torch.Generator().manual_seed(seed)
    drawn = sample(model, prompts, max_length=MAX_ANSWER, generator=generator)
    return [ids if len(ids) == MAX_ANSWER else [*ids, EOS] for ids in drawn]


def as_text(answer: Sequence[int]) -> str:
    """Return the text of an answer; one that did not end has a mark, so that it is not right."""
    ended = answer[-1] == EOS
    return TOKENIZER.decode(answer[:-1]) if ended else TOKENIZER.decode(answer) + CUT_MARK


def drawn_batch(moves: Sequence[str], answers: Sequence[Sequence[int]]) -> Batch:
    """Make a batch of questions and drawn answers."""
    return answer_batch([prompt_ids(ride) for ride in moves], answers)


@cache
def asked(split: Split, count: int) -> tuple[str, ...]:
    """Return the questions of a split, which are the same in all runs."""
    return tuple(questions(split, count))


def accuracy(model: GPT, split: Split, *, seed: int = 0, mark: str = "?") -> float:
    """Return the share of right answers, one drawn for each question.

    Parameters
    ----------
    model
        The model that answers.
    split
        The split of the questions.
    seed
        The seed of the draws.
    mark
        The mark after a question.

    Returns
    -------
    share : float
        From 0 to 1.
    """
    moves = asked(split, NUM_QUESTIONS)
    answers = draw_answers(model, moves, seed=seed, mark=mark)
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
        Accuracy, share of answers whose working is right as well, length reward, share of worked
        answers, tokens, divergence from the start and the loss on sentences. "hidden errors" is the
        share of wrong working among the right worked answers, "first floor" the share of worked
        answers whose first floor is right.
    """
    moves = asked("reporting", NUM_QUESTIONS)
    answers = draw_answers(model, moves, seed=seed)
    texts = [as_text(answer) for answer in answers]
    batch = drawn_batch(moves, answers)
    divergence = token_kl(logits_of(model, batch), logits_of(start, batch), batch.targets)
    worked = [pair for pair in zip(moves, texts, strict=True) if is_worked(pair[1])]
    right = [pair for pair in worked if right_reward(*pair)]
    return {
        "accuracy": fmean(map(right_reward, moves, texts)),
        "working right": fmean(map(working_reward, moves, texts)),
        "hidden errors": _mean(1 - working_reward(*pair) for pair in right),
        "first floor": _mean(float(text[0] == floors(ride)[0]) for ride, text in worked),
        "length reward": fmean(map(length_reward, moves, texts)),
        "worked": fmean(map(is_worked, texts)),
        "answer tokens": fmean(map(len, answers)),
        "KL from start": float(divergence.sum(1).mean()),
        "sentence loss": sentence_loss(model),
        "examples": [f"{ride}?{text}" for ride, text in zip(moves[:6], texts[:6], strict=True)],
    }


def _mean(values: Iterable[float]) -> float:
    """Return a mean, and 0 of no values."""
    listed = list(values)
    return fmean(listed) if listed else 0.0


def sentence_loss(model: GPT) -> float:
    """Return the loss on sentences that no training has seen, in nats per character."""
    return float(evaluate(model, [line_batch(HELD_OUT_SENTENCES)]).loss)


def pass_curves(model: GPT, *, seed: int = 0) -> dict[str, list[float]]:
    """Estimate pass@k of the same draws by several tests.

    Parameters
    ----------
    model
        The model.
    seed
        The seed of the draws.

    Returns
    -------
    curves : dict of str to list of float
        The means over questions for reporting: of right results and of right working for each k of
        PASS_KS; of right working among worked answers alone for each k of WORKED_KS, over the
        questions with enough worked answers, if these are at least half.
    """
    moves = asked("reporting", PASS_QUESTIONS)
    repeated = [ride for ride in moves for _ in range(PASS_DRAWS)]
    texts = [as_text(answer) for answer in draw_answers(model, repeated, seed=seed)]
    groups = [texts[i : i + PASS_DRAWS] for i in range(0, len(texts), PASS_DRAWS)]
    curves = {}
    for name, test in (("pass@k", right_reward), ("pass@k, working", working_reward)):
        passed = [
            sum(test(ride, text) for text in group)
            for ride, group in zip(moves, groups, strict=True)
        ]
        curves[name] = [fmean(pass_at_k(PASS_DRAWS, int(n), k) for n in passed) for k in PASS_KS]
    counts = [sum(map(is_worked, group)) for group in groups]
    enough = [(n, int(c)) for n, c in zip(counts, passed, strict=True) if n >= max(WORKED_KS)]
    if 2 * len(enough) >= len(moves):
        curves["pass@k, worked only"] = [
            fmean(pass_at_k(n, c, k) for n, c in enough) for k in WORKED_KS
        ]
    return curves
