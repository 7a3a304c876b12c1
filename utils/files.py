"""Files: written completely or not at all, by one process at a time, and read in any encoding."""

from __future__ import annotations

import codecs
import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

STALE_SECONDS = 24 * 3600.0  # older unfinished files belong to a killed process
# The first bytes of a file give its encoding; those of UTF-32 begin like those of UTF-16.
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
BYTE_ORDER_MARK = "\ufeff"
# A name may have 255 bytes; of a longer one than this, files beside it have the checksum.
_LONG_NAME_BYTES = 200


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Let the block write a temporary file, which replaces `path` if the block succeeds.

    The temporary file has a unique name next to `path`, so that several processes may write at
    once, and is flushed to the disk before it is renamed. If the block fails, an earlier file stays
    unchanged. What a killed process left behind is removed by a later call, after a day, or at once
    by `exclusive`.

    Parameters
    ----------
    path
        The file; missing folders are created. A link to a file is replaced, not followed.

    Yields
    ------
    temporary : Path
        An empty file, which the block fills or replaces.

    Raises
    ------
    OSError
        If the file cannot be written or renamed, or if something else than a regular file is
        there, such as a folder or a device, or a link to one: it must not be replaced.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from utils.files import atomic_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "results", "losses.txt")
    ...     with atomic_file(path) as temporary:
    ...         _ = temporary.write_text("1.52")
    ...     print(path.read_text())
    1.52
    """
    _check_replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(path, min_age=STALE_SECONDS)
    # a folder, because safetensors also writes to a second file next to its target
    name = _short_name(path)
    folder = Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=".unfinished", dir=path.parent))
    try:
        temporary = folder / name
        temporary.touch()
        permissions = temporary.stat().st_mode  # safetensors would leave the file to its owner only
        yield temporary
        temporary.chmod(permissions)
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check_replaceable(path: Path) -> None:
    """Raise OSError if `path` leads to a folder, a device, a pipe or a socket."""
    try:
        mode = path.stat().st_mode
    except OSError:  # nothing there, or a link that leads nowhere; the writing reports all else
        return
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a device, a pipe or a socket"
        raise OSError(
            f"{path} is {kind}, which is never replaced: expected the name of a regular file or a "
            "new one; choose another name"
        )


def write_text_atomically(path: Path, text: str) -> None:
    """Write a text file in UTF-8 completely or not at all, as in `atomic_file`."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_text_file(path: Path) -> str:
    """Read a text file of any origin: any line ends, UTF-8 or an encoding with a byte order mark.

    Returns
    -------
    text : str
        The text without byte order marks before it; every line ends with a single newline
        character.

    Raises
    ------
    ValueError
        If `path` is not a regular file, is empty, or is not text in the encoding of its byte order
        mark, UTF-8 by default.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from utils.files import read_text_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "corpus.txt")
    ...     _ = path.write_bytes("één, twee".encode("utf-16"))
    ...     text = read_text_file(path)
    >>> text
    'één, twee'
    """
    try:
        _check_regular_file(path)
        content = path.read_bytes()
    except OSError as error:  # with the path, which an error while reading lacks
        raise OSError(error.errno, error.strerror, str(path)) from error
    text = _decode_own_text(path, content).lstrip(BYTE_ORDER_MARK)
    if not text.strip():
        raise ValueError(f"expected a text, but {path} is empty")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _check_regular_file(path: Path) -> None:
    """Raise ValueError unless `path` is a regular file: a named pipe, for instance, may block."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ValueError(f"expected a text, found nothing at {path}") from error
    if stat.S_ISDIR(mode):
        raise ValueError(f"expected a text, found a folder at {path}")
    if not stat.S_ISREG(mode):
        raise ValueError(f"expected a text, but {path} is not a regular file")


def _decode_own_text(path: Path, content: bytes) -> str:
    """Decode the content of a file; raise ValueError if it is not text."""
    marks = (name for mark, name in BYTE_ORDER_MARKS.items() if content.startswith(mark))
    encoding = next(marks, "utf-8")
    try:
        text = content.decode(encoding)
        position = text.find("\0")
        problem = f"the NUL character at position {position}" if position >= 0 else None
    except UnicodeDecodeError as error:
        byte = content[error.start : error.start + 1].hex()
        text, problem = "", f"the byte 0x{byte} at position {error.start}"
    if problem:
        encoding = encoding.removesuffix("-sig").upper()
        raise ValueError(
            f"{path} is not text in {encoding}: it has {problem}. Save it as UTF-8, for "
            "example in a text editor"
        )
    return text


@contextmanager
def exclusive(path: Path, *, wait: bool) -> Iterator[None]:
    """Exclude other callers of this function from writing to `path` within the block.

    The lock is on a hidden file next to `path`. The operating system releases it when the process
    ends, even if it is killed. Unfinished files of earlier writers of `path` are removed.

    Parameters
    ----------
    path
        The file or folder to write; missing folders above it are created.
    wait
        Whether to wait until the others have finished.

    Raises
    ------
    BlockingIOError
        If another process or thread holds the lock and `wait` is False.
    OSError
        If the folder cannot be written, or the name is too long.
    """
    with suppress(FileNotFoundError, NotADirectoryError):
        path.lstat()  # a name that is too long is an error now, not at the end of the work
    is_new = not path.parent.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    lock_file = path.with_name(f".{_short_name(path)}.lock")
    lock = FileLock(lock_file, blocking=wait)
    try:
        lock.acquire()
    except Timeout as error:
        raise BlockingIOError(f"another process is writing to {path}") from error
    try:
        remove_unfinished(path)
        yield
    finally:
        with suppress(OSError):  # Windows deletes no open file; filelock does it afterwards
            lock_file.unlink()
        lock.release()
        if is_new:
            with suppress(OSError):  # unless nothing was written
                path.parent.rmdir()


def as_path(name: str | Path) -> Path:
    """Return the path that a setting or an option names, with ``~`` expanded.

    A shell does not expand the ``~`` of ``--out=~/runs``.

    Raises
    ------
    ValueError
        If `name` begins with ``~USER``, and there is no such user.
    """
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{name} names a home folder that does not exist") from error


def remove_unfinished(path: Path, *, min_age: float = 0.0) -> None:
    """Remove what writers of `path` that were killed have left next to it.

    Parameters
    ----------
    path
        The file that they wrote with `atomic_file`.
    min_age
        Seconds since an unfinished file was last changed; a younger one stays. 0 removes them all:
        the caller must be the only writer of `path`.
    """
    name = re.compile(rf"\.{re.escape(_short_name(path))}\.[^.]+\.unfinished")
    for folder in path.parent.glob(".*.unfinished"):
        if not name.fullmatch(folder.name):
            continue
        try:
            newest = max(file.stat().st_mtime for file in (folder, *folder.iterdir()))
        except OSError:  # another process has just finished, or it belongs to another user
            continue
        if not min_age or time.time() - newest > min_age:
            shutil.rmtree(folder, ignore_errors=True)


def _short_name(path: Path) -> str:
    """Return the name of a file, or if it is long its checksum, to which an ending can be added."""
    name = os.fsencode(path.name)
    return path.name if len(name) <= _LONG_NAME_BYTES else hashlib.sha256(name).hexdigest()
