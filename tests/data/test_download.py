"""Downloads: the right bytes or a clear error, the mirror, the cache, and no network."""

import errno
import io
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.helpers.file_server import (
    CONTENT,
    WRONG_CONTENT,
    correct,
    file_entry,
    file_names,
    login_page,
    redirects,
    responds,
    responds_to_two_at_once,
    send,
    silent,
    stalls,
    status,
    truncates,
)
from utils.data import download
from utils.data.corpora import load_text
from utils.data.download import MAX_ATTEMPTS, cache_folder, corpus_files
from utils.data.errors import DataError, NoNetwork, OfflineRequested
from utils.data.registry import registry

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def toy(server, download_cache, monkeypatch):
    """A corpus of one file on the server; a function that sets the responses for it."""
    entry = file_entry("toy/file.bin", CONTENT, f"{server.address}/file.bin")
    monkeypatch.setitem(registry(), "toy", {"files": [entry]})

    def set_responses(*responses):
        server.responses["/file.bin"] = list(responses)

    return set_responses


# ---- the server ---------------------------------------------------------------------------------


def test_a_file_is_fetched_once_and_then_comes_from_the_cache(toy, server, download_cache):
    toy(correct)
    for _ in range(2):
        assert corpus_files("toy")["file.bin"].read_bytes() == CONTENT
    assert server.requests["/file.bin"] == 1
    assert file_names(download_cache) == ["file.bin"]


@pytest.mark.parametrize(
    "responses, attempts",
    [
        ((status(500), correct), 2),
        ((status(503), status(429), correct), 3),
        ((stalls, correct), 2),
        ((silent, correct), 2),
        ((truncates, correct), 2),
        ((responds(CONTENT[:1000], length=False), correct), 2),
        ((redirects("/elsewhere"),), 1),
    ],
    ids=["500", "503-429", "stall", "silence", "truncated", "no-length", "redirect"],
)
def test_a_temporary_error_ends_in_the_right_bytes(
    toy, server, download_cache, responses, attempts
):
    toy(*responses)
    server.responses["/elsewhere"] = [correct]
    assert corpus_files("toy")["file.bin"].read_bytes() == CONTENT
    assert server.requests["/file.bin"] == attempts
    assert file_names(download_cache) == ["file.bin"]


@pytest.mark.parametrize(
    "response, message, attempts",
    [
        (status(404), "404", 1),
        (status(403), "403", 1),
        (status(500), "500", MAX_ATTEMPTS),
        (stalls, "interrupted", MAX_ATTEMPTS),
        (truncates, "interrupted", MAX_ATTEMPTS),
        (responds(CONTENT[:1000]), "interrupted", MAX_ATTEMPTS),
        (responds(b""), "interrupted", MAX_ATTEMPTS),
        (responds(WRONG_CONTENT), "SHA-256", 1),
        (responds(CONTENT + b"!"), f"expected {len(CONTENT)} bytes", 1),
        (login_page, "web page", 1),
        (redirects("/login"), "web page", 1),
        (redirects("/file.bin"), "cannot be fetched.*redirects", None),
    ],
    ids="404 403 500 stall truncated short empty wrong long page login loop".split(),
)
def test_a_wrong_response_is_an_error_and_nothing_is_kept(
    toy, server, download_cache, response, message, attempts
):
    toy(response)
    server.responses["/login"] = [login_page]
    with pytest.raises(DataError, match=message) as caught:
        corpus_files("toy")
    assert not isinstance(caught.value, NoNetwork)
    assert "LLM_BOOK_OFFLINE=1" in str(caught.value)
    assert attempts is None or server.requests["/file.bin"] == attempts
    assert file_names(download_cache) == []


def test_no_response_at_all_is_no_network(toy, server, download_cache, monkeypatch):
    toy(silent)
    get, limits = requests.get, []

    def record_limit(*arguments, timeout, **options):
        limits.append(timeout)
        return get(*arguments, timeout=timeout, **options)

    with monkeypatch.context() as patch:
        patch.setattr(requests, "get", record_limit)
        with pytest.raises(NoNetwork, match="imed out"):  # the server would end the connection
            corpus_files("toy")
    assert limits == [download.TIMEOUT_SECONDS] * MAX_ATTEMPTS, "a silent server is not waited for"
    assert server.requests["/file.bin"] == MAX_ATTEMPTS
    monkeypatch.setitem(registry(), "toy", {"files": [file_entry("toy/file.bin", CONTENT)]})
    with pytest.raises(NoNetwork, match=r"127.0.0.1:9"):
        corpus_files("toy")
    assert file_names(download_cache) == []


