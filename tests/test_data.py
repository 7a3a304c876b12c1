"""The data room: files that are right or refused, corpora, and batches.

The server here is our own, on this machine; it misbehaves in every way that a network does.
"""

import errno
import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
import time
import wave
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from utils.data.batches import (
    IGNORE,
    TextBatches,
    group_by_length,
    pad,
    text_eval_batches,
    token_mask,
)
from utils.data.corpora import corpus_files, load_digits, load_pairs, load_reviews, load_text
from utils.data.download import MAX_ATTEMPTS, NoNetwork
from utils.data.pair_batches import PairBatches, encode_pairs, pair_eval_batches
from utils.data.registry import DataError, file_problem, registry
from utils.data.tokenizers import WordTokenizer
from utils.data.vocabulary import BOS, EOS, PAD

CONTENT = bytes(range(256)) * 800  # 204,800 bytes: several pieces of a download
MIRROR = os.environ.get("LLM_BOOK_DATA")
ROOT = Path(__file__).resolve().parents[1]
needs_mirror = pytest.mark.skipif(
    not MIRROR, reason="the real corpora: set LLM_BOOK_DATA to a folder that holds them"
)


# ---- a server that misbehaves -------------------------------------------------------------------


class Server:
    """Serves on 127.0.0.1; `answers` maps a path to a list of actions, the last one repeated."""

    def __init__(self):
        self.answers: dict[str, list] = {}
        self.hits: dict[str, int] = {}
        self.closing = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self.http.server_address[1]}"

    def answer(self, request):
        path, count = request.path, self.hits.get(request.path, 0)
        self.hits[path] = count + 1
        actions = self.answers[path]
        try:
            actions[min(count, len(actions) - 1)](self, request)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client hung up, as some tests want it to

    def close(self):
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()


def send(request, body, status=200, length=None, kind="application/octet-stream", **headers):
    request.send_response(status)
    request.send_header("Content-Type", kind)
    if length is not False:
        request.send_header("Content-Length", str(len(body) if length is None else length))
    for name, value in headers.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)


def good(server, request):
    send(request, CONTENT)


def gives(body, **options):
    return lambda server, request: send(request, body, **options)


def status(code):
    return gives(b"sorry", status=code)


def redirects(to):
    return gives(b"", status=302, Location=to)


def page(server, request):
    send(request, b"<html>Welcome to the hotel network</html>", kind="text/html; charset=utf-8")


def silent(server, request):
    server.closing.wait(20)


def stalls(server, request):
    send(request, CONTENT[:70_000], length=len(CONTENT))
    server.closing.wait(20)


def truncates(server, request):
    send(request, CONTENT[:70_000], length=len(CONTENT))
    request.close_connection = True


