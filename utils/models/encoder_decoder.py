"""The model that joins any encoder to any decoder, and the LSTM translator of section 5.2.

Derived in section 5.2. Sutskever et al. 2014, Cho et al. 2014; one matrix for all words: Press and
Wolf 2017.
"""

from __future__ import annotations

from typing import Any, Generic, Protocol, cast

import torch
from torch import nn

from utils.arguments import check_bool
from utils.contract import Decoder, Encoder, MemoryT, StateT
from utils.models.fixed_vector_encoder import FixedVectorEncoder
from utils.models.layers import TiedModule
from utils.models.recurrent_decoders import LSTMDecoder
from utils.models.recurrent_encoders import LSTMEncoder
from utils.states import LSTMState, Memory


class EncoderDecoder(TiedModule, Generic[StateT]):
    """Model of a target given a source: p(w_t | w_1 … w_{t−1}, source).

    Source: ``eq-seq2seq`` (section 5.2).

    Parameters
    ----------
    encoder
        Turns the source into a `Memory`.
    decoder
        A language model that computes its first state from that memory. An `LSTMDecoder` requires
        the `RecurrentMemory` of an `LSTMEncoder`.

    Examples
    --------
    >>> import torch
    >>> from utils.models.encoder_decoder import EncoderDecoder
    >>> from utils.models.transformer import TransformerDecoder, TransformerEncoder
    >>> encoder = TransformerEncoder(50, width=32, num_layers=2)
    >>> model = EncoderDecoder(encoder, TransformerDecoder(50, width=32, num_layers=2))
    >>> logits, state = model(torch.tensor([[1]]), model.begin(torch.tensor([[4, 5, 6]])))
    >>> logits.shape
    torch.Size([1, 1, 50])
    """

    def __init__(self, encoder: Encoder[MemoryT], decoder: Decoder[MemoryT, StateT]) -> None:
        super().__init__()
        self.encoder: Encoder[Memory] = encoder
        self.decoder: Decoder[Any, StateT] = decoder  # it takes the memory of this encoder

    def begin(self, source: torch.Tensor) -> StateT:
        """Return the decoder's first state for `source` (B, S), padded with PAD at the end."""
        return self.decoder.begin(self.encoder(source))

    def forward(self, ids: torch.Tensor, state: StateT) -> tuple[torch.Tensor, StateT]:
        """Compute the logits (B, T, V) after each of the target's `ids` (B, T), and the state."""
        return self.decoder(ids, state)


class WithEmbedding(Protocol):
    """An encoder or a decoder that reads its tokens by an embedding of its own."""

    embedding: nn.Embedding


def share_embeddings(model: EncoderDecoder[StateT]) -> EncoderDecoder[StateT]:
    """Let the encoder of `model` use the embedding of its decoder, in place; return the model.

    Raises
    ------
    ValueError
        If encoder or decoder has no `embedding`, or the two differ in shape.
    """
    reading = model.encoder
    if isinstance(reading, FixedVectorEncoder):
        reading = reading.encoder
    encoder = _with_embedding(reading)
    decoder = _with_embedding(model.decoder)
    if encoder.embedding.weight.shape != decoder.embedding.weight.shape:
        raise ValueError(
            "encoder and decoder can share an embedding only of the same vocabulary and width"
        )
    encoder.embedding = decoder.embedding
    return model


def _with_embedding(part: object) -> WithEmbedding:
    """Return an encoder or a decoder; raise ValueError if it has no embedding."""
    if not isinstance(getattr(part, "embedding", None), nn.Embedding):
        raise ValueError(
            f"{type(part).__name__} has no embedding to share: expected an nn.Embedding as its "
            "attribute `embedding`"
        )
    return cast(WithEmbedding, part)


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
        Whether source and target share one embedding; the output is tied to the decoder's anyway.
    embedding_size
        Length E of a word vector; D by default.

    Returns
    -------
    model : EncoderDecoder
        The untrained model.

    Raises
    ------
    ValueError
        If a size is not a positive integer, or `share_embedding` is neither True nor False.

    Examples
    --------
    >>> import torch
    >>> from utils.models.encoder_decoder import lstm_seq2seq
    >>> model = lstm_seq2seq(50, width=32)
    >>> state = model.begin(torch.tensor([[4, 5, 6]]))
    >>> logits, state = model(torch.tensor([[1]]), state)
    >>> logits.shape, state.hidden.shape
    (torch.Size([1, 1, 50]), torch.Size([1, 2, 32]))
    """
    check_bool(share_embedding=share_embedding)
    sizes: dict[str, Any] = {
        "width": width,
        "num_layers": num_layers,
        "embedding_size": embedding_size,
    }
    encoder = LSTMEncoder(vocab_size, **sizes, dropout=dropout)
    decoder = LSTMDecoder(vocab_size, **sizes, dropout=dropout)
    model = EncoderDecoder(encoder, decoder)
    return share_embeddings(model) if share_embedding else model
