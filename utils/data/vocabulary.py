"""The vocabulary: the ids of tokens, with the four special tokens of every model of the book.

A vocabulary is always built from the training split alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from utils.arguments import check_positive, if_given
from utils.conversions import as_integers
from utils.data.checks import check_ids_in_vocabulary, check_text

PAD, BOS, EOS, UNK = 0, 1, 2, 3  # ids of padding, begin and end of sequence, unknown token
SPECIAL_TOKENS = ("<pad>", "<bos>", "<eos>", "<unk>")  # in the order of their ids


class Vocabulary:
    """A one-to-one mapping between tokens and the ids 0 … V − 1.

    Parameters
    ----------
    tokens
        The ordinary tokens in the order of their ids, without duplicates and without the special
        tokens, which have the ids 0 to 3.

    Attributes
    ----------
    tokens : list of str
        All V tokens in the order of their ids, the special ones first.
    index : dict of str to int
        The id of each token.

    Raises
    ------
    ValueError
        If a token is repeated or not a valid text.

    Examples
    --------
    >>> from utils.data.vocabulary import Vocabulary
    >>> vocab = Vocabulary.from_tokens("the cat saw the dog".split())
    >>> vocab.tokens
    ['<pad>', '<bos>', '<eos>', '<unk>', 'the', 'cat', 'dog', 'saw']
    >>> vocab.to_ids(["the", "bird", "saw"])
    [4, 3, 7]
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
        cls, tokens: Iterable[str], *, max_vocab_size: int | None = None, min_count: int = 1
    ) -> Vocabulary:
        """Build the vocabulary of the most frequent tokens of a text, in order of frequency.

        Tokens of equal frequency come in alphabetical order.

        Parameters
        ----------
        tokens
            The tokens of the training text, with repetitions.
        max_vocab_size
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
            If a size or count is not a positive integer, `max_vocab_size` is less than the number
            of special tokens, or a token is not a valid text.
        """
        check_positive(min_count=min_count, **if_given(max_vocab_size=max_vocab_size))
        if max_vocab_size is not None and max_vocab_size < len(SPECIAL_TOKENS):
            needed = len(SPECIAL_TOKENS)
            raise ValueError(
                f"max_vocab_size={max_vocab_size} is less than {needed} special tokens"
            )
        counts = sorted(Counter(tokens).items(), key=lambda item: (-item[1], item[0]))
        frequent = [
            token for token, count in counts if count >= min_count and token not in SPECIAL_TOKENS
        ]
        return cls(
            frequent if max_vocab_size is None else frequent[: max_vocab_size - len(SPECIAL_TOKENS)]
        )

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
            If an id is not an integer in 0 … V − 1.
        """
        ids = as_integers(ids)
        check_ids_in_vocabulary(ids, len(self))
        return [self.tokens[i] for i in ids]
