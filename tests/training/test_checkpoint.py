"""Checkpoint files: they bring back every value, and are complete or not there at all."""

import errno
import os
from collections import namedtuple

import pytest
import torch

from utils.training import checkpoint
from utils.training.checkpoint import load_checkpoint, save_checkpoint


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
    save_checkpoint(path, content)
    loaded = load_checkpoint(path)
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
    save_checkpoint(path, {"step": 1, "w": torch.ones(2)})

    def save_on_a_full_disk(tensors, file, metadata):
        file.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", save_on_a_full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, {"step": 2})
    assert load_checkpoint(path)["step"] == 1
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
    save_checkpoint(tmp_path / "run.safetensors", {"step": 1})
    assert calls == ["fsync", "replace"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_checkpoint_has_the_permissions_of_any_other_file(tmp_path, monkeypatch):
    """Even if safetensors, as some versions do, leaves a file to its owner only."""
    path, other = tmp_path / "run.safetensors", tmp_path / "other"
    save_file = checkpoint.save_file

    def save_private_file(tensors, file, metadata):
        save_file(tensors, file, metadata)
        file.chmod(0o600)

    monkeypatch.setattr(checkpoint, "save_file", save_private_file)
    umask = os.umask(0o022)
    try:
        save_checkpoint(path, {"step": 1})
        other.touch()
    finally:
        os.umask(umask)
    assert path.stat().st_mode == other.stat().st_mode
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_missing_checkpoint_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*none.safetensors"):
        load_checkpoint(tmp_path / "none.safetensors")


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "run.safetensors"
    save_checkpoint(path, {"w": torch.ones(200)})
    complete = path.read_bytes()
    for content in (complete[: len(complete) // 2], b"<!doctype html>", b""):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"run.safetensors is not a checkpoint"):
            load_checkpoint(path)


def test_a_named_tuple_is_refused_when_it_is_written(tmp_path):
    path = tmp_path / "run.safetensors"
    point = namedtuple("Point", "x y")(torch.ones(1), 2)
    with pytest.raises(ValueError, match="not Point: convert it"):
        save_checkpoint(path, {"state": [point]})
    assert not path.exists()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here: CUDA was not tried")
def test_a_checkpoint_is_loaded_onto_a_gpu(tmp_path):
    path, ones = tmp_path / "run.safetensors", torch.ones(2, 2, device="cuda")
    save_checkpoint(path, {"w": ones})
    loaded = load_checkpoint(path, map_location="cuda")["w"]
    assert loaded.is_cuda and torch.equal(loaded, ones)
    assert not load_checkpoint(path)["w"].is_cuda
