"""Curves over seeds: means, bands, baselines, and one look for each name."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import cbook
from scipy import stats

from utils.notebook import plotting, seed_plots
from utils.notebook.seed_plots import LOOKS, Look, look_of, seed_curves, set_look

X, Y = [1, 2, 3], {0: [3.0, 2.0, 1.0], 1: [5.0, 2.0, 2.0], 2: [4.0, 2.0, 3.0]}


@pytest.fixture(autouse=True)
def backend_without_windows(monkeypatch):
    monkeypatch.setattr(seed_plots, "_own_looks", {})
    with mpl.rc_context():
        mpl.use("Agg")
        plotting.style()
        yield
        mpl.pyplot.close("all")


def edges(ax):
    """The lower and the upper edge of the first band."""
    corners = ax.collections[0].get_paths()[0].vertices
    return [[pick(y for cx, y in corners if cx == x) for x in X] for pick in (min, max)]


def test_the_mean_is_drawn_with_its_band():
    ax = seed_curves({"LSTM": (X, Y)}, "step", "loss (nats)")
    assert ax.lines[0].get_ydata().tolist() == [4, 2, 2]
    assert edges(ax) == [[3, 2, 1], [5, 2, 3]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "loss (nats)")
    ax = seed_curves({"LSTM": (X, np.array(list(Y.values())))}, "", "", band="deviation", logy=True)
    assert np.allclose(edges(ax), [[3, 2, 1], [5, 2, 3]]) and ax.get_yscale() == "log"
    ax = seed_curves({"LSTM": (X, Y)}, "", "", band="interval")
    by_scipy = stats.ttest_1samp([3.0, 5.0, 4.0], 0).confidence_interval(0.95)
    assert [edge[0] for edge in edges(ax)] == pytest.approx([by_scipy.low, by_scipy.high])


def test_one_seed_has_no_band():
    ax = seed_curves({"LSTM": (X, [Y[0]])}, "", "")
    assert not ax.collections and ax.lines[0].get_ydata().tolist() == Y[0]


def test_a_baseline_is_a_labelled_line():
    ax = seed_curves({"LSTM": (X, Y)}, "", "", baselines={"unigram": 6.0, "best 5-gram": 3.5})
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["LSTM", "unigram", "best 5-gram"]
    assert [line.get_ydata()[0] for line in ax.lines[1:]] == [6.0, 3.5]
    assert {line.get_linestyle() for line in ax.lines[1:]} == {":"}
    seed_curves({}, "", "", baselines={"unigram": 6.0})


def test_a_name_looks_the_same_in_all_figures():
    first = seed_curves({"mine": (X, Y), "LSTM": (X, Y), "yours": (X, Y)}, "", "")
    second = seed_curves({"yours": (X, Y), "LSTM": (X, Y)}, "", "", baselines={"mine": 1.0})
    looks = {line.get_label(): (line.get_color(), line.get_marker()) for line in first.lines}
    assert len(set(looks.values())) == 3
    for line in second.lines[:2]:
        assert (line.get_color(), line.get_marker()) == looks[line.get_label()]
    assert second.lines[2].get_color() == looks["mine"][0]
    assert looks["LSTM"] == (plotting.COLOURS[LOOKS["LSTM"].colour], LOOKS["LSTM"].marker)


def test_no_two_names_look_alike_while_there_are_looks_left():
    assert len(set(LOOKS.values())) == len(LOOKS)
    names = [f"name {i}" for i in range(49 - len(LOOKS))]
    assert len({*LOOKS.values(), *map(look_of, names)}) == 49
    assert look_of("one more") in {Look(c, m) for c in plotting.COLOURS for m in plotting.MARKERS}


def test_new_names_of_a_figure_differ_in_colour():
    ax = seed_curves({f"model {i}": (X, Y) for i in range(7)}, "", "")
    assert len({line.get_color() for line in ax.lines}) == 7


def test_a_look_can_be_set():
    set_look("LSTM", colour="green", marker="X")
    ax = seed_curves({"LSTM": (X, Y)}, "", "")
    assert ax.lines[0].get_color() == plotting.COLOURS["green"] and ax.lines[0].get_marker() == "X"
    with pytest.raises(ValueError, match="colour is 'pink'; choose from blue"):
        set_look("LSTM", colour="pink", marker="X")
    with pytest.raises(ValueError, match="marker is '!'; choose from o"):
        set_look("LSTM", colour="blue", marker="!")


def test_names_are_drawn_as_they_are():
    ax = seed_curves({"$x_{$": (X, Y)}, "$x$", "", baselines={"$$ 语": 1.0})
    ax.figure.canvas.draw()
    assert not any(cbook.is_math_text(text.get_text()) for text in ax.get_legend().get_texts())


def test_a_name_that_begins_with_an_underscore_is_in_the_legend():
    """matplotlib leaves such labels out."""
    ax = seed_curves({"_a": (X, Y), "b": (X, Y)}, "x", "y", baselines={"_c": 1.0})
    texts = [text.get_text().strip() for text in ax.get_legend().get_texts()]
    assert texts == ["_a", "b", "_c"]


@pytest.mark.parametrize(
    "lines, options, message",
    [
        ({"a": (X, {})}, {}, "'a' has no seeds"),
        ({"a": (X, {0: [1, 2]})}, {}, r"'a' has x values of shape \(3,\) and a seed .* \(2,\)"),
        ({"a": (X, [1, 2, 3])}, {}, "give each seed one value for each x"),
        ({"a": (X, {0: [1, 2, float("nan")]})}, {}, "'a' has values that are not finite"),
        ({"a": (X, Y)}, {"band": "sd"}, "band is 'sd'; choose from range, deviation, interval"),
        ({"a": (X, Y)}, {"baselines": {"b": float("inf")}}, "the baseline 'b' is inf"),
        ({"a": (X, Y)}, {"baselines": {"a": 1.0}}, "'a' is a curve and a baseline"),
    ],
)
def test_what_cannot_be_drawn_is_refused(lines, options, message):
    with pytest.raises(ValueError, match=message):
        seed_curves(lines, "", "", **options)
