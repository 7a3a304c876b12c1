"""A speech recogniser with two outputs on one encoder: CTC, and a decoder with attention.

Derived in section 6.3.
Attention with location features: Chorowski et al. 2015; joint training with CTC: Watanabe et al.
2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from utils.data.batches import IGNORE
from utils.data.vocabulary import BOS, EOS, PAD
from utils.decoding.search import BeamConfig, beam_search, greedy
from utils.models.attention_decoder import AttentionDecoder
from utils.models.contract import Memory, State
from utils.models.encoders import masked_mean
from utils.runtime import device_of
from utils.speech.batches import AudioBatch, length_batches
from utils.speech.ctc import batch_loss
from utils.speech.ctc_recogniser import CTCRecogniser, EncodedAudio
from utils.training.objectives import Objective


class JointRecogniser(nn.Module):
    """An encoder–decoder for speech whose encoder is a CTC recogniser.

    It is called as a `Decoder` of ``utils.models.contract``: ``model(ids, state)`` with a state of
    `encode`, so that greedy and beam search decode it. It is no `ConditionalLanguageModel`, because
    `encode` takes features and their lengths instead of a source of tokens; `transcribe` takes the
    place of ``utils.decoding.translation``.

    Parameters
    ----------
    vocab_size
        The size V of the vocabulary.
    width
        The width D of each direction of the encoder, and of the decoder.
    score
        The attention score, as of `AttentionDecoder`; "location" lets attention see its weights of
        the step before.
    dropout
        The probability of dropout in encoder and decoder.
    strides
        The stride of each convolution of the encoder.

    Raises
    ------
    ValueError
        If a size is below 1 or the score is unknown.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 128,
        score: str = "location",
        dropout: float = 0.1,
        strides: Sequence[int] = (2, 2),
    ) -> None:
        super().__init__()
        self.encoder = CTCRecogniser(vocab_size, width=width, dropout=dropout, strides=strides)
        self.memory_norm = nn.LayerNorm(2 * width)
        self.memory_projection = nn.Linear(2 * width, width)
        self.decoder = AttentionDecoder(vocab_size, width=width, score=score, dropout=dropout)

    def encode(self, features: torch.Tensor, lengths: torch.Tensor) -> State:
        """Return the decoder's first state for features (B, F, M) with `lengths` (B,) in frames.

        Parameters
        ----------
        features
            Log-mel features, (B, F, M).
        lengths
            The number of valid frames of each clip, (B,).

        Returns
        -------
        State
            The state before the first token.
        """
        encoded = self.encoder.encode(features, lengths)
        return self.decoder.begin(self.memory(encoded))

    def memory(self, encoded: EncodedAudio) -> Memory:
        """Return what the decoder reads: the encoder's states, projected to its width."""
        states = self.memory_projection(self.memory_norm(encoded.states))  # (B, S, D)
        steps = torch.arange(states.shape[1], device=states.device)  # (S,)
        is_token = steps < encoded.lengths[:, None]  # (B, S), True at steps within the clip
        return Memory(states, is_token, vector=masked_mean(states, is_token))

    def forward(self, ids: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """Return logits (B, T, V) for `ids` (B, T), and the state after them.

        Parameters
        ----------
        ids
            Tokens, (B, T) int64.
        state
            The state before `ids`: that of `encode` or of an earlier call.

        Returns
        -------
        tuple
            Logits (B, T, V), and the state after `ids`.
        """
        return self.decoder(ids, state)


def teacher_forcing_pair(targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what a decoder reads and what it has to predict.

    Parameters
    ----------
    targets
        Tokens without BOS and EOS, (B, L), padded with IGNORE.

    Returns
    -------
    tuple of torch.Tensor
        BOS and the tokens, padded with PAD; the tokens and EOS, padded with IGNORE;
        (B, L + 1) each.
    """
    inputs = F.pad(targets.masked_fill(targets == IGNORE, PAD), (1, 0), value=BOS)  # (B, L + 1)
    lengths = (targets != IGNORE).sum(1, keepdim=True)  # (B, 1)
    labels = F.pad(targets, (0, 1), value=IGNORE).scatter(1, lengths, EOS)  # (B, L + 1)
    return inputs, labels


def joint_objective(ctc_weight: float) -> Objective:
    """Make the objective ``ctc_weight · L_ctc + (1 − ctc_weight) · L_attention``.

    Source: ``eq-joint`` (section 6.3); Watanabe et al. 2017.

    Parameters
    ----------
    ctc_weight
        From 0 to 1. At 0 the CTC output learns nothing, at 1 the decoder.

    Returns
    -------
    Objective
        A function of a `JointRecogniser`, an `AudioBatch` and the label smoothing of the decoder,
        which returns the summed loss of the batch; for ``utils.training.loop.fit``.

    Raises
    ------
    ValueError
        If the weight is not from 0 to 1.
    """
    if not 0 <= ctc_weight <= 1:
        raise ValueError(f"ctc_weight must be from 0 to 1, got {ctc_weight}")

    def objective(
        model: nn.Module, batch: AudioBatch, label_smoothing: float = 0.0
    ) -> torch.Tensor:
        recogniser = cast(JointRecogniser, model)
        encoded = recogniser.encoder.encode(batch.features, batch.lengths)
        total = encoded.log_probs.new_zeros(())
        if ctc_weight > 0:
            ctc_losses = batch_loss(encoded.log_probs, encoded.lengths, batch.targets)  # (B,)
            total = ctc_weight * ctc_losses.sum()
        if ctc_weight < 1:
            state = recogniser.decoder.begin(recogniser.memory(encoded))
            attention_loss = _attention_loss(recogniser, state, batch.targets, label_smoothing)
            total = total + (1 - ctc_weight) * attention_loss
        return total

    return objective


def _attention_loss(
    model: JointRecogniser, state: State, targets: torch.Tensor, label_smoothing: float
) -> torch.Tensor:
    """Return the summed cross-entropy of the decoder's predictions of targets (B, L): a scalar."""
    inputs, labels = teacher_forcing_pair(targets)
    logits, _ = model(inputs, state)  # (B, L + 1, V)
    return F.cross_entropy(
        logits.flatten(0, 1),  # (B·(L + 1), V)
        labels.flatten(),
        ignore_index=IGNORE,
        reduction="sum",
        label_smoothing=label_smoothing,
    )


@torch.inference_mode()
def transcribe(
    model: JointRecogniser,
    clips: Sequence[np.ndarray],
    *,
    beam_size: int = 4,
    max_length: int = 40,
    batch_size: int = 32,
) -> list[list[int]]:
    """Write down what each clip says, with the decoder.

    Texts are ranked by log p without length normalization.

    Parameters
    ----------
    model
        A recogniser in evaluation mode.
    clips
        The samples (N,) of each clip.
    beam_size
        The number of hypotheses of the beam search; 1 for greedy search.
    max_length
        The largest number of tokens of a text.
    batch_size
        The largest number of clips that are decoded together.

    Returns
    -------
    list of list of int
        The ids of each text, without EOS, in the order of the clips.
    """
    config = BeamConfig(beam_size, alpha=0.0)
    texts: dict[int, list[int]] = {}
    for indices, batch in length_batches(clips, batch_size=batch_size, device=device_of(model)):
        state = model.encode(batch.features, batch.lengths)
        prompt = torch.full((len(indices), 1), BOS, device=batch.features.device)
        if beam_size == 1:
            answers = greedy(model, prompt, state, max_length=max_length)
        else:
            rows = beam_search(model, prompt, state, config, max_length=max_length)
            answers = [hypotheses[0].ids for hypotheses in rows]
        texts.update(zip(indices, answers, strict=True))
    return [texts[i] for i in range(len(clips))]


@torch.inference_mode()
def attention_alignment(
    model: JointRecogniser, clip: np.ndarray, ids: Sequence[int]
) -> torch.Tensor:
    """Compute the attention weights with which the decoder predicts a given text.

    Parameters
    ----------
    model
        A recogniser in evaluation mode.
    clip
        The samples, (N,).
    ids
        The L tokens of the text, without BOS and EOS.

    Returns
    -------
    torch.Tensor
        The weights of the encoder's steps at each token and at EOS, (L + 1, S) on the CPU.
    """
    ((_, batch),) = length_batches([clip], batch_size=1, device=device_of(model))
    inputs = torch.tensor([[BOS, *ids]], device=batch.features.device)  # (1, L + 1)
    state = model.encode(batch.features, batch.lengths)
    return model.decoder.weights(inputs, state)[0].cpu()  # (L + 1, S)
