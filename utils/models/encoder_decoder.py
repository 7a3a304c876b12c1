"""The model that joins any encoder to any decoder, and the LSTM translator of section 5.2.

Derived in section 5.2. Sutskever et al. 2014, Cho et al. 2014; one matrix for all words: Press and
Wolf 2017.
"""

from __future__ import annotations

from typing import Any, Generic

import torch

from utils.models.contract import (
    Decoder,
    Encoder,
    LSTMState,
    Memory,
    MemoryT,
    StateT,
)
from utils.models.layers import TiedModule
from utils.models.lstm_decoder import LSTMDecoder
from utils.models.pooling import FixedVectorEncoder
from utils.models.recurrent_encoders import LSTMEncoder


class EncoderDecoder(TiedModule, Generic[StateT]):
    """Model of a target given a source: p(w_t | w_1 … w_{t−1}, source).

    Source: ``eq-seq2seq`` (section 5.2).

    Parameters
    ----------
    encoder
        Turns the source into a `Memory`.
    decoder
        A language model that computes its first state from that memory. An `LSTMDecoder` needs the
        `RecurrentMemory` of an `LSTMEncoder`.
    """

    def __init__(self, encoder: Encoder[MemoryT], decoder: Decoder[MemoryT, StateT]) -> None:
        super().__init__()
        self.encoder: Encoder[Memory] = encoder
        self.decoder: Decoder[Any, StateT] = decoder  # it takes the memory of this encoder

    def encode(self, source: torch.Tensor) -> StateT:
        """Return the decoder's first state for `source` (B, S), padded with PAD at the end."""
        return self.decoder.begin(self.encoder(source))

    def forward(self, ids: torch.Tensor, state: StateT) -> tuple[torch.Tensor, StateT]:
        """Compute the logits of the target's token after each of `ids`.

        Parameters
        ----------
        ids
            Tokens of the target, (B, T) int64.
        state
            The state before `ids`: that of `encode` or of an earlier call.

        Returns
        -------
        logits : torch.Tensor
            (B, T, V).
        state
            The decoder's state after `ids`.
        """
        return self.decoder(ids, state)


def share_embeddings(model: EncoderDecoder[StateT]) -> EncoderDecoder[StateT]:
    """Let the encoder use the decoder's embedding, which is often its output matrix too.

    Parameters
    ----------
    model
        Its encoder and decoder each have an `embedding` of the same vocabulary. It is changed.

    Returns
    -------
    EncoderDecoder
        The same model.

    Raises
    ------
    ValueError
        If the embeddings differ in shape.
    """
    encoder: Any = model.encoder
    decoder: Any = model.decoder
    if isinstance(encoder, FixedVectorEncoder):
        encoder = encoder.encoder
    if encoder.embedding.weight.shape != decoder.embedding.weight.shape:
        raise ValueError("encoder and decoder can share words of one vocabulary and width only")
    encoder.embedding = decoder.embedding
    return model


def lstm_seq2seq(
    vocab_size: int,
    *,
    width: int = 256,
    num_layers: int = 2,
    dropout: float = 0.0,
    share_embedding: bool = True,
    embedding_size: int | None = None,
) -> EncoderDecoder[LSTMState]:
    """Build the model of section 5.2: an LSTM whose last state is the first of another LSTM.

    Source: ``eq-handover`` (section 5.2); Sutskever et al. 2014.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary of source and target.
    width
        Length D of the hidden states.
    num_layers
        Number of layers of encoder and of decoder.
    dropout
        Probability of dropout on word vectors, between layers and before the output.
    share_embedding
        Whether one matrix embeds source and target tokens; it is the output matrix in any case.
    embedding_size
        Length E of a word vector; D where not given.

    Returns
    -------
    EncoderDecoder
        The untrained model.

    Raises
    ------
    ValueError
        If a size is not a positive whole number.
    """
    sizes: dict[str, Any] = {
        "width": width,
        "num_layers": num_layers,
        "embedding_size": embedding_size,
    }
    encoder = LSTMEncoder(vocab_size, **sizes, dropout=dropout)
    decoder = LSTMDecoder(vocab_size, **sizes, dropout=dropout)
    model = EncoderDecoder(encoder, decoder)
    return share_embeddings(model) if share_embedding else model
