"""How a text is cut before its parts become tokens; ``utils.data.tokenizers`` uses it.

A text is cut into words and punctuation marks, at special tokens that are written in it, and, if it
is longer than memory allows, into parts that can be tokenized one after the other.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache

from utils.data.vocabulary import SPECIAL_TOKENS, check_text

PART_CHARACTERS = 1 << 16  # of a long text that are tokenized at once, or a little more
JOINERS = "\u200c\u200d"  # zero-width characters that say how the letters of a word are drawn
# all that is before the last white space that follows another character; only what Python, Unicode
# and byte-pair encoding alike take for white space
COMPLETE_PATTERN = re.compile(r".*\S(?=[ \t\r\n])", re.DOTALL)
SPECIAL_PATTERN = re.compile(f"({'|'.join(map(re.escape, SPECIAL_TOKENS))})")


def split_words(text: str) -> list[str]:
    """Cut a text into words and punctuation marks; the space between them is dropped.

    A word consists of letters, digits and underscores, with the combining marks (Unicode's category
    M) and joiners that belong to them, and of apostrophes inside it. Any other character is a token
    with its combining marks.

    Parameters
    ----------
    text
        The text.

    Returns
    -------
    tokens : list of str
        The words and marks in their order.
    """
    return _word_pattern().findall(text)


@cache
def _word_pattern() -> re.Pattern[str]:
    r"""Return the pattern of a word or a mark; ``\w`` alone has no combining marks."""
    characters = map(chr, range(sys.maxunicode + 1))
    marks = "".join(c for c in characters if unicodedata.category(c).startswith("M"))
    # no mark lies before U+0300: that test is fast, and the one against all marks is not
    marks = rf"(?=[\u0300-\U0010ffff])[{marks}{JOINERS}]+"
    word = rf"\w+(?:{marks}\w*)*"
    return re.compile(rf"{word}(?:['’]{word})*|[^\w\s](?:{marks})?")


def split_special_tokens(text: str) -> list[str]:
    """Cut a text before and after each special token that is written in it, such as ``<eos>``.

    Parameters
    ----------
    text
        The text.

    Returns
    -------
    parts : list of str
        The special tokens, and what stands between them, in order; none is empty.
    """
    return [part for part in SPECIAL_PATTERN.split(text) if part]


def cut_into_parts(chunks: str | Iterable[str]) -> Iterator[str]:
    """Cut a long text into parts whose tokens are those of the whole.

    The cuts are before white space that follows a character, where no word, no special token and
    no unit of byte-pair encoding goes on. Memory holds one part, of about PART_CHARACTERS; it is
    longer where the text has no white space.

    Parameters
    ----------
    chunks
        The text, or its chunks in order, cut anywhere, such as the lines of an open file.

    Yields
    ------
    part : str
        A part; joined, they are the text.

    Raises
    ------
    ValueError
        If a chunk is no valid text.
    """
    pending: list[str] = []
    length, limit = 0, PART_CHARACTERS
    for chunk in [chunks] if isinstance(chunks, str) else chunks:
        check_text(chunk)
        pending.append(chunk)
        length += len(chunk)
        if length >= limit:
            text = "".join(pending)
            complete = COMPLETE_PATTERN.match(text)
            if complete:
                yield complete[0]
                text = text[complete.end() :]
            pending, length = [text], len(text)
            limit = max(PART_CHARACTERS, 2 * length)  # without white space, look less often
    if length:
        yield "".join(pending)
