"""German and English sentences of the stand-in grammar, with gold links between their words.

Two words are linked if the grammar made them of the same entry of its lexicon. To see which words
those are, each entry of a meaning is marked by a character that no text has, and both languages are
realized with the marks.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from utils.data.standins.grammar import Clause, Entry, Phrase, Sentence, lexicon
from utils.data.standins.pairs import realize
from utils.data.standins.sampler import MeaningSampler

FIRST_MARK = 0xE000  # the first private character of Unicode
AUXILIARIES = ("hat", "ist")


class LinkedPair(NamedTuple):
    """A sentence pair with its gold links.

    Parameters
    ----------
    source, target
        Words and punctuation, in lower case.
    links
        Pairs (t, s): word t of the target and word s of the source, from 0, have one origin.
    """

    source: list[str]
    target: list[str]
    links: frozenset[tuple[int, int]]


def linked_pairs(count: int, *, longest: int, seed: int = 0) -> list[LinkedPair]:
    """Draw sentence pairs, German to English, without duplicates of either.

    Parameters
    ----------
    count
        Number of pairs.
    longest
        The largest number of words in a sentence, with punctuation.
    seed
        The seed of the sampler of meanings.

    Returns
    -------
    pairs : list of LinkedPair
        Pairs whose marked and unmarked texts agree; a few idioms are left out.
    """
    sampler = MeaningSampler(seed)
    seen: set[str] = set()
    pairs: list[LinkedPair] = []
    while len(pairs) < count:
        meaning = sampler.sentence()
        texts = realize(meaning, "de"), realize(meaning, "en")
        source, target = map(split, texts)
        if max(len(source), len(target)) > longest or seen & set(texts):
            continue
        pair = link_words(meaning)
        if (pair.source, pair.target) == (source, target):
            seen.update(texts)
            pairs.append(pair)
    return pairs


def link_words(meaning: Sentence) -> LinkedPair:
    """Realize a meaning in German and English and link words of one entry."""
    source, of_source = _words_and_marks(realize(_Marker(in_front=True).mark(meaning), "de"))
    target, of_target = _words_and_marks(realize(_Marker(in_front=False).mark(meaning), "en"))
    links = {
        (t, s)
        for t, marks in enumerate(of_target)
        for s, others in enumerate(of_source)
        if marks & others
    }
    return LinkedPair(source, target, frozenset(links))


def split(text: str) -> list[str]:
    """Split a text into words and punctuation, in lower case."""
    return re.findall(r"[\w\ue000-\uf8ff]+|[^\w\s]", text.lower())


class _Marker:
    """Marks the entries of a meaning, each occurrence by another character.

    German appends endings to a form and looks at its last letter, English looks at the first.
    """

    def __init__(self, *, in_front: bool) -> None:
        self._in_front, self._next = in_front, FIRST_MARK

    def mark(self, part: Any) -> Any:
        """Return a part of a meaning with all its entries marked."""
        if isinstance(part, Entry):
            return self._mark_entry(part)
        if isinstance(part, tuple) and hasattr(part, "_fields"):  # Sentence, Clause, Phrase
            marked = {name: self.mark(getattr(part, name)) for name in part._fields}
            return _with_gap(type(part)(**marked), part)
        if isinstance(part, tuple):
            return tuple(self.mark(each) for each in part)
        return part

    def _mark_entry(self, entry: Entry) -> Entry:
        """Mark the forms of an entry: of a place or a time its noun, or its only word."""
        mark, self._next = chr(self._next), self._next + 1
        is_place, is_time = (entry in lexicon()[name] for name in ("places", "times"))

        def marked(forms: tuple[str, ...]) -> tuple[str, ...]:
            noun = 1 if is_place else len(forms) - 1
            chosen = {noun} if is_place or is_time else set(range(len(forms)))
            return tuple(
                self._mark_form(form, mark) if i in chosen else form for i, form in enumerate(forms)
            )

        return entry._replace(en=marked(entry.en), de=marked(entry.de))

    def _mark_form(self, form: str, mark: str) -> str:
        """Mark each word of a form; genders, which have one letter, and auxiliaries stay."""
        if len(form) == 1 or form in AUXILIARIES:
            return form
        words = form.split(" ")
        return " ".join(mark + word if self._in_front else word + mark for word in words)


def _with_gap(marked: Any, part: Any) -> Any:
    """Return a phrase whose relative clause has the marked phrase itself in its gap."""
    if not (isinstance(part, Phrase) and part.relative):
        return marked
    gap, relative = marked._replace(relative=None), marked.relative
    assert isinstance(relative, Clause)
    role = "subject" if part.is_subject else "direct_object"
    return marked._replace(relative=relative._replace(**{role: gap}))


def _words_and_marks(text: str) -> tuple[list[str], list[set[str]]]:
    """Return the words of a marked text without their marks, and the marks of each."""
    words = split(text)
    marks = [{c for c in word if ord(c) >= FIRST_MARK} for word in words]
    plain = ["".join(c for c in word if ord(c) < FIRST_MARK) for word in words]
    return plain, marks
