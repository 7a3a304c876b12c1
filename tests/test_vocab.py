"""Tokenizers: round trips, unknown text, special tokens, files."""

import os

import pytest

from utils.data.tokenizers import BPETokenizer, CharTokenizer, WordTokenizer
from utils.data.vocabulary import BOS, EOS, PAD, SPECIAL_TOKENS, UNK, Vocabulary

TEXTS = ["the cat sat on the mat .", "a dog sat on a log .", "der Hund schläft, während es regnet."]
STRANGE = ["", " ", "  two  spaces ", "<eos> typed by hand", "naïve", "\x00\ttab\r\n"]
STRANGE += ["语言模型 and 🙂\u200d"]


@pytest.fixture(scope="module")
def bpe():
    return BPETokenizer.train(TEXTS * 3, max_size=300)


@pytest.mark.parametrize("text", TEXTS + STRANGE)
def test_bpe_round_trips_every_text_and_knows_everything(bpe, text):
    ids = bpe.encode(text)
    assert bpe.decode(ids) == text
    assert UNK not in ids and all(i >= len(SPECIAL_TOKENS) for i in ids)


def test_bpe_batch_is_one_by_one(bpe):
    assert bpe.encode_all(TEXTS + STRANGE) == [bpe.encode(t) for t in TEXTS + STRANGE]


def test_bpe_learns_pieces_of_the_training_text(bpe):
    assert len(bpe.encode(TEXTS[0])) < len(TEXTS[0].encode()) * 0.7
    assert "".join(bpe.pieces("the cat")) == "▁the▁cat"


def test_specials_are_left_out_when_decoding(bpe):
    ids = [BOS, *bpe.encode("a dog"), EOS, PAD, PAD]
    assert bpe.decode(ids) == "a dog"
    chars = CharTokenizer.train("abc")
    assert chars.decode([BOS, *chars.encode("abz"), EOS, PAD]) == "ab<unk>"


def test_characters_round_trip_and_words_read_well():
    chars = CharTokenizer.train(TEXTS)
    assert all(chars.decode(chars.encode(t)) == t for t in TEXTS)
    words = WordTokenizer.train(TEXTS)
    assert words.decode(words.encode("the dog , the cat .")) == "the dog, the cat."


def test_all_unknown_words_and_another_script_become_unk():
    words = WordTokenizer.train(TEXTS)
    assert words.encode("quux 语言 zyzzy") == [UNK] * 3
    assert words.encode("") == []


def test_vocabulary_limits():
    counted = WordTokenizer.train("b b a c c c", max_size=6)
    assert counted.vocab.tokens == [*SPECIAL_TOKENS, "c", "b"]
    assert WordTokenizer.train("b b a c c c", min_count=2).vocab.tokens == [
        *SPECIAL_TOKENS,
        "c",
        "b",
    ]
    assert len(Vocabulary.count([], max_size=4)) == 4  # nothing but the specials
    with pytest.raises(ValueError, match="special tokens need room"):
        Vocabulary.count("abc", max_size=1)
    with pytest.raises(ValueError, match="at least 260"):
        BPETokenizer.train(TEXTS, max_size=100)
    with pytest.raises(ValueError, match="repeated"):
        Vocabulary(["a", "a"])


@pytest.mark.parametrize("make", [CharTokenizer, WordTokenizer, BPETokenizer])
def test_saved_and_loaded_tokenizers_agree(make, tmp_path):
    tokenizer = make.train(TEXTS)
    tokenizer.save(tmp_path / "tokenizer.json")
    again = make.load(tmp_path / "tokenizer.json")
    assert all(again.encode(t) == tokenizer.encode(t) for t in TEXTS + STRANGE)
    assert len(again) == len(tokenizer)


@pytest.mark.parametrize("make", [CharTokenizer, BPETokenizer])
def test_a_full_disk_leaves_the_old_tokenizer_whole(make, tmp_path, monkeypatch):
    path = tmp_path / "tokenizer.json"
    make.train(TEXTS).save(path)
    before = path.read_bytes()

    def full(*given):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        make.train(STRANGE).save(path)
    assert path.read_bytes() == before


def test_a_wrong_file_or_id_is_named(tmp_path, bpe):
    (tmp_path / "no.json").write_text("[1]")
    with pytest.raises(ValueError, match="expected"):
        CharTokenizer.load(tmp_path / "no.json")
    (tmp_path / "no.json").write_text("<html>")
    with pytest.raises(ValueError, match="not a tokenizer"):
        BPETokenizer.load(tmp_path / "no.json")
    with pytest.raises(ValueError, match="outside this vocabulary"):
        bpe.decode([len(bpe)])
    with pytest.raises(ValueError, match="outside this vocabulary"):
        CharTokenizer.train("ab").decode([-1])
