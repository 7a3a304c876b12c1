"""One optimizer step, written out: accumulate, unscale, clip, schedule, step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from utils.runtime import autocast
from utils.training.config import learning_rate_at
from utils.training.objectives import count_tokens
from utils.training.protocols import TrainingBatch
from utils.training.training_run import TrainingRun


def train_step(run: TrainingRun, batches: Sequence[TrainingBatch]) -> None:
    """Take one optimizer step on the mean loss per token of `batches`.

    Source: ``eq-training-clip`` and ``eq-training-schedule`` (section 3.1), ``eq-torch-loss-scale``
    and ``eq-torch-data-parallel`` (section 7.2).

    Parameters
    ----------
    run
        The run, which the step changes.
    batches
        The batches of the step, whose gradients are accumulated.

    Raises
    ------
    ValueError
        If the batches hold no token to predict.
    """
    config, processes = run.config, run.processes
    optimizer, scaler = run.optimizer, run.scaler
    num_tokens = sum(map(count_tokens, batches))  # on the CPU: does not wait for a GPU
    if num_tokens == 0:
        raise ValueError(f"the batches of step {run.step} hold no token to predict")

    run.loss_module.train()
    optimizer.zero_grad()
    total = torch.zeros((), dtype=torch.float32, device=run.device)
    for i, batch in enumerate(batches, start=1):
        with processes.gradient_sync(run.loss_module, enabled=i == len(batches)):
            with autocast(run.device, enabled=config.mixed_precision, dtype=run.autocast_dtype):
                loss = run.loss_module(batch.to(run.device))
            # Gradients are averaged over the processes; times their number, that is the sum.
            scaler.scale(processes.world_size * loss / num_tokens).backward()
        total = total + loss.detach()

    scaler.unscale_(optimizer)
    if config.clip_norm:
        nn.utils.clip_grad_norm_(run.trained_parameters, config.clip_norm)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate_at(config, run.step) * group.get("lr_scale", 1.0)
    scaler.step(optimizer)
    scaler.update()
    run.record_step(total / num_tokens, num_tokens)
