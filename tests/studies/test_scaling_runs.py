"""Runs of the study of scaling: a run records how it was trained, and can be repeated."""

import math

import pytest

from utils.data.corpora import Corpus
from utils.models.gpt_cost import gpt_parameters
from utils.studies.scaling_runs import (
    BATCH_SIZE,
    CONTEXT_LENGTH,
    NUM_LAYERS,
    CharacterScaling,
    learning_rate_for,
)


@pytest.fixture
def toy_corpus():
    text = "to be or not to be, that is the question. " * 40
    return Corpus("toy", "stand-in", text, text[:300], text[:300])


def test_a_run_records_what_was_trained_and_can_be_repeated(toy_corpus):
    study = CharacterScaling(toy_corpus)
    run = study.train(8, steps=30)
    assert run.num_tokens == 30 * BATCH_SIZE * CONTEXT_LENGTH
    assert run.learning_rate == learning_rate_for(8)
    assert run.num_parameters == gpt_parameters(study.vocab_size, width=8, num_layers=NUM_LAYERS)
    assert run.loss < math.log(study.vocab_size) - 0.5
    assert study.train(8, steps=30).loss == run.loss
    assert study.train(8, steps=30, seed=1).loss != run.loss
    assert study.train(8, steps=30, learning_rate_factor=0.5).learning_rate == run.learning_rate / 2


def test_wider_models_learn_at_lower_rates():
    assert learning_rate_for(192) == pytest.approx(learning_rate_for(48) / 2)


@pytest.mark.parametrize("width", [0, -4, 6, 10, 8.5])
def test_a_width_that_heads_cannot_divide_is_refused(toy_corpus, width):
    with pytest.raises(ValueError, match="width must be a"):
        CharacterScaling(toy_corpus).train(width, steps=1)
