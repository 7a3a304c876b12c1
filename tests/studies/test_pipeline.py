"""What book/07-beyond-one-machine derives of pipelines, by counting."""

import pytest

from utils.studies.pipeline import ORDERS, Step, max_stored_activations, pipeline_schedule

SIZES = [(1, 3), (2, 1), (4, 8), (3, 5), (5, 2)]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("num_stages, num_micro_batches", SIZES)
def test_every_pass_comes_once_and_after_the_pass_that_it_needs(
    num_stages, num_micro_batches, order
):
    schedule = pipeline_schedule(
        num_stages=num_stages, num_micro_batches=num_micro_batches, order=order
    )
    assert len(schedule) == num_stages
    for row in schedule:
        steps = [step for step in row if step]
        assert sorted(steps) == sorted(
            Step(direction, i)
            for direction in ("forward", "backward")
            for i in range(num_micro_batches)
        )
    for i in range(num_micro_batches):
        forward = [row.index(Step("forward", i)) for row in schedule]
        backward = [row.index(Step("backward", i)) for row in schedule]
        ticks = forward + backward[::-1]
        assert ticks == sorted(set(ticks)), "down all stages, then up again"


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("num_stages, num_micro_batches", SIZES)
def test_a_pipeline_waits_as_long_as_in_the_formula(num_stages, num_micro_batches, order):
    schedule = pipeline_schedule(
        num_stages=num_stages, num_micro_batches=num_micro_batches, order=order
    )
    ticks = {len(row) for row in schedule}
    assert ticks == {2 * (num_stages + num_micro_batches - 1)}
    for row in schedule:
        bubble = row.count(None) / len(row)
        assert bubble == pytest.approx((num_stages - 1) / (num_stages - 1 + num_micro_batches))


@pytest.mark.parametrize("num_stages, num_micro_batches", SIZES)
def test_1f1b_stores_fewer_activations_than_gpipe(num_stages, num_micro_batches):
    sizes = {"num_stages": num_stages, "num_micro_batches": num_micro_batches}
    stored = {
        order: [max_stored_activations(row) for row in pipeline_schedule(**sizes, order=order)]
        for order in ORDERS
    }
    assert stored["gpipe"] == [num_micro_batches] * num_stages
    assert stored["1f1b"] == [min(num_stages - s, num_micro_batches) for s in range(num_stages)]


def test_all_forward_passes_of_gpipe_come_first():
    for row in pipeline_schedule(num_stages=3, num_micro_batches=4):
        directions = [step.direction for step in row if step]
        assert directions == ["forward"] * 4 + ["backward"] * 4


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0), (2, -1), (1.5, 2)])
def test_a_pipeline_needs_a_stage_and_a_micro_batch(sizes):
    num_stages, num_micro_batches = sizes
    with pytest.raises(ValueError, match="must be a positive integer"):
        pipeline_schedule(num_stages=num_stages, num_micro_batches=num_micro_batches)


def test_an_unknown_order_is_refused():
    with pytest.raises(ValueError, match="order is 'zero'; choose from gpipe, 1f1b"):
        pipeline_schedule(num_stages=2, num_micro_batches=2, order="zero")
