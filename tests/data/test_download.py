"""Downloads: the right bytes or a clear error, the mirror, the cache, and no network."""

import errno
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.file_server import (
    CONTENT,
    WRONG_CONTENT,
    correct,
    file_entry,
    file_names,
    login_page,
    redirects,
    responds,
    send,
    silent,
    slow,
    stalls,
    status,
    truncates,
)
from utils.data.corpora import corpus_files
from utils.data.corpus import DataError
from utils.data.download import MAX_ATTEMPTS, NoNetwork
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
def test_trouble_that_passes_ends_in_the_right_bytes(
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
        (stalls, "broke off", MAX_ATTEMPTS),
        (truncates, "broke off", MAX_ATTEMPTS),
        (responds(CONTENT[:1000]), "broke off", MAX_ATTEMPTS),
        (responds(b""), "broke off", MAX_ATTEMPTS),
        (responds(WRONG_CONTENT), "SHA-256", 1),
        (responds(CONTENT + b"!"), f"expected {len(CONTENT)} bytes", 1),
        (login_page, "web page", 1),
        (redirects("/login"), "web page", 1),
        (redirects("/file.bin"), "cannot be fetched.*redirects", None),
    ],
    ids="404 403 500 stall truncated short empty wrong long page login loop".split(),
)
def test_a_wrong_answer_is_an_error_and_nothing_is_kept(
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


def test_no_answer_at_all_is_no_network(toy, server, download_cache, monkeypatch):
    toy(silent)
    start = time.monotonic()
    with pytest.raises(NoNetwork):
        corpus_files("toy")
    assert time.monotonic() - start < 15, "a silent server should not be waited for"
    assert server.requests["/file.bin"] == MAX_ATTEMPTS
    monkeypatch.setitem(registry(), "toy", {"files": [file_entry("toy/file.bin", CONTENT)]})
    with pytest.raises(NoNetwork, match=r"127.0.0.1:9"):
        corpus_files("toy")
    assert file_names(download_cache) == []


def test_an_endless_answer_is_cut_short(toy):
    chunks = []

    def endless(server, request):
        send(request, b"", length=False)
        for _ in range(1000):
            request.wfile.write(bytes(65536))
            chunks.append(1)

    toy(endless)
    with pytest.raises(DataError, match="more came"):
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


def test_a_full_disk_is_an_error_that_says_so(toy, download_cache, monkeypatch):
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


def test_a_cache_that_cannot_be_written_is_an_error_that_says_so(toy, download_cache, monkeypatch):
    toy(correct)
    download_cache.write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"cannot be written.*LLM_BOOK_CACHE"):
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


RESOLVE = """
import json, sys
from utils.data.download import resolve
from utils.data.registry import registry
registry()["toy"] = json.loads(sys.argv[1])
print(resolve("toy")["file.bin"].stat().st_size)
"""


def start_download() -> subprocess.Popen:
    """Start another process that fetches the toy corpus."""
    command = [sys.executable, "-c", RESOLVE, json.dumps(registry()["toy"])]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_two_processes_may_fetch_at_once(toy, download_cache):
    toy(slow)
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
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in download_cache.rglob("*") if path.is_file()):
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
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


def test_a_mirror_that_is_no_folder_is_an_error(toy, monkeypatch, tmp_path):
    toy(correct)
    monkeypatch.setenv("LLM_BOOK_DATA", str(tmp_path / "typo"))
    with pytest.raises(DataError, match="typo is not a folder"):
        corpus_files("toy")
