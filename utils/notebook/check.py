"""Check equations by computing them twice.

Used in every notebook as ``from utils.notebook import check``: `check.equation` compares two
independent computations of a labelled equation of the book.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from utils.console import safe_print

Array: TypeAlias = npt.NDArray[np.float64]


def equation(label: str, left: Any, right: Any, *, tolerance: float = 1e-9) -> None:
    """Print that two computations of an equation agree, or raise AssertionError.

    The error of two arrays is max |left − right| / max(1, max |right|), that of nested structures
    the largest error of a pair of arrays. NaN equals nothing, and an infinity equals only itself.

    Parameters
    ----------
    label
        The equation's label in the book, ``eq-…``.
    left, right
        The two results: numbers, arrays or tensors of one shape, or lists, tuples or dicts of them.
    tolerance
        The largest error allowed. The default requires float64; for float32 use about 1e-5.

    Raises
    ------
    AssertionError
        If the error is larger than `tolerance`, the two sides differ in shape or structure, there
        is nothing to compare, or a number is complex.
    """
    pairs = list(_array_pairs(label, left, right))
    count = sum(a.size for a, _ in pairs)
    _require(count > 0, f"{label}: nothing to compare")
    error = np.max([_largest_error(label, a, b) for a, b in pairs])  # NaN if any is, unlike max()
    # "error <= tolerance" is false for NaN as well
    _require(
        error <= tolerance,
        f"{label}: the two sides differ by {error:.2g}, over {tolerance:.0g}",
    )
    agree = "number agrees" if count == 1 else "numbers agree"
    safe_print(f"✓ {label}: {count} {agree}, largest error {error:.1e}")


def _require(condition: bool | np.bool_, message: str) -> None:
    """Raise AssertionError if a condition is false, also under ``python -O``, unlike ``assert``."""
    if not condition:
        raise AssertionError(message)


def _array_pairs(label: str, left: Any, right: Any) -> Iterator[tuple[Array, Array]]:
    """Traverse two nested structures in parallel and yield their leaves as arrays."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        differing = set(left) ^ set(right)
        _require(not differing, f"{label}: keys {differing} on one side only")
        for key in left:
            yield from _array_pairs(label, left[key], right[key])
    elif isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        _require(len(left) == len(right), f"{label}: {len(left)} values against {len(right)}")
        for left_value, right_value in zip(left, right, strict=True):
            yield from _array_pairs(label, left_value, right_value)
    elif isinstance(left, Mapping) or isinstance(right, Mapping):
        raise AssertionError(f"{label}: {type(left).__name__} against {type(right).__name__}")
    else:
        yield _as_array(label, left), _as_array(label, right)


def _as_array(label: str, value: Any) -> Array:
    """Convert a number, array or tensor to a float64 array."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = (value if value.is_complex() else value.double()).numpy()  # numpy lacks bfloat16
    value = np.asarray(value)
    _require(not np.iscomplexobj(value), f"{label}: complex; compare real and imaginary parts")
    return value.astype(np.float64)


def _largest_error(label: str, left: Array, right: Array) -> float:
    """Return the largest difference relative to the largest number on the right, at least 1."""
    _require(left.shape == right.shape, f"{label}: shape {left.shape} against {right.shape}")
    if left.size == 0:
        return 0.0
    with np.errstate(invalid="ignore"):  # inf − inf is NaN, but equal infinities are equal
        difference = np.where(left == right, 0.0, np.abs(left - right))
    finite = np.abs(right[np.isfinite(right)])
    return float(difference.max() / max(1.0, finite.max(initial=0.0)))
