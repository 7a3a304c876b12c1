"""Stored results of benchmarks, one row for each arm and seed: the format, and its reader.

A file book/results/NAME.json has its rows in the list "rows"; each is an object with the entries of
`StoredRow`. `load_seeds` reads them, for example as an arm of `utils.notebook.check.claim`; older
files without rows are read by `utils.notebook.results`. A benchmark writes them in a loop that goes
on where it was stopped::

    rows = SeedRows(options.out, run, part="words", origin=corpus.origin)  # benchmarks.result_files
    for name, recipe in RECIPES.items():
        settings = {"optimizer": "AdamW", "learning_rate": 0.01, "grid": [0.003, 0.01, 0.03], …}
        for seed in rows.missing(name, options.seeds, settings):
            loss, costs = train(recipe, seed=seed)
            rows.write(name, seed, figures={"loss": loss}, settings=settings, costs=costs)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from utils.notebook.results import ROWS, read_stored

SETTINGS = ("optimizer", "learning_rate", "grid", "steps")  # what a row's settings name at least
COSTS = ("parameters", "tokens", "processor_seconds")  # what its costs name


@dataclass(frozen=True)
class StoredRow:
    """What one run of one arm with one seed gave, and how.

    Parameters
    ----------
    part
        The experiment that the arm belongs to, such as "words" of the benchmark "ladder".
    arm
        The name of what is compared, such as "LSTM".
    seed
        The seed of the run.
    figures
        What was measured, by name with its unit, such as ``{"loss (nats per token)": 4.2}``. Each
        is a number, or what JSON holds: a curve, for example.
    settings
        What was set before the run: SETTINGS and whatever else describes the arm. "learning_rate"
        was chosen on validation from the list "grid". None stands for what an arm does not have.
    costs
        What the run took: COSTS. "parameters" is their number, "tokens" the number of
        tokens in training.
    code
        The version of the code that the row depends on (``benchmarks.code_version``).
    provenance
        Command, commit, date, machine, versions, origin of the data and so on.

    Raises
    ------
    ValueError
        If settings or costs are missing.
    """

    part: str
    arm: str
    seed: int
    figures: Mapping[str, Any]
    settings: Mapping[str, Any]
    costs: Mapping[str, Any]
    code: str
    provenance: Mapping[str, Any]

    def __post_init__(self) -> None:
        for name, entries, needed in (
            ("settings", self.settings, SETTINGS),
            ("costs", self.costs, COSTS),
        ):
            if missing := [key for key in needed if key not in entries]:
                raise ValueError(
                    f"the {name} of {self.part}/{self.arm} lack {', '.join(missing)}; "
                    "give None for what the arm does not have"
                )

    @classmethod
    def from_stored(cls, entry: Mapping[str, Any]) -> StoredRow:
        """Return the row of an entry of "rows".

        Parameters
        ----------
        entry
            An object with the fields of a row.

        Returns
        -------
        row : StoredRow
            The fields of `entry` under the names of this class.

        Raises
        ------
        ValueError
            If the entry is not a mapping with just the fields of a row.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(entry, Mapping) or entry.keys() != names:
            raise ValueError(f"not a row with {', '.join(sorted(names))}: {str(entry)[:80]}")
        return cls(**entry)

    def stored(self) -> dict[str, Any]:
        """Return the row as an entry of "rows"."""
        return asdict(self)

    @property
    def key(self) -> tuple[str, str, int]:
        """Part, arm and seed: a file has one row for each."""
        return self.part, self.arm, self.seed


