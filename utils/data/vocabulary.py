"""The vocabulary: a numbering of tokens, with the four special tokens of every model of the book.

A vocabulary is always made from the training split alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from utils.arguments import as_integers, check_positive

PAD, BOS, EOS, UNK = 0, 1, 2, 3  # ids of padding, begin and end of sequence, unknown token
SPECIAL_TOKENS = ("<pad>", "<bos>", "<eos>", "<unk>")  # in the order of their ids


class Vocabulary:
    """A one-to-one mapping between tokens and the ids 0 … V − 1.

    Parameters
    ----------
    tokens
        The ordinary tokens in the order of their ids, without repeats and without the special
        tokens, which get the ids 0 to 3.

    Attributes
    ----------
    tokens : list of str
        All V tokens in the order of their ids, the special ones first.
    index : dict of str to int
        The id of each token.

    Raises
    ------
    ValueError
        If a token is repeated, or is no valid text.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self.tokens = [*SPECIAL_TOKENS, *tokens]
        for token in self.tokens:
            check_text(token)
        self.index = {token: i for i, token in enumerate(self.tokens)}
        if len(self.index) != len(self.tokens):
            repeated = [token for token, count in Counter(self.tokens).items() if count > 1]
            raise ValueError(f"a vocabulary lists each token once; repeated: {repeated[:5]}")

    @classmethod
    def from_tokens(
        cls, tokens: Iterable[str], *, max_size: int | None = None, min_count: int = 1
    ) -> Vocabulary:
        """Build the vocabulary of the most frequent tokens of a text, most frequent first.

        Tokens of equal frequency come in alphabetical order.

        Parameters
        ----------
        tokens
            The tokens of the training text, with their repeats.
        max_size
            The largest V, special tokens included; None for no limit.
        min_count
            Minimum count of a token to be included.

        Returns
        -------
        vocabulary : Vocabulary
            The special tokens, then those of the text.

        Raises
        ------
        ValueError
            If `max_size` leaves no room for the special tokens, it or `min_count` is no positive
            whole number, or a token is no valid text.
        """
        check_positive(max_size=max_size, min_count=min_count)
        if max_size is not None and max_size < len(SPECIAL_TOKENS):
            raise ValueError(
                f"max_size={max_size}, but {len(SPECIAL_TOKENS)} special tokens need room"
            )
        counts = sorted(Counter(tokens).items(), key=lambda item: (-item[1], item[0]))
        frequent = [
            token for token, count in counts if count >= min_count and token not in SPECIAL_TOKENS
        ]
        return cls(frequent if max_size is None else frequent[: max_size - len(SPECIAL_TOKENS)])

    def __len__(self) -> int:
        """V, the number of tokens, special tokens included."""
        return len(self.tokens)

    def to_ids(self, tokens: Iterable[str]) -> list[int]:
        """Return the ids of `tokens`; a token outside the vocabulary becomes UNK."""
        return [self.index.get(token, UNK) for token in tokens]

    def to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Return the tokens of `ids`, as strings.

        Raises
        ------
        ValueError
            If an id is no whole number or lies outside 0 … V − 1.
        """
        ids = as_integers(ids)
        check_ids(ids, len(self))
        return [self.tokens[i] for i in ids]


def check_ids(ids: Iterable[int], vocab_size: int) -> None:
    """Check that ids lie in 0 … V − 1.

    Parameters
    ----------
    ids
        The ids to check.
    vocab_size
        Size V of the vocabulary.

    Raises
    ------
    ValueError
        If one of them does not.
    """
    invalid = [i for i in ids if not 0 <= i < vocab_size]
    if invalid:
        raise ValueError(f"ids {invalid[:5]} lie outside this vocabulary of {vocab_size} tokens")


def as_ids(ids: Iterable[int], *, name: str = "token ids") -> list[int]:
    """Convert the token ids of one text to a list.

    Parameters
    ----------
    ids
        The ids, (N,).
    name
        What they are, for the message.

    Returns
    -------
    ids : list of int
        The ids.

    Raises
    ------
    ValueError
        If they are no whole numbers, or negative.
    """
    integers = as_integers(ids, name=name)
    if min(integers, default=0) < 0:
        raise ValueError(f"{name} count from 0; got {min(integers)}")
    return integers


def check_text(text: object) -> None:
    """Check that something is a text that can be written to a file.

    Parameters
    ----------
    text
        What should be a text.

    Raises
    ------
    ValueError
        If it is no str, or has a lone surrogate, which stands for no character.
    """
    if not isinstance(text, str):
        raise ValueError(f"expected a text, a str; got {type(text).__name__}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"a text has the lone surrogate {text[error.start]!r} at position {error.start}, which "
            "stands for no character: decode it with the encoding that it was written in"
        ) from None
