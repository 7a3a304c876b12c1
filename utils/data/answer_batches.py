"""Batches of prompts with answers, of which only the answers are predicted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from utils.data.batches import IGNORE_INDEX, Batch, pad


def answer_batch(prompts: Iterable[Sequence[int]], answers: Iterable[Sequence[int]]) -> Batch:
    """Make one batch of prompts and answers, whose targets leave prompts and padding out.

    Targets are shifted by one: the input at the prompt's end predicts the first token of the
    answer.

    Source: ``eq-answer-loss`` (section 8.4).

    Parameters
    ----------
    prompts
        The ids of B prompts, each with BOS if the model expects it.
    answers
        The ids of B answers, each with EOS if the model is to predict it.

    Returns
    -------
    batch : Batch
        Inputs (B, T), padded with PAD, and targets (B, T), IGNORE_INDEX outside the answers.

    Raises
    ------
    ValueError
        If there is not one answer for each prompt, or one of them is empty.

    Examples
    --------
    >>> from utils.data.answer_batches import answer_batch
    >>> batch = answer_batch([[1, 7, 8], [1, 9]], [[5, 2], [6, 2]])
    >>> batch.inputs
    tensor([[1, 7, 8, 5],
            [1, 9, 6, 0]])
    >>> batch.targets
    tensor([[-100, -100,    5,    2],
            [-100,    6,    2, -100]])
    """
    rows = [(list(prompt), list(answer)) for prompt, answer in zip(prompts, answers, strict=True)]
    for prompt, answer in rows:
        if not prompt or not answer:
            raise ValueError(f"a prompt and its answer need a token each, got {prompt}, {answer}")
    inputs = pad([(prompt + answer)[:-1] for prompt, answer in rows])
    outside = [[IGNORE_INDEX] * (len(prompt) - 1) + answer for prompt, answer in rows]
    return Batch(inputs, pad(outside, IGNORE_INDEX))
