"""What book/07-beyond-one-machine derives, by counting."""

import pytest
import torch
from torch.nn import functional as F

from utils.models.gpt import GPT
from utils.models.multi_head import SelfAttention
from utils.studies import collectives
from utils.training.config import TrainConfig
from utils.training.optimizers import adamw


def vectors(n, size):
    torch.manual_seed(0)
    return [torch.randn(size, dtype=torch.float64) for _ in range(n)]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 8])
def test_a_ring_adds_up_and_sends_what_the_formula_says(n):
    values, total = vectors(n, 24), sum(vectors(n, 24))
    sums, sent = collectives.ring_all_reduce(values)
    assert len(sums) == n and all(torch.allclose(x, total, atol=1e-14) for x in sums)
    assert sent * n == 2 * (n - 1) * 24
    parts, scattered = collectives.ring_reduce_scatter(values)
    assert torch.allclose(torch.cat(parts), total, atol=1e-14)
    joined, gathered = collectives.ring_all_gather(parts)
    assert all(torch.equal(x, torch.cat(parts)) for x in joined)
    assert scattered * n == gathered * n == (n - 1) * 24
    assert all(torch.equal(a, b) for a, b in zip(values, vectors(n, 24), strict=True))


def test_a_ring_needs_equal_parts():
    with pytest.raises(ValueError, match="25 numbers cannot be cut into 3"):
        collectives.ring_all_reduce(vectors(3, 25))


@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_feed_forward_net_is_cut_without_a_word_between(n):
    torch.manual_seed(0)
    x, expand, contract = torch.randn(3, 5, 6), torch.randn(8, 6), torch.randn(6, 8)
    whole = F.gelu(x @ expand.mT) @ contract.mT
    parts = collectives.split_feed_forward(x, expand, contract, n)
    assert len(parts) == n and {part.shape for part in parts} == {x.shape}
    assert torch.allclose(sum(parts), whole, atol=1e-5)
    if n > 1:
        assert not torch.allclose(parts[0], whole, atol=1e-2)


def test_heads_are_cut_without_a_word_between():
    """The sum over processes of their heads' part of the projection is the layer's output."""
    torch.manual_seed(0)
    layer = SelfAttention(12, heads=4).double()
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    total = 0.0
    for process in (0, 1):
        own = SelfAttention(12, heads=4).double()
        mine = slice(6 * process, 6 * process + 6)  # two heads of three numbers each
        own.load_state_dict(layer.state_dict())
        others = torch.ones(12, dtype=torch.bool)
        others[mine] = False
        with torch.no_grad():
            own.project.weight[:, others] = 0.0
            for block in own.qkv.weight.chunk(3):
                block[others] = 0.0
        total = total + own(x)[0]
    assert torch.allclose(total, layer(x)[0], atol=1e-12)


@pytest.mark.parametrize("stages, parts", [(1, 3), (2, 1), (4, 8), (3, 5)])
def test_a_pipeline_waits_as_long_as_the_formula_says(stages, parts):
    table = collectives.pipeline_schedule(stages=stages, micro_batches=parts)
    for stage, row in enumerate(table):
        assert [part for part in row if part is not None] == list(range(parts))
        for part in range(parts):
            assert row.index(part) == stage + part, "after the stage before"
    ticks = len(table[0])
    waiting = sum(part is None for row in table for part in row) / (stages * ticks)
    assert waiting == pytest.approx((stages - 1) / (stages - 1 + parts))


def test_a_weight_costs_sixteen_bytes_to_train():
    """Weight, gradient and two moments in single precision, and a step for each tensor."""
    model = GPT(50, width=16, layers=2, heads=2, context_length=8)
    optimizer = adamw(model, TrainConfig())
    model(torch.zeros(1, 4, dtype=torch.long))[0].sum().backward()
    optimizer.step()
    held = [p for p in model.parameters()] + [p.grad for p in model.parameters()]
    held += [x for state in optimizer.state.values() for x in state.values() if x.dim()]
    weights = sum(p.numel() for p in model.parameters())
    assert sum(x.numel() * x.element_size() for x in held) == 16 * weights


def test_the_loopback_counts_what_is_sent():
    import socket

    before = collectives.loopback_bytes()
    if before is None:
        pytest.skip("only Linux counts the loopback's bytes")
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as sender:
            receiver, _ = server.accept()
            with receiver:
                sender.sendall(bytes(100_000))
                got = 0
                while got < 100_000:
                    got += len(receiver.recv(65536))
    assert 100_000 <= collectives.loopback_bytes() - before
