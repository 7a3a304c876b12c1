"""Seeds, devices and mixed precision."""

import random
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn

from utils import runtime


def draw():
    return random.random(), np.random.rand(), torch.rand(3).tolist()


def test_seeds_and_random_states_bring_the_same_numbers_again():
    runtime.seed_everything(5)
    first = draw()
    state = runtime.get_random_state()
    second = draw()
    runtime.set_random_state(state)
    assert draw() == second != first
    runtime.seed_everything(5)
    assert draw() == first


def test_an_unknown_device_raises_with_the_available_ones():
    assert runtime.select_device("cpu").type == "cpu"
    assert runtime.select_device().type in ("cpu", "cuda", "mps")
    for name in ("abacus", "", "cpu:", "cpu:x", "cpu:00", "cpu:٠", "cuda:99"):
        with pytest.raises(ValueError, match=r"choose from .*cpu"):
            runtime.select_device(name)


def test_the_number_of_a_gpu_is_below_their_count_and_a_cpu_has_number_0(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    for name in ("cpu:0", "cuda:0", "cuda:1"):
        assert runtime.select_device(name) == torch.device(name)
    assert torch.backends.cudnn.allow_tf32, "choosing a device changes no setting"
    for name in ("cpu:1", "cuda:2", "cuda:-1"):
        with pytest.raises(ValueError, match=f"no device '{name}'"):
            runtime.select_device(name)


def test_a_model_is_where_its_parameters_are():
    assert runtime.device_of(torch.nn.Linear(1, 1, device="meta")).type == "meta"
    assert runtime.device_of(torch.nn.Dropout()).type == "cpu"
    assert runtime.device_of(lambda ids, state=None: None).type == "cpu"


def test_full_precision_is_for_recurrent_layers_and_products_of_matrices(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    runtime.use_full_precision()
    assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32


def test_after_an_evaluation_each_part_is_in_the_mode_it_was_in():
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout(), nn.Dropout()))
    model[1][0].eval()
    modes = [module.training for module in model.modules()]
    assert set(modes) == {True, False}
    with pytest.raises(KeyError), runtime.evaluation_mode(model):
        assert not any(module.training for module in model.modules())
        raise KeyError
    assert [module.training for module in model.modules()] == modes


def test_only_a_torch_module_changes_its_mode():
    model = nn.Dropout(0.5)
    with runtime.evaluation_mode(model):
        assert not model.training
    assert model.training
    with runtime.evaluation_mode(lambda ids, state=None: None):
        pass


def test_a_wrong_random_state_changes_nothing():
    runtime.seed_everything(5)
    state = runtime.get_random_state()
    first = draw()
    for spoiled in ({}, state | {"numpy": {"key": torch.zeros(3)}}, state | {"python": None}):
        runtime.set_random_state(state)
        with pytest.raises(ValueError, match="not a state of random generators"):
            runtime.set_random_state(spoiled)
        assert draw() == first


@pytest.mark.parametrize("library, name", [(torch.cuda, "cuda"), (torch.backends.mps, "mps")])
def test_random_states_of_gpus_are_restored_where_both_machines_have_them(
    monkeypatch, library, name
):
    """A checkpoint moves between machines with other devices."""
    restored = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: ["before"])
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", restored.append)
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: "before")
    monkeypatch.setattr(torch.mps, "set_rng_state", restored.append)
    state = {x: runtime.get_random_state()[x] for x in ("torch", "python", "numpy")}
    saved = {"cuda": ["first", "second"], "mps": "only"}
    for is_available in (False, True):
        monkeypatch.setattr(library, "is_available", lambda x=is_available: x)
        runtime.set_random_state(state)
        assert restored == []
        runtime.set_random_state(state | {name: saved[name]})
        assert restored == ([{"cuda": ["first"], "mps": "only"}[name]] if is_available else [])


def test_a_gpu_that_only_emulates_bfloat16_does_not_have_it(monkeypatch):
    def old_gpu(including_emulation=True):
        return including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", old_gpu)
    assert not runtime.supports_bfloat16()


@pytest.mark.parametrize("supported", [True, False])
def test_recurrent_layers_are_trained_in_float16_on_every_gpu(monkeypatch, supported):
    """Autocast computes cuDNN's recurrent layers in float16 even if it is given bfloat16."""
    monkeypatch.setattr(runtime, "supports_bfloat16", lambda: supported)
    linear = nn.Sequential(nn.Linear(2, 2), nn.LSTMCell(2, 2))  # a cell is not a layer of cuDNN
    assert runtime.half_precision(linear) == (torch.bfloat16 if supported else torch.float16)
    for layer in (nn.RNN(2, 2), nn.GRU(2, 2), nn.LSTM(2, 2)):
        assert runtime.half_precision(nn.Sequential(linear, layer)) == torch.float16


@pytest.mark.parametrize("dtype", [None, torch.float16, torch.bfloat16])
def test_mixed_precision_has_the_type_that_was_asked_for(monkeypatch, dtype):
    monkeypatch.setattr(runtime, "supports_bfloat16", lambda: True)
    monkeypatch.setattr(torch, "autocast", lambda device_type, dtype: (device_type, dtype))
    context = runtime.autocast(torch.device("cuda"), dtype=dtype)
    assert context == ("cuda", dtype or torch.bfloat16)


def test_mixed_precision_leaves_a_cpu_alone():
    for context in (
        runtime.autocast(torch.device("cpu")),
        runtime.autocast(torch.device("mps")),
        runtime.autocast(torch.device("cuda"), enabled=False),
    ):
        assert isinstance(context, nullcontext)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here: CUDA was not tried")
def test_mixed_precision_on_a_gpu():
    with runtime.autocast(torch.device("cuda")):
        ones = torch.ones(2, 2, device="cuda")
        assert (ones @ ones).dtype in (torch.bfloat16, torch.float16)


@pytest.mark.parametrize("seed", [1.5, "3", None, -1, 2**64])
def test_a_seed_that_torch_does_not_take_is_refused_by_its_name(seed):
    with pytest.raises(ValueError, match="seed must be an integer from 0 to"):
        runtime.seed_everything(seed)
