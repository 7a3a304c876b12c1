"""The prefixes of texts that ``utils.speech.ctc_beam_search`` keeps, and their successors.

Letters: B clips, K prefixes, S steps, V tokens with the blank.
"""

from __future__ import annotations

from typing import NamedTuple

import torch


class Prefixes(NamedTuple):
    """K prefixes for each of B clips; some only fill the beam and have probability 0.

    Parameters
    ----------
    ids
        The tokens, (B, K, S + 1), padded with PAD.
    lengths
        The numbers of tokens, (B, K).
    blank_log_probs
        Log p of the alignments that end in a blank, (B, K).
    token_log_probs
        Log p of those that end in the last token, (B, K).
    """

    ids: torch.Tensor
    lengths: torch.Tensor
    blank_log_probs: torch.Tensor
    token_log_probs: torch.Tensor

    @property
    def log_probs(self) -> torch.Tensor:
        """Log p of all alignments, (B, K)."""
        return torch.logaddexp(self.blank_log_probs, self.token_log_probs)

    @property
    def last_indices(self) -> torch.Tensor:
        """The position in `ids` of each prefix's last token, (B, K, 1); 0 for an empty prefix."""
        return (self.lengths - 1).clamp(min=0)[..., None]

    @property
    def last_tokens(self) -> torch.Tensor:
        """The last token of each prefix, (B, K, 1); PAD for an empty prefix."""
        return self.ids.gather(2, self.last_indices)


class SuccessorLogProbs(NamedTuple):
    """Log p of each text that a prefix can become with one more step of the recognizer.

    Parameters
    ----------
    blank
        The prefix unchanged, by alignments that end in a blank, (B, K).
    repeat
        The prefix unchanged, by those that repeat its last token, (B, K).
    extended
        The prefix extended by each token, (B, K, V).
    """

    blank: torch.Tensor
    repeat: torch.Tensor
    extended: torch.Tensor


class BestSuccessors(NamedTuple):
    """The K successors of highest score, which become the new prefixes.

    Parameters
    ----------
    parents
        The position in the old beam of the prefix that each continues, (B, K).
    new_tokens
        The token by which it is extended, (B, K); PAD if it is unchanged.
    is_extended
        Whether it is extended, (B, K) bool.
    """

    parents: torch.Tensor
    new_tokens: torch.Tensor
    is_extended: torch.Tensor
