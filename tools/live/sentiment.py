"""The stored example of the box in which classifiers judge a sentence about a film."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

import torch

from tools.live.catalogue import CLASSIFIERS, page_classifier, tokenizer_of
from tools.live.heads import signed
from utils.data.tokenizers import WordTokenizer
from utils.data.vocabulary import UNK
from utils.models.classifiers import Classifier

SENTENCE = "a smart and moving film, though the ending is dull."


class Judgement(NamedTuple):
    """What a classifier says of a sentence of S words.

    Parameters
    ----------
    score
        The log-odds of praise.
    shares
        What the score loses when the unknown word stands in place of each word, (S,).
    """

    score: float
    shares: torch.Tensor


@torch.inference_mode()
def judge(model: Classifier, ids: Sequence[int]) -> Judgement:
    """Judge a sentence with each word's share by occlusion.

    Source: ``eq-occlusion`` (section 8.2).

    Parameters
    ----------
    model
        A classifier in evaluation mode whose class 1 is praise.
    ids
        The words of the sentence.

    Returns
    -------
    judgement : Judgement
        The score, and the shares of the words.
    """
    rows = torch.tensor(ids).repeat(len(ids) + 1, 1)  # the sentence, and one without each word
    rows[1:].fill_diagonal_(UNK)
    logits = model(rows).double()
    scores = logits[:, 1] - logits[:, 0]
    return Judgement(float(scores[0]), scores[0] - scores[1:])


def sentiment_lines() -> Iterator[str]:
    """Yield what both classifiers say of a sentence."""
    yield f'<p class="live-text">{escape(SENTENCE)}</p>'
    yield '<div class="live-columns">'
    for name in CLASSIFIERS:
        tokenizer = tokenizer_of(name)
        assert isinstance(tokenizer, WordTokenizer)
        words = tokenizer.split(SENTENCE)
        score, shares = judge(page_classifier(name), tokenizer.encode(SENTENCE))
        p = f"{1 / (1 + torch.tensor(-score).exp().item()):.3f}"
        yield (
            f'<div class="live-column"><p class="live-heading">{name.split("-")[1].upper()}</p>'
            f'<p class="live-verdict">praise {p} <meter value="{p}" aria-hidden="true"></meter></p>'
        )
        yield '<ol class="live-pieces">'
        for word, share in zip(words, shares.tolist(), strict=True):
            kind = "live-against" if share < 0 else "live-for"
            yield (
                f'<li class="{kind}"><span class="live-piece">{escape(word)}</span> '
                f'<span class="live-id">{signed(share)}</span></li>'
            )
        yield from ("</ol>", "</div>")
    yield "</div>"
