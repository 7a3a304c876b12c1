"""The arms of a claim: what an author gives, validated and converted to arrays.

An arm is one of the things that a claim compares. `read_seed_arms` reads arms with one value for
each seed, `read_item_arms` those with one row of statistics for each item of a test set.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from utils.conversions import as_finite_number
from utils.notebook.relative_error import Array
from utils.notebook.seed_results import SeedValues

Arms: TypeAlias = Mapping[Any, Any]

MIN_SEEDS = 3
MIN_ITEMS = 10


class SeedArms(NamedTuple):
    """Arms with one value for each seed.

    Parameters
    ----------
    names
        The names of the arms, or their numbers in a claim about a trend.
    seeds
        The seeds, which all arms have.
    values
        The values, of shape (number of arms, number of seeds).
    """

    names: list[Any]
    seeds: list[Any]
    values: Array


class ItemArms(NamedTuple):
    """Arms with one row of statistics for each item of a test set.

    Parameters
    ----------
    names
        The names of the arms.
    tables
        The statistics, of shape (number of arms, number of items, number of statistics).
    """

    names: list[Any]
    tables: Array


def read_seed_arms(label: str, arms: Arms, seeds: Iterable[Hashable] | None) -> SeedArms:
    """Check arms with one value for each seed.

    Parameters
    ----------
    label
        The claim's label, for messages.
    arms
        For each name a mapping from seeds to values, or a sequence of values in the order of
        `seeds`.
    seeds
        The seeds of the sequences.

    Returns
    -------
    arms : SeedArms
        The arms, all with the seeds of the first one in its order.

    Raises
    ------
    ValueError
        If an arm has no seeds, fewer than three, a seed twice, other seeds than the first arm, or a
        value that is not a finite number; or if stored arms differ in the origin of their data, or
        the arms of one file in the version of its code.
    """
    given = None if seeds is None else list(seeds)
    mappings = {name: _as_mapping(label, name, arm, given) for name, arm in arms.items()}
    first_name, first = next(iter(mappings.items()))
    if len(first) < MIN_SEEDS:
        raise ValueError(
            f"{label}: {len(first)} seeds of {first_name!r}; a claim needs at least {MIN_SEEDS}: "
            "train with more, or compare paired items of the test set with over='items'"
        )
    for name, arm in mappings.items():
        if arm.keys() != first.keys():
            raise ValueError(
                f"{label}: {first_name!r} has the seeds {_listed(first)}, {name!r} has "
                f"{_listed(arm)}; the arms are paired by seed, so run all with the same ones"
            )
    values = [
        [as_finite_number(arm[seed], name=f"{label}: {name!r}, seed {seed}") for seed in first]
        for name, arm in mappings.items()
    ]
    _refuse_mixtures(label, arms)
    return SeedArms(list(mappings), list(first), np.array(values))


def read_item_arms(label: str, arms: Arms) -> ItemArms:
    """Check arms with one value, or one row of statistics, for each item of a test set.

    Parameters
    ----------
    label
        The claim's label, for messages.
    arms
        For each name N values, or statistics of shape (N, number of statistics).

    Returns
    -------
    arms : ItemArms
        The arms as tables of one shape, with a row for each item.

    Raises
    ------
    ValueError
        If the arms have different shapes, fewer than ten items, or a value that is not a finite
        number.
    """
    tables = {name: _as_table(label, name, arm) for name, arm in arms.items()}
    first_name, first = next(iter(tables.items()))
    for name, table in tables.items():
        if table.shape != first.shape:
            raise ValueError(
                f"{label}: {first_name!r} has {first.shape} items and statistics, {name!r} "
                f"{table.shape}; the arms are paired, so give the same items in the same order"
            )
        if not np.isfinite(table).all():
            row = int(np.argwhere(~np.isfinite(table))[0][0])
            raise ValueError(f"{label}: item {row} of {name!r} is not finite: {table[row]}")
    if len(first) < MIN_ITEMS:
        raise ValueError(f"{label}: {len(first)} items; a test needs at least {MIN_ITEMS}")
    return ItemArms(list(tables), np.stack(list(tables.values())))


def sources(arms: Arms) -> dict[str, Any]:
    """Return where the figures of each arm come from: a stored file, or "computed here"."""
    return {
        str(name): arm.source if isinstance(arm, SeedValues) else "computed here"
        for name, arm in arms.items()
    }


def rates_on_edges(arms: Arms) -> list[str]:
    """Return the names of stored arms whose learning rate is the first or last of its grid."""
    names = []
    for name, arm in arms.items():
        settings = arm.source.get("settings", {}) if isinstance(arm, SeedValues) else {}
        grid = settings.get("grid") or ()
        if grid and settings.get("learning_rate") in (min(grid), max(grid)):
            names.append(str(name))
    return names


def _as_mapping(
    label: str, name: object, arm: Any, seeds: Sequence[Hashable] | None
) -> Mapping[Any, Any]:
    """Return the values of an arm by seed."""
    if isinstance(arm, Mapping):
        if not arm:
            raise ValueError(f"{label}: {name!r} has no seeds; give one value for each seed")
        if seeds is not None and arm.keys() != set(seeds):
            raise ValueError(f"{label}: {name!r} has the seeds {_listed(arm)}, not {seeds}")
        return arm
    if seeds is None:
        raise ValueError(
            f"{label}: {name!r} has no seeds; give a mapping from seeds to values, or the seeds "
            "of all arms as seeds=, or over='items' for the items of a test set"
        )
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"{label}: a seed occurs twice in {seeds}")
    try:
        values = list(arm)
    except TypeError as error:
        raise ValueError(f"{label}: {name!r} is {arm!r}; give one value for each seed") from error
    if len(values) != len(seeds):
        raise ValueError(f"{label}: {name!r} has {len(values)} values for {len(seeds)} seeds")
    return dict(zip(seeds, values, strict=True))


def _as_table(label: str, name: object, arm: Any) -> Array:
    """Return the statistics of an arm's items, of shape (items, statistics)."""
    if hasattr(arm, "detach"):  # a tensor; NumPy reads none that needs a gradient, and no bfloat16
        arm = arm.detach().cpu().double()
    try:
        table = np.asarray(arm, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{label}: {name!r} needs one number or one row for each item") from error
    if table.ndim not in (1, 2) or table.size == 0:
        raise ValueError(
            f"{label}: {name!r} has the shape {table.shape}; give (items,), or (items, statistics)"
        )
    return table.reshape(len(table), -1)


def _listed(arm: Mapping[Any, Any]) -> str:
    """Return the seeds of an arm as a text."""
    return ", ".join(repr(seed) if isinstance(seed, str) else str(seed) for seed in arm)


def _refuse_mixtures(label: str, arms: Arms) -> None:
    """Raise ValueError if stored arms have several origins, or those of one file several codes."""
    codes: dict[str, set[str]] = {}
    origins: dict[tuple[str, ...], list[str]] = {}
    for name, arm in arms.items():
        if isinstance(arm, SeedValues):
            codes.setdefault(arm.source["file"], set()).add(arm.source["code"])
            origins.setdefault(tuple(arm.source["origin"]), []).append(str(name))
    for file, versions in codes.items():
        if len(versions) > 1:
            raise ValueError(
                f"{label}: the arms of {file} come from several versions of the code, "
                f"{sorted(versions)}; run the benchmark to the end"
            )
    if len(origins) > 1:
        listed = "; ".join(f"{', '.join(o)}: {', '.join(names)}" for o, names in origins.items())
        raise ValueError(
            f"{label}: the arms differ in the origin of their data ({listed}); run all on the same"
        )