def test_an_endless_response_is_aborted(toy):
    chunks = []

    def endless(server, request):
        send(request, b"", length=False)
        for _ in range(1000):
            request.wfile.write(bytes(65536))
            chunks.append(1)

    toy(endless)
    with pytest.raises(DataError, match="received more"):
        corpus_files("toy")
    assert len(chunks) < 1000


# ---- the cache ----------------------------------------------------------------------------------


def test_a_damaged_cached_file_is_fetched_again(toy, server):
    toy(correct)
    path = corpus_files("toy")["file.bin"]
    for damaged in (WRONG_CONTENT, CONTENT[:-1], b""):
        path.write_bytes(damaged)
        assert corpus_files("toy")["file.bin"].read_bytes() == CONTENT
    assert server.requests["/file.bin"] == 4


def test_a_damaged_cached_file_without_a_network_is_an_error(toy):
    toy(correct)
    path = corpus_files("toy")["file.bin"]
    path.write_bytes(WRONG_CONTENT)
    toy(silent)
    for _ in range(2):  # not a stand-in the second time either
        with pytest.raises(DataError, match="damaged") as caught:
            corpus_files("toy")
        assert not isinstance(caught.value, NoNetwork)
    assert str(path) in str(caught.value)


def test_a_full_disk_is_reported(toy, download_cache, monkeypatch):
    toy(correct)
    open_path = Path.open

    def open_on_a_full_disk(self, mode="r", *args, **options):
        file = open_path(self, mode, *args, **options)
        if mode != "wb":
            return file

        class FullDisk(io.RawIOBase):
            def write(self, chunk):
                raise OSError(errno.ENOSPC, "No space left on device")

            def close(self):
                file.close()

        return FullDisk()

    monkeypatch.setattr(Path, "open", open_on_a_full_disk)
    with pytest.raises(DataError, match=r"disk is full.*LLM_BOOK_CACHE"):
        corpus_files("toy")
    assert file_names(download_cache) == []


def test_a_cache_that_is_not_writable_is_reported(toy, download_cache, monkeypatch):
    toy(correct)
    download_cache.write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"not writable.*LLM_BOOK_CACHE"):
        corpus_files("toy")
    download_cache.unlink()

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    for owner, name in ((Path, "mkdir"), (os, "replace")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, refuse)
            with pytest.raises(DataError, match=r"Permission denied.*LLM_BOOK_CACHE"):
                corpus_files("toy")
    assert file_names(download_cache) == []


def test_a_read_only_cache_with_the_file_in_it_serves(toy, server, monkeypatch):
    toy(correct)
    corpus_files("toy")

    def refuse(*_, **__):
        raise PermissionError(errno.EROFS, "Read-only file system")

    for owner, name in ((Path, "mkdir"), (os, "makedirs"), (os, "replace"), (Path, "unlink")):
        monkeypatch.setattr(owner, name, refuse)
    assert corpus_files("toy")["file.bin"].read_bytes() == CONTENT
    assert server.requests["/file.bin"] == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("umask", [0o022, 0o002, 0o027], ids=oct)
def test_the_umask_decides_who_may_read_the_cache(toy, umask):
    toy(correct)
    before = os.umask(umask)
    try:
        path = corpus_files("toy")["file.bin"]
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o777 & ~umask


def forbid(monkeypatch, forbidden):
    """Make a file or a folder unreadable, even for root, which runs some tests."""

    def refuse(name, function):
        def wrapper(path, *arguments, **options):
            if path == forbidden or forbidden in path.parents:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return function(path, *arguments, **options)

        monkeypatch.setattr(Path, name, wrapper)

    refuse("open", Path.open)
    if forbidden.is_dir():
        refuse("stat", Path.stat)


