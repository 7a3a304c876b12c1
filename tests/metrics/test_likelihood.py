"""Perplexity and bits per character from negative log-likelihoods."""

import math

import pytest

from utils.metrics.likelihood import bits_per_character, perplexity

every_measure = pytest.mark.parametrize("measure", [perplexity, bits_per_character])


def test_perplexity_is_the_exponential_of_the_mean():
    assert perplexity(10 * math.log(7), 10) == pytest.approx(7)


def test_bits_per_character_are_a_mean_in_bits():
    assert bits_per_character(30 * math.log(2), 10) == pytest.approx(3)


def test_perplexity_is_infinite_only_where_the_exponential_overflows():
    assert perplexity(700, 1) == pytest.approx(math.exp(700))
    assert perplexity(1e6, 1) == math.inf


@every_measure
def test_a_token_of_probability_zero_gives_an_infinite_measure(measure):
    assert measure(math.inf, 2) == math.inf


@pytest.mark.parametrize("measure, least", [(perplexity, 1), (bits_per_character, 0)])
def test_a_likelihood_that_rounding_made_negative_is_accepted(measure, least):
    for nll in (-1e-6, -1e-9, -0.0):
        assert measure(nll, 1) == least


@pytest.mark.parametrize("nll", [math.nan, -math.inf, -3.0, -1e-4])
@every_measure
def test_a_negative_likelihood_or_nan_is_refused(measure, nll):
    with pytest.raises(ValueError, match="needs the negative log-likelihood"):
        measure(nll, 10)


@pytest.mark.parametrize("count", [0, -1, -math.inf])
@every_measure
def test_no_tokens_or_characters_are_refused(measure, count):
    with pytest.raises(ValueError, match=f"at least one .*, got {count}"):
        measure(1.0, count)


@pytest.mark.parametrize("nll, count", [(10**400, 3), (3.0, 10**400)])
@every_measure
def test_integers_beyond_a_float_are_refused(measure, nll, count):
    with pytest.raises(ValueError, match="needs numbers below 1e308"):
        measure(nll, count)


@pytest.mark.parametrize("count", [math.nan, math.inf])
@every_measure
def test_a_number_of_tokens_that_is_not_finite_is_refused(measure, count):
    with pytest.raises(ValueError, match=f"got {count}"):
        measure(1.0, count)


@pytest.mark.parametrize("measure", [perplexity, bits_per_character])
@pytest.mark.parametrize("nll, count", [("1", 1), (1.0, "1"), (None, 1), (1.0, None), ([1.0], 1)])
def test_what_is_no_number_is_refused(measure, nll, count):
    with pytest.raises(ValueError, match="needs numbers, got"):
        measure(nll, count)
