"""Connectionist temporal classification (CTC): the likelihood of a text, and its gradient.

An encoder gives a distribution over tokens and a blank at each of its S steps. CTC sums the
probability of a text over all alignments of its tokens with the steps. Section 6.3 derives the
functions; the method is that of Graves et al. 2006. ``utils.speech.ctc_beam_search`` has the search
with a language model.

The blank has the id of PAD, so that tokens have the same ids here and in a language model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional as F

from utils.conversions import as_integers
from utils.data.batches import IGNORE_INDEX
from utils.data.vocabulary import PAD
from utils.speech.ctc_inputs import (
    as_batch_texts,
    as_text,
    check_log_probs,
    count_needed_steps,
)

BLANK = PAD


def collapse_path(path: Sequence[int]) -> list[int]:
    """Return the text of an alignment, a token or blank at each step.

    Repeats become one token, then blanks are removed.

    Source: ``eq-ctc-collapse`` (section 6.3); Graves et al. 2006.

    Raises
    ------
    ValueError
        If `path` is not a sequence of integers.

    Examples
    --------
    >>> from utils.speech.ctc import BLANK, collapse_path
    >>> collapse_path([4, 4, BLANK, 4, 5, 5])
    [4, 4, 5]
    """
    path = as_integers(path, name="a path")
    return [
        token
        for step, token in enumerate(path)
        if token != BLANK and (step == 0 or token != path[step - 1])
    ]


def insert_blanks(ids: Sequence[int]) -> list[int]:
    """Return a list of 2·L + 1 labels: L tokens with a blank before, between and after them.

    Raises
    ------
    ValueError
        If `ids` is not a sequence of integers.
    """
    return [BLANK, *(label for token in as_integers(ids) for label in (token, BLANK))]


def forward_variables(log_probs: torch.Tensor, ids: Sequence[int]) -> torch.Tensor:
    """Compute the forward variables log α: log p of all alignments of a prefix of the text.

    Source: ``eq-ctc-forward`` (section 6.3); Graves et al. 2006, eq. 6.

    Parameters
    ----------
    log_probs
        Log-probabilities of tokens and blank at each step, (S, V).
    ids
        The L tokens of the text.

    Returns
    -------
    alpha : torch.Tensor
        log α (S, 2·L + 1). Entry (s, i) sums all alignments of the labels 0 … i of
        `insert_blanks(ids)` with the steps 0 … s, the probability at step s included.

    Raises
    ------
    ValueError
        If `as_text` rejects the text, or `check_log_probs` the log-probabilities.
    """
    check_log_probs(log_probs)
    labels = insert_blanks(as_text(ids, log_probs.shape[1]))
    # a blank may be skipped between two different tokens
    may_skip = torch.tensor(
        [i >= 2 and label not in (BLANK, labels[i - 2]) for i, label in enumerate(labels)],
        device=log_probs.device,
    )
    label_log_probs = log_probs[:, labels]  # (S, 2·L + 1)
    alpha = torch.full_like(label_log_probs, -math.inf)
    alpha[0, :2] = label_log_probs[0, :2]
    for step in range(1, len(log_probs)):
        same_label = alpha[step - 1]
        next_label = F.pad(same_label[:-1], (1, 0), value=-math.inf)
        skipped_blank = F.pad(same_label, (2, 0), value=-math.inf)[: len(labels)]
        skipped_blank = skipped_blank.masked_fill(~may_skip, -math.inf)
        total = torch.stack([same_label, next_label, skipped_blank]).logsumexp(0)
        alpha[step] = total + label_log_probs[step]
    return alpha


def backward_variables(log_probs: torch.Tensor, ids: Sequence[int]) -> torch.Tensor:
    """Compute the backward variables log β: log p of all alignments of the rest of the text.

    The recursion is the forward one on the reversed steps and the reversed text; the probability at
    the step itself, which α includes, is taken out.

    Source: ``eq-ctc-backward`` (section 6.3); Graves et al. 2006, eq. 10.

    Parameters
    ----------
    log_probs
        Log-probabilities of tokens and blank at each step, (S, V).
    ids
        The L tokens of the text.

    Returns
    -------
    beta : torch.Tensor
        log β (S, 2·L + 1). Entry (s, i) sums all alignments of the labels from i on with the steps
        after s, given that step s has label i.

    Raises
    ------
    ValueError
        If `forward_variables` rejects the text or the log-probabilities.
    """
    check_log_probs(log_probs)
    text = as_text(ids, log_probs.shape[1])
    reversed_alpha = forward_variables(log_probs.flip(0), text[::-1]).flip(0, 1)
    without_step = reversed_alpha - log_probs[:, insert_blanks(text)]
    return torch.where(reversed_alpha == -math.inf, -math.inf, without_step)  # (S, 2·L + 1)


def ctc_loss(log_probs: torch.Tensor, ids: Sequence[int]) -> torch.Tensor:
    """Compute −log p(text | audio), summed over all alignments.

    Source: ``eq-ctc`` (section 6.3); Graves et al. 2006, eq. 8.

    Parameters
    ----------
    log_probs
        Log-probabilities of tokens and blank at each step, (S, V) with S ≥ 1.
    ids
        The tokens of the text.

    Returns
    -------
    loss : torch.Tensor
        A scalar; ∞ if each alignment of the text has a step of probability 0.

    Raises
    ------
    ValueError
        If S steps are too few for the text, or `forward_variables` rejects the text or the
        log-probabilities.

    Examples
    --------
    >>> import torch
    >>> from utils.speech.ctc import ctc_loss
    >>> log_probs = torch.full((3, 5), 0.2).log()  # 3 steps, 5 tokens of equal probability
    >>> num_alignments = (-ctc_loss(log_probs, [4])).exp() * 5**3
    >>> round(float(num_alignments))
    6
    """
    _check_num_steps(log_probs, ids)
    return -forward_variables(log_probs, ids)[-1, -2:].logsumexp(0)


def ctc_gradient(log_probs: torch.Tensor, ids: Sequence[int]) -> torch.Tensor:
    """Compute the gradient of `ctc_loss` with respect to the logits behind `log_probs`.

    For each step and token it is the predicted probability minus the probability that an alignment
    of the text, drawn by its probability, has this token at this step.

    Source: ``eq-ctc-gradient`` (section 6.3); Graves et al. 2006, eq. 16.

    Parameters
    ----------
    log_probs
        Log-probabilities of tokens and blank at each step, (S, V).
    ids
        The tokens of the text.

    Returns
    -------
    gradient : torch.Tensor
        The gradient, (S, V).

    Raises
    ------
    ValueError
        If S steps are too few for the text, each alignment has a step of probability 0, or
        `forward_variables` rejects the text or the log-probabilities.
    """
    _check_num_steps(log_probs, ids)
    alignments = forward_variables(log_probs, ids) + backward_variables(log_probs, ids)
    total = alignments[-1].logsumexp(0)
    if total.isneginf():
        raise ValueError("each alignment of the text has a step of probability 0")
    occupancy = (alignments - total).exp()  # (S, 2·L + 1), each row sums to 1
    labels = torch.tensor(insert_blanks(ids), device=log_probs.device).expand_as(occupancy)
    return log_probs.exp() - torch.zeros_like(log_probs).scatter_add(1, labels, occupancy)


def ctc_batch_loss(
    log_probs: torch.Tensor, lengths: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Compute the `ctc_loss` of each row of a batch, with torch's implementation.

    Parameters
    ----------
    log_probs
        Log-probabilities of tokens and blank, (B, S, V).
    lengths
        The number of valid steps of each row, (B,).
    targets
        The tokens of each text, (B, L), padded with IGNORE_INDEX.

    Returns
    -------
    losses : torch.Tensor
        −log p(text | audio) of each row, (B,); losses of inputs in half precision are computed and
        returned in float32.

    Raises
    ------
    ValueError
        If `as_batch_texts` rejects the arguments, for example because a row has too few steps for
        its text.
    """
    texts = as_batch_texts(log_probs, lengths, targets)
    device = log_probs.device
    if log_probs.dtype in (torch.float16, torch.bfloat16):  # torch has no loss of these types
        log_probs = log_probs.float()
    if device.type == "mps":  # torch computes this loss on a CPU and on CUDA only
        log_probs, lengths, targets = log_probs.cpu(), lengths.cpu(), targets.cpu()
    target_lengths = torch.tensor([len(text) for text in texts], device=log_probs.device)  # (B,)
    targets = targets.masked_fill(targets == IGNORE_INDEX, BLANK)
    time_first = log_probs.transpose(0, 1)  # (S, B, V)
    losses = F.ctc_loss(time_first, targets, lengths, target_lengths, BLANK, "none")  # (B,)
    return losses.to(device)


def best_path(log_probs: torch.Tensor) -> list[int]:
    """Return the text of the most probable alignment of log-probabilities (S, V), greedily.

    It need not be the most probable text, which has many alignments.

    Raises
    ------
    ValueError
        If `check_log_probs` rejects the log-probabilities.

    Examples
    --------
    >>> import torch
    >>> from utils.speech.ctc import best_path
    >>> p = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])  # of the blank and of token 1
    >>> best_path(p.log())
    [1, 1]
    """
    check_log_probs(log_probs)
    return collapse_path(log_probs.argmax(-1).tolist())


def _check_num_steps(log_probs: torch.Tensor, ids: Sequence[int]) -> None:
    """Raise ValueError if the steps of `log_probs` (S, V) are too few for the text."""
    if count_needed_steps(ids) > len(log_probs):
        raise ValueError(f"no alignment of {len(log_probs)} steps gives these {len(ids)} tokens")
