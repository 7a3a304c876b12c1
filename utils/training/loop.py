"""The training loop of every neural model of the book.

`fit` repeats the single step of ``utils.training.optimizer_step`` and adds what surrounds it:
validation, checkpoints, a progress bar and Ctrl-C. The batch and the learning rate are functions of
the step, so a checkpoint needs no more than the step to go on where it stopped: on a CPU a resumed
run equals the uninterrupted one to the bit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, overload

from utils.arguments import check_bool
from utils.contract import NextTokenModel
from utils.data.batches import Batch
from utils.files import as_path
from utils.interrupts import Interrupt, interrupt_flag
from utils.training.batch_checks import check_training_batches, check_validation_batches
from utils.training.checkpoint import (
    check_parameters,
    lock_run,
    resume_from_checkpoint,
    save_checkpoint,
)
from utils.training.config import TrainConfig
from utils.training.distributed import Processes
from utils.training.history import History
from utils.training.objectives import token_nll
from utils.training.optimizer_step import train_step
from utils.training.optimizers import OptimizerFactory, adamw
from utils.training.progress import progress_bar, show_loss
from utils.training.protocols import BatchStream, BatchT, ModelT, Objective, TrainingBatch
from utils.training.training_run import TrainingRun, start_run
from utils.training.validation import validate

LOSS_EVERY = 10  # steps between two readings of the loss, each of which waits for the device


@overload
def fit(
    model: NextTokenModel[Any],
    batches: BatchStream[Batch],
    config: TrainConfig,
    *,
    valid: Iterable[Batch] | None = ...,
    checkpoint: str | Path | None = ...,
    progress: bool = ...,
    make_optimizer: OptimizerFactory = ...,
    processes: Processes | None = ...,
    on_validation: Callable[[History], None] | None = ...,
) -> History: ...


@overload
def fit(
    model: ModelT,
    batches: BatchStream[BatchT],
    config: TrainConfig,
    *,
    objective: Objective[ModelT, BatchT],
    valid: Iterable[BatchT] | None = ...,
    checkpoint: str | Path | None = ...,
    progress: bool = ...,
    make_optimizer: OptimizerFactory = ...,
    processes: Processes | None = ...,
    on_validation: Callable[[History], None] | None = ...,
) -> History: ...


def fit(
    model: Any,
    batches: BatchStream[Any],
    config: TrainConfig,
    *,
    valid: Iterable[Any] | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
    make_optimizer: OptimizerFactory = adamw,
    objective: Objective[Any, Any] = token_nll,
    processes: Processes | None = None,
    on_validation: Callable[[History], None] | None = None,
) -> History:
    """Train `model` and leave its best parameters in it, in evaluation mode.

    The best parameters are those of the lowest validation loss; without validation, the last ones.
    Ctrl-C, SIGTERM or SIGHUP ends the run after the current step, with a checkpoint; one that comes
    after the last step changes nothing. Gradients that the model has are cleared first.

    Parameters
    ----------
    model
        The model to train, on its device; also one that ``torch.compile`` returned.
    batches
        ``batches[0]``, ``batches[1]``, … are the batches of the run, `accumulation_steps` of them
        for each step: a stream such as ``TextBatches``, or a list that is long enough.
    config
        How to train.
    valid
        Validation batches, a collection that can be read several times. The model is validated
        every `validate_every` steps and at the end.
    checkpoint
        A file to write checkpoints to. If it exists, the run resumes from it. Only one run at a
        time may write to it.
    progress
        Whether to show a progress bar.
    make_optimizer
        A function that builds the optimizer for a model and a configuration, such as those in
        ``utils.training.optimizers``. The learning rate of a parameter group is the schedule's
        times the group's "lr_scale", if any.
    objective
        The summed loss of a batch, such as those in ``utils.training.objectives``. A checkpoint
        holds neither the objective nor the data: resume a run with those with which it began.
    processes
        The processes that train together; each of them calls `fit` with the same arguments and
        gets the same history. By default this process alone.
    on_validation
        A function that is called with the history after each validation, with the model in
        evaluation mode.

    Returns
    -------
    history : History
        The losses of all steps and validations, the speed, and the step of the best parameters.

    Raises
    ------
    ValueError
        If the checkpoint has no name, is damaged, in use, or of another configuration, model or
        optimizer, if there are fewer batches than the run needs, if batches hold no token to
        predict, if `valid` can be read only once, if `progress` is neither True nor False, if the
        model has nothing to train, or if the optimizer holds none of what it trains.
    FloatingPointError
        If the loss or, in a checkpoint or at the end, a parameter is no longer finite.
    OSError
        If the checkpoint cannot be read or written.

    Examples
    --------
    >>> from utils.data.batches import TextBatches
    >>> from utils.models.gpt import GPT
    >>> from utils.training.config import TrainConfig
    >>> from utils.training.loop import fit
    >>> model = GPT(10, width=16, num_layers=1, num_heads=2)
    >>> batches = TextBatches([4, 5, 6, 7] * 20, batch_size=8, context_length=8)
    >>> history = fit(model, batches, TrainConfig(steps=20, learning_rate=0.01), progress=False)
    >>> len(history.losses), history.losses[-1] < history.losses[0]
    (20, True)
    """
    check_bool(progress=progress)
    check_training_batches(batches, config)
    if valid is not None:
        check_validation_batches(valid)
    path = None if checkpoint is None else as_path(checkpoint)
    if path is not None and not path.name:
        raise ValueError(f"checkpoint must be the name of a file, got {str(checkpoint)!r}")
    processes = processes or Processes()
    with lock_run(path, processes):
        run = start_run(
            model,
            config,
            make_optimizer=make_optimizer,
            objective=objective,
            processes=processes,
        )
        if path is not None:
            resume_from_checkpoint(run, path)
        _take_steps(run, batches, valid, path, on_validation, progress=progress)
    return run.history


def _take_steps(
    run: TrainingRun,
    batches: BatchStream[BatchT],
    valid: Iterable[BatchT] | None,
    path: Path | None,
    on_validation: Callable[[History], None] | None,
    *,
    progress: bool,
) -> None:
    """Train from the present step to the last one, or until the run is interrupted."""
    config = run.config
    with interrupt_flag() as interrupt, progress_bar(run, visible=progress) as bar:
        while run.step < config.steps and not _must_stop(run, interrupt):
            _timed_step(run, batches)
            if valid is not None and _is_due(run, config.validate_every):
                validate(run, valid, on_validation)
            if path is not None and _is_due(run, config.checkpoint_every):
                save_checkpoint(run, path)
            bar.update()
            if _is_due(run, LOSS_EVERY, config.steps):
                show_loss(bar, run)
        if run.step < config.steps:
            numbers = run.processes.gather(interrupt.signal_number)
            run.history.stop_signal = max(numbers)
        else:
            run.history.stop_signal = 0
        _finish(run, valid, path, on_validation)


def _timed_step(run: TrainingRun, batches: BatchStream[BatchT]) -> None:
    """Take one step, and read the losses if that is due after it."""
    start = time.perf_counter()
    config = run.config
    first = run.step * config.accumulation_steps
    train_step(run, [batches[first + i] for i in range(config.accumulation_steps)])
    if _is_due(run, LOSS_EVERY, config.validate_every, config.checkpoint_every, config.steps):
        run.read_losses()
    run.history.seconds += time.perf_counter() - start


def _is_due(run: TrainingRun, *intervals: int) -> bool:
    """Return whether the number of steps taken is a multiple of an interval; 0 means never."""
    return any(interval and run.step % interval == 0 for interval in intervals)


def _must_stop(run: TrainingRun, interrupt: Interrupt) -> bool:
    """Return whether a signal has come; several processes exchange this when they read losses."""
    processes = run.processes
    if processes.is_distributed and not _is_due(run, LOSS_EVERY):
        return False
    return processes.is_true_in_any(interrupt.is_set())


def _finish(
    run: TrainingRun,
    valid: Iterable[TrainingBatch] | None,
    path: Path | None,
    on_validation: Callable[[History], None] | None,
) -> None:
    """Validate and save for the last time, and put the best parameters into the model."""
    history = run.history
    run.read_losses()
    if run.step:
        check_parameters(run)
    run.loss_module.zero_grad()  # also of parameters that the optimizer does not change
    run.optimizer.zero_grad()
    if path is not None and run.step:
        save_checkpoint(run, path)  # before a validation, which a second signal may end
    if valid is not None and run.step:
        validate(run, valid, on_validation)
        if path is not None and not history.interrupted:  # else the whole run does not make it
            save_checkpoint(run, path)
    if valid is None or run.best_parameters is None:
        history.best_step = run.step
    else:
        run.load_model_tensors(run.best_parameters)
    run.model.eval()
