"""Encoders, decoders, and the encoder–decoder that joins any two of them.

Used in section 5.2. Sutskever et al. 2014 (the encoder's last state starts the decoder), Cho et al.
2014 (a fixed-length vector carries the source). The contract adds one call: the state from which
``model(ids, state)`` goes on is ``model.encode(source)``.
"""

from __future__ import annotations

import torch
from torch import nn

from utils.lm import LSTMLM, check_sizes, open_forget_gates, swap
from utils.vocab import PAD


class LSTMEncoder(nn.Module):
    """Reads a source into one fixed-length vector: the last hidden and cell state of each layer."""

    def __init__(
        self,
        vocab_size: int,
        width: int = 256,
        layers: int = 2,
        dropout: float = 0.0,
        embedding: int | None = None,
    ):
        super().__init__()
        size = width if embedding is None else embedding
        check_sizes(vocab_size=vocab_size, width=width, layers=layers, embedding=size)
        self.embedding = nn.Embedding(vocab_size, size, padding_idx=PAD)
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(size, width, layers, batch_first=True, dropout=between)
        open_forget_gates(self.lstm)
        self.dropout = nn.Dropout(dropout)

    def forward(self, source: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """source (B, S), padded with PAD at the end → (h, c), each (B, layers, D).

        Padding is never read: where there is any, the batch is packed. Raises ValueError for a
        source of no tokens, whose last state would be undefined, and for padding before a token.
        """
        read = (source != PAD).cpu()  # (B, S)
        lengths = read.sum(1)  # (B,)
        if not lengths.all():
            raise ValueError("a source sentence has no tokens; give each at least one, EOS for one")
        if (read[:, 1:] > read[:, :-1]).any():
            raise ValueError("a source sentence is padded before a token; pad at the end only")
        x = self.dropout(self.embedding(source))  # (B, S, E)
        if not read.all():
            x = nn.utils.rnn.pack_padded_sequence(
                x, lengths, batch_first=True, enforce_sorted=False
            )
        _, state = self.lstm(x)  # (layers, B, D) each
        return tuple(swap(s) for s in state)


class EncoderDecoder(nn.Module):
    """p(w_t | w_1 … w_{t−1}, source): an encoder's output is the decoder's first state.

    `decoder` is any language model of the contract whose state has the form that `encoder` gives.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def encode(self, source: torch.Tensor):
        """source (B, S) → the decoder's first state."""
        return self.encoder(source)

    def forward(self, ids: torch.Tensor, state=None):
        """ids (B, T) and a state → logits (B, T, V) and the next state.

        Raises ValueError without a state: a decoder that has read no source cannot translate.
        """
        if state is None:
            raise ValueError("an encoder–decoder starts from state = model.encode(source)")
        return self.decoder(ids, state)


def lstm_seq2seq(
    vocab_size: int,
    width: int = 256,
    layers: int = 2,
    dropout: float = 0.0,
    shared: bool = True,
    embedding: int | None = None,
) -> EncoderDecoder:
    """The model of section 5.2. With `shared`, one matrix embeds source, target and output words.

    That needs one vocabulary of both languages, of size `vocab_size`. `embedding`: the width of a
    word's vector, `width` where not given.
    """
    encoder = LSTMEncoder(vocab_size, width, layers, dropout, embedding)
    decoder = LSTMLM(vocab_size, width, layers, dropout, tied=True, embedding=embedding)
    if shared:
        encoder.embedding = decoder.embedding
    return EncoderDecoder(encoder, decoder)
