"""Texts that a language model writes with a seed, the same as those of the boxes in the pages."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

import torch

from tools.live.architectures import LiveTokenizer, byte_characters
from tools.live.catalogue import PageModel
from utils.data.tokenizers import CharTokenizer, WordTokenizer
from utils.data.vocabulary import SPECIAL_TOKENS
from utils.decoding.sampling import SamplingConfig

VISIBLE = str.maketrans(" \n\t\r", "▁↵⇥␍")
NO_IDS = torch.empty(1, 0, dtype=torch.int64)


def make_random(seed: int) -> Callable[[], float]:
    """Return a source of random numbers in [0, 1), the one of the page: mulberry32.

    Parameters
    ----------
    seed
        From 0 to 2³² − 1.

    Returns
    -------
    random : Callable
        A function without arguments; its numbers are multiples of 2⁻³².
    """
    state = seed

    def random() -> float:
        nonlocal state
        state = (state + 0x6D2B79F5) % 2**32
        bits = _multiply(state ^ state >> 15, state | 1)
        bits = (bits + _multiply(bits ^ bits >> 7, bits | 61)) % 2**32 ^ bits
        return (bits ^ bits >> 14) / 2**32

    return random


def _multiply(a: int, b: int) -> int:
    """Return the last 32 bits of a product."""
    return a * b % 2**32


def draw(probabilities: Sequence[float], random: Callable[[], float]) -> int:
    """Draw the index in whose part of [0, 1) a random number falls, as the page does.

    Parameters
    ----------
    probabilities
        A distribution.
    random
        A source of random numbers.

    Returns
    -------
    index : int
        An index with a positive probability.
    """
    rest, last = random(), 0
    for index, probability in enumerate(probabilities):
        if probability > 0:
            last = index
            rest -= probability
        if rest < 0:
            return index
    return last  # after rounding


def without_special(logits: torch.Tensor) -> torch.Tensor:
    """Return logits (…, V) in float64 without the special tokens, which a box never writes."""
    logits = logits.double().clone()
    logits[..., : len(SPECIAL_TOKENS)] = -torch.inf
    return logits


@torch.inference_mode()
def next_logits(model: PageModel, ids: Sequence[int]) -> torch.Tensor:
    """Return the logits of the token after a text, without the special tokens, (V,) float64."""
    logits, _ = model(torch.tensor([ids]), None)
    return without_special(logits[0, -1])


@torch.inference_mode()
def write(
    model: PageModel, ids: Sequence[int], sampling: SamplingConfig, *, seed: int, length: int
) -> list[int]:
    """Continue a text, as a box of the page does with the same seed.

    Parameters
    ----------
    model
        The model of the page.
    ids
        The prompt, at least one token.
    sampling
        The distribution to draw from.
    seed
        The seed of the random numbers.
    length
        The number of new tokens.

    Returns
    -------
    ids : list of int
        The new tokens.
    """
    random, new_ids = make_random(seed), list[int]()
    logits, state = model(torch.tensor([ids]), None)
    for _ in range(length):
        probabilities = sampling.probabilities(without_special(logits[:, -1]), NO_IDS)
        new_ids.append(draw(probabilities[0].tolist(), random))
        logits, state = model(torch.tensor([new_ids[-1:]]), state)
    return new_ids


def visible_piece(tokenizer: LiveTokenizer, token: int) -> str:
    """Return a token as a box shows it: with visible spaces and breaks, or as bytes.

    Parameters
    ----------
    tokenizer
        The tokenizer.
    token
        An id.

    Returns
    -------
    piece : str
        Its text; hexadecimal bytes if it is no whole printable characters.
    """
    if isinstance(tokenizer, CharTokenizer | WordTokenizer):
        return tokenizer.vocab.tokens[token].translate(VISIBLE)
    name = tokenizer.backend.id_to_token(token) or ""
    if token < len(SPECIAL_TOKENS):
        return name
    content = bytes(byte_characters().index(character) for character in name)
    text = content.decode("utf-8", errors="replace").translate(VISIBLE)
    is_whole = not any(c == "\ufffd" or unicodedata.category(c) == "Cc" for c in text)
    return text if is_whole else content.hex(" ").upper()
