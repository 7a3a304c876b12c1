"""Tokenizers: round trips, unknown text, special tokens, long texts, merges, files."""

import json
import os
import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch

from utils.data.pretokenization import PART_CHARACTERS
from utils.data.standins.texts import make_text
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
    "नमस्ते ภาษาไทย A\u0308pfel ❤\ufe0f می\u200cروم",
]
TOKENIZER_CLASSES = [CharTokenizer, WordTokenizer, BPETokenizer]


@pytest.fixture(scope="module")
def bpe():
    return BPETokenizer.train(TEXTS * 3, max_vocab_size=300)


@pytest.mark.parametrize("text", TEXTS + UNUSUAL_TEXTS)
def test_bpe_round_trips_every_text_and_knows_everything(bpe, text):
    ids = bpe.encode(text)
    assert bpe.decode(ids) == text
    assert UNK not in ids and all(i >= len(SPECIAL_TOKENS) for i in ids)


def test_bpe_batch_is_one_by_one(bpe):
    texts = TEXTS + UNUSUAL_TEXTS
    assert bpe.encode_batch(texts) == [bpe.encode(text) for text in texts]
    assert bpe.encode_batch(iter(texts)) == bpe.encode_batch(texts)
    with pytest.raises(ValueError, match="got 'low'; give a list of texts"):
        bpe.encode_batch("low")


def test_bpe_learns_pieces_of_the_training_text(bpe):
    assert len(bpe.encode(TEXTS[0])) < len(TEXTS[0].encode()) * 0.7
    assert "".join(bpe.pieces("the cat")) == "▁the▁cat"


def test_bpe_needs_room_for_all_bytes():
    with pytest.raises(ValueError, match="at least 260"):
        BPETokenizer.train(TEXTS, max_vocab_size=100)


@pytest.mark.parametrize("size", [10**6 + 1, 2**63, 10**30])
def test_a_size_for_which_rust_would_abort_is_refused(size):
    with pytest.raises(ValueError, match="max_vocab_size must be an integer from 260 to 1000000"):
        BPETokenizer.train(TEXTS, max_vocab_size=size)


@pytest.mark.parametrize("tokenizer_class", TOKENIZER_CLASSES)
def test_what_is_no_collection_of_texts_is_named(tokenizer_class):
    with pytest.raises(ValueError, match="expected a text or several texts, got None"):
        tokenizer_class.train(None)


def test_no_pair_reaches_a_huge_count():
    assert len(BPETokenizer.train(TEXTS, min_count=10**30)) == 260


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


@pytest.mark.parametrize("text", ["a (b) c", "[a] b", "a {b}", "“a b”, ‘c’", "see (a; b). c!"])
def test_words_come_back_with_no_spaces_inside_brackets_and_quotation_marks(text):
    words = WordTokenizer.train(text)
    assert words.decode(words.encode(text)) == text


def test_all_unknown_words_and_another_script_become_unk():
    words = WordTokenizer.train(TEXTS)
    assert words.encode("quux 语言 zyzzy") == [UNK] * 3
    assert words.encode("") == []


def test_words_of_every_script_come_back_with_their_marks():
    text = UNUSUAL_TEXTS[-1]
    words = WordTokenizer.train(text)
    ids = words.encode(text)
    assert len(ids) == len(text.split()) and words.decode(ids) == text


@pytest.mark.parametrize("tokenizer_class", TOKENIZER_CLASSES)
@pytest.mark.parametrize(
    "text, message",
    [
        ("a \ud800", r"lone surrogate '\\ud800' at position 2"),
        (b"a", "expected a text, a str; got bytes"),
        (["a", "b"], "expected a text, a str; got list"),
        (None, "expected a text, a str; got NoneType"),
    ],
    ids=["surrogate", "bytes", "list", "none"],
)
def test_what_is_not_text_is_refused(tokenizer_class, text, message):
    tokenizer = tokenizer_class.train(TEXTS)
    readers = [tokenizer.encode, tokenizer.encode_iterable, tokenizer_class.train]
    readers += [tokenizer.encode_batch] if tokenizer_class is BPETokenizer else []
    for read in readers:
        with pytest.raises(ValueError, match=message):
            list(read(text if read == tokenizer.encode else [text]))


