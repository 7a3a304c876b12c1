"""A speech recognizer with two outputs on one encoder: CTC, and a decoder with attention.

Section 6.3 introduces it, and ``utils.speech.training`` trains it. Attention with
location features: Chorowski et al. 2015; one encoder for CTC and attention: Watanabe et al. 2017.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from utils.models.attention_decoder import AttentionDecoder, AttentionDecoderState
from utils.models.attention_scores import AttentionScore
from utils.models.masks import length_mask, masked_mean
from utils.models.typed_module import TypedModule
from utils.speech.ctc_recognizer import CTCRecognizer, EncodedAudio
from utils.states import Memory


class JointRecognizer(TypedModule):
    """An encoder–decoder for speech whose encoder is a CTC recognizer.

    It is a `NextTokenModel` of ``utils.contract``, ``model(ids, state)``, with a
    state of `begin`, so that greedy and beam search decode it. It is not a
    `ConditionalLanguageModel`, because `begin` takes features and their lengths instead of a
    source of tokens; ``utils.speech.transcription.transcribe`` replaces
    ``utils.decoding.translation``.

    Parameters
    ----------
    vocab_size
        The size V of the vocabulary.
    width
        The width D of each direction of the encoder, and of the decoder.
    attention_score
        The attention score, see `AttentionDecoder`; "location" makes it depend on the weights of
        the step before.
    dropout
        The probability of dropout in encoder and decoder.
    strides
        The stride of each convolution of the encoder.

    Raises
    ------
    ValueError
        If a size is not a positive integer or the attention score is unknown.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 128,
        attention_score: AttentionScore = "location",
        dropout: float = 0.1,
        strides: Sequence[int] = (2, 2),
    ) -> None:
        super().__init__()
        self.encoder = CTCRecognizer(vocab_size, width=width, dropout=dropout, strides=strides)
        self.memory_norm = nn.LayerNorm(2 * width)
        self.memory_projection = nn.Linear(2 * width, width)
        self.decoder = AttentionDecoder(
            vocab_size, width=width, attention_score=attention_score, dropout=dropout
        )

    def begin(self, features: torch.Tensor, lengths: torch.Tensor) -> AttentionDecoderState:
        """Return the state from which the decoder transcribes B clips.

        Parameters
        ----------
        features
            Log-mel features, (B, F, M).
        lengths
            The number of valid frames of each clip, (B,).

        Returns
        -------
        state : AttentionDecoderState
            The state before the first token.
        """
        encoded = self.encoder.encode(features, lengths)
        return self.decoder.begin(self.make_memory(encoded))

    def make_memory(self, encoded: EncodedAudio) -> Memory:
        """Return the encoder's states, projected to the decoder's width, as its Memory.

        Parameters
        ----------
        encoded
            States and lengths of B clips, from the encoder.

        Returns
        -------
        memory : Memory
            States (B, S, D), their mean (B, D), and as `is_token` a mask (B, S) that is True at the
            steps of the clip and False at padding.
        """
        states = self.memory_projection(self.memory_norm(encoded.states))  # (B, S, D)
        is_clip = length_mask(encoded.lengths, states.shape[1])  # (B, S)
        return Memory(states, is_clip, vector=masked_mean(states, is_clip))

    def forward(
        self, ids: torch.Tensor, state: AttentionDecoderState
    ) -> tuple[torch.Tensor, AttentionDecoderState]:
        """Compute the logits of the token after each position, with the decoder.

        Parameters
        ----------
        ids
            Tokens, (B, T) int64.
        state
            The state before `ids`, which `begin` or an earlier call returned.

        Returns
        -------
        logits : torch.Tensor
            Logits (B, T, V).
        state : AttentionDecoderState
            The state after `ids`.
        """
        return self.decoder(ids, state)
