"""The scaling law: its fit recovers a law, and its optimum is one."""

import numpy as np
import pytest

from utils.studies.scaling_law import ScalingLaw, fit_scaling_law

LAW = ScalingLaw(E=1.7, A=40.0, alpha=0.5, B=30.0, beta=0.4)
PARAMETERS, TOKENS = (
    grid.ravel() for grid in np.meshgrid(np.geomspace(2e3, 4e5, 7), np.geomspace(2e4, 6e5, 4))
)


def test_the_fit_finds_the_law_that_made_the_losses():
    law = fit_scaling_law(PARAMETERS, TOKENS, LAW.loss(PARAMETERS, TOKENS))
    for name in ("E", "A", "alpha", "B", "beta"):
        assert getattr(law, name) == pytest.approx(getattr(LAW, name), rel=0.02), name


def test_the_fit_tolerates_noise_and_outliers():
    rng = np.random.default_rng(0)
    losses = LAW.loss(PARAMETERS, TOKENS) * np.exp(rng.normal(0, 0.003, len(TOKENS)))
    losses[[3, 11]] *= 1.5  # two runs that went wrong
    law = fit_scaling_law(PARAMETERS, TOKENS, losses)
    assert law.loss(2e6, 2e6) == pytest.approx(LAW.loss(2e6, 2e6), rel=0.03)


@pytest.mark.parametrize("compute", [1e9, 1e12, 1e15])
def test_no_other_split_of_the_compute_does_better_than_the_optimum(compute):
    parameters, tokens = LAW.optimum(compute)
    assert 6 * parameters * tokens == pytest.approx(compute)
    for factor in (0.5, 0.9, 1.1, 2.0):
        assert LAW.loss(parameters * factor, tokens / factor) > LAW.loss(parameters, tokens)


@pytest.mark.parametrize("count", [0, 5])
def test_too_few_runs_are_refused(count):
    with pytest.raises(ValueError, match="6 runs or more"):
        fit_scaling_law(PARAMETERS[:count], TOKENS[:count], np.ones(count))


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match="N, D and loss"):
        fit_scaling_law(PARAMETERS, TOKENS[:-1], np.ones(len(PARAMETERS)))


@pytest.mark.parametrize("number", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("name", ["num_parameters", "num_tokens", "losses"])
def test_numbers_that_have_no_logarithm_are_refused(name, number):
    columns = {
        "num_parameters": PARAMETERS.copy(),
        "num_tokens": TOKENS.copy(),
        "losses": LAW.loss(PARAMETERS, TOKENS),
    }
    columns[name][3] = number
    with pytest.raises(ValueError, match=f"{name} must be positive numbers, got"):
        fit_scaling_law(**columns)


@pytest.mark.parametrize("number", [0.0, -6.0, np.nan, np.inf])
def test_a_law_accepts_positive_numbers_only(number):
    with pytest.raises(ValueError, match="num_parameters must be positive numbers"):
        LAW.loss(number, 1e6)
    with pytest.raises(ValueError, match="num_tokens must be positive numbers"):
        LAW.loss(1e6, [1e6, number])
    with pytest.raises(ValueError, match="compute must be positive numbers"):
        LAW.optimum(number)


@pytest.mark.parametrize("name", ["A", "alpha", "B", "beta", "E"])
def test_constants_of_a_law_are_positive(name):
    constants = vars(LAW) | {name: -0.1}
    with pytest.raises(ValueError, match=f"{name} of a scaling law must be a positive number"):
        ScalingLaw(**constants)
    assert ScalingLaw(**vars(LAW) | {"E": 0.0}).loss(1e9, 1e9) > 0


def test_runs_of_one_size_or_one_length_are_refused():
    """Any exponent would fit them."""
    for columns in (
        (np.full(8, 1e4), np.geomspace(1e4, 1e6, 8)),
        (np.geomspace(1e4, 1e6, 8), np.full(8, 1e4)),
    ):
        with pytest.raises(ValueError, match="runs of different N and of different D"):
            fit_scaling_law(*columns, np.linspace(3, 2, 8))


def test_small_losses_are_fitted_as_large_ones():
    """The search began outside its bounds for losses below 0.01."""
    law = fit_scaling_law(PARAMETERS, TOKENS, 1e-4 * LAW.loss(PARAMETERS, TOKENS))
    assert law.loss(2e6, 2e6) == pytest.approx(1e-4 * LAW.loss(2e6, 2e6), rel=0.05)


def test_a_floor_that_is_given_is_kept_and_the_rest_is_fitted():
    law = fit_scaling_law(PARAMETERS, TOKENS, LAW.loss(PARAMETERS, TOKENS), E=LAW.E)
    for name in ("E", "A", "alpha", "B", "beta"):
        assert getattr(law, name) == pytest.approx(getattr(LAW, name), rel=0.02), name
    lower = fit_scaling_law(PARAMETERS, TOKENS, LAW.loss(PARAMETERS, TOKENS), E=1.2)
    assert lower.E == 1.2 and lower.alpha < LAW.alpha and lower.beta < LAW.beta


@pytest.mark.parametrize("floor", [0.0, -1.0, 9.0, np.nan])
def test_a_floor_that_the_losses_exclude_is_refused(floor):
    with pytest.raises(ValueError, match="E must be a positive number below the lowest loss"):
        fit_scaling_law(PARAMETERS, TOKENS, LAW.loss(PARAMETERS, TOKENS), E=floor)


def test_a_floor_may_be_of_single_precision():
    N, D = np.repeat([1e6, 1e7, 1e8], 3), np.tile([1e8, 1e9, 1e10], 3)
    losses = ScalingLaw(E=1.5, A=400, alpha=0.34, B=410, beta=0.28).loss(N, D)
    law = fit_scaling_law(N, D, losses, E=np.float32(1.5))
    assert law.E == 1.5 and law.alpha == pytest.approx(0.34, rel=1e-3)
