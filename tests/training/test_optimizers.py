"""AdamW and Muon: their groups of parameters, Muon's steps and its momentum, and resuming."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from tests.helpers.small_runs import CONFIG, flat_weights, make_model, make_stream
from tests.helpers.tensors import same
from tests.helpers.tiny_models import MODELS, V
from utils.data.batches import Batch
from utils.models.gpt import GPT
from utils.models.language_models import RNNLM
from utils.training.config import TrainConfig
from utils.training.loop import fit
from utils.training.optimizers import OPTIMIZERS, POLYNOMIALS, Muon, adamw, muon, orthogonalize

IDS = torch.tensor([[1, 5, 6, 7, 8], [1, 9, 9, 4, 4], [1, 3, 10, 4, 5], [1, 4, 5, 6, 7]])


# ---- both optimizers ----------------------------------------------------------------------------


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


def test_on_a_cpu_the_steps_of_muon_are_fused():
    """Elsewhere torch chooses."""
    for device, fused in (("cpu", True), ("meta", None)):
        optimizer = muon(nn.Linear(2, 2, device=device), CONFIG)
        assert {group["fused"] for group in optimizer.param_groups} == {fused}


@pytest.mark.parametrize("lr_scale", [0, -1.0, math.inf, math.nan, True, None])
def test_a_lr_scale_of_rates_that_is_not_positive_is_refused(lr_scale):
    with pytest.raises(ValueError, match=f"lr_scale must be a positive number, got {lr_scale}"):
        muon(make_model(), CONFIG, lr_scale=lr_scale)


@pytest.mark.parametrize("momentum", [-0.1, 1, math.nan, True, None])
def test_a_momentum_outside_its_range_is_refused(momentum):
    message = f"momentum must be a number at least 0 and below 1, got {momentum}"
    with pytest.raises(ValueError, match=message):
        muon(make_model(), CONFIG, momentum=momentum)


def test_a_group_says_whether_its_steps_are_orthogonal():
    """Those of a checkpoint that was written before groups said so have a momentum, or none."""
    model = small_gpt()
    optimizer = muon(model, CONFIG)
    kinds = [group["orthogonal"] for group in optimizer.param_groups]
    assert set(kinds) == {True, False}
    old = optimizer.state_dict()
    for group in old["param_groups"]:
        del group["orthogonal"]
    optimizer.load_state_dict(old)
    assert [group["orthogonal"] for group in optimizer.param_groups] == kinds
    group = {"params": [nn.Parameter(torch.eye(2))], "momentum": 0.9, "orthogonal": False}
    (parameter,), optimizer = group["params"], Muon([group], lr=0.1)
    parameter.grad = torch.ones(2, 2)
    optimizer.step()
    assert "exp_avg" in optimizer.state[parameter], "a step of AdamW"


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


@pytest.mark.parametrize("make_optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_step_leaves_all_gradients(make_optimizer):
    model = nn.Linear(4, 6)
    model(torch.ones(2, 4)).square().mean().backward()
    before = [parameter.grad.clone() for parameter in model.parameters()]
    make_optimizer(model, CONFIG).step()
    pairs = zip(model.parameters(), before, strict=True)
    assert all(torch.equal(parameter.grad, gradient) for parameter, gradient in pairs)


# ---- Muon ---------------------------------------------------------------------------------------


def small_gpt(**options) -> GPT:
    return GPT(V, **{"width": 16, "num_layers": 1, "num_heads": 2} | options)


def muon_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that Muon steps, by name."""
    groups = muon(model, TrainConfig()).param_groups
    chosen = {id(p) for group in groups if group["orthogonal"] for p in group["params"]}
    return {name: p for name, p in model.named_parameters() if id(p) in chosen}


def test_muon_takes_the_matrices_of_linear_layers_and_adamw_the_rest():
    model = small_gpt(
        num_layers=2, positional_encoding="learned", bias=True, ngram_table_sizes=(V * V, 20)
    )
    config = TrainConfig(weight_decay=0.1, learning_rate=1e-3)
    groups = muon(model, config, lr_scale=7.0).param_groups
    names = {id(p): name for name, p in model.named_parameters()}
    inner = {names[id(p)] for group in groups if group["orthogonal"] for p in group["params"]}
    parts = (
        "attention.qkv_projection",
        "attention.output_projection",
        "up_projection",
        "down_projection",
    )
    assert inner == {f"layers.{i}.{part}.weight" for i in range(2) for part in parts}
    others = [names[id(p)] for group in groups if not group["orthogonal"] for p in group["params"]]
    assert sorted([*others, *inner]) == sorted(names.values()), "each parameter exactly once"
    decays = {names[id(p)]: group["weight_decay"] for group in groups for p in group["params"]}
    assert all(decays[name] == (0.1 if p.dim() == 2 else 0) for name, p in model.named_parameters())
    assert {group["lr_scale"] for group in groups if group["orthogonal"]} == {7.0}


