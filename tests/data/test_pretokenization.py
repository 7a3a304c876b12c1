"""Pre-tokenization: words of any script, special tokens, and parts of a long text."""

import random
import re
import unicodedata

import pytest

from utils.data.pretokenization import (
    PART_CHARACTERS,
    cut_into_parts,
    split_special_tokens,
    split_words,
)
from utils.data.standins.pairs import make_pairs
from utils.data.standins.texts import make_text

PLAIN_PATTERN = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")  # ignores combining marks


@pytest.mark.parametrize(
    "text, words",
    [
        ("Don’t stop—it's 5_000 o'clock!", "Don’t stop — it's 5_000 o'clock !"),
        ("नमस्ते दुनिया, क्‍ष है।", "नमस्ते दुनिया , क्‍ष है ।"),
        ("ภาษาไทย ที่นี่", "ภาษาไทย ที่นี่"),
        ("מַה שְּׁלוֹמְךָ?", "מַה שְּׁלוֹמְךָ ?"),
        ("می‌روم، خوب", "می‌روم ، خوب"),
        (unicodedata.normalize("NFD", "Äpfel, naïve!"), "Äpfel , naïve !"),
        ("I ❤️ U 1️⃣", "I ❤️ U 1️⃣"),
        (" ́a", "́ a"),
        ("á'b́ 'á'", "á'b́ ' á '"),
        ("", ""),
        (" \t\n　", ""),
    ],
    ids="English Hindi Thai Hebrew Persian NFD emoji bare-mark apostrophe empty blank".split(),
)
def test_a_word_keeps_its_combining_marks(text, words):
    assert split_words(text) == words.split()


def test_nothing_but_space_is_lost_whatever_the_characters():
    rng = random.Random(0)
    letters = "aÄ語กิन्́‍‌️🙂'’-_.9٠ \t\n 󠄀"
    for _ in range(2000):
        text = "".join(rng.choices(letters, k=rng.randrange(12)))
        tokens = split_words(text)
        assert "".join(tokens) == re.sub(r"\s", "", text)
        assert all(
            not unicodedata.category(token[0]).startswith("M") or before.isspace()
            for token, before in zip(tokens, characters_before(text, tokens), strict=True)
        )


def characters_before(text, tokens):
    """The character of a text before each of its tokens, a space at the start."""
    end = 0
    for token in tokens:
        start = text.index(token, end)
        yield text[start - 1] if start else " "
        end = start + len(token)


def test_texts_without_combining_marks_are_split_plainly():
    pairs, *_ = make_pairs("fr", "en")
    for text in [make_text(), *(text for pair in pairs[:5000] for text in pair)]:
        assert split_words(text) == PLAIN_PATTERN.findall(text)


def test_special_tokens_are_cut_out():
    text = "<bos>a b<eos><eos> c <EOS> <unk"
    assert split_special_tokens(text) == ["<bos>", "a b", "<eos>", "<eos>", " c <EOS> <unk"]
    assert split_special_tokens("") == []


@pytest.mark.parametrize("chunk_length", [1, 7, 50_000, 10**7])
@pytest.mark.parametrize(
    "text",
    ["To be, or not to be.\n\n" * 20_000, "a  \r\n b\t" * 40_000, "", " ", "word", "語" * 200_000],
    ids=["lines", "spaces", "empty", "blank", "word", "no-space"],
)
def test_the_parts_are_the_text(text, chunk_length):
    chunks = [text[i : i + chunk_length] for i in range(0, len(text), chunk_length)]
    parts = list(cut_into_parts(chunks))
    assert "".join(parts) == text and all(parts)
    for part in parts[1:]:
        assert part[0].isspace()
    for part in parts[:-1]:
        assert not part[-1].isspace()
    if " " in text and chunk_length <= PART_CHARACTERS:
        assert all(len(part) < 2 * PART_CHARACTERS for part in parts)


def test_a_single_text_is_one_chunk_and_an_open_file_is_read_line_by_line():
    assert list(cut_into_parts("a b")) == ["a b"]
    read = []

    def lines():
        for number in range(100_000):
            read.append(number)
            yield f"line {number}\n"

    next(cut_into_parts(lines()))
    assert len(read) * 10 < 2 * PART_CHARACTERS, "a part needs no more than its own lines"


def test_a_chunk_that_is_not_text_is_refused():
    for chunk, message in ((b"a", "expected a text, a str; got bytes"), ("\ud800", "surrogate")):
        with pytest.raises(ValueError, match=message):
            list(cut_into_parts(["a ", chunk]))