@pytest.mark.parametrize("tokenizer_class", TOKENIZER_CLASSES)
def test_ids_are_integers_in_an_array_a_tensor_or_a_list(tokenizer_class):
    tokenizer = tokenizer_class.train(TEXTS)
    ids = tokenizer.encode(TEXTS[0])
    for same in (np.array(ids, dtype=np.int32), torch.tensor(ids), iter(ids), tuple(ids)):
        assert tokenizer.decode(same) == tokenizer.decode(ids)
    for wrong in (4.7, True, float("nan"), "4", None):
        with pytest.raises(ValueError, match="token ids must be integers; got"):
            tokenizer.decode([*ids, wrong])
    for wrong in (torch.tensor([4.0]), np.array([4.5])):
        with pytest.raises(ValueError, match="token ids must be integers; got"):
            tokenizer.decode(wrong)


# ---- special tokens -----------------------------------------------------------------------------


@pytest.mark.parametrize("tokenizer_class", TOKENIZER_CLASSES)
def test_special_tokens_in_a_text_are_letters_unless_they_are_allowed(tokenizer_class):
    texts = [*TEXTS, "<eos> <pad> <unk> <bos>"]
    tokenizer = tokenizer_class.train(texts)
    text = "<bos>the cat<eos>a dog <unk> sat<pad>"
    for special_text in (text, *SPECIAL_TOKENS):
        assert not {PAD, BOS, EOS, UNK} & set(tokenizer.encode(special_text))
    cat, dog, sat = (tokenizer.encode(part) for part in ("the cat", "a dog ", " sat"))
    ids = tokenizer.encode(text, allow_special=True)
    assert ids == [BOS, *cat, EOS, *dog, UNK, *sat, PAD]
    assert tokenizer.encode("<eos><eos>", allow_special=True) == [EOS, EOS]
    assert tokenizer.encode("<EOS>", allow_special=True) == tokenizer.encode("<EOS>")
    assert tokenizer.encode("", allow_special=True) == []


def test_special_tokens_that_are_not_allowed_leave_no_gap():
    text = "<eos><eos><eos>"
    tokenizer = BPETokenizer.train([text] * 50)
    assert tokenizer.pieces(text) == ["▁<", "eos", "><", "eos", "><", "eos", ">"]


@pytest.mark.parametrize("tokenizer_class", TOKENIZER_CLASSES)
def test_special_tokens_that_are_allowed_are_not_training_text(tokenizer_class):
    separated = tokenizer_class.train("<bos>" + "<eos>".join(TEXTS * 3), allow_special=True)
    assert separated.encode(TEXTS[0]) == tokenizer_class.train(TEXTS * 3).encode(TEXTS[0])
    if tokenizer_class is not BPETokenizer:
        assert UNK in separated.encode("<"), "the brackets were not part of a text"


# ---- long texts ---------------------------------------------------------------------------------

LONG_TEXT = "To be, or not to be:\r\n that\tis the question...  \n\n\n don't " * 3000
LONG_TEXTS = {
    "play": make_text()[:200_000],
    "spaces": LONG_TEXT,
    "no space": "語言模型。" * 30_000,
    "separators": "\x1c \u3000\x1f.\u2028 \x85a\xa0 " * 20_000,
    "no space for byte pairs": "end.\x1cend!\x1f" * 15_000,
    "special": "a<eos> b <eos>  c<bos>\n<eos><unk>\n" * 8000,
    "short": "  two  spaces ",
    "empty": "",
}


@pytest.fixture(scope="module", params=TOKENIZER_CLASSES, ids=lambda cls: cls.__name__)
def long_tokenizer(request):
    return request.param.train([text[:50_000] for text in LONG_TEXTS.values()])


@pytest.mark.parametrize("allow_special", [False, True])
@pytest.mark.parametrize("text", LONG_TEXTS.values(), ids=LONG_TEXTS)
def test_a_long_text_in_chunks_has_the_ids_of_the_whole(long_tokenizer, text, allow_special):
    whole = long_tokenizer.encode(text, allow_special=allow_special)
    rng = random.Random(0)
    cuts = sorted({0, len(text), *(rng.randrange(len(text) + 1) for _ in range(2000))})
    for chunks in (
        text.splitlines(keepends=True),
        [text[start:end] for start, end in pairwise(cuts)],
        text,
    ):
        ids = list(long_tokenizer.encode_iterable(chunks, allow_special=allow_special))
        assert ids == whole


