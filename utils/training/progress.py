"""The progress bar of a training run: steps, time, recent loss and speed."""

from __future__ import annotations

from tqdm import tqdm

from utils.training.training_run import TrainingRun

AVERAGED_STEPS = 50  # steps whose mean loss the bar shows


def progress_bar(run: TrainingRun, *, visible: bool) -> tqdm:
    """Return a bar from the run's present step to its last one; a context manager.

    Parameters
    ----------
    run
        The training run whose steps and losses the bar shows.
    visible
        Whether to show the bar.

    Returns
    -------
    bar : tqdm
        A bar with one tick for each training step.
    """
    return tqdm(
        total=run.config.steps,
        initial=run.step,
        unit="step",
        disable=not visible,
        mininterval=0.5,
        ascii=" ━",
        bar_format="{n_fmt}/{total_fmt} steps, {elapsed}{postfix}",
    )


def show_loss(bar: tqdm, run: TrainingRun) -> None:
    """Show the mean loss of the last steps that have been read from the device, and the speed.

    Parameters
    ----------
    bar
        A bar of `progress_bar`.
    run
        The training run whose steps and losses the bar shows.
    """
    recent = run.history.losses[-AVERAGED_STEPS:]
    speed = run.history.tokens_per_second
    bar.set_postfix_str(f"loss {sum(recent) / len(recent):.3f}, {speed:,.0f} tokens/s")