def test_a_cached_file_that_cannot_be_read_is_fetched_again(toy, server, monkeypatch):
    toy(correct)
    path = corpus_files("toy")["file.bin"]
    with monkeypatch.context() as patch:
        forbid(patch, path)
        assert corpus_files("toy") == {"file.bin": path}
    assert server.requests["/file.bin"] == 2 and path.read_bytes() == CONTENT


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_cached_file_that_cannot_be_read_without_a_network_is_an_error(
    toy, monkeypatch, is_folder
):
    toy(correct)
    path = corpus_files("toy")["file.bin"]
    toy(silent)
    forbid(monkeypatch, path.parent if is_folder else path)
    with pytest.raises(DataError, match=r"unreadable \(it cannot be read \(Permission") as caught:
        corpus_files("toy")
    assert not isinstance(caught.value, NoNetwork)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def make_broken_link(path: Path, kind: str) -> None:
    """Make a link at `path` to a missing file, or to itself."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(path.name if kind == "loop" else "nowhere")


@pytest.mark.parametrize("kind", ["loop", "dangling"])
def test_a_broken_link_in_the_cache_is_replaced_or_an_error(toy, server, download_cache, kind):
    toy(silent)
    path = download_cache / "toy/file.bin"
    make_broken_link(path, kind)
    message = "Too many levels" if kind == "loop" else "is a broken link"
    with pytest.raises(DataError, match=message) as caught:
        corpus_files("toy")
    assert not isinstance(caught.value, NoNetwork) and path.is_symlink()
    toy(correct)
    assert corpus_files("toy")["file.bin"].read_bytes() == CONTENT
    assert not path.is_symlink()


RESOLVE = """
import json, sys
from utils.data.download import corpus_files
from utils.data.registry import registry
registry()["toy"] = json.loads(sys.argv[1])
print(corpus_files("toy")["file.bin"].stat().st_size)
"""


def start_download() -> subprocess.Popen[bytes]:
    """Start another process that fetches the toy corpus."""
    command = [sys.executable, "-c", RESOLVE, json.dumps(registry()["toy"])]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_two_processes_may_fetch_at_once(toy, download_cache):
    toy(responds_to_two_at_once())
    processes = [start_download(), start_download()]
    for process in processes:
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()
        assert int(output) == len(CONTENT)
    assert file_names(download_cache) == ["file.bin"]
    assert (download_cache / "toy/file.bin").read_bytes() == CONTENT


def test_a_download_killed_halfway_leaves_no_half_file(toy, download_cache):
    toy(stalls, correct)
    process = start_download()
    while not any(path.stat().st_size for path in download_cache.rglob("*") if path.is_file()):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.kill()
    process.communicate()
    unfinished = [path for path in download_cache.rglob("*") if path.is_file()]
    assert unfinished and not (download_cache / "toy/file.bin").exists()
    assert corpus_files("toy")["file.bin"].read_bytes() == CONTENT
    for path in unfinished:
        assert path.exists(), "a fresh unfinished file may belong to a process that still runs"
        for old in (path, path.parent):
            os.utime(old, (0, 0))
    (download_cache / "toy/file.bin").unlink()
    corpus_files("toy")
    assert file_names(download_cache) == ["file.bin"]


# ---- the mirror ---------------------------------------------------------------------------------


def test_the_mirror_comes_first_and_is_checked(toy, server, mirror, download_cache):
    toy(correct)
    url = registry()["toy"]["files"][0]["url"]
    folder = mirror("toy", {"file.bin": CONTENT})
    registry()["toy"]["files"][0]["url"] = url
    assert corpus_files("toy")["file.bin"] == folder / "file.bin"
    assert server.requests == {}
    for wrong, message in ((WRONG_CONTENT, "SHA-256"), (b"short", "found 5")):
        (folder / "file.bin").write_bytes(wrong)
        with pytest.raises(DataError, match=message) as caught:
            corpus_files("toy")
        assert str(folder / "file.bin") in str(caught.value)
        assert (folder / "file.bin").read_bytes() == wrong
    (folder / "file.bin").unlink()  # what the mirror lacks is fetched
    assert corpus_files("toy")["file.bin"] == download_cache / "toy/file.bin"


def test_a_mirror_that_is_not_a_folder_is_an_error(toy, monkeypatch, tmp_path):
    toy(correct)
    monkeypatch.setenv("LLM_BOOK_DATA", str(tmp_path / "typo"))
    with pytest.raises(DataError, match="typo is not a folder"):
        corpus_files("toy")


@pytest.mark.parametrize("kind", ["loop", "dangling"])
@pytest.mark.parametrize("link", ["tiny_shakespeare", "tiny_shakespeare/input.txt"])
def test_a_broken_link_in_the_mirror_never_gives_a_stand_in(
    download_cache, monkeypatch, tmp_path, capsys, link, kind
):
    make_broken_link(tmp_path / "mirror" / link, kind)
    monkeypatch.setenv("LLM_BOOK_DATA", str(tmp_path / "mirror"))
    message = "Too many levels" if kind == "loop" else "is a broken link"
    with pytest.raises(DataError, match=message) as caught:
        load_text()
    assert not isinstance(caught.value, NoNetwork) and capsys.readouterr().out == ""
    assert str(tmp_path / "mirror" / link) in str(caught.value)


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_file_in_the_mirror_that_cannot_be_read_is_an_error(toy, mirror, monkeypatch, is_folder):
    folder = mirror("toy", {"file.bin": CONTENT})
    forbid(monkeypatch, folder if is_folder else folder / "file.bin")
    with pytest.raises(DataError, match=r"cannot be read \(Permission denied\)") as caught:
        corpus_files("toy")
    assert not isinstance(caught.value, NoNetwork)
    assert str(folder / "file.bin") in str(caught.value) and "\n" not in str(caught.value)


def test_a_folder_instead_of_a_file_is_an_error(toy, mirror):
    folder = mirror("toy", {"file.bin": CONTENT})
    (folder / "file.bin").unlink()
    (folder / "file.bin").mkdir()
    with pytest.raises(DataError, match="it is not a file"):
        corpus_files("toy")


# ---- the settings -------------------------------------------------------------------------------


@pytest.fixture
def home(monkeypatch, tmp_path):
    """A home folder, which is not the working folder."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def test_a_tilde_in_a_setting_is_the_home_folder(toy, home, monkeypatch):
    toy(correct)
    monkeypatch.setenv("LLM_BOOK_CACHE", "~/x")
    assert corpus_files("toy")["file.bin"] == home / "x/toy/file.bin"
    assert list(Path.cwd().iterdir()) == []
    monkeypatch.setenv("LLM_BOOK_CACHE", "~/y")
    monkeypatch.setenv("LLM_BOOK_DATA", "~/x")
    assert corpus_files("toy")["file.bin"] == home / "x/toy/file.bin"


