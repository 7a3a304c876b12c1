"""The residual stream of the book's stored GPT: read at a height, and replaced there.

Letters: N windows, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from utils.data.corpora import load_text
from utils.data.tokenizers import BPETokenizer
from utils.models.gpt import GPT
from utils.models.positions import token_positions
from utils.models.stored import load_stored_model

PARTS = ("train", "valid", "test")


@dataclass(frozen=True, eq=False)
class StreamTask:
    """A stored GPT and its corpus in windows of its context.

    Parameters
    ----------
    model
        The GPT, in evaluation mode.
    tokenizer
        Its tokenizer.
    windows
        By part of the corpus, (N, context length + 1) int64.
    origin
        "real" or "stand-in".
    """

    model: GPT
    tokenizer: BPETokenizer
    windows: Mapping[str, torch.Tensor]
    origin: Any

    @classmethod
    def load(cls) -> StreamTask:
        """Load the model "gpt-pieces" and Tiny Shakespeare, or its stand-in.

        Raises
        ------
        ValueError
            If the stored model is not a GPT.
        """
        stored, corpus = load_stored_model("gpt-pieces"), load_text()
        if not isinstance(stored.model, GPT):
            raise ValueError("the stored model gpt-pieces is not a GPT")
        length, windows = stored.model.context_length + 1, {}
        for part in PARTS:
            ids = torch.tensor(stored.tokenizer.encode(getattr(corpus, part)))
            windows[part] = ids[: len(ids) // length * length].view(-1, length)
        for parameter in stored.model.parameters():
            parameter.requires_grad_(False)
        return cls(stored.model, stored.tokenizer, windows, corpus.origin)

    @property
    def line_break(self) -> int:
        """The piece that is a line break."""
        return self.pieces().index("\n")

    def pieces(self) -> list[str]:
        """Return the text of each piece of the vocabulary; of special tokens, an empty one."""
        return [self.tokenizer.decode([i]) for i in range(len(self.tokenizer))]


@torch.no_grad()
def streams(model: GPT, ids: torch.Tensor) -> list[torch.Tensor]:
    """Return the residual stream after 0, 1, … layers.

    Source: ``eq-residual-sum`` (section 8.2); Elhage et al. 2021.

    Parameters
    ----------
    model
        The GPT.
    ids
        Tokens, (N, T) int64, no longer than its context.

    Returns
    -------
    streams : list of torch.Tensor
        One (N, T, D) for each height.
    """
    x, rotary = model.positional_encoding(
        model.embedding(ids) * model.embedding_scale, token_positions(ids)
    )
    found = [x]
    for layer in model.layers:
        x, _ = layer(x, rotary=rotary)
        found.append(x)
    return found


@torch.no_grad()
def logits_from(model: GPT, x: torch.Tensor, height: int) -> torch.Tensor:
    """Return the logits of the layers above a height, from the stream at that height.

    Parameters
    ----------
    model
        The GPT.
    x
        The stream, (N, T, D).
    height
        Layers that it has passed.

    Returns
    -------
    logits : torch.Tensor
        Logits of the next token, (N, T, V).
    """
    # rotary angles do not depend on x, to which other encodings would add
    _, rotary = model.positional_encoding(x, torch.arange(x.shape[1])[None])
    for layer in model.layers[height:]:
        x, _ = layer(x, rotary=rotary)
    logits: torch.Tensor = model.output(model.norm(x))
    return logits
