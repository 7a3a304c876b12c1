"""Figures: one style, and helpers that say what they draw."""

import matplotlib as mpl
import numpy as np
import pytest

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
    with pytest.raises(ValueError, match="window must be at least 1, got 0"):
        plotting.moving_average(values, 0)


def test_a_heat_map_has_a_name_for_each_row_and_column():
    ax = plotting.heatmap(
        np.eye(2, 3), columns=["a", "b", "c"], rows=["x", "y"], xlabel="source", ylabel="target"
    )
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b", "c"]
    assert ax.images[0].get_cmap().name == "cividis"
    with pytest.raises(ValueError, match="one name for each row and column"):
        plotting.heatmap(np.eye(2), columns=["a"], rows=["x", "y"], xlabel="", ylabel="")
