"""Files of the corpora: found, checked, downloaded. Used by ``utils.data`` alone.

Every file is checked against the registry (size and SHA-256) each time before it is used. A file is
looked for in the folder ``$LLM_BOOK_DATA``, then in the user's cache, then at its pinned address.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tarfile
import time
import uuid
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests
from tqdm.auto import tqdm

TIMEOUT = (10.0, 30.0)  # seconds to connect, seconds between two pieces of the answer
TRIES = 3
PAUSE = 0.5  # seconds before the second try; doubled before each further one
PIECE = 1 << 16  # bytes
STALE = 24 * 3600.0  # seconds after which an unfinished download is swept away
OFFLINE_HELP = "set LLM_BOOK_OFFLINE=1 to go on with the built-in stand-in"


class DataError(RuntimeError):
    """A corpus could not be had, or is not what it should be; the message says what to do."""


class NoNetwork(DataError):
    """No server answered (or LLM_BOOK_OFFLINE forbids to ask): the case for a stand-in."""

    remedy = "connect to the network, or let LLM_BOOK_DATA name a folder that holds it"


class Forbidden(NoNetwork):
    """The reader asked for the stand-in by LLM_BOOK_OFFLINE."""

    remedy = "unset LLM_BOOK_OFFLINE"


class _TryAgain(Exception):
    """An answer that broke off or that the server excused; another try may succeed."""


@cache
def registry() -> dict[str, dict]:
    """The corpora: name → homepage, licence, files (path, url, bytes, sha256)."""
    return json.loads((Path(__file__).parent / "registry.json").read_text(encoding="utf-8"))


def resolve(name: str, only: Iterable[str] | None = None) -> dict[str, Path]:
    """Checked paths of a corpus' files by file name; `only` picks some of them.

    Raises ValueError for an unknown corpus, NoNetwork where a stand-in should serve, and DataError
    where a file is there and wrong, or a server's answer is.
    """
    if name not in registry():
        raise ValueError(f"unknown corpus {name!r}; choose from {', '.join(registry())}")
    if os.environ.get("LLM_BOOK_OFFLINE", "0") not in ("", "0"):
        raise Forbidden("LLM_BOOK_OFFLINE is set")
    entries = {Path(entry["path"]).name: entry for entry in registry()[name]["files"]}
    wanted = entries if only is None else only
    return {file: _resolve_one(entries[file]) for file in wanted}


def cache_folder() -> Path:
    """Where downloads are kept: $LLM_BOOK_CACHE, else this user's cache folder."""
    return Path(os.environ.get("LLM_BOOK_CACHE") or pooch.os_cache("llm-foundations-book"))


def fault(path: Path, entry: dict) -> str | None:
    """What is wrong with the file (expected and found), or None where it is right."""
    if "content_sha256" in entry:  # an archive made on request: only its content is stable
        expected, found = entry["content_sha256"], _content_sha256(path)
        return None if found == expected else f"expected content {expected}, found {found}"
    if path.stat().st_size != entry["bytes"]:
        return f"expected {entry['bytes']} bytes, found {path.stat().st_size}"
    expected, found = entry["sha256"], pooch.file_hash(str(path))
    return None if found == expected else f"expected SHA-256 {expected}, found {found}"


def read_wavs(path: Path) -> dict[str, bytes]:
    """The wav files of a tar archive by name. Raises DataError where it is no such archive."""
    try:
        with tarfile.open(path) as archive:
            members = (m for m in archive if m.isfile() and m.name.endswith(".wav"))
            return {Path(m.name).name: archive.extractfile(m).read() for m in members}
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise DataError(f"{path} cannot be read as a tar archive: {error}") from error


def _content_sha256(path: Path) -> str:
    """SHA-256 of the lines "NAME SHA256" of the archive's wavs, sorted by name."""
    try:
        wavs = read_wavs(path)
    except DataError as error:
        return f"an unreadable archive ({error})"
    lines = (f"{name} {hashlib.sha256(wavs[name]).hexdigest()}\n" for name in sorted(wavs))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _resolve_one(entry: dict) -> Path:
    path = _in_mirror(entry)
    if path is not None:
        return path
    path = cache_folder() / entry["path"]
    damage = fault(path, entry) if path.is_file() else None
    if path.is_file() and damage is None:
        return path
    try:
        _download(entry, path)
    except NoNetwork as error:
        if damage is None:
            raise
        raise DataError(
            f"{path} is damaged ({damage}) and cannot be downloaded again: {error}. "
            f"Connect to the network, or delete the file and {OFFLINE_HELP}."
        ) from error
    return path


def _in_mirror(entry: dict) -> Path | None:
    """The file in $LLM_BOOK_DATA, or None where that is unset or lacks it."""
    setting = os.environ.get("LLM_BOOK_DATA")
    if not setting:
        return None
    folder = Path(setting).expanduser()
    if not folder.is_dir():
        raise DataError(f"LLM_BOOK_DATA={setting} is not a folder; correct it or unset it")
    path = folder / entry["path"]
    if not path.exists():
        return None
    damage = fault(path, entry)
    if damage:
        raise DataError(
            f"{path} (found through LLM_BOOK_DATA) is not the expected file: {damage}. "
            f"Replace it by {entry['url']}, or delete it."
        )
    return path


