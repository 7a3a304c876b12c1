"""Checkpoint files: they bring back every value, and are complete or not there at all."""

import errno
import os
from collections import OrderedDict, namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from utils.training import tensor_file
from utils.training.tensor_file import read_tensor_file, write_tensor_file


def test_a_checkpoint_brings_back_values_of_every_type(tmp_path):
    tied = torch.randn(3, 2)
    content = {
        "tree": {"a": [tied, (tied, None)], 0: torch.arange(4)},
        "step": 3,
        "rate": 0.1,
        "name": "Größe 语言",
        "on": True,
        "empty": torch.empty(0),
        "betas": (0.9, 0.98),
        "transposed": torch.arange(6).view(2, 3).T,
        "bytes": torch.arange(3, dtype=torch.uint8),
    }
    path = tmp_path / "deep" / "run.safetensors"
    write_tensor_file(path, content)
    loaded = read_tensor_file(path)
    assert loaded.keys() == content.keys()
    first, (second, nothing) = loaded["tree"]["a"]
    assert torch.equal(first, tied) and torch.equal(second, tied) and nothing is None
    assert type(loaded["tree"]["a"]) is list and type(loaded["tree"]["a"][1]) is tuple
    assert torch.equal(loaded["tree"][0], torch.arange(4))
    for name in ("empty", "transposed", "bytes"):
        assert (
            torch.equal(loaded[name], content[name]) and loaded[name].dtype == content[name].dtype
        )
    for name in ("step", "rate", "name", "on", "betas"):
        assert loaded[name] == content[name] and type(loaded[name]) is type(content[name])
    assert [file.name for file in path.parent.iterdir()] == ["run.safetensors"], "no leftovers"


