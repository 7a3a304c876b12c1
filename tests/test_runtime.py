"""Seeds, devices, Ctrl-C and mixed precision."""

import os
import random
import signal
import sys
import threading
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
    for name in ("abacus", "", "cpu:", "cpu:x", "cuda:99"):
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


@pytest.fixture
def python_handles_ctrl_c():
    """Python's own answer to Ctrl-C, which a job in the background does not start with."""
    handler_before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler_before)


def test_the_first_ctrl_c_waits_and_the_second_acts_at_once(python_handles_ctrl_c):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), runtime.interrupt_flag() as flag:
        assert not flag.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        assert flag.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()  # pragma: no cover
    assert signal.getsignal(signal.SIGINT) is before


@pytest.fixture
def acting_handlers():
    """Handlers that act at once, each of which puts its signal's number in a list, and that list.

    As at the start of a program, whatever the one that runs the tests ignores.
    """
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    received: list[int] = []
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, lambda number, _: received.append(number))
    yield received
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_sigterm_and_sighup_wait_as_ctrl_c_does_and_all_say_which_they_were(acting_handlers):
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in numbers]
    for number in numbers:
        with runtime.interrupt_flag() as flag:
            assert not flag.is_set() and flag.signal_number == 0
            os.kill(os.getpid(), number)
            assert flag.is_set() and flag.signal_number == number and acting_handlers == []
            after = signal.getsignal(number)
            assert after == handlers[numbers.index(number)], "a second signal acts at once"
        assert [signal.getsignal(number) for number in numbers] == handlers


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_second_signal_acts_at_once_whichever_it_is(acting_handlers):
    for first in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        for second in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            acting_handlers.clear()
            with runtime.interrupt_flag() as flag:
                os.kill(os.getpid(), first)
                os.kill(os.getpid(), second)
                assert flag.signal_number == first and acting_handlers == [second]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_signals_that_come_together_are_handled_one_after_the_other(acting_handlers, monkeypatch):
    """The first of them must not put the default handler in place of a pending one's."""
    numbers = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM}
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    defaults, terminated = signal.raise_signal, []
    monkeypatch.setattr(
        signal, "raise_signal", lambda x: terminated.append(x) if x == 15 else defaults(x)
    )
    with runtime.interrupt_flag() as flag:
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        for number in numbers:
            signal.pthread_kill(threading.get_ident(), number)  # not to another thread
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
        assert flag.signal_number == signal.SIGHUP, "Python handles them in their order"
        assert acting_handlers == [signal.SIGINT] and terminated == [signal.SIGTERM]
    assert unraisable == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_hangup_that_the_program_ignores_stays_ignored(acting_handlers):
    """As under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with runtime.interrupt_flag() as flag:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not flag.is_set()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_handler_that_python_did_not_install_stays(monkeypatch):
    """Python knows it as None, which cannot be installed again."""
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    installed = []
    monkeypatch.setattr(signal, "signal", lambda *arguments: installed.append(arguments))
    with runtime.interrupt_flag() as flag:
        assert not flag.is_set()
    assert installed == []


def test_outside_the_main_thread_nothing_waits_for_ctrl_c():
    interrupted = []

    def work():
        with runtime.interrupt_flag() as flag:
            interrupted.append(flag.is_set())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert interrupted == [False]


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
