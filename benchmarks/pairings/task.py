"""Numbers in words, from German into English, and wrong words planted in their translations."""

from __future__ import annotations

import random
from dataclasses import dataclass

from utils.data.pair_batches import IdPair, encode_pairs
from utils.data.tokenizers import WordTokenizer

LARGEST = 9999
NUM_SELECTION = NUM_REPORTING = 500
ONES = {
    "de": "ein zwei drei vier fünf sechs sieben acht neun",
    "en": "one two three four five six seven eight nine",
}
TEENS = {
    "de": "zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn",
    "en": "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen",
}
TENS = {
    "de": "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig",
    "en": "twenty thirty forty fifty sixty seventy eighty ninety",
}
LARGE = {"de": ((1000, "tausend"), (100, "hundert")), "en": ((1000, "thousand"), (100, "hundred"))}
KINDS = [words["en"].split() for words in (ONES, TEENS, TENS)]  # words that replace each other


def spell(number: int, language: str) -> list[str]:
    """Write a number from 1 to 9,999 in words; 0 has none.

    Parameters
    ----------
    number
        The number.
    language
        "de" or "en".

    Returns
    -------
    words : list of str
        Its words. German ones stand apart, and the ones before the tens, joined by "und".
    """
    for size, name in LARGE[language]:
        if number >= size:
            rest = spell(number % size, language)
            return [*spell(number // size, language), name, *rest]
    if number < 20:
        small = [*ONES[language].split(), *TEENS[language].split()]
        return [small[number - 1]] if number else []
    tens, ones = TENS[language].split()[number // 10 - 2], spell(number % 10, language)
    return [*ones, "und", tens] if language == "de" and ones else [tens, *ones]


@dataclass(frozen=True)
class Planted:
    """A pair whose target has one wrong word, of the right kind.

    Parameters
    ----------
    pair
        The pair without the mistake.
    position
        Where the word is, from 0; at least one word follows.
    word
        The id of the wrong word.
    """

    pair: IdPair
    position: int
    word: int


@dataclass(frozen=True)
class Task:
    """Pairs of ids, in three parts that have no number in common.

    Parameters
    ----------
    tokenizer
        The words of both languages.
    train, selection, reporting
        The pairs by which models train, rates are chosen and figures are measured.
    """

    tokenizer: WordTokenizer
    train: list[IdPair]
    selection: list[IdPair]
    reporting: list[IdPair]

    @classmethod
    def make(cls) -> Task:
        """Return all numbers up to LARGEST in a fixed random order, split in three."""
        numbers = list(range(1, LARGEST + 1))
        random.Random(0).shuffle(numbers)
        texts = [(" ".join(spell(n, "de")), " ".join(spell(n, "en"))) for n in numbers]
        held_out = NUM_SELECTION + NUM_REPORTING
        tokenizer = WordTokenizer.train(side for pair in texts[held_out:] for side in pair)
        pairs = encode_pairs(texts, tokenizer)
        return cls(
            tokenizer, pairs[held_out:], pairs[:NUM_SELECTION], pairs[NUM_SELECTION:held_out]
        )

    @property
    def vocab_size(self) -> int:
        """The number of words of both languages, special tokens included."""
        return len(self.tokenizer)

    def kinds(self) -> list[list[int]]:
        """Return the ids of English words that may replace each other: ones, teens and tens."""
        return [[self.tokenizer.encode(word)[0] for word in kind] for kind in KINDS]

    def planted(self) -> list[Planted]:
        """Return the reporting pairs with one wrong word each, which is the same for all models.

        Pairs whose target has no word of a kind before its last word are left out.
        """
        rng, items = random.Random(1), []
        kind_of = {word: kind for kind in self.kinds() for word in kind}
        for source, target in self.reporting:
            places = [t for t, word in enumerate(target[:-1]) if word in kind_of]
            if places:
                t = rng.choice(places)
                wrong = rng.choice([word for word in kind_of[target[t]] if word != target[t]])
                items.append(Planted((source, target), t, wrong))
        return items
