"""Files that are written completely or not at all, and texts in any encoding."""

import codecs
import errno
import os
import stat
import time
from pathlib import Path

import pytest
import torch

from utils.data.tokenizers import CharTokenizer
from utils.files import (
    STALE_SECONDS,
    as_path,
    atomic_file,
    exclusive,
    read_text_file,
    write_text_atomically,
)
from utils.training.tensor_file import write_tensor_file


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


@pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes")
def test_what_is_no_regular_file_is_never_replaced(tmp_path):
    """For root, a rename would put a file in place of a device."""
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for target in (pipe, folder):
        (tmp_path / f"link to {target.name}").symlink_to(target)
    before = sorted(tmp_path.iterdir())
    for path in before:
        kind = "a device, a pipe or a socket" if "pipe" in path.name else "a folder"
        with pytest.raises(OSError, match=f"{path.name} is {kind}, which is never replaced"):
            write_text_atomically(path, "text")
    assert sorted(tmp_path.iterdir()) == before and pipe.is_fifo()


@pytest.mark.skipif(os.name == "nt", reason="Windows restricts links")
def test_a_link_to_a_file_or_to_nothing_is_replaced_and_not_followed(tmp_path):
    file = tmp_path / "file"
    file.write_text("old")
    for target in (file, tmp_path / "nothing"):
        link = tmp_path / "link"
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        write_text_atomically(link, "new")
        assert not link.is_symlink() and link.read_text() == "new"
    assert file.read_text() == "old"


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


def test_the_only_writer_of_a_file_removes_what_killed_processes_left_at_once(tmp_path):
    path = tmp_path / "a[1].txt"
    for name in ("first", "second"):
        folder = tmp_path / f".{path.name}.{name}.unfinished"
        folder.mkdir()
        (folder / path.name).write_text("half")
    other = tmp_path / f".{path.name}.gz.first.unfinished"  # of a[1].txt.gz
    other.mkdir()
    with exclusive(path, wait=False):
        assert {x.name for x in tmp_path.iterdir()} == {f".{path.name}.lock", other.name}
        write_text_atomically(path, "text")
    assert sorted(tmp_path.iterdir()) == sorted([other, path])


@pytest.mark.parametrize("name", ["a" * 255, "ä" * 127, "a" * 235], ids=len)
def test_a_name_may_be_as_long_as_the_system_allows(name, tmp_path):
    """And what is written beside it has a longer name than the file."""
    path = tmp_path / name
    with exclusive(path, wait=False):
        write_tensor_file(path, {"x": torch.ones(3)})
        with pytest.raises(BlockingIOError), exclusive(path, wait=False):
            pass
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows has another limit")
def test_a_name_that_is_too_long_is_an_error_before_the_work(tmp_path):
    worked = False
    with (
        pytest.raises(OSError, match="too long") as error,
        exclusive(tmp_path / ("a" * 256), wait=False),
    ):
        worked = True
    assert error.value.errno == errno.ENAMETOOLONG and not worked


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
    "checkpoint": lambda path: write_tensor_file(path, {"x": torch.ones(3)}),
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


# ---- texts from any system ----------------------------------------------------------------------

TEXT = "Être,\nou 不 être 🙂\n"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        codecs.BOM_UTF8 * 2 + TEXT.encode(),
        codecs.BOM_UTF16_LE * 3 + TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        codecs.BOM_UTF32_BE + TEXT.encode("utf-32-be"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
        TEXT.replace("\n", "\r\n").encode("utf-16"),
    ],
    ids="utf-8 utf-8-bom boms2 boms3 utf-16 utf-16-be utf-32 utf-32-be crlf cr utf-16-crlf".split(),
)
def test_a_text_of_any_system_is_read(content, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    assert read_text_file(path) == TEXT


@pytest.mark.parametrize(
    "content, problem",
    [
        (TEXT[:5].encode("latin-1"), "is not text in UTF-8: it has the byte 0xca at position 0"),
        (TEXT.encode()[:-2], "is not text in UTF-8: it has the byte 0xf0"),
        ("ab".encode("utf-16-le"), "it has the NUL character at position 1"),
        (b"text\0text", "it has the NUL character at position 4"),
        (TEXT.encode("utf-16")[:-1], "is not text in UTF-16"),
        (codecs.BOM_UTF16_LE + b"\x00\xd8a\x00", "is not text in UTF-16"),  # a lone surrogate
        (b"\xed\xa0\x80", "is not text in UTF-8"),  # the same
        (b"", "is empty"),
        (codecs.BOM_UTF8, "is empty"),
        (codecs.BOM_UTF8 * 2, "is empty"),
        (b" \r\n\t", "is empty"),
    ],
)
def test_a_file_that_is_not_text_is_named_in_one_line(content, problem, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=problem) as caught:
        read_text_file(path)
    assert str(caught.value).startswith((str(path), "expected")), "no option of a command"
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_not_a_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=f"found a folder at {tmp_path}"):
        read_text_file(tmp_path)
    path = tmp_path / "a.txt"
    for missing in (path, path / "b.txt"):
        with pytest.raises(ValueError, match=f"found nothing at {missing}"):
            read_text_file(missing)
        path.touch()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_a_device_and_a_named_pipe_are_not_regular_files_and_are_not_waited_for(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path(os.devnull)):
        with pytest.raises(ValueError, match=f"expected a text, but {path} is not a regular file"):
            read_text_file(path)


@pytest.mark.parametrize("function", ["stat", "read_bytes"])
@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO])
def test_a_file_that_cannot_be_read_is_named(function, code, tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_bytes(b"text")

    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, function, refuse)
    with pytest.raises(OSError, match=r"a\.txt") as caught:
        read_text_file(path)
    monkeypatch.undo()
    assert str(caught.value) == f"[Errno {code}] {os.strerror(code)}: {str(path)!r}"
