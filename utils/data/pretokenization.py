"""Pre-tokenization: how a text is split before ``utils.data.tokenizers`` makes tokens of it.

A text is split into words and punctuation marks, at special tokens, and, if it does not fit into
memory, into parts that can be tokenized one after the other.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache

from utils.data.checks import check_text
from utils.data.vocabulary import SPECIAL_TOKENS

PART_CHARACTERS = 1 << 16  # of a long text, tokenized at once; a part may be slightly longer
JOINERS = "\u200c\u200d"  # zero-width characters that control how letters are joined
# everything before the last white space that follows another character; only characters that are
# white space for Python, Unicode and byte-pair encoding alike
COMPLETE_PATTERN = re.compile(r".*\S(?=[ \t\r\n])", re.DOTALL)
SPECIAL_PATTERN = re.compile(f"({'|'.join(map(re.escape, SPECIAL_TOKENS))})")


def split_words(text: str) -> list[str]:
    """Split a text into words and punctuation marks, without the white space between them.

    A word consists of letters, digits and underscores, with the combining marks (Unicode's category
    M) and joiners that belong to them, and of apostrophes inside it. Any other character is a token
    with its combining marks.

    Returns
    -------
    tokens : list of str
        The words and marks in order.

    Examples
    --------
    >>> from utils.data.pretokenization import split_words
    >>> split_words("Don't panic: it's 42!")
    ["Don't", 'panic', ':', "it's", '42', '!']
    """
    return _word_pattern().findall(text)


@cache
def _word_pattern() -> re.Pattern[str]:
    r"""Return the pattern of a word or a mark; ``\w`` alone has no combining marks."""
    characters = map(chr, range(sys.maxunicode + 1))
    marks = "".join(c for c in characters if unicodedata.category(c).startswith("M"))
    # no mark is below U+0300: this check is fast, unlike the one against all marks
    marks = rf"(?=[\u0300-\U0010ffff])[{marks}{JOINERS}]+"
    word = rf"\w+(?:{marks}\w*)*"
    return re.compile(rf"{word}(?:['’]{word})*|[^\w\s](?:{marks})?")


def split_special_tokens(text: str) -> list[str]:
    """Split a text at special tokens, such as ``<eos>``.

    Returns
    -------
    parts : list of str
        The special tokens and the texts between them, in order; none is empty.
    """
    return [part for part in SPECIAL_PATTERN.split(text) if part]


def cut_into_parts(chunks: str | Iterable[str]) -> Iterator[str]:
    """Split a long text into parts whose tokens are those of the whole.

    The boundaries are before white space that follows another character, which is never inside a
    word, a special token or a unit of byte-pair encoding. One part, of about PART_CHARACTERS, is in
    memory at a time; it is longer where the text has no white space.

    Parameters
    ----------
    chunks
        The text, or its chunks in order, cut anywhere, such as the lines of an open file.

    Yields
    ------
    part : str
        The next part of the text.

    Raises
    ------
    ValueError
        If a chunk is not a valid text.
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
            limit = max(PART_CHARACTERS, 2 * length)  # without white space, search less often
    if length:
        yield "".join(pending)
