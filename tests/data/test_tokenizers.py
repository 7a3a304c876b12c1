"""Tokenizers: round trips, unknown text, special tokens, files."""

import os

import pytest

from utils.data.tokenizers import BPETokenizer, CharTokenizer, WordTokenizer
from utils.data.vocabulary import BOS, EOS, PAD, SPECIAL_TOKENS, UNK

TEXTS = ["the cat sat on the mat .", "a dog sat on a log .", "der Hund schläft, während es regnet."]
UNUSUAL_TEXTS = [
    "",
    " ",
    "  two  spaces ",
    "<eos> typed by hand",
    "naïve",
    "\x00\ttab\r\n",
    "语言模型 and 🙂\u200d",
]


@pytest.fixture(scope="module")
def bpe():
    return BPETokenizer.train(TEXTS * 3, max_size=300)


@pytest.mark.parametrize("text", TEXTS + UNUSUAL_TEXTS)
def test_bpe_round_trips_every_text_and_knows_everything(bpe, text):
    ids = bpe.encode(text)
    assert bpe.decode(ids) == text
    assert UNK not in ids and all(i >= len(SPECIAL_TOKENS) for i in ids)


def test_bpe_batch_is_one_by_one(bpe):
    texts = TEXTS + UNUSUAL_TEXTS
    assert bpe.encode_batch(texts) == [bpe.encode(text) for text in texts]


def test_bpe_learns_pieces_of_the_training_text(bpe):
    assert len(bpe.encode(TEXTS[0])) < len(TEXTS[0].encode()) * 0.7
    assert "".join(bpe.pieces("the cat")) == "▁the▁cat"


def test_bpe_needs_room_for_all_bytes():
    with pytest.raises(ValueError, match="at least 260"):
        BPETokenizer.train(TEXTS, max_size=100)


def test_specials_are_left_out_when_decoding(bpe):
    ids = [BOS, *bpe.encode("a dog"), EOS, PAD, PAD]
    assert bpe.decode(ids) == "a dog"
    characters = CharTokenizer.train("abc")
    assert characters.decode([BOS, *characters.encode("abz"), EOS, PAD]) == "ab<unk>"


def test_characters_round_trip_and_words_read_well():
    characters = CharTokenizer.train(TEXTS)
    assert all(characters.decode(characters.encode(text)) == text for text in TEXTS)
    words = WordTokenizer.train(TEXTS)
    assert words.decode(words.encode("the dog , the cat .")) == "the dog, the cat."


def test_all_unknown_words_and_another_script_become_unk():
    words = WordTokenizer.train(TEXTS)
    assert words.encode("quux 语言 zyzzy") == [UNK] * 3
    assert words.encode("") == []


@pytest.mark.parametrize("tokenizer_class", [CharTokenizer, WordTokenizer, BPETokenizer])
def test_saved_and_loaded_tokenizers_agree(tokenizer_class, tmp_path):
    tokenizer = tokenizer_class.train(TEXTS)
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = tokenizer_class.load(tmp_path / "tokenizer.json")
    assert all(loaded.encode(text) == tokenizer.encode(text) for text in TEXTS + UNUSUAL_TEXTS)
    assert len(loaded) == len(tokenizer)


@pytest.mark.parametrize("tokenizer_class", [CharTokenizer, BPETokenizer])
def test_a_full_disk_leaves_the_old_tokenizer_whole(tokenizer_class, tmp_path, monkeypatch):
    path = tmp_path / "tokenizer.json"
    tokenizer_class.train(TEXTS).save(path)
    before = path.read_bytes()

    def replace_on_a_full_disk(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", replace_on_a_full_disk)
    with pytest.raises(OSError, match="No space"):
        tokenizer_class.train(UNUSUAL_TEXTS).save(path)
    assert path.read_bytes() == before


def test_a_wrong_file_or_id_is_named(tmp_path, bpe):
    path = tmp_path / "no.json"
    path.write_text("[1]")
    with pytest.raises(ValueError, match="expected"):
        CharTokenizer.load(path)
    path.write_text("<html>")
    with pytest.raises(ValueError, match="not a tokenizer"):
        BPETokenizer.load(path)
    with pytest.raises(ValueError, match="outside this vocabulary"):
        bpe.decode([len(bpe)])
    with pytest.raises(ValueError, match="outside this vocabulary"):
        CharTokenizer.train("ab").decode([-1])
