"""What book/07-beyond-one-machine derives of exchanges and memory, by counting."""

import re
from functools import cache
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from utils.models.gpt import GPT
from utils.models.multi_head import SelfAttention
from utils.studies.collectives import (
    halving_doubling_all_reduce,
    ring_all_gather,
    ring_all_reduce,
    ring_reduce_scatter,
    tree_all_reduce,
)
from utils.training.config import TrainConfig
from utils.training.optimizers import adamw

PAGE = Path(__file__).resolve().parents[2] / "book" / "07-beyond-one-machine.md"


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
@pytest.mark.parametrize(
    "function",
    [
        ring_all_reduce,
        ring_reduce_scatter,
        ring_all_gather,
        tree_all_reduce,
        halving_doubling_all_reduce,
    ],
)
def test_collectives_need_vectors_of_one_length(function, values):
    """Of two lengths some were added up silently; of matrices the rows were counted."""
    with pytest.raises(ValueError, match="expected one vector of the same length for each process"):
        function(values)


@pytest.mark.parametrize("function", [ring_all_reduce, halving_doubling_all_reduce])
def test_vectors_may_come_from_a_generator(function):
    vectors = make_vectors(4, 8)
    assert torch.equal(function(x for x in vectors)[0][0], function(vectors)[0][0])


def test_vectors_of_bool_are_refused():
    with pytest.raises(ValueError, match="expected vectors of numbers, got bool"):
        ring_all_reduce([torch.ones(2, dtype=torch.bool)] * 2)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8])
def test_a_tree_adds_up_in_few_rounds_of_whole_vectors(n):
    sums, sent = tree_all_reduce(make_vectors(n, 5))
    total = sum(make_vectors(n, 5))
    assert len(sums) == n and all(torch.allclose(x, total, atol=1e-14) for x in sums)
    assert sent == [5] * (2 * {1: 0, 2: 1, 3: 2, 4: 2, 7: 3, 8: 3}[n])


@pytest.mark.parametrize("n, num_rounds", [(1, 0), (2, 2), (4, 4), (8, 6)])
def test_halving_and_doubling_adds_up_in_few_rounds_and_sends_what_a_ring_does(n, num_rounds):
    values, total = make_vectors(n, 24), sum(make_vectors(n, 24))
    sums, sent = halving_doubling_all_reduce(values)
    assert len(sums) == n and all(torch.allclose(x, total, atol=1e-14) for x in sums)
    assert len(sent) == num_rounds and sum(sent) == ring_all_reduce(values)[1]
    half = num_rounds // 2
    assert sent[:half] == [12, 6, 3][:half] and sent[half:] == sent[:half][::-1]


def test_halving_needs_a_power_of_two_and_equal_parts():
    with pytest.raises(ValueError, match="got 6"):
        halving_doubling_all_reduce(make_vectors(6, 24))
    with pytest.raises(ValueError, match="25 numbers cannot be split into 4"):
        halving_doubling_all_reduce(make_vectors(4, 25))


@cache
def messages(name, n):
    """The rounds of an all-reduce of n numbers by n processes, and the numbers sent."""
    values = [torch.full((n,), rank) for rank in range(n)]
    if name == "ring":  # whose messages hold one number each
        sent = [1] * ring_all_reduce(values)[1]
    else:
        collectives = {"tree": tree_all_reduce, "halving and doubling": halving_doubling_all_reduce}
        sent = collectives[name](values)[1]
    return len(sent), sum(sent)


