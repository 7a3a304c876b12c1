"""Word and character error rates of transcripts (section 6.3), computed by jiwer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import jiwer

from utils.conversions import as_strings


@dataclass(frozen=True)
class ErrorCounts:
    """The edits that turn references into the hypotheses.

    Parameters
    ----------
    substitutions, deletions, insertions
        The number of edits of each kind. A deletion is a unit of the reference that is missing from
        the hypothesis, an insertion one that only the hypothesis has.
    reference_length
        The number of words or characters in the references.
    """

    substitutions: int
    deletions: int
    insertions: int
    reference_length: int

    @property
    def rate(self) -> float:
        """The error rate: edits divided by the length of the references; it can exceed 1."""
        return (self.substitutions + self.deletions + self.insertions) / self.reference_length


def word_errors(hypotheses: Iterable[str], references: Iterable[str]) -> ErrorCounts:
    """Count word errors: the fewest edits that turn the references into the hypotheses.

    Words are separated by white space of any kind and length. The rate describes the corpus: it is
    the edits of all texts divided by the words of all references.

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
        If the lists differ in length or are empty, a text is given instead of a list of texts, an
        item is not a text, or a reference has no words.

    Examples
    --------
    >>> from utils.metrics.error_rates import word_errors
    >>> errors = word_errors(["the cat sat down"], ["a cat sat"])
    >>> errors
    ErrorCounts(substitutions=1, deletions=0, insertions=1, reference_length=3)
    >>> round(errors.rate, 3)
    0.667
    """

    def process(references: list[str], hypotheses: list[str]) -> jiwer.WordOutput:
        # jiwer splits at spaces alone
        lists = [[" ".join(text.split()) for text in texts] for texts in (references, hypotheses)]
        return jiwer.process_words(lists[0], lists[1])

    return _count_errors(process, hypotheses, references)


def character_errors(hypotheses: Iterable[str], references: Iterable[str]) -> ErrorCounts:
    """Count character errors; arguments, result and errors as `word_errors`.

    Spaces inside a text count, white space at its ends does not.

    Examples
    --------
    >>> from utils.metrics.error_rates import character_errors
    >>> round(character_errors(["kitten"], ["sitting"]).rate, 3)
    0.429
    """
    return _count_errors(jiwer.process_characters, hypotheses, references)


def _count_errors(
    process: Callable[[list[str], list[str]], jiwer.WordOutput | jiwer.CharacterOutput],
    hypotheses: Iterable[str],
    references: Iterable[str],
) -> ErrorCounts:
    """Count the errors in the alignment that `process`, a function of jiwer, computes."""
    hypotheses = as_strings(hypotheses, name="hypotheses")
    references = as_strings(references, name="references")
    if len(hypotheses) != len(references) or not all(text.strip() for text in references):
        raise ValueError(
            f"each of the {len(references)} references needs at least one word and one hypothesis; "
            f"got {len(hypotheses)} hypotheses"
        )
    if not len(references):
        raise ValueError("an error rate needs at least one reference")
    alignment = process(references, hypotheses)
    return ErrorCounts(
        substitutions=alignment.substitutions,
        deletions=alignment.deletions,
        insertions=alignment.insertions,
        reference_length=alignment.hits + alignment.substitutions + alignment.deletions,
    )
