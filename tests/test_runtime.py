"""Seeds, devices, timing, Ctrl-C and mixed precision."""

import os
import random
import signal
import threading
from contextlib import nullcontext

import numpy as np
import pytest
import torch

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


def test_an_unknown_device_is_answered_with_those_there_are():
    assert runtime.select_device("cpu").type == "cpu"
    assert runtime.select_device().type in ("cpu", "cuda", "mps")
    for name in ("abacus", "", "cpu:", "cpu:x", "cuda:99"):
        with pytest.raises(ValueError, match=r"choose from .*cpu"):
            runtime.select_device(name)


def test_a_model_is_where_its_parameters_are():
    assert runtime.device_of(torch.nn.Linear(1, 1, device="meta")).type == "meta"
    assert runtime.device_of(torch.nn.Dropout()).type == "cpu"


def test_the_time_of_a_call_is_the_median_of_those_that_count(monkeypatch):
    now, seconds = [100.0], iter([5.0, 4.0, 0.001, 0.003, 9.0])
    monkeypatch.setattr(runtime.time, "perf_counter", lambda: now[0])

    def call():
        now[0] += next(seconds)

    assert abs(runtime.median_milliseconds(call, num_repeats=3, num_warmup_calls=2) - 3.0) < 1e-6
    assert next(seconds, None) is None, "two calls to warm up and three to measure"


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
