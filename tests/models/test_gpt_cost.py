"""The formulas for the cost of GPT agree with what is counted."""

import pytest
import torch

from utils.metrics.cost import count_flops, count_parameters
from utils.models.gpt import GPT
from utils.models.gpt_cost import gpt_flops, gpt_parameters


@pytest.mark.parametrize("vocab_size, width, num_layers", [(11, 8, 1), (50, 12, 3)])
def test_the_formula_counts_the_parameters_of_a_gpt(vocab_size, width, num_layers):
    model = GPT(vocab_size, width=width, num_layers=num_layers, num_heads=2, context_length=8)
    assert gpt_parameters(vocab_size, width=width, num_layers=num_layers) == count_parameters(model)


@pytest.mark.parametrize("length", [1, 5, 16])
def test_the_formula_counts_the_operations_of_a_gpt_and_training_takes_three_times_as_many(length):
    model = GPT(50, width=12, num_layers=3, num_heads=2, context_length=16)
    ids = torch.randint(50, (4, length))
    formula = gpt_flops(50, width=12, num_layers=3, batch_size=4, length=length)
    assert count_flops(lambda: model(ids)) == formula
    assert count_flops(lambda: model(ids)[0].sum().backward()) == 3 * formula


@pytest.mark.parametrize("wrong", [1.5, 0, -1, "3", None])
@pytest.mark.parametrize("name", ["vocab_size", "width", "num_layers", "batch_size", "length"])
def test_a_size_that_is_no_positive_integer_is_refused(name, wrong):
    sizes = {"vocab_size": 50, "width": 12, "num_layers": 3}
    further = {"batch_size": 4, "length": 5}
    with pytest.raises(ValueError, match=f"{name} must be a positive integer, got {wrong!r}"):
        gpt_flops(**sizes | further | {name: wrong})
    if name in sizes:
        with pytest.raises(ValueError, match=f"{name} must be a positive integer, got {wrong!r}"):
            gpt_parameters(**sizes | {name: wrong})
