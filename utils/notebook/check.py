"""Check equations by computing them twice, and claims about models by their seeds or items.

Used in every notebook as ``from utils.notebook import check``: `check.equation` compares two
independent computations of a labelled equation, and `check.claim` tests a comparison of models.
Both raise AssertionError, also under ``python -O``, if it does not hold; otherwise they show one
line and store the evidence in the output's metadata (``utils.notebook.cell_output``).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import partial
from typing import Any, Literal

import numpy as np

from utils.arguments import check_choice, check_number
from utils.notebook.cell_output import CLAIM_KEY, EQUATION_KEY, reserve_label, show_evidence
from utils.notebook.claims.claim import Expected
from utils.notebook.claims.evaluation import (
    TESTS,
    THRESHOLDS,
    ClaimSpec,
    Sample,
    TestName,
    evaluate_claim,
)
from utils.notebook.evidence import equation_evidence
from utils.notebook.relative_error import Array, compare, relative_scale, require

_data = {"origin": "real"}  # of this notebook
EQUATION_TOLERANCE = 1e-9  # of a relative error; requires float64
SIDES = {
    "by_hand": "the formula written out step by step in this section",
    "loops": "plain Python loops over indices",
    "closed_form": "a formula derived on paper, evaluated",
    "enumeration": "all cases listed, summed or searched by brute force",
    "sampling": "the mean or the frequency of random draws",
    "counting": "counted or measured in a run: parameters, bytes, operations, steps",
    "finite_differences": "differences of a function at two nearby points",
    "autograd": "gradients by automatic differentiation",
    "numpy": "a function of NumPy",
    "scipy": "a function of scipy",
    "torch": "a layer or a function of PyTorch",
    "keras": "a layer or a function of Keras or TensorFlow",
    "utils": "this book's library",
    "library": "another package, such as sacrebleu, tokenizers or scikit-learn",
}


def equation(
    label: str,
    *,
    tolerance: float = EQUATION_TOLERANCE,
    reason: str = "",
    floor: float = 0.0,
    **sides: Any,
) -> None:
    """Show that two computations of an equation agree, or raise AssertionError.

    The sides are keyword arguments, named after their origin, as in
    ``check.equation("eq-softmax", loops=p, torch=logits.softmax(-1))``:

    - ``by_hand``: the formula written out step by step in this section;
    - ``loops``: plain Python loops over indices;
    - ``closed_form``: a formula derived on paper, evaluated;
    - ``enumeration``: all cases listed, summed or searched by brute force;
    - ``sampling``: the mean or the frequency of random draws;
    - ``counting``: counted or measured in a run: parameters, bytes, operations, steps;
    - ``finite_differences``: differences of a function at two nearby points;
    - ``autograd``: gradients by automatic differentiation;
    - ``numpy``, ``scipy``, ``torch``, ``keras``: a layer or a function of that package;
    - ``utils``: this book's library;
    - ``library``: another package, such as sacrebleu, tokenizers or scikit-learn.

    The error of two arrays is max |left − right| / max(|left|, |right|), over all values of the
    arrays, however small they are. The error of nested structures is the largest error of a pair of
    arrays, so that a list of numbers compares each with its own size. NaN equals nothing, and an
    infinity equals only itself.

    Parameters
    ----------
    label
        The equation's label in the book, ``eq-…``.
    tolerance
        The largest error allowed. The default requires float64.
    reason
        Why another tolerance than the default is needed, such as "float32".
    floor
        The size that an error is relative to where both sides are smaller: if one side is zero and
        the other zero up to rounding, give the size of the terms that cancel.
    **sides
        The two sides by their origin: numbers, arrays or tensors of one shape, or lists,
        tuples or dicts of them.

    Raises
    ------
    AssertionError
        If the error is larger than `tolerance`, the two sides differ in shape or structure, there
        is nothing to compare, or a value is complex or no number.
    ValueError
        If the label does not begin with ``eq-``, there are not two sides with names of the list,
        both are the same object, another tolerance has no reason, or tolerance or floor is not a
        non-negative number.

    Examples
    --------
    >>> import math
    >>> import numpy as np
    >>> from utils.notebook import check
    >>> check.equation("eq-mean", loops=sum([1.0, 2.0, 4.0]) / 3, numpy=np.mean([1.0, 2.0, 4.0]))
    ✓ eq-mean: loops = numpy, 1 number agrees, largest error 0.0e+00
    >>> check.equation("eq-root", by_hand=1.414, closed_form=math.sqrt(2))
    Traceback (most recent call last):
        ...
    AssertionError: eq-root: by_hand and closed_form differ by 0.00015 of their size, over 1e-09
    """
    if not isinstance(label, str) or not label.startswith("eq-"):
        raise ValueError(f"the label is {label!r}; expected that of an equation, eq-…")
    _check_sides(label, sides)
    _check_tolerance(label, tolerance, reason, floor)
    (left_name, left), (right_name, right) = sides.items()
    result = compare(label, left, right, partial(relative_scale, floor=floor))
    message = f"{label}: {left_name} and {right_name} differ by {result.error:.2g} of their size"
    if result.has_zero_side and not floor:
        message += "; where one side is zero, pass the size of the terms that cancel as floor="
    require(result.error <= tolerance, f"{message}, over {tolerance:.0g}")  # false for NaN as well
    record = {"label": label, "sides": [left_name, right_name], "values": result.num_values}
    record |= {"error": result.error, "tolerance": tolerance, "reason": reason, "floor": floor}
    show_evidence(f"✓ {label}: {equation_evidence(record)}", EQUATION_KEY, record)


def claim(
    label: str,
    arms: Mapping[Any, Any],
    *,
    expected: Expected,
    unit: str,
    shared: str | Mapping[str, object],
    differs: str | Mapping[str, object],
    seeds: Iterable[Hashable] | None = None,
    over: Sample = "seeds",
    test: TestName | None = None,
    margin: float | None = None,
    bound: float | None = None,
    statistic: Callable[[Array], float] | None = None,
) -> None:
    """Show that a claim about models holds beyond the spread, or raise AssertionError.

    What a claim can expect:

    - "lower", "higher": the first arm, than each other arm;
    - "no difference": the first arm lies within ±`margin` of each other arm;
    - "grows", "falls": with the numbers that name the arms, at least three;
    - "at least", "at most": each arm, compared with `bound`.

    Seeds are tested by paired t tests (of equivalence: two one-sided ones at 5 %; of a trend: on
    the slopes of the seeds), or by ranks: Wilcoxon's signed ranks, for a trend Page's test. Items
    are tested by approximate randomization, and against a bound or a margin by the bootstrap. A
    claim holds if for each comparison p is below 0.05 and the interval lies on the claimed side.

    Parameters
    ----------
    label
        The claim's label, ``claim-…``, once in a notebook.
    arms
        The arms by name. Over seeds: a mapping from seeds to values, such as `load_seeds` returns,
        or a sequence of values with `seeds`; at least three seeds, the same in all arms. Over
        items: one value for each item of the test set, or one row of statistics.
    expected
        What is claimed, one of the words above.
    unit
        The unit of the values, such as "nats per token".
    shared
        What the arms have in common: data, budget, steps, parameters; a text or a dict.
    differs
        The only thing in which they differ; a text or a dict.
    seeds
        The seeds of arms that are sequences.
    over
        "seeds", or "items" where the noise comes from the choice of the test set.
    test
        Over seeds "t", the default, or "ranks". Over items "resampling".
    margin
        The largest difference that counts as none, in the unit of the values.
    bound
        What the values are at least, or at most.
    statistic
        Over items, computes the score from the sum of the items' statistics, (number of
        statistics,): BLEU from counts of n-grams, for example. By default, the score is the mean.

    Raises
    ------
    AssertionError
        If the claim does not hold beyond the spread; the message has the figures. With a stand-in
        (see `claims_are_about`) only where the values are stored ones.
    ValueError
        If the label has another form or is used twice, arms are too few, have different or fewer
        than three seeds or a value that is not finite, or an argument is missing or wrong.

    Examples
    --------
    >>> from utils.notebook import check
    >>> losses = {"LSTM": {0: 1.52, 1: 1.49, 2: 1.53}, "RNN": {0: 1.72, 1: 1.70, 2: 1.74}}
    >>> check.claim(
    ...     "claim-lstm",
    ...     losses,
    ...     expected="lower",
    ...     unit="nats per token",
    ...     shared="data, steps and parameters",
    ...     differs="the cell",
    ... )  # doctest: +ELLIPSIS
    ✓ claim-lstm: LSTM − RNN = -0.2067 nats per token, 95 % interval ...: holds
      differs: the cell; shared: data, steps and parameters
    """
    if margin is not None and bound is not None:
        raise ValueError(f"{label}: give a margin or a bound, not both")
    threshold = bound if margin is None else margin
    named = THRESHOLDS.get(expected)
    if threshold is not None and named is not None and (margin is None) == (named == "margin"):
        raise ValueError(f"{label}: {expected!r} needs {named}=…")
    test = test or TESTS.get(over, TESTS["seeds"])[0]
    spec = ClaimSpec(label, expected, threshold, over, test, statistic)
    context = {
        "shared": _description(label, "shared", shared),
        "differs": _description(label, "differs", differs),
    }
    if not isinstance(unit, str) or not unit.strip():
        raise ValueError(f"{label}: the unit is {unit!r}; name it, such as 'nats per token'")
    reserve_label(label)
    result = evaluate_claim(spec, arms, seeds=seeds, unit=unit, context=context)
    is_required = _data["origin"] == "real" or result.is_stored
    require(result.holds or not is_required, result.line())
    note = "" if is_required else "; not claimed of the stand-in"
    show_evidence(f"{result.line()}{note}\n  {result.remarks()}", CLAIM_KEY, result.record())


def claims_are_about(origin: Literal["real", "stand-in"]) -> None:
    """Say where the data of this notebook come from: ``check.claims_are_about(corpus.origin)``.

    The book claims nothing of a stand-in. With one, `claim` still tests and shows each claim whose
    arms are computed in the notebook, but raises no AssertionError if it does not hold.

    Raises
    ------
    ValueError
        If the origin is neither "real" nor "stand-in".
    """
    check_choice(("real", "stand-in"), origin=origin)
    _data["origin"] = origin


def _check_sides(label: str, sides: Mapping[str, Any]) -> None:
    """Raise ValueError unless there are two sides with names of the list."""
    choices = f"choose two of {', '.join(SIDES)}"
    if unknown := [name for name in sides if name not in SIDES]:
        raise ValueError(f"{label}: no side is called {', '.join(unknown)}; {choices}")
    if len(sides) != 2:
        raise ValueError(f"{label}: {len(sides)} named sides; {choices}")
    left, right = sides.values()
    if left is right and not np.isscalar(left):
        raise ValueError(f"{label}: both sides are the same object; compute each by itself")


def _check_tolerance(label: str, tolerance: float, reason: str, floor: float) -> None:
    """Raise ValueError if a tolerance or floor is negative, or a tolerance lacks its reason."""
    _check_non_negative(label, tolerance=tolerance, floor=floor)
    has_reason = isinstance(reason, str) and reason.strip()
    if tolerance != EQUATION_TOLERANCE and not has_reason:
        raise ValueError(f"{label}: tolerance {tolerance:g} needs a reason, as in reason='float32'")


def _check_non_negative(label: str, **values: float) -> None:
    """Raise ValueError unless the arguments are non-negative numbers; a bool is not a number."""
    try:
        check_number(minimum=0, **values)
    except ValueError as error:
        raise ValueError(f"{label}: {error}") from None


def _description(label: str, name: str, value: str | Mapping[str, object]) -> str:
    """Return what arms share, or what differs, as a text; raise ValueError if there is none."""
    text = value
    if isinstance(value, Mapping):
        text = ", ".join(f"{key} {entry}" for key, entry in value.items())
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{label}: {name} is {value!r}; describe it in words")
    return text
