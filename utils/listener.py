"""A recogniser that writes what it hears: attention to the places of an acoustic encoder, and CTC.

Derived in notebooks/06-3, measured by benchmarks/speech.py. Attention with location features:
Chorowski et al. 2015; trained together with CTC: Watanabe et al. 2017.
Letters: B batch, F feature frames, M mel bands, S places of the encoder, T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from utils import ctc, decoding, speech
from utils.batches import IGNORE
from utils.encoders import Memory, mean_of_places
from utils.runtime import device_of
from utils.seq2seq import AttentionDecoder
from utils.speech import Recogniser, SoundBatch
from utils.vocab import BOS, EOS, PAD


class Listener(nn.Module):
    """Two readers of one ear: CTC names each place, a decoder of ``utils.seq2seq`` writes a text.

    As an encoder–decoder under the contract: ``model(ids, model.encode(features, frames))``.
    `width` of the ear's directions and of the decoder; `score` as `AttentionDecoder` has it.
    """

    def __init__(
        self,
        vocab_size: int,
        width: int = 128,
        score: str = "location",
        dropout: float = 0.1,
        strides: Sequence[int] = (2, 2),
    ):
        super().__init__()
        self.ear = Recogniser(vocab_size, width, dropout=dropout, strides=strides)
        self.norm, self.narrow = nn.LayerNorm(2 * width), nn.Linear(2 * width, width)
        self.decoder = AttentionDecoder(vocab_size, width, score=score, dropout=dropout)

    def encode(self, features: torch.Tensor, frames: torch.Tensor) -> Memory:
        """features (B, F, M), frames (B,) → the decoder's first state."""
        return self.heard(features, frames)[0]

    def heard(self, features: torch.Tensor, frames: torch.Tensor):
        """The Memory of S places, what CTC reads there (B, S, V), and how many are real (B,)."""
        places, x, log_p = self.ear.encoded(features, frames)
        x = self.narrow(self.norm(x))  # (B, S, width)
        seen = torch.arange(x.shape[1], device=x.device) < places[:, None]  # (B, S)
        return {"places": x, "seen": seen, "vector": mean_of_places(x, seen)}, log_p, places

    def forward(self, ids: torch.Tensor, state: dict):
        """ids (B, T) and a state → logits (B, T, V) and the next state."""
        return self.decoder(ids, state)


def shifted(targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Targets (B, L), padded with IGNORE → what a decoder reads and is to write, (B, L + 1) each.

    BOS and the tokens; the tokens and EOS.
    """
    inputs = F.pad(targets.masked_fill(targets == IGNORE, PAD), (1, 0), value=BOS)
    ends = (targets != IGNORE).sum(1, keepdim=True)  # (B, 1)
    return inputs, F.pad(targets, (0, 1), value=IGNORE).scatter(1, ends, EOS)


def joint_objective(weight: float) -> Callable[[Listener, SoundBatch, float], torch.Tensor]:
    """`weight` · L_ctc + (1 − `weight`) · L_attention, summed, for `training.fit` (``eq-joint``).

    Raises ValueError for a weight outside 0 to 1. At 0 and 1 the other reader learns nothing.
    """
    if not 0 <= weight <= 1:
        raise ValueError(f"the weight of CTC must be from 0 to 1, got {weight}")

    def objective(model: Listener, batch: SoundBatch, label_smoothing: float = 0.0):
        memory, log_p, places = model.heard(batch.features, batch.frames)
        total = log_p.new_zeros(())
        if weight > 0:
            total = weight * ctc.fast_loss(log_p, places, batch.targets).sum()
        if weight < 1:
            inputs, wanted = shifted(batch.targets)
            logits = model(inputs, memory)[0].flatten(0, 1)  # (B·T, V)
            written = F.cross_entropy(
                logits, wanted.flatten(), ignore_index=IGNORE, reduction="sum",
                label_smoothing=label_smoothing,
            )  # fmt: skip
            total = total + (1 - weight) * written
        return total

    return objective


@torch.inference_mode()
def write(
    model: Listener, clips: Sequence[np.ndarray], beam: int = 4, max_length: int = 40
) -> list[list[int]]:
    """What the decoder writes for each clip: the best text of a beam search, EOS left out.

    Its score is log p without normalization: of two texts the likelier one is taken.
    """
    found: list = [None] * len(clips)
    for group, batch in speech.groups(clips, 32, device_of(model)):
        memory = model.encode(batch.features, batch.frames)
        prompt = torch.full((len(group), 1), BOS, device=batch.features.device)
        if beam > 1:  # each hypothesis looks at the places of its own clip
            rows = decoding.beam_search(model, prompt, memory, beam, max_length, alpha=0.0)
            texts = [row[0].ids for row in rows]
        else:
            texts = decoding.greedy(model, prompt, memory, max_length)
        for i, text in zip(group, texts, strict=True):
            found[i] = text
    return found


@torch.inference_mode()
def alignment(model: Listener, clip: np.ndarray, text: Sequence[int]) -> torch.Tensor:
    """Where the decoder looks for each token of a text, and for EOS: (tokens + 1, S)."""
    ((_, batch),) = speech.groups([clip], 1, device_of(model))
    ids = torch.tensor([[BOS, *text]], device=batch.features.device)  # (1, tokens + 1)
    return model.decoder.weights(ids, model.encode(batch.features, batch.frames))[0].cpu()