def test_a_long_text_is_read_as_its_ids_are_needed(long_tokenizer):
    num_read = 0

    def lines():
        nonlocal num_read
        while True:
            num_read += 1
            yield "To be, or not to be\n"

    ids = long_tokenizer.encode_iterable(lines())
    count = 10 * PART_CHARACTERS
    array = np.fromiter((next(ids) for _ in range(count)), dtype=np.uint16)
    assert len(array) == count
    assert num_read * 20 < 10 * count, "the text has no end: it was not read as a whole"


# ---- merges -------------------------------------------------------------------------------------

Merge = tuple[str, str]


def word_counts(tokenizer: BPETokenizer, text: str) -> Counter[tuple[str, ...]]:
    """How often each unit, inside which bytes are merged, occurs in a text, as its bytes."""
    units = tokenizer.backend.pre_tokenizer.pre_tokenize_str(" " + text)
    return Counter(tuple(unit) for unit, _ in units)


def pair_counts(words: Counter[tuple[str, ...]]) -> Counter[Merge]:
    counts: Counter[Merge] = Counter()
    for word, count in words.items():
        for pair in pairwise(word):
            counts[pair] += count
    return counts


def merge_pair(word: tuple[str, ...], pair: Merge) -> tuple[str, ...]:
    """Replace a pair in a word wherever it occurs, from left to right."""
    merged: list[str] = []
    rest = list(word)
    while rest:
        length = 2 if tuple(rest[:2]) == pair else 1
        merged.append("".join(rest[:length]))
        del rest[:length]
    return tuple(merged)


def merge_everywhere(words: Counter[tuple[str, ...]], pair: Merge) -> Counter[tuple[str, ...]]:
    merged: Counter[tuple[str, ...]] = Counter()
    for word, count in words.items():
        merged[merge_pair(word, pair)] += count
    return merged


def learned_merges(tokenizer: BPETokenizer) -> list[Merge]:
    return [tuple(pair) for pair in json.loads(tokenizer.backend.to_str())["model"]["merges"]]


BPE_TEXT = make_text()[:30_000]


@pytest.mark.parametrize("max_vocab_size, min_count", [(400, 2), (2000, 40)], ids=["size", "count"])
def test_each_merge_joins_the_most_frequent_pair_at_its_time(max_vocab_size, min_count):
    tokenizer = BPETokenizer.train(BPE_TEXT, max_vocab_size=max_vocab_size, min_count=min_count)
    words = word_counts(tokenizer, BPE_TEXT)
    merges = learned_merges(tokenizer)
    assert len(merges) > 50
    for pair in merges:
        counts = pair_counts(words)
        assert counts[pair] == max(counts.values()) >= min_count
        words = merge_everywhere(words, pair)
    stopped = max(pair_counts(words).values()) < min_count
    assert stopped or len(tokenizer) == max_vocab_size


def test_another_implementation_learns_the_same_merges_and_the_same_ids():
    """Byte-pair encoding in a few lines; of pairs equally frequent, the one of smaller ids."""
    tokenizer = BPETokenizer.train(BPE_TEXT, max_vocab_size=400)
    alphabet = [tokenizer.backend.id_to_token(i) for i in range(4, 260)]
    ids = {token: i for i, token in enumerate([*SPECIAL_TOKENS, *sorted(alphabet)])}
    words, merges = word_counts(tokenizer, BPE_TEXT), []
    while len(ids) < 400:
        counts = pair_counts(words)
        pair = max(counts, key=lambda p: (counts[p], -ids[p[0]], -ids[p[1]]))
        words = merge_everywhere(words, pair)
        merges.append(pair)
        ids.setdefault("".join(pair), len(ids))
    assert merges == learned_merges(tokenizer)
    other_text = make_text()[-3000:] + UNUSUAL_TEXTS[-1]
    expected = []
    for unit, _ in tokenizer.backend.pre_tokenizer.pre_tokenize_str(" " + other_text):
        word = tuple(unit)
        for pair in merges:
            word = merge_pair(word, pair)
        expected += [ids[piece] for piece in word]
    assert tokenizer.encode(other_text) == expected


