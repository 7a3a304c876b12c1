"""Transcription of clips: the log-probabilities and texts that trained recognizers return.

Section 6.3 uses it. What a recognizer computes for a clip does not depend on the other clips of its
batch; clips of similar length are computed together, as they need little padding. The recognizer is
in evaluation mode during a call.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from utils.data.grouped_batches import group_by_similar_length, map_groups
from utils.data.vocabulary import BOS
from utils.decoding.beam_config import BeamConfig
from utils.decoding.beam_search import best_sequences
from utils.runtime import device_of, evaluation_mode
from utils.speech.audio_batches import log_mel_batch
from utils.speech.ctc_inputs import as_text
from utils.speech.ctc_recognizer import CTCRecognizer
from utils.speech.joint_recognizer import JointRecognizer

TRANSCRIPTION_BEAM = BeamConfig(4, length_penalty=0.0)


@torch.inference_mode()
def clip_log_probs(
    model: CTCRecognizer, clips: Sequence[np.ndarray], *, batch_size: int = 32
) -> list[torch.Tensor]:
    """Compute the log-probabilities of tokens and blank at each step of each clip.

    Parameters
    ----------
    model
        A recognizer, in any precision; of a `JointRecognizer` its `encoder`.
    clips
        The samples (N,) of each clip.
    batch_size
        The largest number of clips that are computed together.

    Returns
    -------
    log_probs : list of torch.Tensor
        For each clip (S, V) float64 on the CPU, in the order of the clips.

    Raises
    ------
    ValueError
        If `log_mel` rejects a clip, `clips` is a single one, or `batch_size` is not a positive
        integer.
    """

    def log_probs_of(group: Sequence[np.ndarray]) -> list[torch.Tensor]:
        log_probs, lengths = model(*_features(model, group))  # (B, S, V) and (B,)
        rows = zip(log_probs.cpu().double(), lengths.tolist(), strict=True)
        return [row[:length] for row, length in rows]

    groups = group_by_similar_length(_lengths(clips), batch_size=batch_size)
    with evaluation_mode(model):
        return map_groups(log_probs_of, clips, groups)


@torch.inference_mode()
def transcribe(
    model: JointRecognizer,
    clips: Sequence[np.ndarray],
    *,
    beam: BeamConfig | None = TRANSCRIPTION_BEAM,
    max_length: int = 40,
    batch_size: int = 32,
) -> list[list[int]]:
    """Transcribe clips with the decoder of a recognizer.

    Parameters
    ----------
    model
        A recognizer.
    clips
        The samples (N,) of each clip.
    beam
        Options of beam search, by default 4 hypotheses that are ranked without length
        normalization; None for greedy search.
    max_length
        The largest number of tokens of a text.
    batch_size
        The largest number of clips that are decoded together.

    Returns
    -------
    texts : list of list of int
        The ids of each text, without EOS, in the order of the clips.

    Raises
    ------
    ValueError
        If `log_mel` rejects a clip, `clips` is a single one, or a size is not a positive integer.
    """
    device = device_of(model)

    def ids_of(group: Sequence[np.ndarray]) -> list[list[int]]:
        state = model.begin(*_features(model.encoder, group))
        prompt = torch.full((len(group), 1), BOS, device=device)
        return best_sequences(model, prompt, state, beam=beam, max_length=max_length)

    groups = group_by_similar_length(_lengths(clips), batch_size=batch_size)
    with evaluation_mode(model):
        return map_groups(ids_of, clips, groups)


@torch.inference_mode()
def attention_alignment(
    model: JointRecognizer, clip: np.ndarray, ids: Sequence[int]
) -> torch.Tensor:
    """Compute the attention weights with which the decoder predicts a given text.

    Parameters
    ----------
    model
        A recognizer.
    clip
        The samples, (N,).
    ids
        The L tokens of the text, without BOS and EOS.

    Returns
    -------
    weights : torch.Tensor
        The weights of the encoder's steps at each token and at EOS, (L + 1, S) on the CPU.

    Raises
    ------
    ValueError
        If `log_mel` rejects the clip, or `as_text` an id.
    """
    device = device_of(model)
    text = as_text(ids, model.encoder.output.out_features)
    features, lengths = _features(model.encoder, [clip])
    inputs = torch.tensor([[BOS, *text]], device=device)  # (1, L + 1)
    with evaluation_mode(model):
        state = model.begin(features, lengths)
        return model.decoder.attention_weights(inputs, state)[0].cpu()  # (L + 1, S)


def _features(
    encoder: CTCRecognizer, clips: Sequence[np.ndarray]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the features and lengths of B clips on a recognizer's device, in its precision."""
    features, lengths = log_mel_batch(clips)  # (B, F, M) and (B,)
    weight = encoder.output.weight
    return features.to(weight), lengths.to(weight.device)


def _lengths(clips: Sequence[np.ndarray]) -> list[int]:
    """Return the number of samples of each clip; raise ValueError for a clip without a list."""
    if isinstance(clips, np.ndarray) and clips.ndim == 1:
        raise ValueError(f"got one clip of {len(clips)} samples; give a list of clips: [clip]")
    return [len(clip) for clip in clips]
