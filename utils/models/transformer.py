"""Encoder and decoder of a Transformer: stacks of the layers of ``transformer_layer``.

Built in section 7.3. Vaswani et al. 2017.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from utils.models.checks import (
    BATCH,
    OptionalForm,
    TensorForm,
    TupleForm,
    check_call,
    check_memory,
    is_all_true,
)
from utils.models.kv_cache import KVCache, cache_form
from utils.models.masks import masked_mean, source_mask
from utils.models.positions import token_positions
from utils.models.transformer_layer import TransformerLayer
from utils.models.transformer_stack import TransformerStack
from utils.states import Memory, register_state


class TransformerEncoder(TransformerStack):
    """Transformer encoder: every token attends to the whole source.

    The vector of the memory is the mean of the states. The constructor arguments are those of
    `TransformerStack`.

    Source: section 7.3; Vaswani et al. 2017, section 3.1.

    Examples
    --------
    >>> import torch
    >>> from utils.models.transformer import TransformerEncoder
    >>> encoder = TransformerEncoder(50, width=32, num_layers=2)
    >>> memory = encoder(torch.tensor([[4, 5, 6], [7, 0, 0]]))
    >>> memory.states.shape, memory.vector.shape
    (torch.Size([2, 3, 32]), torch.Size([2, 32]))
    >>> memory.is_token.tolist()
    [[True, True, True], [True, False, False]]
    """

    is_decoder = False

    def forward(self, source: torch.Tensor) -> Memory:
        """Encode a source.

        Parameters
        ----------
        source
            Tokens, (B, S) int64, padded with PAD at the end.

        Returns
        -------
        memory : Memory
            States (B, S, D), their mean over the tokens (B, D), and where there are tokens.

        Raises
        ------
        ValueError
            If positions are learned and the source is longer than `max_positions`, or if it is not
            integers (B, S), has a row without tokens, or padding before a token.
        """
        is_token = source_mask(source)  # (B, S)
        x, rotary = self.embed(source, token_positions(source))  # (B, S, D)
        mask = None if is_all_true(is_token) else is_token
        for layer in self.layers:
            x, _ = layer(x, rotary=rotary, is_token=mask)
        x = self.norm(x)
        return Memory(x, is_token, masked_mean(x, is_token))


@register_state
class TransformerDecoderState(NamedTuple):
    """State of a `TransformerDecoder`.

    Parameters
    ----------
    is_token
        True where the source has a token, False for padding, (B, S) bool.
    memory_caches
        Keys and values of the encoder's states in each layer.
    tokens_read
        Number of tokens read so far, (B,) int64.
    caches
        Keys and values of these tokens in each layer; None before the first token.
    """

    is_token: torch.Tensor
    memory_caches: tuple[KVCache, ...]
    tokens_read: torch.Tensor
    caches: tuple[KVCache | None, ...]


class TransformerDecoder(TransformerStack):
    """Transformer decoder: causal self-attention, and attention to the encoder's states.

    The output matrix is the embedding's. The constructor arguments are those of
    `TransformerStack`.

    Source: section 7.3; Vaswani et al. 2017, section 3.1.

    Examples
    --------
    >>> import torch
    >>> from utils.models.transformer import TransformerDecoder, TransformerEncoder
    >>> encoder = TransformerEncoder(50, width=32, num_layers=2)
    >>> decoder = TransformerDecoder(60, width=32, num_layers=2)
    >>> state = decoder.begin(encoder(torch.tensor([[4, 5, 6]])))
    >>> logits, state = decoder(torch.tensor([[1, 4]]), state)
    >>> logits.shape
    torch.Size([1, 2, 60])
    """

    is_decoder = True

    def begin(self, memory: Memory) -> TransformerDecoderState:
        """Return the state before the first token.

        Raises
        ------
        ValueError
            If the encoder's states are not as long as the decoder's.
        """
        check_memory(memory, width=self.embedding.embedding_dim, parts=("states",))
        B, device = memory.is_token.shape[0], memory.is_token.device
        memory_caches = []
        for layer in self.layers:
            assert isinstance(layer, TransformerLayer) and layer.cross_attention is not None
            memory_caches.append(layer.cross_attention.project_memory(memory.states))
        return TransformerDecoderState(
            memory.is_token,
            tuple(memory_caches),
            tokens_read=torch.zeros(B, dtype=torch.int64, device=device),
            caches=(None,) * len(self.layers),
        )

    def forward(
        self, ids: torch.Tensor, state: TransformerDecoderState
    ) -> tuple[torch.Tensor, TransformerDecoderState]:
        """Compute the logits of the token after each of `ids`.

        Parameters
        ----------
        ids
            Tokens, (B, T) int64.
        state
            The state before `ids`, which `begin` or an earlier call returned.

        Returns
        -------
        logits : torch.Tensor
            Logits of the token after each of `ids`, (B, T, V).
        state : TransformerDecoderState
            The state after `ids`.

        Raises
        ------
        ValueError
            If positions are learned and the text is longer than `max_positions`, if `ids` are not
            integers (B, T), or if `state` is of another model, batch or type.
        """
        check_call(self, ids, state, self._state_form())
        positions = token_positions(ids) + state.tokens_read[:, None]  # (B, T)
        x, rotary = self.embed(ids, positions)  # (B, T, D)
        memory_is_token = None if is_all_true(state.is_token) else state.is_token
        caches = []
        for i, layer in enumerate(self.layers):
            x, cache = layer(
                x,
                cache=state.caches[i],
                rotary=rotary,
                memory_cache=state.memory_caches[i],
                memory_is_token=memory_is_token,
            )
            caches.append(cache)
        tokens_read = state.tokens_read + ids.shape[1]
        logits = self.output(self.dropout(self.norm(x)))  # (B, T, V)
        return logits, state._replace(tokens_read=tokens_read, caches=tuple(caches))

    def _state_form(self) -> TupleForm:
        """Return the form of a state, for `check_call`."""
        cache = cache_form(num_heads=self.num_heads, width=self.embedding.embedding_dim)
        mask = TensorForm((BATCH, None), torch.bool)
        tokens_read = TensorForm((BATCH,), torch.int64)
        n = len(self.layers)
        parts = (mask, (cache,) * n, tokens_read, (OptionalForm(cache),) * n)
        return TupleForm(TransformerDecoderState, parts)
