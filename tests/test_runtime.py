"""Devices, seeds and checkpoints."""

import errno
import os
import random
import signal
import threading
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from utils import runtime  # BARE runtime
from utils.training.checkpoint import load_checkpoint, save_checkpoint


def draw():
    return random.random(), np.random.rand(), torch.rand(3).tolist()


def test_seeds_and_random_states_bring_the_same_numbers_again():
    runtime.seed_everything(5)
    first = draw()
    state = runtime.random_state()
    second = draw()
    runtime.set_random_state(state)
    assert draw() == second != first
    runtime.seed_everything(5)
    assert draw() == first


def test_a_checkpoint_brings_back_every_kind_of_value(tmp_path):
    tied = torch.randn(3, 2)
    content = {
        "tree": {"a": [tied, (tied, None)], 0: torch.arange(4)}, "step": 3, "rate": 0.1,
        "name": "Größe 语言", "on": True, "empty": torch.empty(0), "betas": (0.9, 0.98),
        "turned": torch.arange(6).view(2, 3).T, "bytes": torch.arange(3, dtype=torch.uint8),
    }  # fmt: skip
    path = tmp_path / "deep" / "run.safetensors"
    save_checkpoint(path, content)
    found = load_checkpoint(path)
    assert found.keys() == content.keys()
    assert torch.equal(found["tree"]["a"][0], tied) and torch.equal(found["tree"]["a"][1][0], tied)
    assert found["tree"]["a"][1][1] is None and torch.equal(found["tree"][0], torch.arange(4))
    assert torch.equal(found["turned"], content["turned"]) and found["bytes"].dtype == torch.uint8
    plain = ("step", "rate", "name", "on", "betas")
    assert all(found[key] == content[key] for key in plain)
    assert [p.name for p in path.parent.iterdir()] == ["run.safetensors"], "no leftovers"


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    save_checkpoint(path, {"step": 1, "w": torch.ones(2)})

    def full(tensors, file, metadata):
        file.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(runtime, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, {"step": 2})
    assert load_checkpoint(path)["step"] == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_no_checkpoint_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        load_checkpoint(tmp_path / "none.safetensors")


def test_an_unknown_device_is_answered_with_those_there_are():
    assert runtime.select_device("cpu").type == "cpu"
    assert runtime.select_device().type in ("cpu", "cuda", "mps")
    for name in ("abacus", "", "cpu:", "cpu:x", "cuda:99"):
        with pytest.raises(ValueError, match="choose from .*cpu"):
            runtime.select_device(name)


def test_a_model_is_where_its_parameters_are():
    assert runtime.device_of(torch.nn.Linear(1, 1, device="meta")).type == "meta"
    assert runtime.device_of(torch.nn.Dropout()).type == "cpu"


def test_the_time_of_a_call_is_the_median_of_those_that_count(monkeypatch):
    clock, takes = [100.0], iter([5.0, 4.0, 0.001, 0.003, 9.0])
    monkeypatch.setattr(runtime.time, "perf_counter", lambda: clock[0])

    def call():
        clock[0] += next(takes)

    assert abs(runtime.median_milliseconds(call, repeats=3, warmup=2) - 3.0) < 1e-6
    assert next(takes, None) is None, "two calls to warm up and three to measure"


@pytest.fixture
def ctrl_c():
    """Python's own answer to Ctrl-C, which a job in the background does not start with."""
    started_with = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, started_with)


def test_the_first_ctrl_c_waits_and_the_second_acts_at_once(ctrl_c):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), runtime.interrupt_flag() as flag:
        assert not flag.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        assert flag.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()  # pragma: no cover
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_nothing_waits_for_ctrl_c():
    found = []

    def work():
        with runtime.interrupt_flag() as flag:
            found.append(flag.is_set())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]


def test_a_gpu_that_only_emulates_bfloat16_does_not_have_it(monkeypatch):
    def old_gpu(including_emulation=True):
        return including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", old_gpu)
    assert not runtime.supports_bfloat16()


def test_mixed_precision_leaves_a_cpu_alone():
    for nothing in (
        runtime.autocast(torch.device("cpu")),
        runtime.autocast(torch.device("mps")),
        runtime.autocast(torch.device("cuda"), enabled=False),
    ):
        assert isinstance(nothing, nullcontext)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here: CUDA was not tried")
def test_mixed_precision_and_checkpoints_on_a_gpu(tmp_path):
    with runtime.autocast(torch.device("cuda")):
        ones = torch.ones(2, 2, device="cuda")
        assert (ones @ ones).dtype in (torch.bfloat16, torch.float16)
    save_checkpoint(tmp_path / "c.safetensors", {"w": ones})
    found = load_checkpoint(tmp_path / "c.safetensors", map_location="cuda")["w"]
    assert found.is_cuda and torch.equal(found, ones)
