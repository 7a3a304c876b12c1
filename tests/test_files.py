"""Files that are written completely or not at all."""

import os
import stat
import time
from pathlib import Path

import pytest
import torch

from utils.data.tokenizers import CharTokenizer
from utils.files import STALE_SECONDS, as_path, atomic_file, write_text_atomically
from utils.training.checkpoint import save_checkpoint


def test_a_file_is_replaced_when_the_block_ends_and_not_before(tmp_path):
    path = tmp_path / "folder" / "a.txt"
    write_text_atomically(path, "old")
    with atomic_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text_atomically(path, "old")
    with pytest.raises(KeyError), atomic_file(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_do_not_disturb_each_other(tmp_path):
    path = tmp_path / "a.txt"
    with atomic_file(path) as first, atomic_file(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first", "the block that ends last replaces the file last"


def test_a_text_is_on_the_disk_before_it_is_renamed(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        function = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, f=function: (calls.append(n), f(*a)))
    write_text_atomically(tmp_path / "a.txt", "text")
    assert calls == ["fsync", "replace"]


def test_what_a_killed_process_left_is_removed_after_a_day(tmp_path):
    path = tmp_path / "a[1].txt"
    old, recent = (tmp_path / f".a[1].txt.{name}.unfinished" for name in ("old", "recent"))
    for folder in (old, recent):
        folder.mkdir()
        (folder / "a[1].txt").write_text("half")
    long_ago = time.time() - STALE_SECONDS - 60
    for stale in (old / "a[1].txt", old, recent):  # the file in the last one has just been written
        os.utime(stale, (long_ago, long_ago))
    write_text_atomically(path, "text")
    assert sorted(tmp_path.iterdir()) == sorted([recent, path])


@pytest.fixture(params=[0o022, 0o002, 0o027, 0o077], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def permissions(path):
    return stat.S_IMODE(path.stat().st_mode)


SAVERS = {
    "text": lambda path: write_text_atomically(path, "text"),
    "tokenizer": lambda path: CharTokenizer.train("abc").save(path),
    "checkpoint": lambda path: save_checkpoint(path, {"x": torch.ones(3)}),
}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("save", SAVERS.values(), ids=SAVERS)
def test_the_umask_decides_who_may_read_a_file(save, umask, tmp_path):
    path = tmp_path / "new" / "file"
    save(path)
    assert permissions(path) == 0o666 & ~umask
    path.chmod(0o600)
    save(path)
    assert permissions(path) == 0o666 & ~umask


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_the_umask_decides_even_if_a_library_replaces_the_temporary_file(umask, tmp_path):
    with atomic_file(tmp_path / "file") as temporary:
        temporary.unlink()
        os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600))
    assert permissions(tmp_path / "file") == 0o666 & ~umask


@pytest.mark.parametrize("save", SAVERS.values(), ids=SAVERS)
@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_failed_save_leaves_the_old_file_and_nothing_else(save, function, tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(OSError, match="No space"):
        save(path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_text_that_cannot_be_encoded_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(UnicodeEncodeError):
        write_text_atomically(path, "a lone surrogate: \ud800")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    assert as_path("~/runs") == tmp_path / "runs" and as_path("~") == tmp_path
    assert as_path("a/~b") == Path("a/~b") and as_path(tmp_path) == tmp_path
    with pytest.raises(ValueError, match="~nobody-of-this-name/x names a home folder"):
        as_path("~nobody-of-this-name/x")
