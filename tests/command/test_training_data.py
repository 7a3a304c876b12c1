"""Training data: their seed, the characters that are predicted, and texts from any system."""

import os
from pathlib import Path

import pytest
import torch

from tests.helpers.command_lines import TEXT, error_line
from utils.command import training_data
from utils.command.training_data import PairData, TextData
from utils.data.corpora import Corpus
from utils.data.vocabulary import SPECIAL_TOKENS


@pytest.mark.parametrize("data_class", [TextData, PairData])
def test_the_seed_is_that_of_the_batches(data_class):
    data, inputs = data_class(tokenizer="words"), []
    corpus = data.load_corpus()
    tokenizer = data.train_tokenizer(corpus)
    for seed in (0, 0, 1):
        train_batches, _ = data.batches(corpus, tokenizer, seed=seed)
        inputs.append(train_batches[0].inputs)
    assert torch.equal(inputs[0], inputs[1]) and not torch.equal(inputs[0], inputs[2])


@pytest.mark.parametrize("data_class", [TextData, PairData])
def test_without_a_size_a_vocabulary_has_the_largest_that_the_help_names(data_class):
    """Of Byte-pair encoding 4000 tokens; others have all that occur, here 6,000 letters."""
    text = "".join(chr(0x4E00 + i) * 2 for i in range(6000))
    split = text if data_class is TextData else [(text, text)]
    corpus = Corpus("letters", "real", split, split, split)
    sizes = {
        name: len(data_class(tokenizer=name, vocab_size=None).train_tokenizer(corpus))
        for name in ("bpe", "characters")
    }
    assert sizes == {"bpe": 4000, "characters": 6000 + len(SPECIAL_TOKENS)}
    help_text = " ".join(data_class.__doc__.split())
    assert "4000 for bpe, and no limit for the others" in help_text


class ListTokenizer:
    """Splits a text into the pieces of a list."""

    def __init__(self, pieces):
        self.pieces = pieces

    def encode(self, text):
        ids = []
        while text:
            i = next(i for i, piece in enumerate(self.pieces) if text.startswith(piece))
            ids.append(i)
            text = text[len(self.pieces[i]) :]
        return ids

    def decode(self, ids):
        return "".join(self.pieces[i] for i in ids)


def test_characters_are_counted_in_tokens_of_any_length():
    tokenizer = ListTokenizer(["to be", "to", " ", "be", "or", "not"])
    assert TextData().num_characters("to be or not to be", tokenizer) == 18 - 5
    pairs = [("x", "to be"), ("y", "be")]
    assert PairData().num_characters(pairs, tokenizer) == 5 + 2 + 2, "and the end of each"
    assert PairData().num_characters(pairs, training_data.WordTokenizer.train(["be"])) is None


@pytest.mark.parametrize("text", ["to  be", "To be", "to be\n", "to stay"])
def test_a_text_that_the_tokens_do_not_spell_has_no_bits(text):
    """With the vocabulary closed, a model of unknown words alone would need none."""
    words = training_data.WordTokenizer.train(["to be or not"])
    assert TextData().num_characters(text, words) is None
    characters = training_data.CharTokenizer.train(["To be or not\n"])
    expected = None if "s" in text else len(text) - 1
    assert TextData().num_characters(text, characters) == expected


def test_of_sentence_pairs_the_targets_are_predicted():
    pairs = [("ein Haus", "a house"), ("ja", "yes")]
    assert PairData().target_texts(pairs) == ["a house", "yes"]
    assert PairData().texts(pairs) == ["ein Haus", "a house", "ja", "yes"]
    assert TextData().target_texts("text") == TextData().texts("text") == ["text"]


@pytest.mark.parametrize(
    "content, options, message",
    [
        ("Être".encode("latin-1"), "", "own.txt is not text in UTF-8: it has the byte 0xca"),
        (b"a\0b", "", "own.txt is not text in UTF-8: it has the NUL character at position 1"),
        (b"", "", "own.txt is empty"),
        (
            b"word " * 10,
            "",
            "own.txt is too short: context_length=64 needs 65 tokens; there are 45",
        ),
        (b"ab" * 9, "--context-length 8", "own.txt is too short: at least two tokens are needed"),
        (b".", "--tokenizer words", "own.txt is too short: context_length=64 needs 65 tokens"),
        (None, "", "expected a text, found a folder at"),
    ],
    ids="latin-1 nul empty short short-validation one-character folder".split(),
)
def test_a_file_without_text_to_train_on_is_refused_in_one_line(content, options, message, capsys):
    path = Path("own.txt")
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    line = error_line(f"gpt --file own.txt --device cpu --steps 1 {options}", capsys)
    assert message in line and "own.txt" in line
    assert "too short" in message or "file: " in line, "the option is named"
    assert not any(path.is_file() for path in Path("runs").rglob("*"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_a_device_or_a_named_pipe_is_refused_in_one_line(capsys):
    os.mkfifo("pipe")
    for path in ("pipe", os.devnull):
        line = error_line(f"gpt --file {path} --device cpu", capsys)
        assert f"expected a text, but {path} is not a regular file" in line


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: ("\ufeff" + text).encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
    ],
    ids=["utf-8-bom", "two-boms", "utf-16", "crlf", "cr"],
)
def test_a_text_from_another_system_trains_the_same_model(encode):
    text = TEXT.replace(", ", ",\n")
    Path("text").write_text(text, encoding="utf-8")
    Path("other").write_bytes(encode(text))
    corpus, same = (TextData(file=name).load_corpus() for name in ("text", "other"))
    assert (same.train, same.valid, same.test) == (corpus.train, corpus.valid, corpus.test)
