"""The job of a command line: its options are the parameters of the library, with their defaults."""

import inspect
from dataclasses import fields

import pytest

from utils.command.catalogue import MODELS, select_arguments
from utils.command.job import Job, RunConfig
from utils.command.parser import parse
from utils.training.config import TrainConfig


@pytest.fixture(scope="module")
def default_options():
    """The options of each model whose command line names none."""
    return {name: parse([name])[1] for name in MODELS}


def test_options_are_the_parameters_of_the_library_with_their_defaults(default_options):
    for name, spec in MODELS.items():
        options = default_options[name]
        job = Job.from_options(name, options)
        defaults = (TrainConfig(), RunConfig(), spec.data_class())
        assert (job.training, job.run, job.data) == defaults
        parameters = {}
        for part in spec.parts:
            parameters |= dict(inspect.signature(part).parameters)
        del parameters["vocab_size"]  # the tokenizer's: the data have an option of that name
        model_defaults = {k: p.default for k, p in parameters.items()} | spec.defaults
        assert job.model_options == model_defaults
        configs = (spec.data_class, TrainConfig, RunConfig)
        expected = {field.name for config in configs for field in fields(config)}
        assert options.keys() == expected | parameters.keys()


def test_each_part_of_a_model_gets_what_it_takes(default_options):
    for name, spec in MODELS.items():
        job = Job.from_options(name, default_options[name])
        for part in spec.parts:
            parameters = dict(inspect.signature(part).parameters)
            del parameters["vocab_size"]
            expected = {k: spec.defaults.get(k, p.default) for k, p in parameters.items()}
            assert select_arguments(part, job.model_options) == expected


@pytest.mark.parametrize("seed", [-1, 2**63, 10**30])
def test_a_seed_that_no_generator_takes_is_named(seed, capsys):
    with pytest.raises(ValueError, match=f"seed must be an integer from 0 to .*, got {seed}"):
        Job.from_options(*parse(["gpt", "--seed", str(seed)]))
    RunConfig(seed=2**63 - 1)