class SeedValues(dict[int, float]):
    """One value for each seed, which come from a file of results.

    Parameters
    ----------
    values
        The values by seed.
    source
        Where they come from: file, part, arm, quantity, commits, code, origin, settings and costs.
    """

    def __init__(self, values: Mapping[int, float], source: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.source = dict(source)


def load_seeds(name: str, arm: str, quantity: str, *, part: str | None = None) -> SeedValues:
    """Read a quantity of one arm for each seed from book/results/`name`.json.

    Parameters
    ----------
    name
        Name of the file without its ending, such as "ladder".
    arm
        Name of the arm; ``"part/arm"`` names its part as well.
    quantity
        Name of a figure of its rows, which is a number.
    part
        The part that the arm belongs to; not needed if only one part has it.

    Returns
    -------
    values : SeedValues
        The values by seed, with their source.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, there is no such part, arm or quantity, a seed has several rows, the
        seeds differ in the version of the code, the settings or the origin of the data, or a value
        is not a finite number. The message lists
        the names that exist.
    """
    rows = _rows_of_arm(name, _read_rows(name), arm, part)
    _refuse_mixture(name, rows)
    values = {row.seed: _number(name, row, quantity) for row in rows}
    return SeedValues(dict(sorted(values.items())), _source(name, quantity, rows))


def load_curves(name: str, arm: str, quantity: str, *, part: str | None = None) -> dict[int, Any]:
    """Read what is not one number, such as a curve, of one arm for each seed.

    Parameters
    ----------
    name
        Name of the file without its ending, such as "ladder".
    arm
        Name of the arm; ``"part/arm"`` names its part as well.
    quantity
        Name of a figure of its rows.
    part
        The part that the arm belongs to; not needed if only one part has it.

    Returns
    -------
    curves : dict
        What the rows hold, by seed.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If there is no such part, arm or quantity, or the seeds differ as for `load_seeds`. The
        message lists the names that exist.
    """
    rows = _rows_of_arm(name, _read_rows(name), arm, part)
    _refuse_mixture(name, rows)
    return {
        row.seed: _figure(name, row, quantity) for row in sorted(rows, key=lambda row: row.seed)
    }


def _read_rows(name: str) -> list[StoredRow]:
    """Read all rows of a file."""
    content = read_stored(name)
    if ROWS not in content:
        raise ValueError(
            f"{name}.json has no rows of seeds, only the parts {', '.join(content)}: it is older "
            "than this format; run the benchmark again or read it with load_results"
        )
    return [StoredRow.from_stored(entry) for entry in content[ROWS]]


def _rows_of_arm(
    name: str, rows: Sequence[StoredRow], arm: str, part: str | None
) -> list[StoredRow]:
    """Return the rows of an arm, whose name may include that of its part."""
    arms = sorted({f"{row.part}/{row.arm}" for row in rows})
    wanted = arm if part is None else f"{part}/{arm}"
    chosen = [row for row in rows if wanted in (f"{row.part}/{row.arm}", row.arm)]
    if part is not None:
        chosen = [row for row in chosen if row.part == part]
    if not chosen:
        raise ValueError(f"{name}.json has no arm {wanted!r}; there are {', '.join(arms)}")
    if len({row.part for row in chosen}) > 1:
        parts = sorted({row.part for row in chosen})
        raise ValueError(f"{name}.json has {arm!r} in {', '.join(parts)}; choose one by part=")
    return chosen


def _refuse_mixture(name: str, rows: Sequence[StoredRow]) -> None:
    """Raise ValueError unless an arm has one row a seed, all with one code, settings and origin."""
    numbers = [row.seed for row in rows]
    if twice := sorted({str(seed) for seed in numbers if numbers.count(seed) > 1}):
        raise ValueError(
            f"{name}.json has several rows of {rows[0].part}/{rows[0].arm} for seed "
            f"{', '.join(twice)}, of two files perhaps: remove all but one"
        )
    conditions = [
        {"version of the code": row.code, "origin of the data": row.provenance.get("origin")}
        | {f"setting {key!r}": value for key, value in row.settings.items()}
        for row in rows
    ]
    for condition in dict.fromkeys(key for each in conditions for key in each):
        seeds: dict[str, list[int]] = {}
        for row, each in zip(rows, conditions, strict=True):
            value = repr(each[condition]) if condition in each else "none"
            seeds.setdefault(value, []).append(row.seed)
        if len(seeds) > 1:
            listed = ", ".join(f"{value} for seeds {who}" for value, who in seeds.items())
            raise ValueError(
                f"the seeds of {rows[0].part}/{rows[0].arm} in {name}.json differ in the "
                f"{condition}: {listed}; run `{rows[-1].provenance.get('command')}` to the end"
            )


def _figure(name: str, row: StoredRow, quantity: str) -> Any:
    """Return a figure of a row."""
    if quantity not in row.figures:
        raise ValueError(
            f"{_place(name, row)} has no {quantity!r}; there are {', '.join(row.figures)}"
        )
    return row.figures[quantity]


def _place(name: str, row: StoredRow) -> str:
    """Return where a row is."""
    return f"{row.part}/{row.arm}, seed {row.seed} of {name}.json"


def _number(name: str, row: StoredRow, quantity: str) -> float:
    """Return a figure of a row as a finite number."""
    value = _figure(name, row, quantity)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(
            f"{quantity!r} of {_place(name, row)} is {str(value)[:40]}; expected a finite number"
        )
    return float(value)


def _source(name: str, quantity: str, rows: Sequence[StoredRow]) -> dict[str, Any]:
    """Return what a claim stores about where its values come from."""
    first = rows[0]
    return {
        "file": f"{name}.json",
        "part": first.part,
        "arm": first.arm,
        "quantity": quantity,
        "commits": sorted({str(row.provenance.get("commit")) for row in rows}),
        "code": first.code,
        "origin": sorted({str(row.provenance.get("origin")) for row in rows}),
        "settings": dict(first.settings),
        "costs": [dict(row.costs) for row in rows],
    }
