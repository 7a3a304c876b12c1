"""Schedules of pipeline parallelism: which stage processes which micro-batch when.

The page "Beyond one machine" of chapter 7 derives the numbers that can be counted in these
schedules, and ``tools.diagrams.pipeline`` draws them. GPipe: Huang et al. 2019. 1F1B: Narayanan et
al. 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from utils.arguments import check_choice, check_positive

Order: TypeAlias = Literal["gpipe", "1f1b"]
ORDERS: tuple[Order, ...] = ("gpipe", "1f1b")


class Step(NamedTuple):
    """The forward or backward pass of one micro-batch through one stage.

    Parameters
    ----------
    direction
        Which pass it is.
    micro_batch
        The index of the micro-batch.
    """

    direction: Literal["forward", "backward"]
    micro_batch: int


def pipeline_schedule(
    *, num_stages: int, num_micro_batches: int, order: Order = "gpipe"
) -> list[list[Step | None]]:
    """Return what each pipeline stage does at each tick of a training step.

    The forward and the backward pass of a micro-batch through a stage take a tick each. A stage
    takes its steps in a fixed order, each as soon as the neighbouring stage has sent its input.

    Source: Huang et al. 2019, figure 2; Narayanan et al. 2021, figures 3 and 4.

    Parameters
    ----------
    num_stages
        Number of processes, each with a consecutive part of the layers.
    num_micro_batches
        Number of equal parts into which the batch is divided.
    order
        "gpipe" for all forward passes before the first backward pass; "1f1b" for one forward and
        one backward pass in turn, once the pipeline is full.

    Returns
    -------
    schedule : list of list
        One row per stage with ``2 * (num_stages + num_micro_batches - 1)`` entries: the step, or
        None while the stage is idle.

    Raises
    ------
    ValueError
        If `num_stages` or `num_micro_batches` is not a positive integer, or `order` is unknown.

    Examples
    --------
    >>> from utils.studies.pipeline import pipeline_schedule
    >>> for stage in pipeline_schedule(num_stages=2, num_micro_batches=2, order="1f1b"):
    ...     print([f"{step.direction} {step.micro_batch}" if step else "" for step in stage])
    ['forward 0', 'forward 1', '', 'backward 0', '', 'backward 1']
    ['', 'forward 0', 'backward 0', 'forward 1', 'backward 1', '']
    """
    check_positive(num_stages=num_stages, num_micro_batches=num_micro_batches)
    check_choice(ORDERS, order=order)
    waiting = [
        _steps_of_a_stage(
            num_warm_up=num_micro_batches if order == "gpipe" else num_stages - 1 - stage,
            num_micro_batches=num_micro_batches,
        )
        for stage in range(num_stages)
    ]
    finished: set[tuple[int, Step]] = set()  # before the present tick
    schedule: list[list[Step | None]] = [[] for _ in range(num_stages)]
    while any(waiting):
        for stage, steps in enumerate(waiting):
            is_ready = bool(steps) and _input_of(stage, steps[0], num_stages) <= finished
            schedule[stage].append(steps.pop(0) if is_ready else None)
        finished.update((stage, row[-1]) for stage, row in enumerate(schedule) if row[-1])
    return schedule


def max_stored_activations(steps: Sequence[Step | None]) -> int:
    """Return for how many micro-batches a stage stores activations at most.

    A stage stores them from the forward pass of a micro-batch to its backward pass.

    Parameters
    ----------
    steps
        A row of `pipeline_schedule`.

    Returns
    -------
    num_micro_batches : int
        The largest number stored at the same time.
    """
    stored = largest = 0
    for step in steps:
        if step is not None:
            stored += 1 if step.direction == "forward" else -1
        largest = max(largest, stored)
    return largest


def _steps_of_a_stage(*, num_warm_up: int, num_micro_batches: int) -> list[Step]:
    """Return the steps of one stage: forward passes, then both kinds in turn, then backward."""
    forward = [Step("forward", i) for i in range(num_micro_batches)]
    backward = [Step("backward", i) for i in range(num_micro_batches)]
    steps, forward = forward[:num_warm_up], forward[num_warm_up:]
    for step in forward:
        steps += [step, backward.pop(0)]
    return steps + backward


def _input_of(stage: int, step: Step, num_stages: int) -> set[tuple[int, Step]]:
    """Return the steps, with their stages, after which a step can run."""
    if step.direction == "forward":
        return {(stage - 1, step)} if stage > 0 else set()
    if stage < num_stages - 1:
        return {(stage + 1, step)}
    return {(stage, Step("forward", step.micro_batch))}
