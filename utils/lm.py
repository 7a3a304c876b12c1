"""Language models as torch modules: ``model(ids, state=None) -> (logits, state)``.

NNLM is derived in notebooks/04-1-1, RNNLM in notebooks/04-1-2; LSTMLM serves in sections 4.1.2, 5.1
and 5.2, GPT in 6.2. NNLM: Bengio et al. 2003; recurrent language models: Mikolov et al. 2010; LSTM:
Hochreiter and Schmidhuber 1997; GRU: Cho et al. 2014; tied embeddings: Press and Wolf 2017; GPT:
Radford et al. 2019.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from utils.layers import (
    Layer,
    Places,
    ScaledEmbedding,
    check_sizes,
    make_norm,
    make_rnn,
    swap,
    where,
)
from utils.vocab import BOS, PAD


class NNLM(nn.Module):
    """p(w_t | w_{t−n+1} … w_{t−1}) by a feed-forward network (``eq-nnlm-logits``).

    Bengio et al. 2003: `vocab_size` V; `order` n, so that n − 1 words are seen; word vectors of
    `embedding` E numbers; `hidden` units with tanh. `direct` adds the connections from the word
    vectors to the output, `dropout` acts on word vectors and hidden units.
    `state` is what remains of the window, ids (B, n − 2), or None for BOS everywhere.
    """

    def __init__(
        self,
        vocab_size: int,
        order: int = 4,
        embedding: int = 64,
        hidden: int = 128,
        direct: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__()
        check_sizes(vocab_size=vocab_size, embedding=embedding, hidden=hidden)
        if order < 2 or order != int(order):
            raise ValueError(f"order must be a whole number from 2, got {order}")
        self.order = order
        self.embedding = nn.Embedding(vocab_size, embedding)
        self.hidden = nn.Linear((order - 1) * embedding, hidden)
        self.output = nn.Linear(hidden, vocab_size)
        window = (order - 1) * embedding
        self.direct = nn.Linear(window, vocab_size, bias=False) if direct else None
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.embedding.weight, std=embedding**-0.5)  # short: training shapes them

    def forward(self, ids: torch.Tensor, state: torch.Tensor | None = None):
        """ids (B, T) → logits (B, T, V) and the last n − 2 ids (B, n − 2).

        Raises ValueError where the state is not the n − 2 ids before `ids`.
        """
        kept = (len(ids), self.order - 2)
        state = ids.new_full(kept, BOS) if state is None else state
        if state.shape != kept:
            raise ValueError(
                f"the state of an NNLM of order {self.order} is the last {kept[1]} ids of each "
                f"row, shape {kept}; got {tuple(state.shape)}"
            )
        history = torch.cat([state, ids], dim=1)  # (B, n − 2 + T)
        x = self.embedding(history).unfold(1, self.order - 1, 1)  # (B, T, E, n − 1)
        x = self.dropout(x.transpose(2, 3).flatten(2))  # (B, T, (n − 1)·E), oldest word first
        logits = self.output(self.dropout(torch.tanh(self.hidden(x))))  # (B, T, V)
        logits = logits if self.direct is None else logits + self.direct(x)
        return logits, history[:, ids.shape[1] :]


CELLS = ("gru", "rnn")  # those whose state is one vector a layer


class RNNLM(nn.Module):
    """p(w_t | w_1 … w_{t−1}) by a simple recurrent network or a GRU (``eq-rnnlm-step``).

    `vocab_size` V, state width `width` D, `layers`; `cell` is "rnn" (tanh) or "gru"; word vectors
    of `embedding` E numbers (`width` where not given); `dropout` on word vectors, between layers
    and before the output. Raises ValueError for an unknown cell.
    """

    def __init__(
        self,
        vocab_size: int,
        width: int = 256,
        layers: int = 1,
        cell: str = "rnn",
        embedding: int | None = None,
        dropout: float = 0.0,
    ):
        super().__init__()
        if cell not in CELLS:
            raise ValueError(f"cell is {cell!r}; choose from {list(CELLS)}, or take LSTMLM")
        size = width if embedding is None else embedding
        check_sizes(vocab_size=vocab_size, width=width, layers=layers, embedding=size)
        self.embedding = nn.Embedding(vocab_size, size)
        self.rnn = make_rnn(cell, size, width, layers, dropout)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, vocab_size)
        nn.init.normal_(self.embedding.weight, std=size**-0.5)

    def forward(self, ids: torch.Tensor, state: torch.Tensor | None = None):
        """ids (B, T) → logits (B, T, V) and the state h (B, layers, D)."""
        inner = None if state is None else swap(state)  # (layers, B, D)
        x, inner = self.rnn(self.dropout(self.embedding(ids)), inner)  # (B, T, D)
        return self.output(self.dropout(x)), swap(inner)


class LSTMLM(nn.Module):
    """p(w_t | w_1 … w_{t−1}) by a stack of LSTM layers (``eq-chain-rule``).

    `vocab_size` V, state width `width` D, `layers`, `dropout` between layers, width of a word's
    vector `embedding` E (`width` where not given). With `tied`, the output matrix is the embedding
    matrix; where E differs from D, a linear map without bias leads from the one to the other.
    """

    def __init__(
        self,
        vocab_size: int,
        width: int = 256,
        layers: int = 2,
        dropout: float = 0.0,
        tied: bool = True,
        embedding: int | None = None,
    ):
        super().__init__()
        size = width if embedding is None else embedding
        check_sizes(vocab_size=vocab_size, width=width, layers=layers, embedding=size)
        table = ScaledEmbedding if tied else nn.Embedding
        self.embedding = table(vocab_size, size, padding_idx=PAD)
        self.lstm = make_rnn("lstm", size, width, layers, dropout)
        self.dropout = nn.Dropout(dropout)
        project = tied and size != width
        self.project = nn.Linear(width, size, bias=False) if project else nn.Identity()
        self.output = nn.Linear(size if tied else width, vocab_size)
        if tied:
            self.output.weight = self.embedding.weight

    def forward(self, ids: torch.Tensor, state=None):
        """ids (B, T) → logits (B, T, V) and the state (h, c), each (B, layers, D)."""
        inner = None if state is None else tuple(swap(s) for s in state)  # (layers, B, D)
        x = self.dropout(self.embedding(ids))  # (B, T, E)
        x, inner = self.lstm(x, inner)  # (B, T, D)
        return self.output(self.project(self.dropout(x))), tuple(swap(s) for s in inner)


class GPT(nn.Module):
    """p(w_t | w_1 … w_{t−1}) by a stack of causal Transformer layers, pre-norm, tied matrices.

    `vocab_size` V, `width` D, `layers`, `heads` H, `block`: how many tokens a layer looks back on,
    the present one included. `positions` is learned, rotary or sinusoidal; `norm` layer or rms;
    `activation` gelu, relu or relu2 (its square); `normalized` fixes the length of queries and
    keys; `zeros` starts each layer as the identity. The defaults train fast; GPT-2 is "learned",
    "layer", "gelu", False, False, with biases.

    `grams`: how many rows the tables of n-grams have, first that of pairs, then that of triples …
    A token's vector is then the sum of its own and those of the pair, triple … that it completes.
    With Vⁿ rows each n-gram has one of its own; with fewer, some share one, spread by `row_of`.

    A text may be longer than `block`: each layer's window slides, in one call as token by token.
    Learned positions end with the block: there a longer text raises ValueError. Padding belongs at
    the end of a row, where no token sees it.
    """

    def __init__(
        self,
        vocab_size: int,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        block: int = 64,
        positions: str = "rotary",
        norm: str = "rms",
        activation: str = "relu2",
        normalized: bool = True,
        zeros: bool = True,
        bias: bool = False,
        dropout: float = 0.0,
        grams: tuple[int, ...] = (),
    ):
        super().__init__()
        check_sizes(vocab_size=vocab_size, width=width, layers=layers, heads=heads, block=block)
        self.block = block
        self.embedding = nn.Embedding(vocab_size, width)
        self.places = Places(positions, width, width // heads, block)
        self.scale = width**0.5 if positions == "sinusoidal" else 1.0  # beside sines of size 1
        self.dropout = nn.Dropout(dropout)
        options = {"window": block, "normalized": normalized}
        self.layers = nn.ModuleList(
            Layer(width, heads, norm, activation, bias, dropout, **options) for _ in range(layers)
        )
        self.norm = make_norm(norm, width, bias)
        self.output = nn.Linear(width, vocab_size, bias=False)
        self.output.weight = self.embedding.weight
        check_sizes(**{f"grams[{i}]": rows for i, rows in enumerate(grams)})
        self.grams = nn.ModuleList(nn.Embedding(rows, width) for rows in grams)
        start_small(self, 0.0 if zeros else 0.02 / (2 * layers) ** 0.5)

    def forward(self, ids: torch.Tensor, state: tuple | None = None):
        """ids (B, T) → logits (B, T, V) and the state.

        That is: tokens read (B,), a KVCache for each layer, with n-grams the last n − 1 tokens.
        Raises ValueError where learned positions would run beyond the block.
        """
        state = (ids.new_zeros(1), *[None] * len(self.layers)) if state is None else state
        (read, *caches), last = state[: 1 + len(self.layers)], state[1 + len(self.layers) :]
        positions = read[:, None] + where(ids)  # (B or 1, T)
        x = self.embedding(ids) * self.scale  # (B, T, D)
        if self.grams:
            before = last[0] if last else ids.new_full((len(ids), len(self.grams)), PAD)
            words = torch.cat([before, ids], 1)  # (B, n − 1 + T)
            x = x + self._of_grams(words)
            last = (words[:, ids.shape[1] :],)
        x, turn = self.places(x, positions)
        x, kept = self.dropout(x), []
        for layer, cache in zip(self.layers, caches, strict=True):
            x, cache = layer(x, cache, turn)
            kept.append(cache)
        read = (read + ids.shape[1]).expand(ids.shape[0])
        return self.output(self.norm(x)), (read, *kept, *last)

    def _of_grams(self, words: torch.Tensor) -> torch.Tensor:
        """words (B, n − 1 + T) → the sum of the vectors of pairs, triples … that end there."""
        places, V = words.shape[1] - len(self.grams), self.embedding.num_embeddings
        return sum(
            table(row_of(words[:, -(places + n - 1) :].unfold(1, n, 1), V, table.num_embeddings))
            for n, table in enumerate(self.grams, start=2)
        )  # (B, T, D)


def row_of(grams: torch.Tensor, vocab_size: int, rows: int) -> torch.Tensor:
    """The row of each n-gram of `grams` (…, n) in a table of `rows`, the same for the same n-gram.

    The n-gram is read as a number with its ids as digits, modulo `rows`: with at least Vⁿ rows no
    two share one. With fewer the base is the first number from V on that has no divisor in common
    with `rows`, so that no digit is lost.
    """
    base = vocab_size
    while rows < vocab_size ** grams.shape[-1] and math.gcd(base, rows) > 1:
        base += 1
    row = torch.zeros_like(grams[..., 0])
    for word in grams.unbind(-1):
        row = (row * base + word) % rows  # at each digit, so that no number grows too large
    return row


def start_small(model: GPT, last: float) -> None:
    """GPT-2's start: weights with deviation 0.02, a layer's last matrices with `last`, no bias.

    The vectors of n-grams start larger, 0.1: most of them are seen rarely.
    """
    for name, p in model.named_parameters():
        if p.dim() == 2:
            into_residual = name.endswith(("project.weight", "contract.weight"))
            rare = name.startswith("grams.")
            nn.init.normal_(p, std=last if into_residual else 0.1 if rare else 0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(p)
