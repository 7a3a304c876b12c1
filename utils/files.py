"""Files that are written completely or not at all, and by one process at a time."""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

STALE_SECONDS = 24 * 3600.0  # age at which an unfinished file is taken for that of a killed process


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Let the block write a temporary file, which replaces `path` if the block succeeds.

    The temporary file has a unique name beside `path`, so that several processes may write at once,
    and is on the disk before it is renamed. If the block fails, an earlier file stays as it was.
    What a killed process left is removed by a later call, after a day.

    Parameters
    ----------
    path
        The file; missing folders are created.

    Yields
    ------
    temporary : Path
        An empty file, which the block fills or replaces.

    Raises
    ------
    OSError
        If the file cannot be written or renamed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(path)
    # a folder, because safetensors writes to a file beside the one that it is given
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".unfinished", dir=path.parent))
    try:
        temporary = folder / path.name
        temporary.touch()
        permissions = temporary.stat().st_mode  # safetensors would leave the file to its owner only
        yield temporary
        temporary.chmod(permissions)
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_text_atomically(path: Path, text: str) -> None:
    """Write a text file completely or not at all, by `atomic_file`.

    Parameters
    ----------
    path
        The file; missing folders are created.
    text
        Its content, which is encoded in UTF-8.

    Raises
    ------
    OSError
        If the file cannot be written or renamed.
    """
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def exclusive(path: Path, *, wait: bool) -> Iterator[None]:
    """Keep others that call this function from writing to `path` within the block.

    The lock is on a hidden file beside `path`. The operating system gives it up when the process
    ends, however it ends, so that a process that was killed leaves no lock.

    Parameters
    ----------
    path
        The file or folder to write; missing folders above it are created.
    wait
        Whether to wait until the others have finished.

    Raises
    ------
    BlockingIOError
        If another process, or another thread, has the lock and `wait` is False.
    OSError
        If the folder cannot be written.
    """
    is_new = not path.parent.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    lock_file = path.with_name(f".{path.name}.lock")
    lock = FileLock(lock_file, blocking=wait)
    try:
        lock.acquire()
    except Timeout as error:
        raise BlockingIOError(f"another process is writing to {path}") from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows deletes no open file; filelock does it afterwards
            lock_file.unlink()
        lock.release()
        if is_new:
            with suppress(OSError):  # unless nothing was written
                path.parent.rmdir()


def as_path(name: str | Path) -> Path:
    """Return the path that a setting or an option names, with the home folder for ``~``.

    A shell leaves the ``~`` of ``--out=~/runs`` to the program.

    Parameters
    ----------
    name
        The path as it was typed.

    Returns
    -------
    path : Path
        The path.

    Raises
    ------
    ValueError
        If it begins with ``~USER``, and there is no such user.
    """
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{name} names a home folder that does not exist") from error


def _remove_stale(path: Path) -> None:
    """Remove what processes that were killed more than a day ago left beside `path`."""
    for folder in path.parent.glob(f".{glob.escape(path.name)}.*.unfinished"):
        try:
            newest = max(file.stat().st_mtime for file in (folder, *folder.iterdir()))
        except OSError:  # another process has just finished, or it belongs to another user
            continue
        if time.time() - newest > STALE_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
