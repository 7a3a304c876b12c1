"""The corpora: their splits, their stand-ins, and errors that name the valid choices."""

import gzip
import os

import pytest

from tests.helpers.file_server import CONTENT, WRONG_CONTENT, file_entry, responds
from utils.data.corpora import load_digits, load_pairs, load_reviews, load_text
from utils.data.download import corpus_files
from utils.data.errors import DataError
from utils.data.registry import registry

MIRROR = os.environ.get("LLM_BOOK_DATA")


# ---- stand-ins ----------------------------------------------------------------------------------


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


def test_no_network_gives_the_stand_in_in_one_visible_line(download_cache, monkeypatch, capsys):
    entry = file_entry("tiny_shakespeare/input.txt", b"x")
    monkeypatch.setitem(registry(), "tiny_shakespeare", {"files": [entry]})
    assert load_text().origin == "stand-in"
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    for words in ("STAND-IN", "127.0.0.1:9", "connect to the network", "LLM_BOOK_DATA"):
        assert words in lines[0]


def test_a_wrong_response_never_leads_to_a_stand_in(server, download_cache, monkeypatch):
    entry = file_entry("tiny_shakespeare/input.txt", CONTENT, f"{server.address}/t")
    monkeypatch.setitem(registry(), "tiny_shakespeare", {"files": [entry]})
    server.responses["/t"] = [responds(WRONG_CONTENT)]
    with pytest.raises(DataError, match="did not deliver the expected file"):
        load_text()


# ---- the corpora --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, names",
    [
        (lambda: corpus_files("ptb"), "multi30k.*tiny_shakespeare.*spoken_digits"),
        (lambda: load_text("ptb"), "^name is 'ptb'.*tiny_shakespeare"),  # type: ignore[arg-type]
        (lambda: load_pairs("wmt"), "^name is 'wmt'.*multi30k, tatoeba"),  # type: ignore[arg-type]
        (
            lambda: load_pairs(source_language="xx"),  # type: ignore[arg-type]
            "^source_language is 'xx'.*de, en, fr",
        ),
        (lambda: load_pairs(target_language="zh"), "^target_language is 'zh'.*de, en, fr"),
        (lambda: load_pairs("tatoeba"), "^source_language is 'de'.*en, zh"),
        (lambda: load_pairs(source_language="en", target_language="en"), "both 'en'"),
        (
            lambda: load_pairs(test="test_2015"),  # type: ignore[arg-type]
            "test_2016_flickr, test_2017_flickr",
        ),
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


def test_multi30k_pairs_aligned_lines(mirror):
    contents = {}
    for split in ("train", "val", "test_2016_flickr", "test_2017_flickr"):
        for language in ("de", "en", "fr"):
            lines = [f"{split} {language} {i}\u2028 \n" for i in range(3)]
            contents[f"{split}.{language}.gz"] = gzip.compress("".join(lines).encode())
    folder = mirror("multi30k", contents)
    corpus = load_pairs(source_language="fr", target_language="de")
    assert corpus.train[2] == ("train fr 2", "train de 2")
    assert corpus.test[0] == ("test_2016_flickr fr 0", "test_2016_flickr de 0")
    later_test = load_pairs(test="test_2017_flickr")
    assert later_test.test[1] == ("test_2017_flickr de 1", "test_2017_flickr en 1")
    assert len(later_test.valid) == 3
    (folder / "train.fr.gz").unlink()  # not needed for German and English
    assert load_pairs().origin == "real"


def test_files_of_unequal_length_are_not_aligned(mirror):
    contents = {
        f"{split}.{language}.gz": gzip.compress(b"a\n" * (2 if language == "de" else 3))
        for split in ("train", "val", "test_2016_flickr")
        for language in ("de", "en")
    }
    mirror("multi30k", contents)
    with pytest.raises(ValueError, match=r"train.de.gz and train.en.gz .* have 2 and 3 lines"):
        load_pairs()


def test_tatoeba_keeps_an_english_sentence_in_one_split(mirror):
    rows = [f"Sentence {i % 60}{'.!'[i // 60]}\t句子{i}。\tattribution\n" for i in range(120)]
    rows += ["HI THERE\t嗨\tx\n", "Hi, there!\t嗨嗨\tx\n"]
    mirror("tatoeba", {"cmn.txt": "".join(rows).encode()})
    corpus = load_pairs("tatoeba", source_language="en", target_language="zh")
    assert len(corpus.all) == 122 and corpus.valid and corpus.test
    train, valid, test = (
        {english.lower().strip(".!").replace(",", "") for english, _ in split}
        for split in (corpus.train, corpus.valid, corpus.test)
    )
    assert not train & valid and not train & test and not valid & test
    reversed_corpus = load_pairs("tatoeba", source_language="zh", target_language="en")
    assert reversed_corpus.test == [(chinese, english) for english, chinese in corpus.test]


def test_reviews_are_always_split_in_the_same_way(mirror):
    positive = "".join(f"café {i}\x96 fine \n" for i in range(50))
    positive += "".join(f"twice {i}\n" * 2 for i in range(20))
    negative = "".join(f"dull {i} \n" for i in range(50))
    files = {"rt-polarity.pos": positive.encode("latin-1"), "rt-polarity.neg": negative.encode()}
    mirror("movie_reviews", files)
    corpus = load_reviews()
    assert len(corpus.all) == 140
    assert ("café 3– fine", 1) in corpus.all and ("dull 3", 0) in corpus.all
    texts = [{text for text, _ in split} for split in (corpus.train, corpus.valid, corpus.test)]
    assert sum(map(len, texts)) == len(set().union(*texts)), "a sentence stays in one split"
    assert load_reviews() == corpus
    assert {label for _, label in corpus.train[:30]} == {0, 1}


@pytest.mark.skipif(
    not MIRROR, reason="the real corpora: set LLM_BOOK_DATA to a folder that holds them"
)
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
    assert (
        load_pairs(source_language="en", target_language="fr", test="test_2017_flickr").origin
        == "real"
    )
    tatoeba = load_pairs("tatoeba", source_language="en", target_language="zh")
    assert len(tatoeba.all) == 22_075 and all(a and b for a, b in tatoeba.all)
    reviews = load_reviews()
    assert len(reviews.all) == 10_662 and sum(label for _, label in reviews.all) == 5_331
    digits = load_digits()
    assert [len(s) for s in (digits.train, digits.valid, digits.test)] == [2_400, 300, 300]
    assert {clip.sample_rate for clip in digits.all} == {8000}
    assert len({clip.speaker for clip in digits.test}) == 6
