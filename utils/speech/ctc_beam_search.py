"""Prefix beam search for CTC, with or without a language model.

Derived in section 6.3. Prefix beam search with a language model: Hannun et al. 2014; shallow
fusion: Gulcehre et al. 2015.

The search keeps K prefixes of texts for each clip. By the recognizer alone, a prefix has two
probabilities: of alignments that end in a blank, and of those that end in its last token. A token
that repeats the last one is a new token only after a blank.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import torch

from utils.arguments import check_number, check_positive
from utils.contract import LanguageModel
from utils.data.vocabulary import BOS, EOS, PAD, UNK
from utils.runtime import evaluation_mode
from utils.speech.ctc import BLANK
from utils.speech.ctc_inputs import pad_clips
from utils.speech.ctc_prefixes import BestSuccessors, Prefixes, SuccessorLogProbs
from utils.speech.shallow_fusion import ShallowFusion

NOT_TRANSCRIBED = (BLANK, BOS, EOS, UNK)  # they never extend a prefix
MAX_FACTOR = 1e6  # the largest magnitude of the language model's weight and of the bonus per token


@dataclass(frozen=True)
class CTCBeamConfig:
    """The size of a prefix beam search and its ranking of texts.

    Parameters
    ----------
    beam_size
        Beam size K: how many prefixes each step keeps.
    lm_weight
        The weight of the language model, from −10⁶ to 10⁶; at 0 it is not used.
    token_bonus
        Added to the score for each token, from −10⁶ to 10⁶: a language model favours short texts.

    Raises
    ------
    ValueError
        If the beam size is not a positive integer, or another option outside its range.
    """

    beam_size: int = 8
    _: KW_ONLY
    lm_weight: float = 0.0
    token_bonus: float = 0.0

    def __post_init__(self) -> None:
        check_positive(beam_size=self.beam_size)
        factors = {"lm_weight": self.lm_weight, "token_bonus": self.token_bonus}
        check_number(minimum=-MAX_FACTOR, maximum=MAX_FACTOR, **factors)


@dataclass(frozen=True)
class CTCHypothesis:
    """One text that the search returns for a clip.

    Parameters
    ----------
    ids
        Its tokens.
    ctc_log_prob
        log p(text | audio) by the recognizer, summed over the alignments that stayed in the beam.
    lm_log_prob
        log p(text) by the language model, EOS included; 0 without one.
    score
        ctc_log_prob + lm_weight · lm_log_prob + token_bonus · length, by which texts are ranked.
    """

    ids: list[int]
    ctc_log_prob: float
    lm_log_prob: float
    score: float


@torch.inference_mode()
def prefix_beam_search(
    log_probs: Sequence[torch.Tensor],
    beam: CTCBeamConfig = CTCBeamConfig(),
    *,
    language_model: LanguageModel[Any] | None = None,
) -> list[list[CTCHypothesis]]:
    """Search for the most probable texts of each clip.

    They maximize log p(text | audio) + lm_weight · log p(text) + token_bonus · length. All clips
    are searched together, on the CPU.

    Source: ``eq-fusion`` and ``eq-ctc-prefix`` (section 6.3); Hannun et al. 2014.

    Parameters
    ----------
    log_probs
        For each of B clips, the log-probabilities of tokens and blank at each step, (S, V).
    beam
        The beam size K and the ranking.
    language_model
        A language model for `ShallowFusion`, such as an n-gram or a recurrent model; it is in
        evaluation mode during the call. Needed if `beam` gives it a weight.

    Returns
    -------
    hypotheses : list of list of CTCHypothesis
        For each clip its texts of a probability above 0, at most K, best first.

    Raises
    ------
    ValueError
        If a clip does not hold log-probabilities (S, V), has another V or no possible text, if V is
        too small for the special tokens, or if the language model is missing or `ShallowFusion`
        rejects it or its probabilities.

    Examples
    --------
    >>> import torch
    >>> from utils.speech.ctc_beam_search import CTCBeamConfig, prefix_beam_search
    >>> p = torch.tensor([[0.6, 0.0, 0.0, 0.0, 0.4], [0.6, 0.0, 0.0, 0.0, 0.4]])
    >>> (hypotheses,) = prefix_beam_search([p.log()], CTCBeamConfig(2))
    >>> [(text.ids, round(text.score, 3)) for text in hypotheses]
    [([4], -0.446), ([], -1.022)]
    """
    if beam.lm_weight and language_model is None:
        raise ValueError(f"lm_weight={beam.lm_weight} needs a language_model")
    if len(log_probs) == 0:
        return []
    padded = pad_clips(log_probs)  # (B, S, V)
    if padded.shape[2] <= max(NOT_TRANSCRIBED):
        raise ValueError(
            f"a vocabulary of {padded.shape[2]} has no tokens besides the special ones, which have "
            f"the ids 0 to {max(NOT_TRANSCRIBED)}"
        )
    if language_model is None or not beam.lm_weight:
        return _PrefixSearch(padded.shape, beam, None).run(padded)
    shape = {"batch_size": len(padded), "beam_size": beam.beam_size, "vocab_size": padded.shape[2]}
    with evaluation_mode(language_model):
        fusion = ShallowFusion(language_model, weight=beam.lm_weight, **shape)
        return _PrefixSearch(padded.shape, beam, fusion).run(padded)


class _PrefixSearch:
    """The search for B clips at once; `shape` is that of their log-probabilities, (B, S, V)."""

    def __init__(
        self, shape: torch.Size, beam: CTCBeamConfig, fusion: ShallowFusion | None
    ) -> None:
        (B, S, _), K = shape, beam.beam_size
        impossible = torch.full((B, K), -math.inf, dtype=torch.float64)
        self.prefixes = Prefixes(
            ids=torch.full((B, K, S + 1), PAD),
            lengths=torch.zeros(B, K, dtype=torch.int64),
            blank_log_probs=impossible.clone(),
            token_log_probs=impossible,
        )
        self.prefixes.blank_log_probs[:, 0] = 0.0  # at first there is one prefix, the empty one
        self.token_bonus = beam.token_bonus
        self.fusion = fusion

    def run(self, log_probs: torch.Tensor) -> list[list[CTCHypothesis]]:
        """Search through all steps of `log_probs` (B, S, V) and return each clip's hypotheses."""
        for step_log_probs in log_probs.unbind(1):  # (B, V)
            self.advance(step_log_probs)
        return self.results()

    def advance(self, step_log_probs: torch.Tensor) -> None:
        """Replace the prefixes with the best ones after one more step, `step_log_probs` (B, V)."""
        successors = self._merge_duplicates(self._successor_log_probs(step_log_probs))
        best = self._best_successors(successors)
        self.prefixes = self._select_prefixes(best, successors)
        if self.fusion is not None:
            is_alive = self.prefixes.log_probs > -math.inf  # (B, K)
            self.fusion.select(**best._asdict(), is_alive=is_alive)

    def _successor_log_probs(self, step_log_probs: torch.Tensor) -> SuccessorLogProbs:
        """Compute log p of each prefix unchanged, and of each prefix extended by each token."""
        prefixes = self.prefixes
        last_tokens = prefixes.last_tokens  # (B, K, 1)
        V = step_log_probs.shape[1]
        prefix_log_probs = prefixes.log_probs[..., None].repeat(1, 1, V)  # (B, K, V)
        # the last token once more is a new token only after a blank
        prefix_log_probs.scatter_(2, last_tokens, prefixes.blank_log_probs[..., None])
        extended = prefix_log_probs + step_log_probs[:, None]  # (B, K, V)
        extended[..., list(NOT_TRANSCRIBED)] = -math.inf
        return SuccessorLogProbs(
            blank=prefixes.log_probs + step_log_probs[:, BLANK, None],
            repeat=prefixes.token_log_probs + step_log_probs.gather(1, last_tokens[..., 0]),
            extended=extended,
        )

    def _merge_duplicates(self, successors: SuccessorLogProbs) -> SuccessorLogProbs:
        """Add the probability of an extended prefix to that of an equal prefix of the beam."""
        prefixes = self.prefixes
        without_last = prefixes.ids.scatter(2, prefixes.last_indices, PAD)  # (B, K, S + 1)
        # entry (b, i, j): prefix j is prefix i and one more token
        is_parent = (prefixes.ids[:, :, None] == without_last[:, None]).all(-1)  # (B, K, K)
        is_parent &= prefixes.lengths[:, :, None] + 1 == prefixes.lengths[:, None]
        is_alive = prefixes.log_probs > -math.inf  # (B, K)
        is_parent &= is_alive[:, :, None] & is_alive[:, None]
        child_tokens = prefixes.last_tokens.mT.expand_as(is_parent)  # (B, K, K)
        from_parents = successors.extended.gather(2, child_tokens)  # (B, K, K)
        from_parents = from_parents.masked_fill(~is_parent, -math.inf).logsumexp(1)  # (B, K)
        repeat = torch.logaddexp(successors.repeat, from_parents)  # (B, K)
        counts = torch.zeros_like(successors.extended)  # (B, K, V)
        is_duplicate = counts.scatter_add(2, child_tokens, is_parent.to(counts.dtype)) > 0
        extended = successors.extended.masked_fill(is_duplicate, -math.inf)
        return SuccessorLogProbs(successors.blank, repeat, extended)

    def _best_successors(self, successors: SuccessorLogProbs) -> BestSuccessors:
        """Return the K successors of highest score."""
        _, K, V = successors.extended.shape
        prefix_scores = self.token_bonus * self.prefixes.lengths.double()  # (B, K)
        if self.fusion is not None:
            prefix_scores = prefix_scores + self.fusion.weight * self.fusion.log_probs
        unchanged_log_probs = torch.logaddexp(successors.blank, successors.repeat)  # (B, K)
        unchanged = unchanged_log_probs + prefix_scores  # (B, K)
        extended = successors.extended + self.token_bonus + prefix_scores[..., None]  # (B, K, V)
        if self.fusion is not None:
            extended = extended + self.fusion.weight * self.fusion.next_log_probs
        # of K + K·V scores, number k is prefix k, and number K + k·V + v prefix k with token v
        scores = torch.cat([unchanged, extended.flatten(1)], 1)
        if self.fusion is not None:
            log_probs = torch.cat([unchanged_log_probs, successors.extended.flatten(1)], 1)
            scores = self.fusion.check_scores(scores, log_probs)
        best = scores.topk(K, 1).indices  # (B, K)
        is_extended = best >= K
        return BestSuccessors(
            parents=torch.where(is_extended, (best - K) // V, best),
            new_tokens=((best - K) % V).masked_fill(~is_extended, PAD),
            is_extended=is_extended,
        )

    def _select_prefixes(self, best: BestSuccessors, successors: SuccessorLogProbs) -> Prefixes:
        """Return the best successors as prefixes."""
        parents, new_tokens, is_extended = best
        V = successors.extended.shape[2]
        blank = successors.blank.gather(1, parents)  # (B, K)
        repeat = successors.repeat.gather(1, parents)  # (B, K)
        extended = successors.extended.flatten(1).gather(1, parents * V + new_tokens)  # (B, K)
        lengths = self.prefixes.lengths.gather(1, parents)  # (B, K)
        ids = self.prefixes.ids  # (B, K, S + 1)
        ids = ids.gather(1, parents[..., None].expand_as(ids))
        return Prefixes(
            ids=ids.scatter(2, lengths[..., None], new_tokens[..., None]),
            lengths=lengths + is_extended,
            blank_log_probs=blank.masked_fill(is_extended, -math.inf),
            token_log_probs=torch.where(is_extended, extended, repeat),
        )

    def results(self) -> list[list[CTCHypothesis]]:
        """Return the hypotheses of each clip, best first."""
        ctc_log_probs = self.prefixes.log_probs  # (B, K)
        lm_log_probs = torch.zeros_like(ctc_log_probs)
        scores = ctc_log_probs + self.token_bonus * self.prefixes.lengths.double()
        if self.fusion is not None:
            lm_log_probs = self.fusion.final_log_probs()
            scores = scores + self.fusion.weight * lm_log_probs
            scores = self.fusion.check_scores(scores, ctc_log_probs)
        results = []
        columns = (self.prefixes.ids, self.prefixes.lengths, ctc_log_probs, lm_log_probs, scores)
        for clip, rows in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
            hypotheses = [
                CTCHypothesis(ids[:length], ctc_log_prob, lm_log_prob, score)
                for ids, length, ctc_log_prob, lm_log_prob, score in zip(*rows, strict=True)
                if score > -math.inf
            ]
            if not hypotheses:
                raise ValueError(f"clip {clip} has a step at which no text has a probability")
            results.append(sorted(hypotheses, key=lambda hypothesis: -hypothesis.score))
        return results
