"""Files that are written completely or not at all."""

import os
import time

import pytest

from utils.files import STALE_SECONDS, atomic_file, write_text_atomically


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
