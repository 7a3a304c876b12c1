"""Shallow fusion: a language model that scores the prefixes of ``utils.speech.ctc_beam_search``.

Shallow fusion adds the weighted log-probability of a language model to that of the recognizer
(Gulcehre et al. 2015). Section 6.3 derives it.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from utils.contract import LanguageModel, StateT
from utils.data.vocabulary import BOS, EOS
from utils.decoding.model_state import map_tensors, select_rows
from utils.decoding.token_rules import check_logits
from utils.runtime import device_of


class ShallowFusion:
    """A language model's states and log-probabilities for the K prefixes of each of B clips.

    Each prefix starts as the empty text; `select` follows the search from step to step.

    Parameters
    ----------
    model
        A language model, on the CPU and in evaluation mode, whose state does not grow with the text
        (an n-gram or a recurrent model): prefixes of different lengths share one batch.
    weight
        The factor of its log-probabilities in the score of the search.
    batch_size
        The number B of clips.
    beam_size
        The number K of prefixes of each clip.
    vocab_size
        The size V of the recognizer's vocabulary.

    Attributes
    ----------
    log_probs : torch.Tensor
        Log p of each prefix, (B, K) float64.
    next_log_probs : torch.Tensor
        Log p of each token after each prefix, (B, K, V) float64.

    Raises
    ------
    ValueError
        If the model is not on the CPU, has another vocabulary or a state that grows, or gives NaN
        or complex logits; `select` raises it too. As `check_scores` for probabilities of 0.
    """

    def __init__(
        self,
        model: LanguageModel[Any],
        *,
        weight: float,
        batch_size: int,
        beam_size: int,
        vocab_size: int,
    ) -> None:
        device = device_of(model)
        if device.type != "cpu":
            raise ValueError(f"the search runs on the CPU; move the model from {device}")
        logits, state = model(torch.full((batch_size * beam_size, 1), BOS), None)
        if logits.shape[-1] != vocab_size:
            raise ValueError(
                f"the language model has {logits.shape[-1]} tokens, the recognizer {vocab_size}: "
                "both need the same vocabulary"
            )
        _check_constant_size(model)
        self.model = model
        self.weight = weight
        self.log_probs = torch.zeros(batch_size, beam_size, dtype=torch.float64)
        self.next_log_probs = _next_log_probs(logits).view(batch_size, beam_size, vocab_size)
        self._state = state

    def select(
        self,
        *,
        parents: torch.Tensor,
        new_tokens: torch.Tensor,
        is_extended: torch.Tensor,
        is_alive: torch.Tensor,
    ) -> None:
        """Replace the prefixes with the best ones after one more step of the search.

        Parameters
        ----------
        parents
            The position in the old beam of the prefix that each new one continues, (B, K).
        new_tokens
            The token by which it is extended, (B, K).
        is_extended
            True where it is extended, False where it stays the same, (B, K) bool.
        is_alive
            False where it has probability 0, so that the model need not read it, (B, K) bool.
        """
        B, K, V = self.next_log_probs.shape
        added = self.next_log_probs.flatten(1).gather(1, parents * V + new_tokens)  # (B, K)
        self.log_probs = self.log_probs.gather(1, parents) + added.masked_fill(~is_extended, 0.0)
        parent_rows = (parents + K * torch.arange(B)[:, None]).flatten()  # (B·K,)
        next_log_probs = self.next_log_probs.flatten(0, 1)[parent_rows]  # (B·K, V)
        state = select_rows(self._state, parent_rows)
        # the rows with a token to read
        rows = (is_extended & is_alive).flatten().nonzero()[:, 0]  # (R,)
        if len(rows):
            ids = new_tokens.flatten()[rows][:, None]  # (R, 1)
            logits, new_state = self.model(ids, select_rows(self._state, parent_rows[rows]))
            next_log_probs[rows] = _next_log_probs(logits)
            state = _replace_rows(state, rows, new_state)
        self.next_log_probs = next_log_probs.view(B, K, V)
        self._state = state

    def check_scores(self, scores: torch.Tensor, log_probs: torch.Tensor) -> torch.Tensor:
        """Check that the model leaves each clip a text, and gives none an infinite score.

        Parameters
        ----------
        scores
            The scores of N texts of each clip, (B, N).
        log_probs
            Their log-probabilities by the recognizer alone, (B, N); −∞ for what is not a text.

        Returns
        -------
        scores : torch.Tensor
            The scores, −∞ for what is not a text.

        Raises
        ------
        ValueError
            If the model gives probability 0 to all texts of a clip, or, with a negative weight, to
            one of them.
        """
        is_text = log_probs > -math.inf  # (B, N)
        scores = scores.masked_fill(~is_text, -math.inf)
        if (scores == math.inf).any():
            raise ValueError(
                f"with lm_weight={self.weight} a text of probability 0 by the language model has "
                "the score +∞: choose a positive weight, or a smoothed language model"
            )
        is_lost = is_text.any(1) & (scores == -math.inf).all(1)  # (B,)
        if is_lost.any():
            raise ValueError(
                f"the language model gives probability 0 to all texts in the beam of clip "
                f"{int(is_lost.nonzero()[0, 0])}, EOS included: train it on texts that end in EOS, "
                "or smooth it"
            )
        return scores

    def final_log_probs(self) -> torch.Tensor:
        """Return log p of each prefix as a complete text, EOS included: (B, K)."""
        return self.log_probs + self.next_log_probs[..., EOS]


def _next_log_probs(logits: torch.Tensor) -> torch.Tensor:
    """Return log p of the token after the last, (R, V) float64, from logits (R, T, V)."""
    check_logits(logits)
    log_probs = logits[:, -1].double().log_softmax(-1)  # (R, V)
    if log_probs.isnan().any():
        raise ValueError("the language model gives NaN as log-probabilities; check its weights")
    return log_probs


def _check_constant_size(model: LanguageModel[StateT]) -> None:
    """Raise ValueError if the model's state has another shape after two tokens than after one."""

    def check_shapes(after_one: torch.Tensor, after_two: torch.Tensor) -> torch.Tensor:
        if after_one.shape != after_two.shape:
            raise ValueError(
                "the language model's state grows with the text, and prefixes differ in length: "
                "use a model with a state of constant size, such as an n-gram or a recurrent one"
            )
        return after_two

    token = torch.full((1, 1), BOS)
    _, state = model(token, None)
    _, next_state = model(token, state)
    map_tensors(check_shapes, state, next_state)


def _replace_rows(state: StateT, rows: torch.Tensor, new_state: StateT) -> StateT:
    """Return the state with its batch rows `rows` (R,) replaced by those of `new_state`."""
    return map_tensors(lambda old, new: old.index_copy(0, rows, new), state, new_state)
