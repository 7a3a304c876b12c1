"""The configuration of a run: the limits of its values, and the learning rate of each step."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from utils.training.config import SCHEDULES, TrainConfig, learning_rate_at

CONFIG = TrainConfig(
    steps=100, learning_rate=1.0, warmup_fraction=0.1, final_learning_rate_fraction=0.2
)


def test_the_learning_rate_rises_and_falls_as_written():
    config = replace(CONFIG, schedule="linear")
    rates = [learning_rate_at(config, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == rates[9] == rates[10] == 1.0
    assert rates[55] == pytest.approx(0.6) and rates[100] == pytest.approx(0.2)
    cosine = replace(config, schedule="cosine")
    assert learning_rate_at(cosine, 55) == pytest.approx(0.6)
    cosine_after_20_of_90 = (1 + math.cos(math.pi * 20 / 90)) / 2
    assert learning_rate_at(cosine, 30) == pytest.approx(0.2 + 0.8 * cosine_after_20_of_90)
    constant = replace(config, schedule="constant")
    assert learning_rate_at(constant, 99) == 1.0
    assert learning_rate_at(replace(config, warmup_fraction=0.0), 0) == 1.0
    nearly_two_of_ten = replace(config, steps=10, warmup_fraction=0.19)
    assert learning_rate_at(nearly_two_of_ten, 0) == pytest.approx(0.5)


@pytest.mark.parametrize("warmup_fraction", [0.1, 1.0])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_past_the_end_the_learning_rate_stays_at_the_final_one(schedule, warmup_fraction):
    config = replace(CONFIG, schedule=schedule, warmup_fraction=warmup_fraction)
    final_rate = 1.0 if schedule == "constant" else 0.2
    later = [learning_rate_at(config, step) for step in (101, 150, 190, 1000)]
    assert later == pytest.approx([final_rate] * 4)


@pytest.mark.parametrize("step", [-1, -5, 0.5, True, None])
@pytest.mark.parametrize("warmup_fraction", [0.0, 0.1])
def test_a_step_that_no_run_has_is_refused(step, warmup_fraction):
    with pytest.raises(ValueError, match=rf"step must be a non-negative integer, got {step}"):
        learning_rate_at(replace(CONFIG, warmup_fraction=warmup_fraction), step)


@pytest.mark.parametrize(
    "wrong",
    [
        {"schedule": "sawtooth"},
        {"steps": 0},
        {"steps": 2.5},
        {"steps": 2.0},
        {"steps": math.inf},
        {"accumulation_steps": 0},
        {"accumulation_steps": 2.0},
        {"validate_every": -1},
        {"validate_every": 5.0},
        {"checkpoint_every": -1},
        {"checkpoint_every": math.inf},
        {"learning_rate": 0},
        {"learning_rate": math.inf},
        {"learning_rate": math.nan},
        {"learning_rate": 1e38},  # times 10 in the first step of AdamW, more than float32 holds
        {"learning_rate": 1e39},
        {"warmup_fraction": 1.5},
        {"final_learning_rate_fraction": 2},
        {"weight_decay": -0.1},
        {"weight_decay": math.inf},
        {"clip_norm": math.inf},
        {"clip_norm": -1},
        {"clip_norm": math.nan},
        {"steps": True},
        {"accumulation_steps": True},
        {"validate_every": False},
        {"checkpoint_every": False},
        {"validate_every": 1001},
        {"checkpoint_every": 1001},
        {"steps": "10"},
        {"learning_rate": "0.1"},
        {"learning_rate": None},
        {"learning_rate": True},
        {"warmup_fraction": "half"},
        {"warmup_fraction": math.nan},
        {"mixed_precision": "no"},
        {"mixed_precision": 1},
        {"betas": 0.9},
        {"betas": ("0.9", "0.98")},
        {"betas": (0.9, 1.0)},
        {"betas": (-0.1, 0.98)},
        {"betas": (0.9, math.nan)},
        {"betas": (0.9,)},
        {"betas": (0.9, 0.98, 0.99)},
    ],
    ids=str,
)
def test_a_value_out_of_its_range_is_named(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=rf"^{name} .*{re.escape(str(value))}"):
        TrainConfig(**wrong)


def test_numbers_of_numpy_become_plain_ones():
    """A checkpoint, which is written hours later, holds no others."""
    config = TrainConfig(
        steps=np.int64(3),
        validate_every=np.int32(3),
        learning_rate=np.float32(0.5),
        warmup_fraction=0,
        betas=[np.float64(0.5), 0],
    )
    types = {name: type(value) for name, value in vars(config).items()}
    assert types["steps"] is types["validate_every"] is int
    assert types["learning_rate"] is types["warmup_fraction"] is float
    assert config.betas == (0.5, 0.0) and [type(beta) for beta in config.betas] == [float, float]
    assert config == TrainConfig(
        steps=3, validate_every=3, learning_rate=0.5, warmup_fraction=0.0, betas=(0.5, 0.0)
    )


def test_the_limits_of_the_ranges_are_allowed():
    config = TrainConfig(
        steps=1,
        warmup_fraction=1,
        final_learning_rate_fraction=1,
        betas=(0.0, 0.0),
    )
    assert config.betas == (0.0, 0.0)


def test_the_default_decay_rates_are_those_of_section_3_1():
    assert TrainConfig().betas == (0.9, 0.98)


def test_weight_decay_and_accumulation_are_on_request_only():
    assert TrainConfig().weight_decay == 0.0 and TrainConfig().accumulation_steps == 1