@pytest.mark.parametrize("name", ["LLM_BOOK_CACHE", "LLM_BOOK_DATA"])
def test_the_home_of_an_unknown_user_is_an_error(toy, home, monkeypatch, name):
    monkeypatch.setenv(name, "~nobody-of-this-name/x")
    with pytest.raises(DataError, match=f"{name}=~nobody-of-this-name/x.* does not exist"):
        corpus_files("toy")


@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_setting_is_none(toy, server, home, monkeypatch, value):
    toy(correct)
    monkeypatch.setattr("pooch.os_cache", lambda name: home / name)
    for name in ("LLM_BOOK_CACHE", "LLM_BOOK_DATA", "LLM_BOOK_OFFLINE"):
        monkeypatch.setenv(name, value)
    assert cache_folder() == home / "llm-foundations-book"
    assert corpus_files("toy")["file.bin"] == cache_folder() / "toy/file.bin"
    assert list(Path.cwd().iterdir()) == []


def test_a_relative_setting_is_below_the_working_folder(toy, server, home, monkeypatch):
    toy(correct)
    monkeypatch.setenv("LLM_BOOK_CACHE", "data")
    path = corpus_files("toy")["file.bin"]
    assert path == Path.cwd() / "data/toy/file.bin" and path.is_absolute()
    monkeypatch.setenv("LLM_BOOK_DATA", "data")
    monkeypatch.chdir(home)
    with pytest.raises(DataError, match=r"LLM_BOOK_DATA=data is not a folder") as caught:
        corpus_files("toy")
    assert str(home / "data") in str(caught.value), "where it was looked for"


@pytest.mark.parametrize(
    "value, offline", [("0", 0), ("false", 0), ("No", 0), ("1", 1), ("yes", 1)]
)
def test_offline_is_yes_or_no(toy, monkeypatch, value, offline):
    toy(correct)
    monkeypatch.setenv("LLM_BOOK_OFFLINE", value)
    if offline:
        with pytest.raises(OfflineRequested):
            corpus_files("toy")
    else:
        assert corpus_files("toy")


@pytest.mark.parametrize("names", ["file.bin", ["file.bin", "other.bin"]], ids=str)
def test_a_file_that_the_corpus_lacks_is_refused(toy, names):
    with pytest.raises(ValueError, match=r"only='file.bin': give a list|only is 'other.bin'; ch"):
        corpus_files("toy", only=names)


def test_certificates_that_are_missing_are_not_a_folder_that_is_not_writable(toy, monkeypatch):
    def get(*_arguments, **_options):
        raise OSError("Could not find a suitable TLS CA certificate bundle, invalid path: /nope")

    monkeypatch.setattr(requests, "get", get)
    with pytest.raises(DataError, match="cannot be fetched: Could not find a suitable TLS CA"):
        corpus_files("toy")
