"""Stand-ins for the English texts: the manual of Python, and film reviews from a small grammar."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pydoc_data import topics

from utils.arguments import check_integer, check_number
from utils.data.checks import check_split_sizes
from utils.data.examples import ExampleSplits, LabelledReview

ASPECTS = "acting plot music dialogue ending story cast direction humour romance".split()
POSITIVE_WORDS = """
charming clever moving funny lively beautiful gripping tender honest warm wonderful witty elegant
thrilling subtle superb original touching vivid radiant graceful delightful absorbing inventive
masterful dazzling poignant sincere captivating joyous magical uplifting ingenious flawless
""".split()
NEGATIVE_WORDS = """
boring silly clumsy shallow dull tedious messy stale predictable awful lifeless tired bland
pointless hollow dreary confusing pretentious sloppy contrived tasteless plodding incoherent feeble
murky insipid laboured grating wooden lazy soulless incompetent obnoxious dismal
""".split()
HELD_OUT = 6  # number of words at the end of both lists that never occur in the training set
HELD_OUT_RATE = 0.05  # proportion of held-out adjectives in the other sets
OPENINGS = ["", "", "in the end , ", "for a comedy , ", "on the whole , ", "to my surprise , "]
DEGREES = ["", "", "very ", "quite ", "rather ", "truly "]
NEGATED_DEGREES = ["", "", "very ", "truly "]


def make_text() -> str:
    """Return the topics of Python's manual as one text, without repeated paragraphs."""
    paragraphs = "\n\n".join(topics.topics[name] for name in sorted(topics.topics)).split("\n\n")
    unique = dict.fromkeys(paragraph.strip("\n") for paragraph in paragraphs if paragraph.strip())
    return "\n\n".join(unique) + "\n"


def make_reviews(
    sizes: tuple[int, int, int] = (4800, 600, 600), *, seed: int = 0, noise: float = 0.05
) -> ExampleSplits[LabelledReview]:
    """Generate short film reviews without duplicates.

    If two clauses disagree, the label is that of the main clause, after "but" or outside
    "although". One adjective in twenty in the validation and test sets never occurs in the training
    set.

    Parameters
    ----------
    sizes
        The numbers of reviews for training, validation and test.
    seed
        The seed of the grammar's random choices.
    noise
        Label noise: the probability that a label is wrong, in all three sets.

    Returns
    -------
    train, valid, test : list of tuple of str and int
        The pairs of a review and its label, 1 for positive and 0 for negative.

    Raises
    ------
    ValueError
        If a size or the seed is not a non-negative integer, or `noise` not from 0 to 1.
    """
    check_split_sizes(sizes)
    check_integer(minimum=0, seed=seed)
    check_number(minimum=0, maximum=1, noise=noise)
    rng = random.Random(seed)
    distinct: set[str] = set()
    splits: ExampleSplits[LabelledReview] = ([], [], [])
    held_out_rates = 0.0, HELD_OUT_RATE, HELD_OUT_RATE
    for split, size, held_out_rate in zip(splits, sizes, held_out_rates, strict=True):
        while len(split) < size:
            label = int(rng.random() < 0.5)
            review = _review(rng, label, held_out_rate)
            if review not in distinct:
                distinct.add(review)
                split.append((review, label if rng.random() >= noise else 1 - label))
    return splits


def _review(rng: random.Random, label: int, held_out_rate: float) -> str:
    """Draw a positive (label 1) or negative (0) review of one or two clauses."""
    opening, form = _pick(rng, OPENINGS), rng.random()
    aspect, second_aspect = _pick(rng, ASPECTS), _pick(rng, ASPECTS)
    main = _clause(rng, aspect, label, held_out_rate)
    if form < 0.3 or aspect == second_aspect:
        return f"{opening}{main} ."
    second_label = label if form < 0.5 else 1 - label
    second = _clause(rng, second_aspect, second_label, held_out_rate)
    if form < 0.5:
        return f"{opening}{main} and {second} ."
    if form < 0.75:
        return f"{opening}{second} , but {main} ."
    return f"{opening}although {second} , {main} ."


def _clause(rng: random.Random, aspect: str, label: int, held_out_rate: float) -> str:
    """Draw a clause; three in ten negate the opposite sentiment."""
    form = rng.random()
    adjective = _adjective(rng, label, held_out_rate)
    opposite = _adjective(rng, 1 - label, held_out_rate)
    if form < 0.15:
        return f"the {aspect} is not {_pick(rng, NEGATED_DEGREES)}{opposite}"
    if form < 0.3:
        return f"there is nothing {opposite} about the {aspect}"
    if form < 0.45:
        return f"the {aspect} could hardly be more {adjective}"
    return f"the {aspect} is {_pick(rng, DEGREES)}{adjective}"


def _adjective(rng: random.Random, label: int, held_out_rate: float) -> str:
    """Draw a held-out word, or else the r-th word with a probability nearly proportional to 1/r."""
    words = POSITIVE_WORDS if label else NEGATIVE_WORDS
    if rng.random() < held_out_rate:
        return _pick(rng, words[-HELD_OUT:])
    return words[int((len(words) - HELD_OUT + 1) ** rng.random()) - 1]


def _pick(rng: random.Random, choices: Sequence[str]) -> str:
    """Draw one of the choices; unlike Random.choice, the same in every version of Python."""
    return choices[int(rng.random() * len(choices))]