def slow(server, request):
    send(request, CONTENT[:100_000], length=len(CONTENT))
    server.closing.wait(0.4)
    request.wfile.write(CONTENT[100_000:])


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache; no mirror; short waits."""
    for name in ("LLM_BOOK_DATA", "LLM_BOOK_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LLM_BOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(fetch, "TIMEOUT", (0.4, 0.4))
    monkeypatch.setattr(fetch, "PAUSE", 0.01)
    return tmp_path / "cache"


def describe(path, content, url="http://127.0.0.1:9/none"):
    digest = hashlib.sha256(content).hexdigest()
    return {"path": path, "url": url, "bytes": len(content), "sha256": digest}


@pytest.fixture
def toy(server, cache, monkeypatch):
    """A corpus of one file at our server; returns a function that sets how it is answered."""
    entry = describe("toy/file.bin", CONTENT, f"{server.address}/file.bin")
    monkeypatch.setitem(registry(), "toy", {"files": [entry]})

    def set_answers(*actions):
        server.answers["/file.bin"] = list(actions)

    return set_answers


def leftovers(cache):
    return [path.name for path in cache.rglob("*") if path.is_file()]


# ---- downloads: the right bytes or a clear error ------------------------------------------------


def test_a_file_is_fetched_once_and_then_comes_from_the_cache(toy, server, cache):
    toy(good)
    for _ in range(2):
        assert corpus_files("toy")["file.bin"].read_bytes() == CONTENT
    assert server.hits["/file.bin"] == 1
    assert leftovers(cache) == ["file.bin"]


@pytest.mark.parametrize(
    "answers, tries",
    [
        ((status(500), good), 2),
        ((status(503), status(429), good), 3),
        ((stalls, good), 2),
        ((silent, good), 2),
        ((truncates, good), 2),
        ((gives(CONTENT[:1000], length=False), good), 2),
        ((redirects("/elsewhere"),), 1),
    ],
    ids=["500", "503-429", "stall", "silence", "truncated", "no-length", "redirect"],
)
def test_trouble_that_passes_ends_in_the_right_bytes(toy, server, cache, answers, tries):
    toy(*answers)
    server.answers["/elsewhere"] = [good]
    assert corpus_files("toy")["file.bin"].read_bytes() == CONTENT
    assert server.hits["/file.bin"] == tries
    assert leftovers(cache) == ["file.bin"]


WRONG = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]


@pytest.mark.parametrize(
    "answer, says, tries",
    [
        (status(404), "404", 1),
        (status(403), "403", 1),
        (status(500), "500", MAX_ATTEMPTS),
        (stalls, "broke off", MAX_ATTEMPTS),
        (truncates, "broke off", MAX_ATTEMPTS),
        (gives(CONTENT[:1000]), "broke off", MAX_ATTEMPTS),
        (gives(b""), "broke off", MAX_ATTEMPTS),
        (gives(WRONG), "SHA-256", 1),
        (gives(CONTENT + b"!"), f"expected {len(CONTENT)} bytes", 1),
        (page, "web page", 1),
        (redirects("/login"), "web page", 1),
        (redirects("/file.bin"), "cannot be fetched.*redirects", None),
    ],
    ids="404 403 500 stall truncated short empty wrong long page login loop".split(),
)
def test_a_wrong_answer_is_an_error_and_nothing_is_kept(toy, server, cache, answer, says, tries):
    toy(answer)
    server.answers["/login"] = [page]
    with pytest.raises(DataError, match=says) as caught:
        corpus_files("toy")
    assert not isinstance(caught.value, NoNetwork)
    assert "LLM_BOOK_OFFLINE=1" in str(caught.value)
    assert tries is None or server.hits["/file.bin"] == tries
    assert leftovers(cache) == []


def test_no_answer_at_all_is_no_network(toy, server, cache, monkeypatch):
    toy(silent)
    start = time.monotonic()
    with pytest.raises(NoNetwork):
        corpus_files("toy")
    assert time.monotonic() - start < 15, "a silent server should not be waited for"
    assert server.hits["/file.bin"] == MAX_ATTEMPTS
    entry = describe("toy/file.bin", CONTENT, "http://127.0.0.1:9/none")  # nobody listens there
    monkeypatch.setitem(registry(), "toy", {"files": [entry]})
    with pytest.raises(NoNetwork, match="127.0.0.1:9"):
        corpus_files("toy")
    assert leftovers(cache) == []


def test_an_endless_answer_is_cut_short(toy, cache):
    sent = []

    def endless(server, request):
        send(request, b"", length=False)
        for _ in range(1000):
            request.wfile.write(bytes(65536))
            sent.append(1)

    toy(endless)
    with pytest.raises(DataError, match="more came"):
        corpus_files("toy")
    assert len(sent) < 1000


def test_a_damaged_cached_file_is_fetched_again(toy, server, cache):
    toy(good)
    path = corpus_files("toy")["file.bin"]
    for damage in (WRONG, CONTENT[:-1], b""):
        path.write_bytes(damage)
        assert corpus_files("toy")["file.bin"].read_bytes() == CONTENT
    assert server.hits["/file.bin"] == 4


def test_a_damaged_cached_file_without_a_network_is_an_error(toy, server, cache, monkeypatch):
    toy(good)
    path = corpus_files("toy")["file.bin"]
    path.write_bytes(WRONG)
    toy(silent)
    for _ in range(2):  # not a stand-in the second time either
        with pytest.raises(DataError, match="damaged") as caught:
            corpus_files("toy")
        assert not isinstance(caught.value, NoNetwork)
    assert str(path) in str(caught.value)


def test_a_full_disk_is_an_error_that_says_so(toy, cache, monkeypatch):
    toy(good)
    opened = Path.open

    def full(self, mode="r", *args, **options):
        file = opened(self, mode, *args, **options)
        if mode != "wb":
            return file

        class Full(io.RawIOBase):
            def write(self, piece):
                raise OSError(errno.ENOSPC, "No space left on device")

            def close(self):
                file.close()

        return Full()

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(DataError, match="disk is full.*LLM_BOOK_CACHE"):
        corpus_files("toy")
    assert leftovers(cache) == []


def test_a_cache_that_cannot_be_written_is_an_error_that_says_so(toy, cache, monkeypatch):
    toy(good)
    cache.write_text("a file where the folder should be")
    with pytest.raises(DataError, match="cannot be written.*LLM_BOOK_CACHE"):
        corpus_files("toy")
    cache.unlink()

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)
        with pytest.raises(DataError, match="Permission denied.*LLM_BOOK_CACHE"):
            corpus_files("toy")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        with pytest.raises(DataError, match="Permission denied.*LLM_BOOK_CACHE"):
            corpus_files("toy")
    assert leftovers(cache) == []


def test_a_read_only_cache_with_the_file_in_it_serves(toy, server, cache, monkeypatch):
    toy(good)
    corpus_files("toy")

    def refuse(*_, **__):
        raise PermissionError(errno.EROFS, "Read-only file system")

    for owner, name in ((Path, "mkdir"), (os, "makedirs"), (os, "replace"), (Path, "unlink")):
        monkeypatch.setattr(owner, name, refuse)
    assert corpus_files("toy")["file.bin"].read_bytes() == CONTENT
    assert server.hits["/file.bin"] == 1


FETCH = """
import json, sys
from utils import fetch
fetch.registry()["toy"] = json.loads(sys.argv[1])
print(fetch.resolve("toy")["file.bin"].stat().st_size)
"""


def start_fetching():
    """Another process that fetches the toy corpus."""
    import json

    command = [sys.executable, "-c", FETCH, json.dumps(registry()["toy"])]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_two_processes_may_fetch_at_once(toy, server, cache):
    toy(slow)
    both = [start_fetching(), start_fetching()]
    for process in both:
        out, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()
        assert int(out) == len(CONTENT)
    assert leftovers(cache) == ["file.bin"]
    assert (cache / "toy/file.bin").read_bytes() == CONTENT


def test_a_download_killed_halfway_leaves_no_half_file(toy, server, cache):
    toy(stalls, good)
    process = start_fetching()
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in cache.rglob("*") if path.is_file()):
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.01)
    process.kill()
    process.communicate()
    remains = [path for path in cache.rglob("*") if path.is_file()]
    assert remains and "file.bin" not in leftovers(cache)
    assert corpus_files("toy")["file.bin"].read_bytes() == CONTENT
    for path in remains:
        assert path.exists(), "a fresh unfinished file may belong to a process that still runs"
        os.utime(path, (0, 0))
    (cache / "toy/file.bin").unlink()
    corpus_files("toy")
    assert leftovers(cache) == ["file.bin"]


# ---- archives are known by their content --------------------------------------------------------


def sound(value, rate=8000):
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes(np.full(100, value, "<i2").tobytes())
    return file.getvalue()


def archive(wavs, level=9):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=level) as out:
        for name, content in {"README.md": b"read me", **wavs}.items():
            member = tarfile.TarInfo(f"folder/recordings/{name}")
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
    return file.getvalue()


WAVS = {
    f"{digit}_{speaker}_{take}.wav": sound(1000 * digit + take - 16384)
    for digit in range(3)
    for speaker in ("ann", "bob")
    for take in range(10)
}


@pytest.fixture
def digits_entry(server, cache, monkeypatch):
    lines = "".join(f"{n} {hashlib.sha256(WAVS[n]).hexdigest()}\n" for n in sorted(WAVS))
    entry = {
        "path": "spoken_digits/x.tar.gz",
        "url": f"{server.address}/x.tar.gz",
        "bytes": len(archive(WAVS)),
        "content_sha256": hashlib.sha256(lines.encode()).hexdigest(),
    }
    monkeypatch.setitem(registry(), "spoken_digits", {"files": [entry]})
    return entry


def test_an_archive_packed_otherwise_is_accepted_for_its_content(digits_entry, server, cache):
    other = archive(dict(reversed(WAVS.items())), level=1)
    assert other != archive(WAVS)
    server.answers["/x.tar.gz"] = [gives(other)]
    corpus = load_digits()
    assert corpus.origin == "real"
    assert [len(split) for split in (corpus.train, corpus.valid, corpus.test)] == [48, 6, 6]
    clip = next(c for c in corpus.test if (c.digit, c.speaker, c.take) == (2, "bob", 0))
    assert clip.samples.dtype == np.float32 and clip.rate == 8000
    np.testing.assert_array_equal(clip.samples, np.full(100, (2000 - 16384) / 32768, np.float32))


@pytest.mark.parametrize(
    "body",
    [
        archive({**WAVS, "0_ann_0.wav": sound(5)}),
        archive({k: v for k, v in WAVS.items() if k != "0_ann_0.wav"}),
        archive(WAVS)[:-300],
        b"not an archive",
    ],
    ids=["changed", "missing", "truncated", "garbage"],
)
def test_an_archive_with_other_content_is_refused(digits_entry, server, cache, body):
    server.answers["/x.tar.gz"] = [gives(body)]
    with pytest.raises(DataError, match="expected content"):
        load_digits()
    assert leftovers(cache) == []


# ---- where files are looked for -----------------------------------------------------------------


@pytest.fixture
def mirror(tmp_path, monkeypatch, cache):
    """A function that makes a corpus of given files and puts them into $LLM_BOOK_DATA."""
    folder = tmp_path / "mirror"
    monkeypatch.setenv("LLM_BOOK_DATA", str(folder))

    def fill(name, contents):
        entries = [describe(f"{name}/{file}", content) for file, content in contents.items()]
        monkeypatch.setitem(registry(), name, {"files": entries})
        (folder / name).mkdir(parents=True)
        for file, content in contents.items():
            (folder / name / file).write_bytes(content)
        return folder / name

    return fill


def test_the_mirror_comes_first_and_is_checked(toy, server, mirror, cache):
    toy(good)
    url = registry()["toy"]["files"][0]["url"]
    folder = mirror("toy", {"file.bin": CONTENT})
    registry()["toy"]["files"][0]["url"] = url
    assert corpus_files("toy")["file.bin"] == folder / "file.bin"
    assert server.hits == {}
    for wrong, says in ((WRONG, "SHA-256"), (b"short", "found 5")):
        (folder / "file.bin").write_bytes(wrong)
        with pytest.raises(DataError, match=says) as caught:
            corpus_files("toy")
        assert str(folder / "file.bin") in str(caught.value)
        assert (folder / "file.bin").read_bytes() == wrong
    (folder / "file.bin").unlink()  # what the mirror lacks is fetched
    assert corpus_files("toy")["file.bin"] == cache / "toy/file.bin"


def test_a_mirror_that_is_no_folder_is_an_error(toy, monkeypatch, tmp_path):
    toy(good)
    monkeypatch.setenv("LLM_BOOK_DATA", str(tmp_path / "typo"))
    with pytest.raises(DataError, match="typo is not a folder"):
        corpus_files("toy")


def test_offline_forces_the_stand_in_even_with_a_mirror(mirror, monkeypatch, capsys):
    mirror("tiny_shakespeare", {"input.txt": b"To be, or not to be" * 10})
    assert load_text().origin == "real"
    monkeypatch.setenv("LLM_BOOK_OFFLINE", "1")
    capsys.readouterr()
    corpus = load_text()
    lines = capsys.readouterr().out.splitlines()
    assert corpus.origin == "stand-in" and len(corpus.train) > 100_000
    assert len(lines) == 1
    for words in ("STAND-IN", "tiny_shakespeare", "LLM_BOOK_OFFLINE is set", "unset"):
        assert words in lines[0]
    monkeypatch.setenv("LLM_BOOK_OFFLINE", "0")
    assert load_text().origin == "real"


def test_no_network_gives_the_stand_in_in_one_visible_line(cache, monkeypatch, capsys):
    entry = describe("tiny_shakespeare/input.txt", b"x")
    monkeypatch.setitem(registry(), "tiny_shakespeare", {"files": [entry]})
    assert load_text().origin == "stand-in"
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    for words in ("STAND-IN", "127.0.0.1:9", "connect to the network", "LLM_BOOK_DATA"):
        assert words in lines[0]


def test_a_wrong_answer_never_turns_into_a_stand_in(server, cache, monkeypatch):
    entry = describe("tiny_shakespeare/input.txt", CONTENT, f"{server.address}/t")
    monkeypatch.setitem(registry(), "tiny_shakespeare", {"files": [entry]})
    server.answers["/t"] = [gives(WRONG)]
    with pytest.raises(DataError, match="did not give the expected file"):
        load_text()


# ---- corpora ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, names",
    [
        (lambda: corpus_files("ptb"), "multi30k.*tiny_shakespeare.*spoken_digits"),
        (lambda: load_text("ptb"), "'ptb'.*tiny_shakespeare"),
        (lambda: load_pairs("wmt"), "'wmt'.*multi30k, tatoeba"),
        (lambda: load_pairs(source="xx"), "'xx'.*de, en, fr"),
        (lambda: load_pairs(target="zh"), "'zh'.*de, en, fr"),
        (lambda: load_pairs("tatoeba"), "'de'.*en, zh"),
        (lambda: load_pairs(source="en", target="en"), "both 'en'"),
        (lambda: load_pairs(test="test_2015"), "test_2016_flickr, test_2017_flickr"),
    ],
)
def test_a_wrong_name_is_answered_with_the_valid_ones(call, names):
    with pytest.raises(ValueError, match=names):
        call()


def test_text_is_split_by_characters_in_order(mirror):
    text = "".join(chr(97 + i % 26) for i in range(1000)) + "é…"
    mirror("tiny_shakespeare", {"input.txt": text.encode()})
    corpus = load_text()
    assert corpus.all == text
    assert [len(s) for s in (corpus.train, corpus.valid, corpus.test)] == [901, 50, 51]


def test_multi30k_pairs_lines_that_belong_together(mirror):
    contents = {}
    for split in ("train", "val", "test_2016_flickr", "test_2017_flickr"):
        for language in ("de", "en", "fr"):
            lines = [f"{split} {language} {i}\u2028 \n" for i in range(3)]
            contents[f"{split}.{language}.gz"] = gzip.compress("".join(lines).encode())
    folder = mirror("multi30k", contents)
    corpus = load_pairs(source="fr", target="de")
    assert corpus.train[2] == ("train fr 2", "train de 2")
    assert corpus.test[0] == ("test_2016_flickr fr 0", "test_2016_flickr de 0")
    other = load_pairs(test="test_2017_flickr")
    assert other.test[1] == ("test_2017_flickr de 1", "test_2017_flickr en 1")
    assert len(other.valid) == 3
    (folder / "train.fr.gz").unlink()  # not needed for German and English
    assert load_pairs().origin == "real"


def test_tatoeba_keeps_an_english_sentence_in_one_split(mirror):
    rows = [f"Sentence {i % 60}{'.!'[i // 60]}\t句子{i}。\tattribution\n" for i in range(120)]
    rows += ["HI THERE\t嗨\tx\n", "Hi, there!\t嗨嗨\tx\n"]
    mirror("tatoeba", {"cmn.txt": "".join(rows).encode()})
    corpus = load_pairs("tatoeba", source="en", target="zh")
    assert len(corpus.all) == 122 and corpus.valid and corpus.test
    number = [
        {english.lower().strip(".!").replace(",", "") for english, _ in split}
        for split in (corpus.train, corpus.valid, corpus.test)
    ]
    assert not number[0] & number[1] and not number[0] & number[2] and not number[1] & number[2]
    back = load_pairs("tatoeba", source="zh", target="en")
    assert back.test == [(chinese, english) for english, chinese in corpus.test]


def test_reviews_are_split_once_and_for_all(mirror):
    praise = "".join(f"café {i}\x96 fine \n" for i in range(50))
    praise += "".join(f"twice {i}\n" * 2 for i in range(20))
    blame = "".join(f"dull {i} \n" for i in range(50))
    mirror("movie_reviews", {
        "rt-polarity.pos": praise.encode("latin-1"),
        "rt-polarity.neg": blame.encode("latin-1"),
    })  # fmt: skip
    corpus = load_reviews()
    assert len(corpus.all) == 140
    assert ("café 3– fine", 1) in corpus.all and ("dull 3", 0) in corpus.all
    texts = [{text for text, _ in split} for split in (corpus.train, corpus.valid, corpus.test)]
    assert sum(map(len, texts)) == len(set().union(*texts)), "a sentence stays in one split"
    assert load_reviews() == corpus
    assert {label for _, label in corpus.train[:30]} == {0, 1}


@needs_mirror
def test_the_real_corpora(monkeypatch):
    monkeypatch.setenv("LLM_BOOK_DATA", str(MIRROR))
    monkeypatch.delenv("LLM_BOOK_OFFLINE", raising=False)
    text = load_text()
    assert text.origin == "real" and len(text.all) == 1_115_394 and len(set(text.all)) == 65
    pairs = load_pairs()
    assert [len(s) for s in (pairs.train, pairs.valid, pairs.test)] == [29_000, 1_014, 1_000]
    assert pairs.test[0] == (
        "Ein Mann mit einem orangefarbenen Hut, der etwas anstarrt.",
        "A man in an orange hat starring at something.",
    )
    assert load_pairs(source="en", target="fr", test="test_2017_flickr").origin == "real"
    tatoeba = load_pairs("tatoeba", source="en", target="zh")
    assert len(tatoeba.all) == 22_075 and all(a and b for a, b in tatoeba.all)
    reviews = load_reviews()
    assert len(reviews.all) == 10_662 and sum(label for _, label in reviews.all) == 5_331
    digits = load_digits()
    assert [len(s) for s in (digits.train, digits.valid, digits.test)] == [2_400, 300, 300]
    assert {clip.rate for clip in digits.all} == {8000}
    assert len({clip.speaker for clip in digits.test}) == 6


@needs_mirror
def test_the_mirror_holds_what_the_registry_says():
    for corpus in registry().values():
        for entry in corpus["files"]:
            path = Path(MIRROR) / entry["path"]
            assert not path.exists() or file_problem(path, entry) is None


# ---- batches ------------------------------------------------------------------------------------


def test_text_batches_are_a_function_of_seed_and_step():
    ids = torch.arange(4, 104)
    stream = TextBatches(ids, batch_size=8, context_length=5, seed=1)
    batch = stream[7]
    assert batch.inputs.shape == batch.targets.shape == (8, 5) and batch.source is None
    assert torch.equal(batch.targets, batch.inputs + 1)  # the text counts up by one
    stream[3]
    again = TextBatches(ids, batch_size=8, context_length=5, seed=1)[7]
    assert torch.equal(again.inputs, batch.inputs)
    assert not torch.equal(stream[8].inputs, batch.inputs)
    other = TextBatches(ids, batch_size=8, context_length=5, seed=2)[7]
    assert not torch.equal(other.inputs, batch.inputs)


def test_text_batches_reach_every_window():
    stream = TextBatches(torch.arange(8), batch_size=50, context_length=5, seed=0)
    assert set(stream[0].inputs[:, 0].tolist()) == {0, 1, 2}
    one = TextBatches(torch.arange(6), batch_size=3, context_length=5)[0]  # batch above the windows
    assert one.inputs.tolist() == [[0, 1, 2, 3, 4]] * 3 and one.targets[0, -1] == 5


@pytest.mark.parametrize("count, batch_size, block", [
    (6, 3, 5), (10, 1, 5), (23, 2, 5), (101, 7, 4), (101, 200, 4), (8, 50, 7), (40, 3, 1),
])  # fmt: skip
def test_text_batches_without_replacement(count, batch_size, block):
    stream = TextBatches(
        torch.arange(count),
        batch_size=batch_size,
        context_length=block,
        seed=3,
        without_replacement=True,
    )
    windows = max(1, (count - 1) // block - 1)
    steps = -(-4 * windows // batch_size)
    batches = [stream[step] for step in range(steps)]
    assert all(b.inputs.shape == (batch_size, block) for b in batches)
    assert all(torch.equal(b.targets, b.inputs + 1) for b in batches)
    firsts = torch.cat([b.inputs[:, 0] for b in batches]).tolist()
    epochs = [firsts[i * windows : (i + 1) * windows] for i in range(4)]
    for epoch in epochs:  # side by side, each once
        first = min(epoch)
        assert sorted(epoch) == list(range(first, first + windows * block, block))
        assert first + windows * block < count and count - 1 - windows * block < 2 * block
    for step in reversed(range(steps)):  # the step alone decides, whatever was read before
        fresh = TextBatches(
            torch.arange(count),
            batch_size=batch_size,
            context_length=block,
            seed=3,
            without_replacement=True,
        )
        for again in (stream, fresh):
            assert torch.equal(again[step].inputs, batches[step].inputs)


def test_epochs_without_replacement_differ_in_order_and_place():
    texts = [
        TextBatches(
            torch.arange(1001),
            batch_size=10,
            context_length=10,
            seed=seed,
            without_replacement=True,
        )
        for seed in (0, 1)
    ]
    places = set()
    for stream in texts:
        firsts = torch.cat([stream[step].inputs[:, 0] for step in range(99)]).view(10, 99)
        places |= {min(epoch) for epoch in firsts.tolist()}
        orders = {tuple((epoch - epoch.min()).tolist()) for epoch in firsts}
        assert len(orders) == 10 and tuple(range(0, 990, 10)) not in orders
    assert len(places) > 6 and max(places) <= 10
    assert not torch.equal(texts[0][0].inputs % 10, texts[1][0].inputs % 10)


@pytest.mark.parametrize("count, batch_size, block", [
    (2, 1, 1), (2, 9, 9), (11, 1, 4), (11, 3, 4), (12, 3, 2), (11, 7, 1), (101, 4, 7), (5, 4, 99),
])  # fmt: skip
def test_evaluation_scores_every_token_after_the_first_once(count, batch_size, block):
    ids = torch.arange(4, count + 4)
    batches = text_eval_batches(ids, batch_size=batch_size, context_length=block)
    scored = torch.cat([b.targets.flatten() for b in batches])
    assert sorted(scored[scored != IGNORE].tolist()) == ids[1:].tolist()
    for batch in batches:
        assert batch.inputs.shape == batch.targets.shape
        assert len(batch.inputs) <= batch_size and batch.inputs.shape[1] <= block
        real = batch.targets != IGNORE
        assert torch.equal(batch.inputs[real] + 1, batch.targets[real])
        assert torch.equal(batch.inputs != PAD, real)


def test_evaluation_rows_go_on_where_the_batch_before_ended():
    batches = text_eval_batches(torch.arange(4, 105), batch_size=4, context_length=7)
    for before, after in zip(batches, batches[1:], strict=False):
        real = after.targets[:, 0] != IGNORE
        assert torch.equal(before.targets[real, -1], after.inputs[real, 0])


@pytest.mark.parametrize("wrong, says", [
    (lambda: TextBatches(torch.arange(5), batch_size=1, context_length=5), "needs 6 tokens; there are 5"),
    (lambda: TextBatches(torch.arange(9), batch_size=0, context_length=5), "batch_size must be at least 1"),
    (lambda: TextBatches(torch.arange(9), batch_size=1, context_length=0), "block must be at least 1"),
    (lambda: TextBatches(torch.zeros(2, 9), batch_size=1, context_length=2), r"got shape \(2, 9\)"),
    (lambda: TextBatches(torch.arange(9), batch_size=1, context_length=5)[-1], "steps count from 0"),
    (lambda: text_eval_batches(torch.arange(1), batch_size=1, context_length=5), "two tokens"),
    (lambda: text_eval_batches(torch.arange(9), batch_size=0, context_length=5), "batch_size must be at least 1"),
    (lambda: PairBatches([], batch_size=2), "no sentence pairs"),
    (lambda: PairBatches([([4], [4]), ([], [4])], batch_size=2), "pair 1 has a source of zero tokens"),
    (lambda: PairBatches([([4], [4])], batch_size=0), "batch_size must be at least 1"),
    (lambda: PairBatches([([4], [4])], batch_size=2)[-1], "steps count from 0"),
    (lambda: pair_eval_batches([], batch_size=2), "no sentence pairs"),
    (lambda: pair_eval_batches([([], [4])], batch_size=2), "zero tokens"),
    (lambda: pad([]), "no sequences"),
])  # fmt: skip
def test_batches_refuse_what_makes_no_sense(wrong, says):
    with pytest.raises(ValueError, match=says):
        wrong()


def test_pairs_are_encoded_side_by_side():
    words = WordTokenizer.train("a b c")
    found = encode_pairs([("a b", "c"), ("", "b b")], words)
    assert found == [([4, 5], [6]), ([], [5, 5])]


def some_pairs(count=57):
    random = np.random.default_rng(0)
    return [
        ([10 + i] * random.integers(1, 6), [10 + i] * random.integers(0, 7)) for i in range(count)
    ]


def pairs_of(batch):
    """The pairs that a batch holds, checking BOS, EOS and padding on the way."""
    for source, inputs, targets in zip(batch.source, batch.inputs, batch.targets, strict=True):
        assert PAD not in source
        kept = targets[targets != IGNORE].tolist()
        assert kept[-1] == EOS and inputs[0] == BOS
        assert inputs[1 : len(kept)].tolist() == kept[:-1]
        assert (inputs[len(kept) :] == PAD).all() and (targets[len(kept) :] == IGNORE).all()
        yield source.tolist(), kept[:-1]


def test_an_epoch_holds_every_pair_once():
    pairs = some_pairs()
    stream = PairBatches(pairs, batch_size=4, seed=3)
    for epoch in range(3):
        steps = range(epoch * len(stream), (epoch + 1) * len(stream))
        found = [pair for step in steps for pair in pairs_of(stream[step])]
        assert sorted(found) == sorted(pairs)
    assert all(len(batch.source) <= 4 for batch in stream)
    assert sorted(p for b in stream for p in pairs_of(b)) == sorted(pairs)


def test_pair_batches_are_a_function_of_seed_and_step():
    stream = PairBatches(some_pairs(), batch_size=4, seed=3)
    late = list(pairs_of(stream[2 * len(stream) + 5]))
    fresh = PairBatches(some_pairs(), batch_size=4, seed=3)
    assert list(pairs_of(fresh[2 * len(stream) + 5])) == late

    def order(stream, epoch):
        steps = range(epoch * len(stream), (epoch + 1) * len(stream))
        return [[source[0] for source, _ in pairs_of(stream[s])] for s in steps]

    assert order(stream, 0) == order(fresh, 0) != order(stream, 1)
    assert order(PairBatches(some_pairs(), batch_size=4, seed=4), 0) != order(stream, 0)
    lengths = [stream[s].source.shape[1] for s in range(len(stream))]
    assert lengths != sorted(lengths), "batches should come in mixed lengths"
    mixed = {frozenset(batch) for batch in order(stream, 0)}
    assert mixed != {frozenset(batch) for batch in order(stream, 1)}, "batches should be remade"


def test_pair_evaluation_holds_everything_once_in_order():
    pairs = some_pairs()
    batches = pair_eval_batches(pairs, batch_size=4)
    assert sorted(p for b in batches for p in pairs_of(b)) == sorted(pairs)
    lengths = [b.source.shape[1] for b in batches]
    assert lengths == sorted(lengths)
    groups = group_by_length([len(source) for source, _ in pairs], batch_size=4)
    assert [[pairs[i][0] for i in g] for g in groups] == [b.source.tolist() for b in batches]


def test_a_batch_larger_than_the_data_holds_all_of_one_length():
    stream = PairBatches([([5], [6]), ([7], []), ([8, 8], [9])], batch_size=100)
    assert sorted(len(batch.source) for batch in stream) == [1, 2]
    (only,) = pair_eval_batches([([7], [])], batch_size=100)
    assert only.inputs.tolist() == [[BOS]] and only.targets.tolist() == [[EOS]]


def test_padding_and_its_mask():
    padded = pad([[5, 6], [7], []])
    assert padded.tolist() == [[5, 6], [7, PAD], [PAD, PAD]] and padded.dtype == torch.long
    assert pad([[5, 6], [7]], IGNORE).tolist() == [[5, 6], [7, IGNORE]]
    assert token_mask(padded).tolist() == [[True, True], [True, False], [False, False]]


def test_a_batch_moves_with_all_its_parts():
    batch = pair_eval_batches([([5], [6])], batch_size=1)[0].to("meta")
    assert {batch.inputs.device.type, batch.targets.device.type, batch.source.device.type} == {
        "meta"
    }
    assert TextBatches(torch.arange(9), batch_size=1, context_length=5)[0].to("cpu").source is None
