"""Values of stored rows: what is read, and errors where something is missing."""

import json

import pytest

from utils.notebook import check, results
from utils.notebook.seed_results import SeedValues, StoredRow, load_curves, load_seeds

SETTINGS = {"optimizer": "AdamW", "learning_rate": 0.01, "grid": [0.003, 0.01, 0.03], "steps": 9}
COSTS = {"parameters": 100, "tokens": 900, "processor_seconds": 1.5}


def row(arm="LSTM", seed=0, part="words", code="abc", settings=SETTINGS, origin="real", **figures):
    provenance = {"command": "python -m benchmarks.x", "commit": f"c{seed}", "origin": origin}
    figures = {"loss": 4.0 + seed / 10} | figures
    return StoredRow(part, arm, seed, figures, settings, COSTS, code, provenance)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A function that stores rows as book/results/x.json."""
    folder = tmp_path / "book" / "results"
    folder.mkdir(parents=True)
    monkeypatch.setattr(results, "__file__", str(tmp_path / "utils" / "notebook" / "results.py"))

    def store(*rows, **others):
        content = {**others, "rows": [row.stored() for row in rows]} if rows else others
        (folder / "x.json").write_text(json.dumps(content), encoding="utf-8")

    return store


def test_one_value_for_each_seed_is_read_with_its_source(store):
    store(row(seed=2), row(seed=0), row(seed=1), row(arm="RNN", seed=0), old={"loss": 1})
    assert results.load_results("x") == {"old": {"loss": 1}}, "the rows are not a part"
    values = load_seeds("x", "LSTM", "loss")
    assert values == {0: 4.0, 1: 4.1, 2: 4.2} and list(values) == [0, 1, 2]
    assert isinstance(values, SeedValues)
    assert values.source == {
        "file": "x.json",
        "part": "words",
        "arm": "LSTM",
        "quantity": "loss",
        "commits": ["c0", "c1", "c2"],
        "code": "abc",
        "origin": ["real"],
        "settings": SETTINGS,
        "costs": [COSTS] * 3,
    }


def test_curves_are_read_by_seed(store):
    store(row(seed=1, curve=[3, 2]), row(seed=0, curve=[4, 1]), row(part="characters"))
    assert load_curves("x", "words/LSTM", "curve") == {0: [4, 1], 1: [3, 2]}
    assert list(load_curves("x", "words/LSTM", "curve")) == [0, 1]
    with pytest.raises(ValueError, match="has no 'curve'; there are loss"):
        load_curves("x", "characters/LSTM", "curve")
    assert load_curves("x", "LSTM", "curve", part="words") == {0: [4, 1], 1: [3, 2]}
    with pytest.raises(ValueError, match="choose one by part="):
        load_curves("x", "LSTM", "curve")


def test_a_part_is_named_where_several_have_the_arm(store):
    store(row(), row(part="characters", loss=1.0))
    with pytest.raises(ValueError, match=r"has 'LSTM' in characters, words; choose one by part="):
        load_seeds("x", "LSTM", "loss")
    expected = {0: 1.0}
    assert load_seeds("x", "LSTM", "loss", part="characters") == expected
    assert load_seeds("x", "characters/LSTM", "loss") == expected


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("GRU", "loss"), "x.json has no arm 'GRU'; there are words/LSTM, words/RNN"),
        (("letters/LSTM", "loss"), "no arm 'letters/LSTM'; there are words/LSTM"),
        (("LSTM", "bleu"), "words/LSTM, seed 0 of x.json has no 'bleu'; there are loss, curve"),
        (("LSTM", "curve"), r"'curve' of .* is \[1, 2\]; expected a finite number"),
        (("LSTM", "bad"), "is nan; expected a finite number"),
        (("LSTM", "flag"), "is True; expected a finite number"),
    ],
)
def test_a_missing_name_raises_with_the_available_ones(store, arguments, message):
    store(row(curve=[1, 2], bad=float("nan"), flag=True), row(arm="RNN"))
    with pytest.raises(ValueError, match=message):
        load_seeds("x", *arguments)


def test_a_missing_part_file_or_format_is_named(store):
    store(row())
    with pytest.raises(ValueError, match="no arm 'letters/LSTM'; there are words/LSTM"):
        load_seeds("x", "LSTM", "loss", part="letters")
    with pytest.raises(FileNotFoundError, match="no stored results 'y'; there are x"):
        load_seeds("y", "LSTM", "loss")
    store(one={}, two={})
    with pytest.raises(ValueError, match=r"x.json has no rows of seeds, only the parts one, two"):
        load_seeds("x", "LSTM", "loss")


@pytest.mark.parametrize(
    "other, message",
    [
        ({"code": "def"}, "in the version of the code: 'abc' for seeds .0, 1., 'def' for seeds .2"),
        (
            {"settings": SETTINGS | {"learning_rate": 1.0}},
            "in the setting 'learning_rate': 0.01 for seeds .0, 1., 1.0 for seeds .2",
        ),
        ({"settings": SETTINGS | {"size": 8}}, "in the setting 'size': none for seeds .0, 1., 8"),
        ({"origin": "stand-in"}, "in the origin of the data: 'real' for seeds .0, 1., 'stand-in'"),
    ],
)
def test_the_seeds_of_an_arm_differ_in_nothing_else(store, other, message):
    store(row(), row(seed=1), row(seed=2, **other))
    for load in (load_seeds, load_curves):
        with pytest.raises(ValueError, match=f"of words/LSTM in x.json differ {message}"):
            load("x", "LSTM", "loss")
        with pytest.raises(ValueError, match=r"run `python -m benchmarks\.x` to the end"):
            load("x", "LSTM", "loss")


def test_a_row_survives_storing_and_reading():
    stored = json.loads(json.dumps(row().stored()))
    assert StoredRow.from_stored(stored) == row()
    del stored["code"]
    with pytest.raises(ValueError, match="not a row with arm, code, costs"):
        StoredRow.from_stored(stored)


@pytest.mark.parametrize("name, entries", [("settings", SETTINGS), ("costs", COSTS)])
def test_a_row_has_its_settings_and_costs(name, entries):
    for key in entries:
        stored = row().stored() | {name: {k: v for k, v in entries.items() if k != key}}
        with pytest.raises(ValueError, match=f"{name} of words/LSTM lack {key}; give None"):
            StoredRow.from_stored(stored)


def test_stored_seeds_are_arms_of_a_claim(store, capsys):
    store(
        *(
            row(arm, seed, loss=loss + seed / 7 + (seed % 2) / 9)
            for arm, loss in (("LSTM", 4.0), ("RNN", 5.0))
            for seed in range(3)
        )
    )
    arms = {name: load_seeds("x", name, "loss") for name in ("LSTM", "RNN")}
    check.claim("claim-x", arms, expected="lower", unit="nats", shared="data", differs="cell")
    assert "LSTM − RNN = -1 nats" in capsys.readouterr().out


@pytest.mark.parametrize("read", [load_seeds, load_curves])
def test_a_seed_with_two_rows_is_refused(store, read):
    """Of a file that was merged with another, the last row of a seed counted, in silence."""
    store(row(seed=0), row(seed=1), row(seed=1, loss=9.0), row(arm="RNN", seed=1))
    with pytest.raises(ValueError, match="several rows of words/LSTM for seed 1"):
        read("x", "LSTM", "loss")
    assert load_seeds("x", "RNN", "loss") == {1: 4.1}


@pytest.mark.parametrize("content", ["{", "", "[]", "null"])
def test_a_damaged_file_is_named(store, content):
    store(row())
    folder = results.Path(results.__file__).parents[2] / "book" / "results"
    (folder / "x.json").write_text(content, encoding="utf-8")
    for read in (results.load_results, lambda name: load_seeds(name, "LSTM", "loss")):
        with pytest.raises(ValueError, match=r"x\.json is not a file of results"):
            read("x")
