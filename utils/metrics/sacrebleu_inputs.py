"""References and metrics in the form that sacrebleu expects, checked, and its scores.

``utils.metrics.text`` and ``utils.metrics.significance`` compute their scores with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from sacrebleu.metrics import BLEU

from utils.arguments import check_bool
from utils.conversions import as_strings

References: TypeAlias = Iterable[str] | Iterable[Iterable[str | None]]
"""One reference for each hypothesis; or several lists of references, as in sacrebleu, each with one
reference or None for each hypothesis."""


def as_reference_lists(hypotheses: Sequence[str], references: References) -> list[list[Any]]:
    """Check references and convert them to the form that sacrebleu expects.

    Parameters
    ----------
    hypotheses
        The sentences that are compared with the references.
    references
        One reference for each of them, or several lists of references.

    Returns
    -------
    reference_lists : list of list
        The lists of references, each with one reference or None for each hypothesis; sacrebleu
        accepts None, although its annotations do not include it.

    Raises
    ------
    ValueError
        If a text is given instead of a list of texts, a reference is neither a text nor None, a
        list does not have one for each hypothesis, or a hypothesis has none or does not exist.
    """
    reference_lists = [_as_list(references)]
    if not all(item is None or isinstance(item, str) for item in reference_lists[0]):
        reference_lists = [_as_list(texts) for texts in reference_lists[0]]
    for texts in reference_lists:
        as_strings((text for text in texts if text is not None), name="references")
        if len(hypotheses) != len(texts) or not texts:
            raise ValueError(
                f"texts are compared sentence by sentence: got {len(hypotheses)} hypotheses "
                f"and {len(texts)} references"
            )
    for number, all_of_one in enumerate(zip(*reference_lists, strict=True)):
        if all(reference is None for reference in all_of_one):
            raise ValueError(f"hypothesis {number} has no reference; leave it out")
    return reference_lists


def _as_list(texts: Any) -> list[Any]:
    """Return the items of a list of texts; raise ValueError for one text and for no list."""
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise ValueError(f"give lists of texts, not one text; got {texts!r}")
    return list(texts)


def as_percentage(score: float) -> float:
    """Return the score, or 100 if rounding has exceeded it."""
    return min(score, 100.0)


def make_bleu_metric(*, tokenize: str, lowercase: bool, **options: Any) -> BLEU:
    """Make the metric of sacrebleu after checking the name of its tokenizer.

    Parameters
    ----------
    tokenize, lowercase
        As for `bleu`.
    **options
        Other arguments of sacrebleu's class.

    Returns
    -------
    metric : sacrebleu.metrics.BLEU
        The metric.

    Raises
    ------
    ValueError
        If the tokenizer is unknown or needs a package that is not installed, or `lowercase` is
        neither True nor False.
    """
    check_bool(lowercase=lowercase)
    if not isinstance(tokenize, str) or tokenize not in BLEU.TOKENIZERS:
        raise ValueError(
            f"unknown tokenizer {tokenize!r}; choose from {', '.join(BLEU.TOKENIZERS)}"
        )
    try:
        return BLEU(tokenize=tokenize, lowercase=lowercase, **options)
    except (ImportError, RuntimeError) as error:  # of several lines
        reason = " ".join(str(error).split())
        raise ValueError(f"the tokenizer {tokenize!r} cannot be used: {reason}") from error
