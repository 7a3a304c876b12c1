"""The options of beam search: how many hypotheses it keeps, how it ranks them, and when it ends.

Derived in sections 3.2 and 5.2. Length normalization: Wu et al. 2016. Bonus per token: Murray and
Chiang 2018. Patience: Kasai et al. 2024.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass

from utils.arguments import check_integer, check_number, check_positive, if_given

MAX_LENGTH_PENALTY = 10.0
"""The largest magnitude of a length penalty; the normalizer of any length stays finite."""

MAX_TOKEN_BONUS = 1e6
"""The largest magnitude of a bonus per token."""


@dataclass(frozen=True)
class BeamConfig:
    """The size of a beam, its ranking of hypotheses, and the end of its search.

    A hypothesis of n tokens, including EOS if it has ended, has the score
    ``log_prob / ((5 + n) / 6) ** length_penalty + token_bonus * n``.

    By default a search ends safely: once it has all the hypotheses that it returns and no partial
    one can still overtake any of them. No continuation is more probable than its
    partial hypothesis, whose score at the most favourable length up to the maximum is therefore a
    bound. With ``length_penalty > 0`` this maximum matters: a small `max_length` ends the search
    sooner. A beam of size 1 is greedy search, which ends with its first EOS.

    Source: ``eq-length-penalty`` (section 5.2), Wu et al. 2016; ``eq-token-bonus`` (section 3.2),
    Murray and Chiang 2018; patience: Kasai et al. 2024.

    Parameters
    ----------
    beam_size
        The number K of partial hypotheses that each step keeps.
    length_penalty
        The exponent α of the length normalization, from −10 to 10; 0 ranks by the log-probability
        itself.
    token_bonus
        Added to the score for each token, from −10⁶ to 10⁶.
    patience
        None for the safe end. A number ends a prompt's search as soon as it has at least ``patience
        * beam_size`` finished hypotheses, whatever the partial ones are worth; 1 is the rule of
        many toolkits, which is faster but may miss longer hypotheses with a higher score.
    num_hypotheses
        The maximum number of hypotheses to return, from 1 to K; None for K. With fewer, the safe
        end comes sooner.

    Raises
    ------
    ValueError
        If a size, the patience or a number of hypotheses is not positive, the number of hypotheses
        is above K, or `length_penalty` or `token_bonus` is outside its range.
    """

    beam_size: int = 5
    _: KW_ONLY
    length_penalty: float = 1.0
    token_bonus: float = 0.0
    patience: float | None = None
    num_hypotheses: int | None = None

    def __post_init__(self) -> None:
        check_positive(beam_size=self.beam_size)
        check_integer(
            minimum=1, maximum=self.beam_size, **if_given(num_hypotheses=self.num_hypotheses)
        )
        limit = MAX_LENGTH_PENALTY
        check_number(minimum=-limit, maximum=limit, length_penalty=self.length_penalty)
        limit = MAX_TOKEN_BONUS
        check_number(minimum=-limit, maximum=limit, token_bonus=self.token_bonus)
        check_number(above=0, maximum=math.inf, **if_given(patience=self.patience))

    @property
    def num_returned(self) -> int:
        """The maximum number of hypotheses that are returned."""
        return self.beam_size if self.num_hypotheses is None else self.num_hypotheses

    def score(self, log_prob: float, length: int) -> float:
        """Compute the score of a hypothesis of `length` tokens, EOS included; higher is better."""
        return log_prob / length_normalizer(length, self.length_penalty) + self.token_bonus * length

    def highest_score(self, log_prob: float, shortest: int, longest: int) -> float:
        """Compute an upper bound of the scores of all continuations of a partial hypothesis.

        Normalizer and bonus are monotonic in the length, so each has its maximum at an end of the
        range.

        Parameters
        ----------
        log_prob
            The log-probability of the partial hypothesis, which no continuation exceeds.
        shortest, longest
            The range of lengths of its continuations.

        Returns
        -------
        score : float
            The bound.
        """
        lengths = (shortest, longest)
        normalizers = [length_normalizer(length, self.length_penalty) for length in lengths]
        quotient = max(log_prob / normalizer for normalizer in normalizers)
        return quotient + max(self.token_bonus * length for length in lengths)


def length_normalizer(length: int, length_penalty: float) -> float:
    """Compute ((5 + length) / 6) ** length_penalty, the divisor of a log-probability.

    Source: ``eq-length-penalty`` (section 5.2); Wu et al. 2016, eq. 14.

    Parameters
    ----------
    length
        The number of tokens, EOS included.
    length_penalty
        The exponent α.

    Returns
    -------
    normalizer : float
        The divisor.
    """
    normalizer: float = ((5 + length) / 6) ** length_penalty
    return normalizer