@pytest.mark.parametrize("name", MODELS)
def test_embeddings_and_output_matrices_are_left_to_adamw(name):
    """They are the matrices with a row for each token; those of every width inside are Muon's."""
    model = MODELS[name](6)
    linear_maps = {id(module.weight) for module in model.modules() if isinstance(module, nn.Linear)}
    expected = {n for n, p in model.named_parameters() if id(p) in linear_maps and len(p) != V}
    if not expected:
        with pytest.raises(ValueError, match="no linear layer"):
            muon_parameters(model)
        return
    inner = muon_parameters(model)
    assert not any(len(p) == V for p in inner.values())
    assert inner.keys() == expected


def test_a_matrix_that_two_layers_share_is_stepped_once():
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Tanh(), nn.Linear(4, 4, bias=False))
    model[2].weight = model[0].weight
    (group,) = muon(model, CONFIG).param_groups
    assert [id(matrix) for matrix in group["params"]] == [id(model[0].weight)]


@pytest.mark.parametrize(
    "model",
    [
        make_model(),
        nn.Conv1d(3, 4, 5),
        nn.LSTM(3, 4),
        nn.Embedding(V, 4),
        nn.Linear(4, 4).requires_grad_(False),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_model_without_a_matrix_for_muon_is_refused_before_anything_changes(model, tmp_path):
    """It would be trained by AdamW alone."""
    message = f"{type(model).__name__} has no linear layer .* muon .*: expected adamw"
    with pytest.raises(ValueError, match=message):
        muon(model, CONFIG)
    if type(model) is RNNLM:
        before, path = flat_weights(model), tmp_path / "run.safetensors"
        with pytest.raises(ValueError, match=message):
            fit(model, make_stream(), CONFIG, make_optimizer=muon, checkpoint=path, progress=False)
        assert torch.equal(flat_weights(model), before) and not list(tmp_path.iterdir())


def test_an_output_matrix_that_is_not_tied_is_declared_by_the_model():
    class Untied(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.last = nn.Linear(4, 4), nn.Linear(4, V)

        def output_parameters(self):
            return [self.last.weight]

    assert muon_parameters(Untied()).keys() == {"inner.weight"}
    undeclared = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, V))
    assert muon_parameters(undeclared).keys() == {"0.weight", "1.weight"}


def test_the_singular_values_of_a_step_are_near_one():
    torch.manual_seed(0)
    linear = nn.Linear(6, 12).double()
    before, gradient = linear.weight.detach().clone(), torch.randn(12, 6, dtype=torch.float64)
    optimizer = muon(linear, TrainConfig(learning_rate=1e-3, weight_decay=0.1))
    for group in optimizer.param_groups:
        group["lr"] = 0.01
    linear.weight.grad, linear.bias.grad = gradient.clone(), torch.ones(12, dtype=torch.float64)
    bias = linear.bias.detach().clone()
    optimizer.step()
    # a matrix with twice as many rows as columns takes a step √2 times as large
    step = (before * (1 - 0.01 * 0.1) - linear.weight.detach()) / (0.01 * 2**0.5)
    u, s, vh = torch.linalg.svd(gradient, full_matrices=False)
    sizes = u.T @ step @ vh.T  # in the singular directions of the gradient
    assert (sizes.diag() > 0.65).all() and (sizes.diag() < 1.25).all() and s.max() / s.min() > 1.5
    assert (sizes - sizes.diag().diag()).abs().max() < 1e-6
    assert same(linear.bias.detach(), bias - 0.01, 1e-6), "AdamW's first step is of size lr"


@pytest.mark.parametrize("momentum", [0.95, 0.5])
def test_the_momentum_is_nesterovs(momentum):
    torch.manual_seed(0)
    linear, gradients = nn.Linear(6, 6, bias=False).double(), torch.randn(3, 6, 6).double()
    optimizer = muon(linear, TrainConfig(learning_rate=0.01), momentum=momentum)
    mean = torch.zeros(6, 6).double()
    for gradient in gradients:
        before, linear.weight.grad = linear.weight.detach().clone(), gradient.clone()
        optimizer.step()
        mean = momentum * mean + (1 - momentum) * gradient
        direction = orthogonalize(momentum * mean + (1 - momentum) * gradient)
        assert same(before - linear.weight.detach(), 0.01 * direction, 1e-9)


def test_to_maximize_is_to_minimize_the_negative():
    weights = []
    for maximize in (False, True):
        torch.manual_seed(0)
        model = nn.Linear(4, 6).double()
        groups = muon(model, CONFIG).param_groups
        optimizer = Muon(
            [
                {key: group[key] for key in {"params", "momentum", "orthogonal"} & group.keys()}
                for group in groups
            ],
            lr=0.1,
            maximize=maximize,
        )
        for x in torch.randn(3, 5, 4, dtype=torch.float64):
            optimizer.zero_grad()
            loss = (model(x) - 1).square().mean()
            (-loss if maximize else loss).backward()
            optimizer.step()
        weights.append(flat_weights(model))
    assert torch.equal(*weights)


def test_a_gradient_scaler_unscales_gradients_and_skips_a_step_that_overflowed():
    """Of the matrices as of all others."""
    torch.manual_seed(0)
    models = [nn.Linear(4, 6) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    optimizers = [muon(model, CONFIG) for model in models]
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)
    for i, x in enumerate(torch.randn(4, 5, 4)):
        overflows = i in (0, 2)  # also in the first step
        before = [parameter.detach().clone() for parameter in models[1].parameters()]
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss = models[1](x * (torch.inf if overflows else 1)).square().mean()
        scaler.scale(loss).backward()
        scaler.step(optimizers[1])
        scaler.update()
        if overflows:
            assert all(map(torch.equal, before, models[1].parameters()))
        else:
            models[0](x).square().mean().backward()
            optimizers[0].step()
            assert all(map(torch.equal, models[0].parameters(), models[1].parameters()))


def test_fit_multiplies_the_rate_of_a_group_by_its_scale():
    """Without decay a step is proportional to the rate, which Muon scales in its own groups."""
    config = TrainConfig(steps=1, learning_rate=1e-3, warmup_fraction=0, schedule="constant")

    def changes(lr_scale: float) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        model = small_gpt()
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        optimizer = partial(muon, lr_scale=lr_scale)
        fit(model, [Batch(IDS, IDS.roll(-1, 1))], config, progress=False, make_optimizer=optimizer)
        return {name: p.detach() - before[name] for name, p in model.named_parameters()}

    one, four, inner = changes(1.0), changes(4.0), muon_parameters(small_gpt())
    assert any(one[name].abs().max() > 1e-5 for name in inner)
    for name, change in one.items():
        assert same(four[name], change * (4 if name in inner else 1), 1e-7), name


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (2, 4, 6)])
def test_orthogonalizing_moves_all_singular_values_near_one(shape):
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64)
    u, s, vh = torch.linalg.svd(x, full_matrices=False)
    s = torch.logspace(-1.9, 0, s.shape[-1], dtype=torch.float64).expand_as(s)
    result = orthogonalize(u @ s.diag_embed() @ vh)
    sizes = u.mT @ result @ vh.mT  # in the singular directions of x, (…, n, n)
    diagonal = sizes.diagonal(0, -2, -1)
    assert result.shape == x.shape and same(sizes, diagonal.diag_embed(), 1e-9)
    assert 0.72 < diagonal.min() and diagonal.max() < 1.28
    assert orthogonalize(torch.zeros(2, 3)).abs().max() == 0, "no NaN without a gradient"


