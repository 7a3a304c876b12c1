"""What the measurements of ``speech`` have in common."""

from __future__ import annotations

from collections.abc import Sequence

from utils.metrics.error_rates import word_errors
from utils.speech.digits import DIGIT_TOKENIZER

SNR = 10.0  # decibels, of the test clips that are strings of digits
STRIDES = (2, 2, 2)  # of the encoder's convolutions


def digit_error_rate(answers: Sequence[Sequence[int]], texts: Sequence[str]) -> float:
    """Compute the word error rate, each digit being a word.

    Parameters
    ----------
    answers
        The ids of each answer.
    texts
        The digits of each clip, such as "20240229".

    Returns
    -------
    rate : float
        The number of edits that turn the answers into the texts, divided by that of the digits.
    """
    hypotheses = [" ".join(DIGIT_TOKENIZER.decode(ids)) for ids in answers]
    return word_errors(hypotheses, [" ".join(text) for text in texts]).rate
