"""Checks of a run's batches before its first step: enough of them, finite, with targets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized

from utils.data.batches import EndlessBatches
from utils.runtime import get_random_state, set_random_state
from utils.training.config import TrainConfig
from utils.training.objectives import count_tokens
from utils.training.protocols import BatchStream, TrainingBatch


def check_not_endless(batches: object) -> None:
    """Check that a collection of batches has an end.

    Raises
    ------
    ValueError
        If `batches` is a stream of training batches, which has a batch for every step, or is not
        a collection.
    """
    if not isinstance(batches, Iterable) and not hasattr(batches, "__getitem__"):
        raise ValueError(f"batches must be a list of batches, got {type(batches).__name__}")
    if isinstance(batches, EndlessBatches) or not isinstance(batches, Iterable):
        raise ValueError(
            f"{type(batches).__name__} is an endless stream of training batches: evaluate a list "
            "of batches, such as text_eval_batches returns"
        )


def check_training_batches(batches: BatchStream[TrainingBatch], config: TrainConfig) -> None:
    """Check that there is a batch for every step of a run.

    A collection may be shorter if it has the last batch nevertheless, as a stream whose length is
    that of an epoch; the batch is read to find out.

    Parameters
    ----------
    batches
        The batches by step.
    config
        The configuration of the run.

    Raises
    ------
    ValueError
        If there are too few batches, or they cannot be indexed by step.
    """
    if not hasattr(batches, "__getitem__"):
        raise ValueError(
            "batches[step] must be the batch of a step: expected a stream such as TextBatches or a "
            f"list, got {type(batches).__name__}"
        )
    num_batches = config.steps * config.accumulation_steps
    if not isinstance(batches, Sized) or len(batches) >= num_batches:
        return
    if isinstance(batches, Sequence) or not _has_batch(batches, num_batches - 1):
        raise ValueError(
            f"steps={config.steps} with accumulation_steps={config.accumulation_steps} need "
            f"{num_batches} batches, got {len(batches)}"
        )


def _has_batch(batches: BatchStream[TrainingBatch], step: int) -> bool:
    """Return whether there is a batch of a step; random numbers that it draws are drawn again."""
    random_state = get_random_state()
    try:
        batches[step]
    except LookupError:
        return False
    finally:
        set_random_state(random_state)
    return True


def check_validation_batches(batches: Iterable[TrainingBatch]) -> None:
    """Check that the validation batches of a run can be read several times.

    Raises
    ------
    ValueError
        If `batches` can be read only once or has no end, or if there is nothing to predict.
    """
    if isinstance(batches, Iterator):
        raise ValueError("valid is read again and again: give a list of batches, not an iterator")
    check_not_endless(batches)
    if isinstance(batches, Sized) and not len(batches):
        raise ValueError("nothing to evaluate: valid holds no batch")
    if isinstance(batches, Sequence):
        for batch in batches:
            if not hasattr(batch, "targets"):
                raise ValueError(
                    f"valid must hold batches with targets, got {type(batch).__name__}"
                )
        if not sum(map(count_tokens, batches)):
            raise ValueError("nothing to evaluate: the batches of valid hold no token to predict")