def table_of_the_page(header):
    """The cells of the table whose first line contains a text, by their first column."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|") and header in line)
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return lines[start], {row[0]: row[1:] for row in rows}


def test_the_page_tells_the_times_that_follow_from_counted_messages():
    """A round takes 10 µs and a byte 1/50 ns."""
    header, rows = table_of_the_page("0.1 MB")
    columns = re.findall(r"([\d.]+) MB, \$n\$ = (\d+)", header)
    assert len(columns) == 4 and rows.keys() == {"ring", "tree", "halving and doubling"}
    for name, cells in rows.items():
        for (megabytes, n), milliseconds in zip(columns, cells, strict=True):
            rounds, sent = messages(name, int(n))
            seconds = rounds * 10e-6 + sent / int(n) * float(megabytes) * 1e6 / 50e9
            assert milliseconds == f"{1000 * seconds:.2f}", (name, n)


@pytest.mark.parametrize("name", ["ring", "tree", "halving and doubling"])
def test_the_formulas_of_the_page_are_the_counted_messages(name):
    for n in (2, 8, 32):
        log2 = n.bit_length() - 1
        rounds = {"ring": 2 * (n - 1)}.get(name, 2 * log2)
        sent = {"tree": 2 * log2 * n}.get(name, 2 * (n - 1))  # S is n numbers
        assert messages(name, n) == (rounds, sent)


def test_hybrid_shards_send_little_between_groups():
    """Two machines of four processes; a gradient of 24 numbers per process."""
    n, h, size = 8, 4, 24
    gradients, total = make_vectors(n, size), sum(make_vectors(n, size))
    within = [ring_reduce_scatter(gradients[start : start + h]) for start in range(0, n, h)]
    across = [ring_all_reduce([parts[i] for parts, _ in within]) for i in range(h)]
    for machine in range(n // h):
        parts = [sums[machine] for sums, _ in across]
        gathered, sent_to_gather = ring_all_gather(parts)
        assert all(torch.allclose(x, total, atol=1e-14) for x in gathered)
        assert within[machine][1] * h == sent_to_gather * h == (h - 1) * size
    assert {sent * n * h for _, sent in across} == {2 * (n - h) * size}


def test_the_page_tells_what_the_stages_of_zero_store():
    """In gigabytes, for 7 billion weights in 64 processes."""
    _, rows = table_of_the_page("bytes per process")
    parts = {"weights": 4, "gradients": 4, "moments": 8}
    assert list(rows) == ["copies", "ZeRO-1", "ZeRO-2", "ZeRO-3"]
    for divided, _, example, _ in rows.values():
        stored = sum(
            size / 64 if name in divided.split(", ") else size for name, size in parts.items()
        )
        assert example == f"{7 * stored:.3g} GB"


def attend_in_a_ring(queries, keys, values, n):
    """Return causal attention (T, D) of n processes, each with T/n positions, and what each sends.

    Blocks of keys and values go round a ring. Each process keeps a running maximum of its scores,
    and with it the sums of its weights and of its weighted values.
    """
    blocks = list(zip(keys.chunk(n), values.chunk(n), strict=True))
    positions, outputs, sent = torch.arange(len(keys)).chunk(n), [], 0
    for rank, own in enumerate(queries.chunk(n)):
        peak = torch.full((len(own), 1), -torch.inf, dtype=own.dtype)
        weights, weighted = torch.zeros_like(peak), torch.zeros_like(own)
        for distance in range(n):
            source = (rank - distance) % n
            block, content = blocks[source]
            scores = own @ block.mT / own.shape[1] ** 0.5
            scores[positions[source] > positions[rank][:, None]] = -torch.inf
            new_peak = torch.maximum(peak, scores.max(1, keepdim=True).values)
            scale, exponentials = (peak - new_peak).exp(), (scores - new_peak).exp()
            weights = scale * weights + exponentials.sum(1, keepdim=True)
            weighted = scale * weighted + exponentials @ content
            peak = new_peak
            if rank == 0 and distance < n - 1:
                sent += block.numel() + content.numel()
        outputs.append(weighted / weights)
    return torch.cat(outputs), sent


@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_ring_of_keys_and_values_gives_attention_over_the_whole_sequence(n):
    torch.manual_seed(0)
    queries, keys, values = torch.randn(3, 8, 6, dtype=torch.float64)
    whole = F.scaled_dot_product_attention(queries[None], keys[None], values[None], is_causal=True)[
        0
    ]
    output, sent = attend_in_a_ring(queries, keys, values, n)
    assert torch.allclose(output, whole, atol=1e-12)
    assert sent * n == 2 * (n - 1) * 8 * 6


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


def test_a_parameter_costs_sixteen_bytes_to_train():
    """Parameter, gradient and two moments in single precision, and a step for each tensor."""
    model = GPT(50, width=16, num_layers=2, num_heads=2, context_length=8)
    optimizer = adamw(model, TrainConfig())
    model(torch.zeros(1, 4, dtype=torch.long))[0].sum().backward()
    optimizer.step()
    gradients = [p.grad for p in model.parameters()]
    moments = [x for state in optimizer.state.values() for x in state.values() if x.dim()]
    num_parameters = sum(p.numel() for p in model.parameters())
    for tensors, num_bytes in ((model.parameters(), 4), (gradients, 4), (moments, 8)):
        assert sum(x.numel() * x.element_size() for x in tensors) == num_bytes * num_parameters
