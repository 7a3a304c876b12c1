"""Ways to damage a sentence, each with a rate, and a random choice of its pieces."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable, Sequence
from itertools import pairwise

from utils.data.tokenizers import BPETokenizer

Damage = Callable[[str, float, random.Random], str]
Parts = tuple[str, ...]


def typos(text: str, rate: float, draw: random.Random) -> str:
    """Hit each letter with probability `rate`: delete it, add one, replace or exchange it.

    Each hit changes the word and no other one: a letter is replaced by another, and exchanged with
    the next letter of its word. Where there is none, or the same, it is replaced.

    Source: ``eq-damaged-words`` (section 8.3).

    Parameters
    ----------
    text
        The sentence.
    rate
        Probability that a letter is hit; one that was exchanged with the letter before it is not.
    draw
        Draws the hits, their kinds and the new letters.

    Returns
    -------
    changed : str
        The damaged sentence.
    """
    letters, i = list(text), 0
    while i < len(letters):
        letter, following = letters[i], "".join(letters[i + 1 : i + 2])
        if letter.isalpha() and draw.random() < rate:
            error = draw.choice(("delete", "insert", "replace", "exchange"))
            other = draw.choice(string.ascii_lowercase.replace(letter.lower(), ""))
            if error == "exchange" and following.isalpha() and following != letter:
                letters[i], letters[i + 1] = following, letter
                i += 1  # a letter moves once
            else:
                letters[i] = {"delete": "", "insert": letter + other}.get(error, other)
        i += 1
    return "".join(letters)


def dropped(text: str, rate: float, draw: random.Random) -> str:
    """Drop each word with probability `rate`; a sentence that would be empty stays."""
    return " ".join(word for word in text.split() if draw.random() >= rate) or text


def swapped(text: str, rate: float, draw: random.Random) -> str:
    """Swap neighbouring words, from left to right, each pair with probability `rate`."""
    words, i = text.split(), 0
    while i + 1 < len(words):
        if draw.random() < rate:
            words[i], words[i + 1] = words[i + 1], words[i]
            i += 1  # a word moves once
        i += 1
    return " ".join(words)


def capitals(text: str, rate: float, draw: random.Random) -> str:
    """Write each word in capitals with probability `rate`."""
    return " ".join(w.upper() if draw.random() < rate else w for w in text.split())


def joined(text: str, rate: float, draw: random.Random) -> str:
    """Lose each space with probability `rate`."""
    first, *rest = text.split()
    return first + "".join(("" if draw.random() < rate else " ") + word for word in rest)


class RandomPieces:
    """Byte-pair encoding that leaves merges out at random: BPE-dropout.

    Source: ``eq-bpe-dropout`` (section 8.3); Provilkov et al. 2020.

    Parameters
    ----------
    tokenizer
        The tokenizer with its merges.
    rate
        Probability p that a possible merge is passed over.
    variants
        The segmentations that are drawn for each word, to choose from later.
    """

    def __init__(self, tokenizer: BPETokenizer, *, rate: float = 0.1, variants: int = 8) -> None:
        self._backend, self._rate, self._variants = tokenizer.backend, rate, variants
        self._vocabulary: dict[str, int] = self._backend.get_vocab()
        merges = json.loads(self._backend.to_str())["model"]["merges"]
        self._rank = {tuple(pair): i for i, pair in enumerate(merges)}
        self._known: dict[tuple[str, int], list[int]] = {}

    def cut(self, word: str, draw: random.Random) -> Parts:
        """Return the pieces of one word, drawn by the rule."""
        parts = tuple(word)
        while True:
            pairs = enumerate(pairwise(parts))
            order = sorted((self._rank[pair], i) for i, pair in pairs if pair in self._rank)
            chosen = next((i for _, i in order if draw.random() >= self._rate), None)
            if chosen is None:
                return parts
            parts = (*parts[:chosen], parts[chosen] + parts[chosen + 1], *parts[chosen + 2 :])

    def encode(self, text: str, draw: random.Random) -> list[int]:
        """Return the ids of a text, each word cut by one of its drawn segmentations."""
        ids: list[int] = []
        for word, _ in self._backend.pre_tokenizer.pre_tokenize_str(" " + text):
            key = word, draw.randrange(self._variants)
            if key not in self._known:
                parts = self.cut(word, random.Random(f"{word} {key[1]}"))
                self._known[key] = [self._vocabulary[part] for part in parts]
            ids += self._known[key]
        return ids


DAMAGES: dict[str, tuple[Damage, float]] = {
    "typos": (typos, 0.1),
    "capitals": (capitals, 0.5),
    "lost spaces": (joined, 0.2),
    "dropped words": (dropped, 0.3),
    "swapped words": (swapped, 0.3),
}


def damaged(texts: Sequence[str], damage: Damage, rate: float, *, seed: int) -> list[str]:
    """Return the texts, damaged one after the other by one generator.

    Parameters
    ----------
    texts
        The sentences.
    damage
        Damages one sentence.
    rate
        The rate of the damage, a probability.
    seed
        Seed of the generator.

    Returns
    -------
    changed : list of str
        The damaged sentences, in the order of `texts`.
    """
    draw = random.Random(seed)
    return [damage(text, rate, draw) for text in texts]
