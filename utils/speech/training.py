"""Training of speech recognizers: the objectives of CTC and of joint training, and one recipe.

Derived in section 6.3. CTC: Graves et al. 2006; joint training of CTC and attention: Watanabe et
al. 2017.
"""

from __future__ import annotations

from typing import Any, overload

import torch
from torch import nn

from utils.arguments import check_number
from utils.contract import SpeechRecognizer
from utils.data.pair_batches import teacher_forcing_pair
from utils.speech.audio_batches import AudioBatch, AudioBatches, ExampleSampler
from utils.speech.ctc import ctc_batch_loss
from utils.speech.ctc_inputs import as_texts
from utils.speech.ctc_recognizer import CTCRecognizer
from utils.speech.joint_recognizer import JointRecognizer
from utils.training.config import TrainConfig
from utils.training.history import History
from utils.training.loop import fit
from utils.training.objectives import summed_nll
from utils.training.protocols import ModelT, Objective


def ctc_nll(model: SpeechRecognizer, batch: AudioBatch) -> torch.Tensor:
    """Compute the summed −log p(transcript | audio) of a batch, for ``utils.training.loop.fit``.

    Parameters
    ----------
    model
        Such as a `CTCRecognizer`.
    batch
        Features and transcripts.

    Returns
    -------
    loss : torch.Tensor
        The loss in nats, a scalar.

    Raises
    ------
    ValueError
        If `ctc_batch_loss` rejects the batch, for example because a clip has too few steps for its
        transcript.
    """
    log_probs, lengths = model(batch.features, batch.lengths)
    return ctc_batch_loss(log_probs, lengths, batch.targets).sum()


def joint_objective(ctc_weight: float) -> Objective[JointRecognizer, AudioBatch]:
    """Make the objective ``ctc_weight · L_ctc + (1 − ctc_weight) · L_attention``.

    Source: ``eq-joint`` (section 6.3); Watanabe et al. 2017.

    Parameters
    ----------
    ctc_weight
        From 0 to 1. At 0 the CTC output learns nothing, at 1 the decoder.

    Returns
    -------
    objective : Objective
        The summed loss of an `AudioBatch` by a `JointRecognizer`, for ``utils.training.loop.fit``.
        It raises ValueError for a transcript that `as_texts` rejects and, with a `ctc_weight` above
        0, for a batch that `ctc_batch_loss` rejects.

    Raises
    ------
    ValueError
        If the weight is not from 0 to 1.
    """
    check_number(minimum=0, maximum=1, ctc_weight=ctc_weight)

    def objective(model: JointRecognizer, batch: AudioBatch) -> torch.Tensor:
        encoded = model.encoder.encode(batch.features, batch.lengths)
        as_texts(batch.targets, encoded.log_probs.shape[-1])  # the decoder needs such texts, too
        total = encoded.log_probs.new_zeros(())
        if ctc_weight > 0:
            ctc_losses = ctc_batch_loss(encoded.log_probs, encoded.lengths, batch.targets)  # (B,)
            total = ctc_weight * ctc_losses.sum()
        if ctc_weight < 1:
            state = model.decoder.begin(model.make_memory(encoded))
            inputs, targets = teacher_forcing_pair(batch.targets)  # (B, L + 1)
            logits, _ = model.decoder(inputs, state)  # (B, L + 1, V)
            total = total + (1 - ctc_weight) * summed_nll(logits, targets)
        return total

    return objective


@overload
def train_recognizer(
    model: CTCRecognizer,
    sample_examples: ExampleSampler,
    *,
    steps: int,
    learning_rate: float,
    seed: int = ...,
) -> History: ...


@overload
def train_recognizer(
    model: ModelT,
    sample_examples: ExampleSampler,
    *,
    steps: int,
    learning_rate: float,
    seed: int = ...,
    objective: Objective[ModelT, AudioBatch],
) -> History: ...


def train_recognizer(
    model: nn.Module,
    sample_examples: ExampleSampler,
    *,
    steps: int,
    learning_rate: float,
    seed: int = 0,
    objective: Objective[Any, AudioBatch] = ctc_nll,
) -> History:
    """Train a recognizer on new clips at each step.

    Parameters
    ----------
    model
        A `CTCRecognizer` or, with the objective of `joint_objective`, a `JointRecognizer`; on its
        device.
    sample_examples
        Makes the clips and transcripts of a step.
    steps
        The number of training steps.
    learning_rate
        The highest learning rate.
    seed
        Seeds the examples.
    objective
        The loss: `ctc_nll`, or what `joint_objective` returns.

    Returns
    -------
    history : History
        The losses of the run.

    Raises
    ------
    ValueError
        If a clip has too few steps for its transcript, or `steps` or `learning_rate` is rejected by
        `TrainConfig`.
    """
    config = TrainConfig(
        steps=steps, learning_rate=learning_rate, warmup_fraction=0.05, clip_norm=5.0
    )
    batches = AudioBatches(sample_examples, seed=seed)
    return fit(model, batches, config, progress=False, objective=objective)
