"""What book/07-beyond-one-machine derives, by counting."""

import pytest
import torch
from torch.nn import functional as F

from utils.models.gpt import GPT
from utils.models.multi_head import SelfAttention
from utils.studies.collectives import (
    pipeline_schedule,
    ring_all_gather,
    ring_all_reduce,
    ring_reduce_scatter,
)
from utils.training.config import TrainConfig
from utils.training.optimizers import adamw


def make_vectors(n, size):
    torch.manual_seed(0)
    return [torch.randn(size, dtype=torch.float64) for _ in range(n)]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 8])
def test_a_ring_adds_up_and_sends_as_much_as_the_formula(n):
    values, total = make_vectors(n, 24), sum(make_vectors(n, 24))
    sums, sent = ring_all_reduce(values)
    assert len(sums) == n and all(torch.allclose(x, total, atol=1e-14) for x in sums)
    assert sent * n == 2 * (n - 1) * 24
    chunks, sent_to_scatter = ring_reduce_scatter(values)
    assert torch.allclose(torch.cat(chunks), total, atol=1e-14)
    joined, sent_to_gather = ring_all_gather(chunks)
    assert len(joined) == n and all(torch.equal(x, torch.cat(chunks)) for x in joined)
    assert sent_to_scatter * n == sent_to_gather * n == (n - 1) * 24
    unchanged = zip(values, make_vectors(n, 24), strict=True)
    assert all(torch.equal(before, after) for before, after in unchanged)


def test_a_ring_needs_equal_parts():
    with pytest.raises(ValueError, match="25 numbers cannot be split into 3"):
        ring_all_reduce(make_vectors(3, 25))


@pytest.mark.parametrize(
    "values",
    [
        [],
        [torch.ones(4), torch.ones(2)],
        [torch.ones(2, 4), torch.ones(2, 4)],
        [torch.ones(0), torch.ones(0)],
        [torch.tensor(1.0)],
    ],
    ids=["none", "lengths", "matrices", "empty", "numbers"],
)
@pytest.mark.parametrize("function", [ring_all_reduce, ring_reduce_scatter, ring_all_gather])
def test_a_ring_needs_vectors_of_one_length(function, values):
    """Of two lengths some were added up silently; of matrices the rows were counted."""
    with pytest.raises(ValueError, match="expected one vector of the same length for each process"):
        function(values)


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0), (2, -1), (1.5, 2)])
def test_a_pipeline_needs_a_stage_and_a_micro_batch(sizes):
    num_stages, num_micro_batches = sizes
    with pytest.raises(ValueError, match="must be a positive integer"):
        pipeline_schedule(num_stages=num_stages, num_micro_batches=num_micro_batches)


def split_feed_forward(x, expand, contract, n):
    """Return what n processes add up to contract · gelu(expand · x): x (…, D), (H, D), (D, H).

    Each has H/n rows of the first matrix and the same columns of the second, and never needs the
    hidden units of the others (Shoeybi et al. 2019).
    """
    parts = zip(expand.chunk(n, 0), contract.chunk(n, 1), strict=True)
    return [F.gelu(x @ rows.mT) @ columns.mT for rows, columns in parts]


@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_feed_forward_net_is_split_without_communication_in_between(n):
    torch.manual_seed(0)
    x, expand, contract = torch.randn(3, 5, 6), torch.randn(8, 6), torch.randn(6, 8)
    output = F.gelu(x @ expand.mT) @ contract.mT
    parts = split_feed_forward(x, expand, contract, n)
    assert len(parts) == n and {part.shape for part in parts} == {x.shape}
    assert torch.allclose(sum(parts), output, atol=1e-5)
    if n > 1:
        assert not torch.allclose(parts[0], output, atol=1e-2)


def test_heads_are_split_without_communication_in_between():
    """The sum over processes of their heads' part of the projection is the layer's output."""
    torch.manual_seed(0)
    layer = SelfAttention(12, num_heads=4).double()
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    total = 0.0
    for process in (0, 1):
        part = SelfAttention(12, num_heads=4).double()
        part.load_state_dict(layer.state_dict())
        is_other = torch.ones(12, dtype=torch.bool)
        is_other[6 * process : 6 * process + 6] = False  # two heads of three numbers each
        with torch.no_grad():
            part.output_projection.weight[:, is_other] = 0.0
            for matrix in part.qkv_projection.weight.chunk(3):
                matrix[is_other] = 0.0
        total = total + part(x)[0]
    assert torch.allclose(total, layer(x)[0], atol=1e-12)


@pytest.mark.parametrize("num_stages, num_micro_batches", [(1, 3), (2, 1), (4, 8), (3, 5)])
def test_a_pipeline_is_idle_as_long_as_in_the_formula(num_stages, num_micro_batches):
    schedule = pipeline_schedule(num_stages=num_stages, num_micro_batches=num_micro_batches)
    assert len(schedule) == num_stages
    for stage, row in enumerate(schedule):
        assert [i for i in row if i is not None] == list(range(num_micro_batches))
        for i in range(num_micro_batches):
            assert row.index(i) == stage + i, "after the stage before"
    ticks = len(schedule[0])
    idle = sum(i is None for row in schedule for i in row) / (num_stages * ticks)
    assert idle == pytest.approx((num_stages - 1) / (num_stages - 1 + num_micro_batches))


def test_a_parameter_costs_sixteen_bytes_to_train():
    """Parameter, gradient and two moments in single precision, and a step for each tensor."""
    model = GPT(50, width=16, num_layers=2, num_heads=2, context_length=8)
    optimizer = adamw(model, TrainConfig())
    model(torch.zeros(1, 4, dtype=torch.long))[0].sum().backward()
    optimizer.step()
    tensors = [*model.parameters(), *(p.grad for p in model.parameters())]
    tensors += [x for state in optimizer.state.values() for x in state.values() if x.dim()]
    num_parameters = sum(p.numel() for p in model.parameters())
    assert sum(x.numel() * x.element_size() for x in tensors) == 16 * num_parameters
