"""Recognition: the log-probabilities and texts that trained recognisers give for clips.

Section 6.3 uses it. What a recogniser computes for a clip does not depend on the clips that are
computed with it; those of similar length are computed together, as they need little padding. A
recogniser is put in evaluation mode for the call, so that no dropout changes the result.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from utils.data.grouping import group_by_similar_length, map_groups
from utils.data.vocabulary import BOS
from utils.decoding.beam_search import BeamConfig
from utils.decoding.search import best_sequences
from utils.runtime import device_of, evaluation_mode
from utils.speech.audio_batches import log_mel_batch
from utils.speech.ctc_arguments import as_text
from utils.speech.ctc_recognizer import CTCRecognizer
from utils.speech.joint_recognizer import JointRecognizer


@torch.inference_mode()
def clip_log_probs(
    model: CTCRecognizer, clips: Sequence[np.ndarray], *, batch_size: int = 32
) -> list[torch.Tensor]:
    """Compute the log-probabilities of tokens and blank at each step of each clip.

    Parameters
    ----------
    model
        A recogniser; of a `JointRecognizer` its `encoder`.
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
        If a clip is shorter than a window or no clip of one channel of finite floating-point
        numbers, or `batch_size` is no positive whole number.
    """
    device = device_of(model)

    def log_probs_of(group: Sequence[np.ndarray]) -> list[torch.Tensor]:
        features, frames = log_mel_batch(group)
        log_probs, lengths = model(features.to(device), frames.to(device))  # (B, S, V) and (B,)
        rows = zip(log_probs.cpu().double(), lengths.tolist(), strict=True)
        return [row[:length] for row, length in rows]

    groups = group_by_similar_length([len(clip) for clip in clips], batch_size=batch_size)
    with evaluation_mode(model):
        return map_groups(log_probs_of, clips, groups)


@torch.inference_mode()
def transcribe(
    model: JointRecognizer,
    clips: Sequence[np.ndarray],
    *,
    beam_size: int = 4,
    max_length: int = 40,
    batch_size: int = 32,
) -> list[list[int]]:
    """Transcribe clips with the decoder of a recogniser.

    Texts are ranked by log p without length normalization.

    Parameters
    ----------
    model
        A recogniser.
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
    texts : list of list of int
        The ids of each text, without EOS, in the order of the clips.

    Raises
    ------
    ValueError
        If a clip is shorter than a window or no clip of one channel of finite floating-point
        numbers, or a size is no positive whole number.
    """
    device = device_of(model)
    config = BeamConfig(beam_size, alpha=0.0)
    beam = None if beam_size == 1 else config

    def ids_of(group: Sequence[np.ndarray]) -> list[list[int]]:
        features, lengths = log_mel_batch(group)
        state = model.encode(features.to(device), lengths.to(device))
        prompt = torch.full((len(group), 1), BOS, device=device)
        return best_sequences(model, prompt, state, beam, max_length=max_length)

    groups = group_by_similar_length([len(clip) for clip in clips], batch_size=batch_size)
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
        A recogniser.
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
        If the clip is shorter than a window or no clip of one channel of finite floating-point
        numbers, or an id is none of a spoken token.
    """
    device = device_of(model)
    text = as_text(ids, model.encoder.output.out_features)
    features, lengths = log_mel_batch([clip])
    inputs = torch.tensor([[BOS, *text]], device=device)  # (1, L + 1)
    with evaluation_mode(model):
        state = model.encode(features.to(device), lengths.to(device))
        return model.decoder.weights(inputs, state)[0].cpu()  # (L + 1, S)
