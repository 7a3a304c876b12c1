"""Figures: one style, and helpers that say what they draw."""

import warnings

import matplotlib as mpl
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import cbook, font_manager

from utils.notebook import plotting


@pytest.fixture(autouse=True)
def backend_without_windows():
    with mpl.rc_context():
        mpl.use("Agg")
        plotting.style()
        yield
        mpl.pyplot.close("all")


def test_curves_differ_in_more_than_colour():
    lines = {str(i): ([1, 2], [i, i]) for i in range(7)}
    ax = plotting.curves(lines, "step", "loss (nats)", logy=True)
    looks = {(str(line.get_linestyle()), line.get_marker()) for line in ax.lines}
    assert len({line.get_color() for line in ax.lines}) == 7
    assert len({marker for _, marker in looks}) == 7
    assert ax.get_xlabel() == "step" and ax.get_yscale() == "log" and ax.get_legend()


def test_paper_is_opaque_and_light():
    ax = plotting.curves({"one": ([1], [1])}, "x", "y")
    assert mpl.colors.to_rgba(ax.figure.get_facecolor()) == (1, 1, 1, 1)
    assert ax.get_legend() is None


def test_smoothing_is_the_mean_of_the_last_values():
    values = np.random.default_rng(0).normal(size=40)
    expected = [values[max(0, i - 6) : i + 1].mean() for i in range(40)]
    assert np.allclose(plotting.moving_average(values, 7), expected)
    assert len(plotting.moving_average([])) == 0
    with pytest.raises(ValueError, match="window must be a positive integer, got 0"):
        plotting.moving_average(values, 0)


def test_one_large_value_does_not_spoil_the_averages_after_it():
    assert plotting.moving_average([1e20, 1, 2, 3], 2).tolist() == [1e20, 5e19, 1.5, 2.5]
    assert plotting.moving_average([1, 2, 3], 100).tolist() == [1, 1.5, 2]


def test_the_average_of_numbers_whose_sum_overflows_is_finite():
    averages = plotting.moving_average([1e308, 1e308, 1e308, 1e308, 1.0], 3)
    assert averages.tolist() == pytest.approx([1e308, 1e308, 1e308, 1e308, 2 / 3 * 1e308])
    assert plotting.moving_average([-1.5e308, -1.5e308], 2)[1] == pytest.approx(-1.5e308)


@pytest.mark.parametrize(
    "values, window, message",
    [
        ([1.0, float("nan"), 2.0], 2, r"values\[1\] is nan: expected finite numbers"),
        ([1.0, 2.0, float("inf")], 2, r"values\[2\] is inf"),
        ([-float("inf")], 25, r"values\[0\] is -inf"),
        ([[1.0, 2.0]], 2, r"expected values of shape \(N,\), got \(1, 2\)"),
        ([1.0, 2.0], 1.5, "window must be a positive integer, got 1.5"),
        ([1.0, 2.0], float("inf"), "window must be a positive integer, got inf"),
    ],
)
def test_values_without_a_moving_average_are_refused(values, window, message):
    with pytest.raises(ValueError, match=message):
        plotting.moving_average(values, window)


def test_a_heat_map_has_a_name_for_each_row_and_column():
    ax = plotting.heatmap(
        np.eye(2, 3), columns=["a", "b", "c"], rows=["x", "y"], xlabel="source", ylabel="target"
    )
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b", "c"]
    assert ax.images[0].get_cmap().name == "cividis"
    with pytest.raises(ValueError, match="one name for each row and column"):
        plotting.heatmap(np.eye(2), columns=["a"], rows=["x", "y"], xlabel="", ylabel="")


@pytest.fixture
def chinese_font(tmp_path, monkeypatch):
    """A font with one Chinese character, known to matplotlib under the name of a Chinese font."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((500, 0), (500, 700), (0, 700)):
        pen.lineTo(point)
    pen.closePath()
    names = [".notdef", "language"]
    builder = FontBuilder(unitsPerEm=1000)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord("语"): "language"})
    builder.setupGlyf(dict.fromkeys(names, pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (600, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "SimHei", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "font.ttf")
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [*font_manager.fontManager.ttflist])
    font_manager.fontManager.addfont(tmp_path / "font.ttf")
    monkeypatch.setattr(plotting, "CHINESE_FONTS", ("none", "SimHei"))
    plotting.style()


def drawn(ax):
    """The labels of a plot that has been drawn; a missing glyph is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax.figure.canvas.draw()
    legend = ax.get_legend()
    texts = [*ax.get_xticklabels(), *ax.get_yticklabels(), *(legend.get_texts() if legend else [])]
    return [text.get_text() for text in texts]


def test_a_name_with_dollars_is_not_a_formula():
    tokens = ["$$", "$x_{$", "$\\frac$", r"\$", "$"]
    labels = drawn(plotting.heatmap(np.eye(5), columns=tokens, rows=tokens, xlabel="", ylabel=""))
    assert not any(cbook.is_math_text(label) for label in labels)
    assert [label.replace(r"\$", "$") for label in labels] == tokens * 2, "matplotlib draws these"
    ax = plotting.curves({"$a$ $": ([1], [1]), "$$": ([1], [2])}, "$x$", "y")
    assert not any(cbook.is_math_text(label) for label in drawn(ax))
    assert cbook.is_math_text(ax.get_xlabel()), "the labels of the axes may have formulas"


def test_a_name_that_begins_with_an_underscore_is_in_the_legend():
    ax = plotting.curves({"_a": ([1], [1]), "b": ([1], [2])}, "x", "y")
    assert [text.get_text().strip() for text in ax.get_legend().get_texts()] == ["_a", "b"]


def test_without_a_chinese_font_characters_are_written_as_numbers(monkeypatch):
    monkeypatch.setattr(plotting, "CHINESE_FONTS", ())
    plotting.style()
    assert plotting.literal("a语 é → 😀") == r"a\u8bed é → 😀"
    tokens = ["语言", "\U0001f9ff"]
    labels = drawn(plotting.heatmap(np.eye(2), columns=tokens, rows=[1, 2], xlabel="", ylabel=""))
    assert labels[:2] == [r"\u8bed\u8a00", r"\U0001f9ff"]


def test_a_chinese_font_that_is_installed_is_used(chinese_font):
    assert plotting.literal("语言 model") == r"语\u8a00 model"
    labels = drawn(plotting.curves({"语": ([1], [1]), "two": ([1], [2])}, "", "语"))
    assert "语" in labels
    assert mpl.rcParams["font.family"] == ["sans-serif", "SimHei"], "Latin text keeps its font"


@pytest.mark.parametrize("curve", [[1.0, 2.0, 3.0], [1.0, 2.0], [], ([1, 2], [1, 2, 3])])
def test_a_curve_is_a_pair_of_x_and_y(curve):
    with pytest.raises(ValueError, match="loss: expected a pair of x and y of one length, got"):
        plotting.curves({"loss": curve}, "step", "loss")
