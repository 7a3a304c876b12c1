"""A small model, its data and its configuration, for the tests of training."""

import os
import signal
from typing import Any

import torch

from utils import runtime
from utils.data.batches import TextBatches
from utils.models.language_models import RNNLM
from utils.training.config import TrainConfig

V = 12
TEXT = torch.randint(4, V, (400,), generator=torch.Generator().manual_seed(0))
OTHER_TEXT = TEXT.flip(0) % 5 + 4
PAIRS = [([4 + i % 5, 5, 6 + i % 3], [4 + i % 5] * (1 + i % 4)) for i in range(24)]
CONFIG = TrainConfig(steps=12, learning_rate=1e-2, warmup_fraction=0.25)
SIZES: dict[str, Any] = {"batch_size": 4, "context_length": 10}


def make_model(dropout=0.3):
    """The same weights on every call."""
    runtime.seed_everything(1)
    return RNNLM(V, width=8, num_layers=2, cell="lstm", tied=True, dropout=dropout)


def make_stream(text=TEXT, seed=3):
    return TextBatches(text, **SIZES, seed=seed)


def flat_weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


class InterruptedStream(TextBatches):
    """A stream during which Ctrl-C is pressed, when the batch of one step is asked for."""

    def __init__(self, interrupted_step, text=TEXT, seed=3):
        super().__init__(text, **SIZES, seed=seed)
        self.interrupted_step = interrupted_step

    def __getitem__(self, step):
        if step == self.interrupted_step:
            os.kill(os.getpid(), signal.SIGINT)
        return super().__getitem__(step)