def test_the_polynomials_map_singular_values_into_the_stated_range():
    sigma = torch.logspace(-2, 0, 10_000, dtype=torch.float64)
    for a, b, c in POLYNOMIALS:
        sigma = a * sigma + b * sigma**3 + c * sigma**5
    assert 0.72 < sigma.min() < 0.74 and 1.26 < sigma.max() < 1.27


def test_singular_values_below_that_range_grow_by_the_stated_factor_at_most():
    factor = math.prod(a for a, _, _ in POLYNOMIALS)
    assert round(factor, 1) == 78.3
    sizes = torch.tensor([1e-2, 1e-3, 1e-6, 0.0], dtype=torch.float64)
    sizes = torch.cat([(1 - sizes.square().sum()).sqrt()[None], sizes])  # of norm 1
    results = orthogonalize(sizes.diag()).diagonal()[1:]
    assert (results <= factor * sizes[1:]).all() and 0.07 < results[1] < 0.08


class InterruptedBatches(list[Batch]):
    """Batches that raise KeyboardInterrupt at one step, once."""

    interrupted_step: int | None = None

    def __getitem__(self, step):
        if step == self.interrupted_step:
            self.interrupted_step = None
            raise KeyboardInterrupt
        return super().__getitem__(step)


def test_a_run_with_muon_resumes_exactly(tmp_path):
    batches = InterruptedBatches([Batch(IDS, IDS.roll(-step, 1)) for step in range(1, 13)])
    config = TrainConfig(steps=12, learning_rate=1e-2, checkpoint_every=6)

    def run(checkpoint=None) -> GPT:
        torch.manual_seed(0)
        model = small_gpt()
        options = {"checkpoint": checkpoint, "progress": False, "make_optimizer": muon}
        fit(model, batches, config, **options)
        return model

    uninterrupted, path = run(), tmp_path / "run.safetensors"
    batches.interrupted_step = 8
    with pytest.raises(KeyboardInterrupt):
        run(path)
    pairs = zip(uninterrupted.parameters(), run(path).parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
