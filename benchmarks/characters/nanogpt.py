"""nanoGPT's recipe for a small CPU, re-created: a small GPT-2 and a bare training loop.

``characters`` compares the book's recipe with it. Karpathy 2022 ("nanoGPT",
config/train_shakespeare_char.py with the options that its README gives for a CPU).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.characters.loss_curves import TimedBatches
from benchmarks.characters.task import NUM_HEADS, NUM_LAYERS, WIDTH, CharacterTask
from utils.runtime import seed_everything
from utils.training.config import TrainConfig, learning_rate_at
from utils.training.evaluation import evaluate
from utils.training.optimizers import adamw

STEPS = 2000
WEIGHT_STD = 0.02  # standard deviation of the initial weights
CONFIG = TrainConfig(
    steps=STEPS,
    learning_rate=1e-3,
    schedule="cosine",
    warmup_fraction=0.05,
    final_learning_rate_fraction=0.1,
    weight_decay=0.1,
    betas=(0.9, 0.99),
    clip_norm=1.0,
)


class BaselineLayer(nn.Module):
    """LayerNorm, causal attention, LayerNorm and a hidden layer with GELU; no biases."""

    def __init__(self) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = (nn.LayerNorm(WIDTH, bias=False) for _ in range(2))
        self.c_attn = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.attn_proj = nn.Linear(WIDTH, WIDTH, bias=False)
        self.c_fc = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.mlp_proj = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the layer's output (B, T, D) for `x` (B, T, D)."""
        q, k, v = (
            part.unflatten(-1, (NUM_HEADS, -1)).transpose(1, 2)  # (B, H, T, D/H)
            for part in self.c_attn(self.ln_1(x)).split(WIDTH, dim=-1)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (B, H, T, D/H)
        x = x + self.attn_proj(y.transpose(1, 2).flatten(2))  # (B, T, D)
        return x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x))))


class BaselineGPT(nn.Module):
    """GPT-2 with learned positions and tied matrices, with nanoGPT's names and initial weights.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    context_length
        The largest number of tokens of a text.
    """

    def __init__(self, vocab_size: int, *, context_length: int) -> None:
        super().__init__()
        self.wte = nn.Embedding(vocab_size, WIDTH)
        self.wpe = nn.Embedding(context_length, WIDTH)
        self.h = nn.ModuleList(BaselineLayer() for _ in range(NUM_LAYERS))
        self.ln_f = nn.LayerNorm(WIDTH, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                depth = math.sqrt(2 * NUM_LAYERS) if "proj" in name else 1.0
                nn.init.normal_(parameter, std=WEIGHT_STD / depth)

    def forward(self, ids: torch.Tensor, state: None = None) -> tuple[torch.Tensor, None]:
        """Return logits (B, T, V) for `ids` (B, T); the model keeps no state.

        Parameters
        ----------
        ids
            Token ids, (B, T).
        state
            Not used.

        Returns
        -------
        logits : torch.Tensor
            Logits (B, T, V).
        state : None
            There is no state.
        """
        x = self.wte(ids) + self.wpe.weight[: ids.shape[1]]  # (B, T, D)
        for layer in self.h:
            x = layer(x)
        return self.ln_f(x) @ self.wte.weight.T, None  # (B, T, V)


def train_baseline(
    task: CharacterTask, valid: TimedBatches, config: TrainConfig, *, seed: int
) -> Iterator[tuple[int, float]]:
    """Train a new `BaselineGPT` in a bare loop, and validate it at the interval of `config`.

    Parameters
    ----------
    task
        What to train on.
    valid
        The validation batches, which record the training time.
    config
        How to train; `validate_every` must not be 0.
    seed
        Seed of the parameters and of the windows.

    Yields
    ------
    step : int
        The number of training steps so far.
    loss : float
        The validation loss after them, in nats per character.
    """
    generator = torch.Generator().manual_seed(seed)
    seed_everything(seed)
    model = BaselineGPT(task.vocab_size, context_length=task.context_length)
    optimizer = adamw(model, config)
    valid.start()
    for step in range(config.steps):
        rate = learning_rate_at(config, step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        inputs, targets = _random_windows(task, generator)
        logits, _ = model(inputs)  # (B, T, V)
        F.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if (step + 1) % config.validate_every == 0:
            loss = evaluate(model, valid).loss
            with valid.stopwatch.paused():
                yield step + 1, loss


def _random_windows(
    task: CharacterTask, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the inputs of a training step and, shifted by one, its targets: (B, T) each."""
    length = task.context_length
    starts = torch.randint(
        len(task.train) - length, (task.batch_size,), generator=generator
    )  # (B,)
    inputs = torch.stack([task.train[start : start + length] for start in starts])  # (B, T)
    targets = torch.stack([task.train[start + 1 : start + length + 1] for start in starts])
    return inputs, targets
