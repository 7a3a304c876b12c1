"""Checkpoint files: every type of value comes back, and a failed save leaves the last one whole."""

import errno

import pytest
import torch

from utils.training import checkpoint
from utils.training.checkpoint import load_checkpoint, save_checkpoint


def test_a_checkpoint_brings_back_every_kind_of_value(tmp_path):
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
    assert torch.equal(loaded["tree"][0], torch.arange(4))
    assert torch.equal(loaded["transposed"], content["transposed"])
    assert loaded["empty"].shape == (0,) and loaded["bytes"].dtype == torch.uint8
    for key in ("step", "rate", "name", "on", "betas"):
        assert loaded[key] == content[key] and type(loaded[key]) is type(content[key])
    assert [file.name for file in path.parent.iterdir()] == ["run.safetensors"], "no leftovers"


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    save_checkpoint(path, {"step": 1, "w": torch.ones(2)})

    def save_on_a_full_disk(tensors, file, metadata):
        file.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", save_on_a_full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, {"step": 2})
    assert load_checkpoint(path)["step"] == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_no_checkpoint_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        load_checkpoint(tmp_path / "none.safetensors")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here: CUDA was not tried")
def test_a_checkpoint_of_a_gpu_comes_back_to_it(tmp_path):
    ones = torch.ones(2, 2, device="cuda")
    save_checkpoint(tmp_path / "c.safetensors", {"w": ones})
    loaded = load_checkpoint(tmp_path / "c.safetensors", map_location="cuda")["w"]
    assert loaded.is_cuda and torch.equal(loaded, ones)
