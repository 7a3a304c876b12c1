"""Comparison of two results of a computation: numbers, arrays or nested structures of them.

`utils.notebook.check` compares the two sides of an equation by `compare`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]


class Agreement(NamedTuple):
    """How well two results agree.

    Parameters
    ----------
    num_values
        The number of values that were compared, at least 1.
    error
        The largest relative error; NaN if a value is.
    has_zero_side
        Whether in some pair of arrays all values of just one side are zero, so that its relative
        error is 1 however small the other side is.
    """

    num_values: int
    error: float
    has_zero_side: bool


def require(condition: bool | np.bool_, message: str) -> None:
    """Raise AssertionError if a condition is false, also under ``python -O``.

    Parameters
    ----------
    condition
        The condition that must be true.
    message
        The message of the error.

    Raises
    ------
    AssertionError
        If the condition is false.
    """
    if not condition:
        raise AssertionError(message)


def compare(label: str, left: Any, right: Any, scale: Callable[[Array, Array], float]) -> Agreement:
    """Compare two results; the error of two arrays is max |left − right| / scale(left, right).

    NaN equals nothing, and an infinity equals only itself. Two arrays of integers are compared
    exactly, all others in double precision.

    Parameters
    ----------
    label
        Begins the messages of errors.
    left, right
        Numbers, arrays or tensors of one shape, or lists, tuples or dicts of them.
    scale
        Returns what the error of two arrays is relative to: `relative_scale`, for example. It gets
        the magnitudes of their finite values.

    Returns
    -------
    agreement : Agreement
        The largest error of all pairs of arrays.

    Raises
    ------
    AssertionError
        If the sides differ in shape or structure, there is nothing to compare, or a value is
        complex.
    """
    pairs = list(_array_pairs(label, left, right))
    num_values = sum(a.size for a, _ in pairs)
    require(num_values > 0, f"{label}: nothing to compare")
    errors = [_largest_error(a, b, scale) for a, b in pairs]
    has_zero_side = any(a.any() != b.any() for a, b in pairs)
    return Agreement(num_values, float(np.max(errors)), has_zero_side)  # np.max keeps NaN


def relative_scale(left: Array, right: Array, *, floor: float = 0.0) -> float:
    """Return the largest magnitude of two arrays, at least `floor`.

    Parameters
    ----------
    left, right
        Magnitudes of the values of two arrays.
    floor
        The smallest result.

    Returns
    -------
    scale : float
        What the difference of the arrays is relative to.
    """
    return float(max(left.max(initial=0.0), right.max(initial=0.0), floor))


def _array_pairs(
    label: str, left: Any, right: Any
) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """Traverse two nested structures in parallel and yield their leaves as arrays."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        differing = set(left) ^ set(right)
        require(not differing, f"{label}: keys {differing} on one side only")
        for key in left:
            yield from _array_pairs(label, left[key], right[key])
    elif isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        require(len(left) == len(right), f"{label}: {len(left)} values against {len(right)}")
        for left_value, right_value in zip(left, right, strict=True):
            yield from _array_pairs(label, left_value, right_value)
    elif isinstance(left, Mapping) or isinstance(right, Mapping):
        raise AssertionError(f"{label}: {type(left).__name__} against {type(right).__name__}")
    else:
        arrays = _as_array(label, left), _as_array(label, right)
        shapes = [array.shape for array in arrays]
        require(shapes[0] == shapes[1], f"{label}: shape {shapes[0]} against {shapes[1]}")
        yield arrays


def _as_array(label: str, value: Any) -> npt.NDArray[Any]:
    """Convert a number, array or tensor to an array, of integers as they are, else of float64."""
    torch = sys.modules.get("torch")  # if it is not loaded, no value is a tensor
    if torch is not None and isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = (value.double() if value.is_floating_point() else value).numpy()  # no bfloat16
    array = np.asarray(value)
    require(not np.iscomplexobj(array), f"{label}: complex; compare real and imaginary parts")
    if array.dtype.kind in "iu":
        return array
    items = array.ravel().tolist() if array.dtype.kind == "O" else []
    is_numeric = array.dtype.kind in "bfO" and not any(isinstance(x, str | bytes) for x in items)
    try:
        if is_numeric:
            return array.astype(np.float64)
    except (OverflowError, TypeError, ValueError):  # such as a set, or an integer of 400 digits
        pass
    raise AssertionError(f"{label}: {type(value).__name__} is no number, array or tensor of them")


def _largest_error(
    left: npt.NDArray[Any], right: npt.NDArray[Any], scale: Callable[[Array, Array], float]
) -> float:
    """Return the largest difference of two arrays, relative to their scale."""
    difference = _difference(left, right)
    largest = difference.max(initial=0.0)
    if largest == 0:  # also where both sides are zero
        return 0.0
    with np.errstate(all="ignore"):
        sides = (side.astype(np.float64) for side in (left, right))
        return float(largest / scale(*(np.abs(side[np.isfinite(side)]) for side in sides)))


def _difference(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> Array:
    """Return |left − right| of each pair of values."""
    if {left.dtype.kind, right.dtype.kind} <= {"i", "u"}:
        # as Python's own integers: in double precision neighbours from 2⁵³ on are equal
        return np.asarray(abs(left.astype(object) - right.astype(object)), dtype=np.float64)
    left, right = left.astype(np.float64), right.astype(np.float64)
    with np.errstate(invalid="ignore"):  # inf − inf is NaN, but equal infinities are equal
        return np.where(left == right, 0.0, np.abs(left - right))