# ---- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("tokenizer_class", TOKENIZER_CLASSES)
def test_saved_and_loaded_tokenizers_agree(tokenizer_class, tmp_path):
    tokenizer = tokenizer_class.train(TEXTS)
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = tokenizer_class.load(tmp_path / "tokenizer.json")
    assert all(loaded.encode(text) == tokenizer.encode(text) for text in TEXTS + UNUSUAL_TEXTS)
    assert len(loaded) == len(tokenizer)


@pytest.mark.parametrize("tokenizer_class", TOKENIZER_CLASSES)
def test_a_tilde_is_the_home_folder(tokenizer_class, tmp_path, monkeypatch):
    """As for a checkpoint, which is often saved beside it."""
    for name in ("HOME", "USERPROFILE"):  # the second on Windows
        monkeypatch.setenv(name, str(tmp_path))
    tokenizer_class.train(TEXTS).save("~/tokenizer.json")
    assert (tmp_path / "tokenizer.json").is_file()
    assert len(tokenizer_class.load("~/tokenizer.json")) > len(SPECIAL_TOKENS)


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
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


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


@pytest.mark.parametrize(
    "tokenizer_class, content",
    [
        (CharTokenizer, {"kind": "characters"}),
        (CharTokenizer, {"kind": "characters", "tokens": 5}),
        (CharTokenizer, {"kind": "characters", "tokens": ["a", "a"]}),
        (WordTokenizer, {"kind": "words", "tokens": ["a", 5]}),
        (WordTokenizer, {"kind": "words", "tokens": ["<eos>"]}),
        (BPETokenizer, {"kind": "bpe"}),
        (BPETokenizer, {"kind": "bpe", "tokenizer": {}}),
        (BPETokenizer, {"kind": "bpe", "tokenizer": "others"}),
    ],
)
def test_a_damaged_tokenizer_is_named(tokenizer_class, content, tmp_path):
    if content.get("tokenizer") == "others":  # a vocabulary without the book's special tokens
        backend = json.loads(BPETokenizer.train("a").backend.to_str())
        vocabulary = backend["model"]["vocab"]
        vocabulary["<pad>"], vocabulary["<eos>"] = vocabulary["<eos>"], vocabulary["<pad>"]
        content = content | {"tokenizer": backend}
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=r"tokenizer\.json is a damaged tokenizer"):
        tokenizer_class.load(path)


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda backend: backend["model"]["vocab"].pop("Q"), "do not have the ids 0 to"),
        (lambda backend: backend["model"]["vocab"].update(Q=5000), "do not have the ids 0 to"),
        (lambda backend: _rename(backend["model"]["vocab"], "Q", "QQ"), "lacks 1 of the 256 bytes"),
        (lambda backend: backend["model"]["merges"].append(["Q", "Q"]), "damaged"),
        (lambda backend: backend["pre_tokenizer"].update(use_regex=False), "its settings"),
        (lambda backend: backend.update(normalizer={"type": "Lowercase"}), "its settings"),
        (
            lambda backend: backend.update(
                truncation={
                    "direction": "Right",
                    "max_length": 2,
                    "strategy": "LongestFirst",
                    "stride": 0,
                }
            ),
            "its settings",
        ),
    ],
    ids=["hole", "id", "byte", "merge", "pre_tokenizer", "normalizer", "truncation"],
)
def test_a_damaged_bpe_file_that_could_still_encode_is_refused(bpe, damage, message, tmp_path):
    path = tmp_path / "tokenizer.json"
    bpe.save(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    damage(content["tokenizer"])
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=f"is a damaged tokenizer .*{message}|{message} tokenizer"):
        BPETokenizer.load(path)


def _rename(vocabulary, old, new):
    vocabulary[new] = vocabulary.pop(old)


def test_bpe_separates_texts_by_a_space_where_a_special_token_was(bpe):
    ids = bpe.encode("the cat<eos>a dog", allow_special=True)
    assert bpe.decode(ids) == "the cat a dog"


@pytest.mark.parametrize("tokenizer_class", TOKENIZER_CLASSES)
def test_a_file_of_too_deep_nesting_is_named(tokenizer_class, tmp_path):
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"deep.json is not a tokenizer that this book saved"):
        tokenizer_class.load(path)
