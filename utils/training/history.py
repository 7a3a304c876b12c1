"""The history of a training run: losses, validations, speed and the best step."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import NamedTuple


class Validation(NamedTuple):
    """One validation during a run.

    Parameters
    ----------
    step
        Number of steps taken before it.
    loss
        The validation loss in nats per token.
    """

    step: int
    loss: float


@dataclass
class History:
    """The results of a training run: losses, speed and the best step.

    Parameters
    ----------
    losses
        The training loss of each step, in nats per token.
    validations
        The validations in their order.
    num_tokens
        Number of predicted tokens in all steps.
    seconds
        Time of all steps, without validations and checkpoints.
    best_step
        The step after which the model had the parameters that it now has.
    stop_signal
        The number of the signal that ended the run before its last step: 2 for Ctrl-C, 15 for
        SIGTERM, 1 for SIGHUP; 0 if none did.
    """

    losses: list[float] = field(default_factory=list)
    validations: list[Validation] = field(default_factory=list)
    num_tokens: int = 0
    seconds: float = 0.0
    best_step: int = 0
    stop_signal: int = 0

    @property
    def best_loss(self) -> float:
        """The lowest validation loss in nats per token.

        Raises
        ------
        ValueError
            If the run has no validation.
        """
        if not self.validations:
            raise ValueError("the run has no validation loss: give `fit` validation batches")
        return min(validation.loss for validation in self.validations)

    @property
    def interrupted(self) -> bool:
        """Whether a signal ended the run before its last step."""
        return self.stop_signal != 0

    def raise_if_interrupted(self) -> None:
        """Pass the signal on for a caller whose next lines need a finished run.

        Raises
        ------
        KeyboardInterrupt
            If Ctrl-C ended the run.
        SystemExit
            If another signal did; the exit code is 128 plus its number.
        """
        if self.stop_signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self.interrupted:
            raise SystemExit(128 + self.stop_signal)

    @property
    def tokens_per_second(self) -> float:
        """The speed of the steps, in predicted tokens per second."""
        return self.num_tokens / max(self.seconds, 1e-9)
