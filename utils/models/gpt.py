"""GPT: a language model made of causal Transformer layers.

Introduced in section 6.2. GPT-2: Radford et al. 2019; sliding window: Beltagy et al. 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from utils.arguments import check_bool, check_positive, check_positive_items, if_given
from utils.models.checks import BATCH, OptionalForm, TensorForm, TupleForm, check_call
from utils.models.kv_cache import KVCache, cache_form
from utils.models.layers import Norm, OutputLayer, TiedModule, make_dropout, make_norm
from utils.models.multi_head import check_heads
from utils.models.ngram_embedding import NGramEmbedding
from utils.models.positions import EncodingName, PositionalEncoding, token_positions
from utils.models.transformer_layer import Activation, TransformerLayer
from utils.states import register_state

WEIGHT_STD = 0.02  # standard deviation of GPT-2's initial weights
NGRAM_STD = 0.1  # larger, as most n-grams are rare and their vectors seldom trained


@register_state
class GPTState(NamedTuple):
    """State of a GPT: its key–value caches and position.

    Parameters
    ----------
    tokens_read
        Number of tokens read so far, (B,) int64.
    caches
        Keys and values of each layer.
    ngram_context
        The last n − 1 tokens, (B, n − 1), where n is the largest order of n-gram vectors; None
        for a model without them.
    """

    tokens_read: torch.Tensor
    caches: tuple[KVCache, ...]
    ngram_context: torch.Tensor | None = None


class GPT(TiedModule):
    """Transformer language model: causal pre-norm layers, output matrix tied to the embedding.

    The defaults train fast. The architecture of GPT-2 is ``positional_encoding="learned",
    norm="layer", activation="gelu", qk_norm=False, zero_init=False, bias=True``, except that
    GPT-2 approximates GELU by a tanh, while "gelu" is exact.

    A text may be longer than `context_length`: the window of each layer slides, in one call as well
    as token by token. Padding belongs at the end of a row, where no token attends to it, and where
    no text is continued: a later call would attend to it (see ``utils.contract``).

    Source: section 6.2; Radford et al. 2019, section 2.3.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    width
        Length D of the vectors.
    num_layers
        Number of layers.
    num_heads
        Number H of attention heads, each of width D/H.
    context_length
        Number of tokens that a layer attends to, the current one included.
    positional_encoding
        "learned", "rotary" or "sinusoidal"; learned positions end at `context_length`.
    norm, activation, qk_norm
        As in `TransformerLayer`.
    zero_init
        Initialize the last matrix of each part of a layer with zeros, so that each layer starts
        as the identity.
    bias
        Give the layers' linear maps and all LayerNorms a bias; the output has none.
    dropout
        Probability of dropout, on word vectors and in the layers.
    feedforward_size, norm_epsilon
        As in `TransformerLayer`.
    ngram_table_sizes
        Number of rows of each table of n-gram vectors: for pairs, triples and so on. The
        vectors of the pair, triple and so on that a token completes are added to its own. With Vⁿ
        rows, each n-gram has its own; with fewer, some share one (see `NGramEmbedding`).

    Raises
    ------
    ValueError
        If a size is not a positive integer, `num_heads` does not divide `width`, or a name is
        unknown.

    Examples
    --------
    >>> import torch
    >>> from utils.models.gpt import GPT
    >>> model = GPT(vocab_size=50, width=32, num_layers=2)
    >>> logits, state = model(torch.tensor([[4, 5, 6]]))
    >>> logits.shape
    torch.Size([1, 3, 50])
    >>> logits, state = model(torch.tensor([[7]]), state)
    >>> state.tokens_read
    tensor([4])
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 128,
        num_layers: int = 4,
        num_heads: int = 4,
        context_length: int = 64,
        positional_encoding: EncodingName = "rotary",
        norm: Norm = "rms",
        activation: Activation = "squared_relu",
        qk_norm: bool = True,
        zero_init: bool = True,
        bias: bool = False,
        dropout: float = 0.0,
        feedforward_size: int | None = None,
        norm_epsilon: float | None = None,
        ngram_table_sizes: Sequence[int] = (),
    ) -> None:
        super().__init__()
        check_positive(
            vocab_size=vocab_size,
            width=width,
            num_layers=num_layers,
            num_heads=num_heads,
            context_length=context_length,
            **if_given(feedforward_size=feedforward_size),
        )
        check_heads(width, num_heads)
        check_bool(zero_init=zero_init)
        check_positive_items(ngram_table_sizes=ngram_table_sizes)
        self.context_length = context_length
        self.num_heads = num_heads
        self.embedding = nn.Embedding(vocab_size, width)
        self.positional_encoding = PositionalEncoding(
            positional_encoding,
            width=width,
            head_width=width // num_heads,
            max_positions=context_length,
        )
        # sinusoids are of size 1, and word vectors must not be small compared to them
        self.embedding_scale = width**0.5 if positional_encoding == "sinusoidal" else 1.0
        self.dropout = make_dropout(dropout)
        self.layers = nn.ModuleList(
            TransformerLayer(
                width,
                num_heads=num_heads,
                norm=norm,
                activation=activation,
                bias=bias,
                dropout=dropout,
                window=context_length,
                qk_norm=qk_norm,
                feedforward_size=feedforward_size,
                norm_epsilon=norm_epsilon,
            )
            for _ in range(num_layers)
        )
        self.norm = make_norm(norm, width, bias=bias, epsilon=norm_epsilon)
        self.output = OutputLayer(width, vocab_size, bias=False, embedding=self.embedding)
        self.ngram_embedding = (
            NGramEmbedding(vocab_size, width, table_sizes=ngram_table_sizes)
            if len(ngram_table_sizes) > 0
            else None
        )
        init_gpt_weights(
            self, residual_std=0.0 if zero_init else WEIGHT_STD / (2 * num_layers) ** 0.5
        )

    def forward(
        self, ids: torch.Tensor, state: GPTState | None = None
    ) -> tuple[torch.Tensor, GPTState]:
        """Compute the logits of the token after each of `ids`.

        Parameters
        ----------
        ids
            Tokens, (B, T) int64.
        state
            The state after the tokens before `ids`; None if there are none.

        Returns
        -------
        logits : torch.Tensor
            Logits of the token after each of `ids`, (B, T, V).
        state : GPTState
            The state after `ids`.

        Raises
        ------
        ValueError
            If positions are learned and the text is longer than `context_length`, if `ids` are not
            integers (B, T), or if `state` is of another model, batch or type.
        """
        check_call(self, ids, state, OptionalForm(self._state_form()))
        B, T = ids.shape
        tokens_read = ids.new_zeros(1).long() if state is None else state.tokens_read
        positions = tokens_read[:, None] + token_positions(ids)  # (B or 1, T)
        x = self.embedding(ids) * self.embedding_scale  # (B, T, D)
        ngram_context = None if state is None else state.ngram_context
        if self.ngram_embedding is not None:
            vectors, ngram_context = self.ngram_embedding(ids, ngram_context)
            x = x + vectors
        x, rotary = self.positional_encoding(x, positions)
        x = self.dropout(x)
        previous = [None] * len(self.layers) if state is None else state.caches
        caches = []
        for layer, cache in zip(self.layers, previous, strict=True):
            x, longer_cache = layer(x, cache=cache, rotary=rotary)
            caches.append(longer_cache)
        tokens_read = (tokens_read + T).expand(B)  # (B,)
        logits = self.output(self.norm(x))  # (B, T, V)
        return logits, GPTState(tokens_read, tuple(caches), ngram_context)

    def _state_form(self) -> TupleForm:
        """Return the form of a state, for `check_call`."""
        cache = cache_form(num_heads=self.num_heads, width=self.embedding.embedding_dim)
        tokens_read, context = TensorForm((BATCH,), torch.int64), None
        if self.ngram_embedding is not None:
            context = TensorForm((BATCH, len(self.ngram_embedding.tables)), torch.int64)
        return TupleForm(GPTState, (tokens_read, (cache,) * len(self.layers), context))


def init_gpt_weights(model: GPT, *, residual_std: float) -> None:
    """Draw the initial weights as GPT-2 does, and set biases to zero.

    Source: Radford et al. 2019, section 2.3.

    Parameters
    ----------
    model
        Its matrices and word vectors get a standard deviation of 0.02, its n-gram vectors 0.1.
    residual_std
        Standard deviation of the matrices whose result is added to the residual stream: the last
        of each attention and of each feed-forward network.
    """
    std_of: dict[nn.Module, float] = {}
    if model.ngram_embedding is not None:
        std_of = dict.fromkeys(model.ngram_embedding.tables, NGRAM_STD)
    for module in model.modules():
        if isinstance(module, TransformerLayer):
            std_of[module.attention.output_projection] = residual_std
            std_of[module.down_projection] = residual_std
    for module in model.modules():
        if module is model.output or not isinstance(module, (nn.Embedding, nn.Linear)):
            continue  # the output matrix is the embedding's, drawn already
        nn.init.normal_(module.weight, std=std_of.get(module, WEIGHT_STD))
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