def _download(entry: dict, path: Path) -> None:
    """Fetch to a name of our own beside `path`, check, and only then rename to `path`."""
    part = f"{entry['path']}.{uuid.uuid4().hex}.part"
    known = f"sha256:{entry['sha256']}" if "sha256" in entry else None
    store = pooch.create(cache_folder(), base_url="", registry={part: known})
    store.urls[part] = entry["url"]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        with _quiet_pooch():  # its log names our passing file; the progress bar says enough
            fetched = store.fetch(part, downloader=partial(_request, entry))
        os.replace(fetched, path)
    except OSError as error:
        raise DataError(_disk_trouble(error, entry)) from error
    finally:
        _forget(cache_folder() / part)


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")
    try:
        yield
    finally:
        logger.setLevel(level)


def _forget(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        pass  # it has its name already, or never came to be


def _sweep(folder: Path) -> None:
    """Remove what downloads that were killed more than a day ago left behind."""
    for pattern in ("tmp*", "*.part"):
        for path in folder.glob(pattern):
            if path.is_file() and time.time() - path.stat().st_mtime > STALE:
                _forget(path)


def _disk_trouble(error: OSError, entry: dict) -> str:
    size = f"{entry['bytes'] / 1e6:.1f} MB"
    if error.errno == errno.ENOSPC:
        reason = f"the disk is full ({size} needed)"
    else:
        reason = f"the folder cannot be written ({error})"
    return (
        f"{entry['path']} cannot be stored in {cache_folder()}: {reason}. "
        f"Mend that, or set LLM_BOOK_CACHE to another folder, or {OFFLINE_HELP}."
    )


def _request(entry: dict, url: str, output: str, _pooch: object) -> None:
    """The downloader given to pooch: write the checked bytes of `url` to `output`."""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            _request_once(entry, url, Path(output))
            return
        except _TryAgain as error:
            trouble: DataError = DataError(
                f"{url} did not give the file in {TRIES} tries: {error}. "
                f"Try later, or {OFFLINE_HELP}."
            )
        except NoNetwork as error:
            trouble = error
    raise trouble


def _request_once(entry: dict, url: str, output: Path) -> None:
    try:
        answer = requests.get(
            url, stream=True, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"}
        )
    except (requests.ConnectionError, requests.Timeout) as error:
        host = urlsplit(url).netloc
        raise NoNetwork(f"no answer from {host} ({_innermost(error)})") from error
    except requests.RequestException as error:
        raise DataError(f"{url} cannot be fetched: {error}. {_wrong_help()}") from error
    with answer:
        _check_status(answer)
        try:
            _write(answer, entry, output)
        except requests.RequestException as error:
            raise _TryAgain(f"the answer broke off ({_innermost(error)})") from error
    damage = fault(output, entry)
    if damage and "sha256" in entry and output.stat().st_size < entry["bytes"]:
        raise _TryAgain(f"the answer broke off ({damage})")
    if damage:
        raise DataError(f"{_wrong(answer.url)}: {damage}. Nothing was kept. {_wrong_help()}")


def _check_status(answer: requests.Response) -> None:
    """Only a 200 that is not a web page may be data."""
    status = answer.status_code
    if status >= 500 or status == 429:
        raise _TryAgain(f"the server answered {status} {answer.reason}")
    if status != 200:
        raise DataError(
            f"{answer.url} answered {status} {answer.reason}: the file may have moved. "
            f"{_wrong_help()}"
        )
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        raise DataError(
            f"{_wrong(answer.url)}: a web page came instead, perhaps this network's login page. "
            f"{_wrong_help()}"
        )


def _write(answer: requests.Response, entry: dict, output: Path) -> None:
    limit = entry["bytes"] * (2 if "content_sha256" in entry else 1)
    name = Path(entry["path"]).name
    written = 0
    with (
        output.open("wb") as file,
        tqdm(total=entry["bytes"], unit="B", unit_scale=True, desc=name, leave=False) as bar,
    ):
        for piece in answer.iter_content(PIECE):
            written += len(piece)
            if written > limit:
                raise DataError(
                    f"{_wrong(answer.url)}: expected {entry['bytes']} bytes, "
                    f"and more came. Nothing was kept. {_wrong_help()}"
                )
            file.write(piece)
            bar.update(len(piece))


def _wrong(url: str) -> str:
    return f"{url} did not give the expected file"


def _wrong_help() -> str:
    return f"Try another network or later, or {OFFLINE_HELP}."


def _innermost(error: BaseException) -> str:
    """The root of a chain of wrapped network errors, in a few words."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    return f"{type(error).__name__}: {error}"[:200]
