"""The registry's check of a file: by its bytes, or an archive by its content."""

import hashlib
import io
import os
import tarfile
import wave
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.file_server import file_entry, file_names, responds
from utils.data.corpora import load_digits
from utils.data.errors import DataError
from utils.data.registry import MISSING, file_problem, registry

MIRROR = os.environ.get("LLM_BOOK_DATA")


def wav(value, sample_rate=8000):
    """A sound of 100 equal samples, as a wav file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, sample_rate, 0, "NONE", ""))
        sound.writeframes(np.full(100, value, "<i2").tobytes())
    return file.getvalue()


def archive(recordings, compression=9):
    """A tar archive of recordings and of another file."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=compression) as tar:
        for name, content in {"README.md": b"read me", **recordings}.items():
            member = tarfile.TarInfo(f"folder/recordings/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


RECORDINGS = {
    f"{digit}_{speaker}_{take}.wav": wav(1000 * digit + take - 16384)
    for digit in range(3)
    for speaker in ("ann", "bob")
    for take in range(10)
}


@pytest.fixture
def archive_at(server, download_cache, monkeypatch):
    """A function that sets the archive of spoken digits on the server."""
    lines = [f"{n} {hashlib.sha256(RECORDINGS[n]).hexdigest()}\n" for n in sorted(RECORDINGS)]
    entry = {
        "path": "spoken_digits/x.tar.gz",
        "url": f"{server.address}/x.tar.gz",
        "bytes": len(archive(RECORDINGS)),
        "content_sha256": hashlib.sha256("".join(lines).encode()).hexdigest(),
    }
    monkeypatch.setitem(registry(), "spoken_digits", {"files": [entry]})

    def set_archive(body):
        server.responses["/x.tar.gz"] = [responds(body)]

    return set_archive


def test_a_repacked_archive_is_accepted_for_its_content(archive_at):
    repacked = archive(dict(reversed(RECORDINGS.items())), compression=1)
    assert repacked != archive(RECORDINGS)
    archive_at(repacked)
    corpus = load_digits()
    assert corpus.origin == "real"
    assert [len(split) for split in (corpus.train, corpus.valid, corpus.test)] == [48, 6, 6]
    clip = next(c for c in corpus.test if (c.digit, c.speaker, c.take) == (2, "bob", 0))
    assert clip.samples.dtype == np.float32 and clip.sample_rate == 8000
    np.testing.assert_array_equal(clip.samples, np.full(100, (2000 - 16384) / 32768, np.float32))


@pytest.mark.parametrize(
    "body",
    [
        archive({**RECORDINGS, "0_ann_0.wav": wav(5)}),
        archive({name: RECORDINGS[name] for name in RECORDINGS if name != "0_ann_0.wav"}),
        archive(RECORDINGS)[:-300],
        b"not an archive",
    ],
    ids=["changed", "missing", "truncated", "garbage"],
)
def test_an_archive_with_other_content_is_refused(archive_at, download_cache, body):
    archive_at(body)
    with pytest.raises(DataError, match="expected content"):
        load_digits()
    assert file_names(download_cache) == []


def test_a_file_is_correct_wrong_missing_or_unreadable(tmp_path):
    entry = file_entry("toy/a", b"right")
    for name, content in {"right": b"right", "wrong": b"wrong", "short": b""}.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("right")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    problems = {
        name: file_problem(tmp_path / name, entry)
        for name in "right link missing folder/missing wrong short folder".split()
    }
    assert problems["right"] is None and problems["link"] is None
    assert problems["missing"] == problems["folder/missing"] == MISSING
    assert "expected SHA-256" in problems["wrong"] and "found 0" in problems["short"]
    assert problems["folder"] == "it is not a file"
    for name in ("dangling", "dangling/file"):
        expected = f"{tmp_path / 'dangling'} is a broken link"
        assert file_problem(tmp_path / name, entry) == expected
    for name in ("loop", "loop/file", "right/file"):
        assert file_problem(tmp_path / name, entry).startswith("it cannot be read (")


@pytest.mark.skipif(
    not MIRROR, reason="the real corpora: set LLM_BOOK_DATA to a folder that holds them"
)
def test_the_mirror_agrees_with_the_registry():
    for corpus in registry().values():
        for entry in corpus["files"]:
            path = Path(MIRROR) / entry["path"]
            assert not path.exists() or file_problem(path, entry) is None
