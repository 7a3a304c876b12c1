"""Files of the corpora: found on this machine or downloaded, and always checked.

A file is looked up in the folder ``$LLM_BOOK_DATA``, then in the user's cache, then at its URL in
the registry (``utils.data.registry``). An interrupted download is repeated; a file whose content
differs from the registry is rejected and not kept. A stand-in may replace the corpus
(``utils.data.corpora``) only if the file is nowhere on this machine, not even damaged or
unreadable, and no server answers (`NoNetwork`).
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests
from tqdm.auto import tqdm

from utils.arguments import check_choice
from utils.data.errors import DataError, NoNetwork, OfflineRequested
from utils.data.registry import MISSING, FileEntry, file_problem, registry
from utils.files import as_path, atomic_file

TIMEOUT_SECONDS = (10.0, 30.0)  # to connect, and between two chunks of the response
MAX_ATTEMPTS = 3  # requests for one file
RETRY_DELAY_SECONDS = 0.5  # before the second attempt; doubled before each further one
CHUNK_BYTES = 1 << 16  # written to the disk at once
NOT_OFFLINE = ("", "0", "false", "no", "off")  # values of LLM_BOOK_OFFLINE, in lower case
OFFLINE_HELP = "set LLM_BOOK_OFFLINE=1 to use the built-in stand-in"
RETRY_HELP = f"Try another network or later, or {OFFLINE_HELP}."


class _TemporaryError(Exception):
    """An interrupted response, or a busy server: another attempt may succeed."""


def corpus_files(name: str, *, only: Iterable[str] | None = None) -> dict[str, Path]:
    """Find, or download, the files of a corpus, and check them.

    Parameters
    ----------
    name
        The name of the corpus in the registry.
    only
        The names of the files that are needed; None for all.

    Returns
    -------
    paths : dict of str to Path
        The path of each file by its name.

    Raises
    ------
    ValueError
        If the registry has no such corpus, or the corpus no such file.
    OfflineRequested
        If LLM_BOOK_OFFLINE is set.
    NoNetwork
        If a file is missing and no server answers.
    DataError
        If a file or a server's response differs from the registry, or cannot be stored.
    """
    check_choice(registry(), corpus=name)
    if os.environ.get("LLM_BOOK_OFFLINE", "").strip().lower() not in NOT_OFFLINE:
        raise OfflineRequested("LLM_BOOK_OFFLINE is set")
    entries = {Path(entry["path"]).name: entry for entry in registry()[name]["files"]}
    if isinstance(only, str):
        raise ValueError(f"only={only!r}: give a list of names, [{only!r}]")
    files = list(entries if only is None else only)
    for file in files:
        check_choice(entries, only=file)
    return {file: _resolve_file(entries[file]) for file in files}


def cache_folder() -> Path:
    """Return the folder for downloads: $LLM_BOOK_CACHE, or else the user's cache folder.

    Raises
    ------
    DataError
        If the setting begins with ``~USER`` and there is no such user.
    """
    return _folder_setting("LLM_BOOK_CACHE") or Path(pooch.os_cache("llm-foundations-book"))


def _folder_setting(name: str) -> Path | None:
    """Return the absolute path of the folder that an environment variable names; None if unset."""
    setting = os.environ.get(name, "")
    if not setting.strip():
        return None
    try:
        return as_path(setting).absolute()
    except ValueError as error:
        raise DataError(f"{name}={setting}: {error}; correct it or unset it") from error


def _resolve_file(entry: FileEntry) -> Path:
    """Return the checked path of one file, from the mirror, the cache or the network."""
    path = _mirror_path(entry)
    if path is not None:
        return path
    path = cache_folder() / entry["path"]
    problem = file_problem(path, entry)
    if problem is None:
        return path
    try:
        _download(entry, path)
    except DataError as error:
        if problem == MISSING:
            raise
        no_network = isinstance(error, NoNetwork)
        advice = f". Connect to the network, or delete the file and {OFFLINE_HELP}."
        raise DataError(
            f"{path} is damaged or unreadable ({problem}), and cannot be replaced: "
            f"{error}{advice if no_network else ''}"
        ) from error
    return path


def _mirror_path(entry: FileEntry) -> Path | None:
    """Return the checked path of the file in $LLM_BOOK_DATA; None if that is unset or lacks it."""
    folder = _folder_setting("LLM_BOOK_DATA")
    if folder is None:
        return None
    try:
        is_folder = folder.is_dir()
    except OSError:  # a folder on the way to it cannot be entered
        is_folder = False
    if not is_folder:
        setting = os.environ["LLM_BOOK_DATA"]
        raise DataError(
            f"LLM_BOOK_DATA={setting} is not a folder (looked for {folder}); correct it or unset it"
        )
    path = folder / entry["path"]
    problem = file_problem(path, entry)
    if problem == MISSING:
        return None
    if problem:
        raise DataError(
            f"{path} (found through LLM_BOOK_DATA) is not the expected file: {problem}. "
            f"Replace it with {entry['url']}, or delete it."
        )
    return path


def _download(entry: FileEntry, path: Path) -> None:
    """Download to a temporary file, check it, and only then rename it to `path`."""
    try:
        with atomic_file(path) as temporary:
            _request_with_retries(entry, temporary)
    except OSError as error:
        raise DataError(_storage_error_message(error, entry)) from error


def _storage_error_message(error: OSError, entry: FileEntry) -> str:
    """Explain why a download could not be stored, and how to solve that."""
    if error.errno == errno.ENOSPC:
        reason = f"the disk is full ({entry['bytes'] / 1e6:.1f} MB needed)"
    else:
        reason = f"the folder is not writable ({error})"
    return (
        f"{entry['path']} cannot be stored in {cache_folder()}: {reason}. "
        f"Solve that, or set LLM_BOOK_CACHE to another folder, or {OFFLINE_HELP}."
    )


def _request_with_retries(entry: FileEntry, output: Path) -> None:
    """Write the checked bytes of a file to `output`."""
    url = entry["url"]
    for attempt in range(MAX_ATTEMPTS):
        if attempt:
            time.sleep(RETRY_DELAY_SECONDS * 2 ** (attempt - 1))
        try:
            _request(entry, url, output)
            return
        except _TemporaryError as error:
            last_error = DataError(
                f"{url} did not deliver the file in {MAX_ATTEMPTS} attempts: {error}. "
                f"Try later, or {OFFLINE_HELP}."
            )
        except NoNetwork as error:
            last_error = error
    raise last_error


def _request(entry: FileEntry, url: str, output: Path) -> None:
    """Make one attempt; raise _TemporaryError or NoNetwork if another one may succeed."""
    try:
        response = requests.get(
            url, stream=True, timeout=TIMEOUT_SECONDS, headers={"Accept-Encoding": "identity"}
        )
    except (requests.ConnectionError, requests.Timeout) as error:
        host = urlsplit(url).netloc
        raise NoNetwork(f"no answer from {host} ({_root_cause(error)})") from error
    except OSError as error:  # also of requests: of a file of certificates that is not there
        raise DataError(f"{url} cannot be fetched: {error}. {RETRY_HELP}") from error
    with response:
        _check_response(response)
        try:
            _write_body(response, entry, output)
        except requests.RequestException as error:
            raise _TemporaryError(f"the response was interrupted ({_root_cause(error)})") from error
    problem = file_problem(output, entry)
    if problem and "sha256" in entry and output.stat().st_size < entry["bytes"]:
        raise _TemporaryError(f"the response was interrupted ({problem})")
    if problem:
        raise _wrong_content(response, f"{problem}. Nothing was kept")


def _check_response(response: requests.Response) -> None:
    """Raise unless the status is 200 and the response is not a web page."""
    status = f"{response.status_code} {response.reason}"
    if response.status_code >= 500 or response.status_code == 429:
        raise _TemporaryError(f"the server returned {status}")
    if response.status_code != 200:
        raise DataError(f"{response.url} returned {status}: the file may have moved. {RETRY_HELP}")
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise _wrong_content(response, "it is a web page, perhaps the login page of this network")


def _write_body(response: requests.Response, entry: FileEntry, output: Path) -> None:
    """Write the body of a response to `output`, up to a limit."""
    # A repacked archive may be somewhat larger than in the registry.
    limit = entry["bytes"] * (2 if "content_sha256" in entry else 1)
    name = Path(entry["path"]).name
    written = 0
    with (
        output.open("wb") as file,
        tqdm(total=entry["bytes"], unit="B", unit_scale=True, desc=name, leave=False) as progress,
    ):
        for chunk in response.iter_content(CHUNK_BYTES):
            written += len(chunk)
            if written > limit:
                reason = f"expected {entry['bytes']} bytes, received more. Nothing was kept"
                raise _wrong_content(response, reason)
            file.write(chunk)
            progress.update(len(chunk))


def _wrong_content(response: requests.Response, reason: str) -> DataError:
    """Return the error for a response whose content differs from the registry."""
    return DataError(f"{response.url} did not deliver the expected file: {reason}. {RETRY_HELP}")


def _root_cause(error: BaseException) -> str:
    """Describe the innermost of a chain of network errors."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return f"{type(error).__name__}: {error}"[:200]