def test_a_full_disk_leaves_the_last_checkpoint_complete(tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    write_tensor_file(path, {"step": 1, "w": torch.ones(2)})

    def save_on_a_full_disk(tensors, file, metadata):
        file.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tensor_file, "save_file", save_on_a_full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_tensor_file(path, {"step": 2})
    assert read_tensor_file(path)["step"] == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_grow_is_an_error_of_the_system(tmp_path):
    """As on a full disk: safetensors reports it by an error of its own."""
    resource = pytest.importorskip("resource", reason="Windows limits no file sizes")
    path = tmp_path / "run.safetensors"
    write_tensor_file(path, {"step": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: .*run.safetensors") as error:
            write_tensor_file(path, {"step": 2, "w": torch.ones(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert error.value.errno == errno.EFBIG and "\n" not in str(error.value)
    assert read_tensor_file(path)["step"] == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_is_on_the_disk_before_it_replaces_the_last_one(tmp_path, monkeypatch):
    calls = []

    def record(name):
        function = getattr(os, name)

        def recorded(*arguments):
            calls.append(name)
            return function(*arguments)

        monkeypatch.setattr(os, name, recorded)

    record("fsync")
    record("replace")
    write_tensor_file(tmp_path / "run.safetensors", {"step": 1})
    assert calls == ["fsync", "replace"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_checkpoint_has_the_permissions_of_any_other_file(tmp_path, monkeypatch):
    """Even if safetensors, as some versions do, leaves a file to its owner only."""
    path, other = tmp_path / "run.safetensors", tmp_path / "other"
    save_file = tensor_file.save_file

    def save_private_file(tensors, file, metadata):
        save_file(tensors, file, metadata)
        file.chmod(0o600)

    monkeypatch.setattr(tensor_file, "save_file", save_private_file)
    umask = os.umask(0o022)
    try:
        write_tensor_file(path, {"step": 1})
        other.touch()
    finally:
        os.umask(umask)
    assert path.stat().st_mode == other.stat().st_mode
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_missing_checkpoint_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*none.safetensors"):
        read_tensor_file(tmp_path / "none.safetensors")


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "run.safetensors"
    write_tensor_file(path, {"w": torch.ones(200)})
    complete = path.read_bytes()
    for content in (complete[: len(complete) // 2], b"<!doctype html>", b""):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"run.safetensors is not a checkpoint"):
            read_tensor_file(path)


def test_no_bit_can_change_unseen(tmp_path):
    """All bits of the header's length and of the values, and one bit of each byte between them."""
    path = tmp_path / "run.safetensors"
    write_tensor_file(path, {"w": torch.tensor([1.0, 2.0]), "step": torch.tensor(3)})
    complete, messages = path.read_bytes(), set()
    header_size = 8 + int.from_bytes(complete[:8], "little")
    assert len(complete) == header_size + 8 + 8, "two float32, one int64"
    for i in range(len(complete)):
        for bit in [i % 8] if 8 <= i < header_size else range(8):
            content = bytearray(complete)
            content[i] ^= 1 << bit
            path.write_bytes(content)
            with pytest.raises(ValueError, match=r"run.safetensors is") as error:
                read_tensor_file(path)
            messages.add(str(error.value))
    assert not any("\n" in message for message in messages)
    assert any("is damaged: its content does not have the checksum" in x for x in messages)


def test_a_file_of_safetensors_without_a_checksum_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    for metadata in (None, {"content": '{"dict": []}'}):
        save_file({"0": torch.ones(1)}, path, metadata=metadata)
        with pytest.raises(ValueError, match="it has no checksum; it is damaged, or"):
            read_tensor_file(path)


def test_what_was_loaded_does_not_depend_on_the_file_any_more(tmp_path):
    path = tmp_path / "run.safetensors"
    write_tensor_file(path, {"w": torch.ones(1000)})
    loaded = read_tensor_file(path)["w"]
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert torch.equal(loaded, torch.ones(1000))


def test_the_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write_tensor_file("~/run.safetensors", {"step": 1})
    assert (tmp_path / "run.safetensors").is_file() and read_tensor_file("~/run.safetensors")


@pytest.mark.parametrize(
    "value",
    [np.float32(1.0), np.int64(1), b"bytes", {1, 2}, Path("x"), {(1, 2): 3}, object()],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_a_file_cannot_hold_is_refused_when_it_is_written(tmp_path, value):
    """And not when it is read, when it is too late."""
    path = tmp_path / "run.safetensors"
    write_tensor_file(path, {"step": 1})
    with pytest.raises(ValueError, match="a checkpoint holds tensors, numbers and strings"):
        write_tensor_file(path, {"state": [value]})
    for x in (torch.eye(2).to_sparse(), torch.empty(2, device="meta")):
        with pytest.raises(ValueError, match="dense tensors with values"):
            write_tensor_file(path, {"state": [x]})
    assert read_tensor_file(path) == {"step": 1} and list(tmp_path.iterdir()) == [path]
    write_tensor_file(path, OrderedDict(step=np.float64(0.5)))
    assert read_tensor_file(path) == {"step": 0.5}


@pytest.mark.parametrize("dtype", [torch.complex128, torch.complex32], ids=str)
def test_a_tensor_that_a_file_cannot_hold_is_refused_when_it_is_written(tmp_path, dtype):
    path = tmp_path / "run.safetensors"
    with pytest.raises(ValueError, match=f"cannot hold a tensor of {dtype}: convert it"):
        write_tensor_file(path, {"state": [torch.empty(2, dtype=dtype)]})
    assert not path.exists()


@pytest.mark.parametrize("shape", [(1, 2), (1, 3, 2)])
def test_a_single_value_with_a_stride_is_stored(tmp_path, shape):
    """To torch it is contiguous whatever its strides are, but it cannot be viewed as bytes."""
    column = torch.ones(shape)[..., :1, 0]
    assert column.is_contiguous() and column.stride(-1) == 2
    write_tensor_file(tmp_path / "run.safetensors", {"column": column})
    assert torch.equal(read_tensor_file(tmp_path / "run.safetensors")["column"], column)


def test_a_named_tuple_is_refused_when_it_is_written(tmp_path):
    path = tmp_path / "run.safetensors"
    point = namedtuple("Point", "x y")(torch.ones(1), 2)
    with pytest.raises(ValueError, match="not Point: convert it"):
        write_tensor_file(path, {"state": [point]})
    assert not path.exists()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here: CUDA was not tried")
def test_a_checkpoint_is_loaded_onto_a_gpu(tmp_path):
    path, ones = tmp_path / "run.safetensors", torch.ones(2, 2, device="cuda")
    write_tensor_file(path, {"w": ones})
    loaded = read_tensor_file(path, map_location="cuda")["w"]
    assert loaded.is_cuda and torch.equal(loaded, ones)
    assert not read_tensor_file(path)["w"].is_cuda
