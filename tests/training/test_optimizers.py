"""The groups of parameters of AdamW and Muon, and a step of Muon with a closure."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.helpers.small_runs import CONFIG, make_model
from utils.models.gpt import GPT
from utils.training.optimizers import OPTIMIZERS, adamw, muon


def test_weight_decay_applies_to_matrices_only():
    model = make_model()
    groups = adamw(model, replace(CONFIG, weight_decay=0.1)).param_groups
    decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    assert decayed == {id(p) for p in model.parameters() if p.dim() >= 2}
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


@pytest.mark.parametrize("make_optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_frozen_parameters_are_left_out(make_optimizer):
    model = GPT(9, width=8, num_layers=2, num_heads=2, context_length=4)
    for parameter in (*model.layers[0].parameters(), *model.embedding.parameters()):
        parameter.requires_grad_(False)
    groups = make_optimizer(model, CONFIG).param_groups
    optimized = [id(p) for group in groups for p in group["params"]]
    trainable = [id(p) for p in model.parameters() if p.requires_grad]
    assert sorted(optimized) == sorted(trainable)


def test_a_step_with_a_closure_is_the_step_after_a_backward_pass():
    """Of all parameters: Muon's matrices too, in the first step and in later ones."""
    torch.manual_seed(0)
    models = [nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 4)).double() for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    optimizers = [muon(model, CONFIG) for model in models]
    batches = torch.randn(3, 5, 4, dtype=torch.float64)

    def backward(i, x):
        optimizers[i].zero_grad()
        loss = models[i](x).square().mean()
        loss.backward()
        return loss

    for x in batches:
        before = [parameter.detach().clone() for parameter in models[1].parameters()]
        expected_loss = backward(0, x)
        optimizers[0].step()
        loss = optimizers[1].step(lambda x=x: backward(1, x))
        assert loss == expected_loss
        for old, new, expected in zip(
            before, models[1].parameters(), models[0].parameters(), strict=True
        ):
            assert torch.equal(new, expected) and not torch.equal(new, old)
