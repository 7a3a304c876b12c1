"""Word and character error rates of transcripts (section 6.3), computed by jiwer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jiwer


@dataclass(frozen=True)
class ErrorCounts:
    """The edits that turn hypotheses into their references.

    Parameters
    ----------
    substitutions, deletions, insertions
        The number of edits of each sort. A deletion is a unit that the hypothesis lacks.
    reference_length
        The number of units, words or characters, in the references.
    """

    substitutions: int
    deletions: int
    insertions: int
    reference_length: int

    @property
    def rate(self) -> float:
        """The error rate: edits divided by the length of the references; it can exceed 1."""
        return (self.substitutions + self.deletions + self.insertions) / self.reference_length


def word_errors(hypotheses: Sequence[str], references: Sequence[str]) -> ErrorCounts:
    """Count word errors: the fewest edits that turn the hypotheses into the references.

    Words are separated by spaces. The rate is that of the whole corpus: the edits of all texts
    divided by the words of all references.

    Source: ``eq-wer`` (section 6.3).

    Parameters
    ----------
    hypotheses, references
        The transcripts, in the same order.

    Returns
    -------
    errors : ErrorCounts
        The numbers of edits, and the word error rate (WER) as `rate`.

    Raises
    ------
    ValueError
        If the two lists differ in length, are empty or no lists, or a reference has no words.
    """
    return _count_errors(jiwer.process_words, hypotheses, references)


def character_errors(hypotheses: Sequence[str], references: Sequence[str]) -> ErrorCounts:
    """Count errors as `word_errors` does, in characters (spaces included) instead of words.

    Parameters
    ----------
    hypotheses, references
        The transcripts, in the same order.

    Returns
    -------
    errors : ErrorCounts
        The numbers of edits, and the character error rate (CER) as `rate`.

    Raises
    ------
    ValueError
        If the two lists differ in length, are empty or no lists, or a reference has no words.
    """
    return _count_errors(jiwer.process_characters, hypotheses, references)


def _count_errors(
    process: Callable[[list[str], list[str]], jiwer.WordOutput | jiwer.CharacterOutput],
    hypotheses: Sequence[str],
    references: Sequence[str],
) -> ErrorCounts:
    """Count the errors in the alignment that `process`, a function of jiwer, computes."""
    if isinstance(hypotheses, str) or isinstance(references, str):
        raise ValueError("errors are counted text by text: give lists of texts, not a text")
    if len(hypotheses) != len(references) or not all(text.strip() for text in references):
        raise ValueError(
            f"each of {len(references)} references needs a word in it, and one hypothesis each; "
            f"got {len(hypotheses)} hypotheses"
        )
    if not len(references):
        raise ValueError("an error rate needs at least one reference")
    alignment = process(list(references), list(hypotheses))
    return ErrorCounts(
        substitutions=alignment.substitutions,
        deletions=alignment.deletions,
        insertions=alignment.insertions,
        reference_length=alignment.hits + alignment.substitutions + alignment.deletions,
    )
