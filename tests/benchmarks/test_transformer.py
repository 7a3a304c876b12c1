"""The parts of a Transformer compared: variants of models, masked letters, lengths, counts."""

import dataclasses

import pytest
import torch

from benchmarks import tuning
from benchmarks.transformer import __main__ as command
from benchmarks.transformer.controls import CONTROLS, NEAREST, control_of, few_keys
from benchmarks.transformer.counting import (
    EDGE,
    FREQUENCY,
    NARROW,
    WIDE,
    NeighbourCounts,
    masked_places,
)
from benchmarks.transformer.networks import (
    CONTEXT_LENGTH,
    GroupedAttention,
    MaskedLM,
    attentions,
    language_model,
)
from benchmarks.transformer.parts import PARTS
from benchmarks.transformer.task import MASK, Words, masked_batch
from benchmarks.transformer.training import LAST, LENGTHS, measure_lengths, window_of
from utils.data.batches import IGNORE_INDEX, Batch
from utils.models.multi_head import SelfAttention
from utils.runtime import seed_everything


def test_grouped_attention_with_a_group_for_each_head_is_self_attention():
    seed_everything(0)
    grouped, plain = GroupedAttention(12, num_heads=3, num_groups=3), SelfAttention(12, num_heads=3)
    kv = grouped.kv_projection.weight
    plain.qkv_projection.weight.data = torch.cat([grouped.query_projection.weight, kv])
    plain.output_projection.weight.data = grouped.output_projection.weight.data
    x = torch.randn(2, 5, 12)
    assert torch.allclose(grouped(x)[0], plain(x)[0], atol=1e-6)


def test_the_heads_of_a_group_share_keys_and_values():
    seed_everything(0)
    one = GroupedAttention(12, num_heads=3, num_groups=1)
    all_heads = GroupedAttention(12, num_heads=3, num_groups=3)
    keys, values = one.kv_projection.weight.chunk(2)
    all_heads.kv_projection.weight.data = torch.cat([keys.repeat(3, 1), values.repeat(3, 1)])
    for name in ("query_projection", "output_projection"):
        getattr(all_heads, name).weight.data = getattr(one, name).weight.data
    x = torch.randn(2, 5, 12)
    assert torch.allclose(one(x)[0], all_heads(x)[0], atol=1e-6)
    assert one.kv_projection.weight.numel() * 3 == all_heads.kv_projection.weight.numel()


def test_without_positions_one_layer_reads_a_set():
    seed_everything(0)
    model = language_model(20, positions="none")
    model.layers = model.layers[:1]
    torch.nn.init.normal_(model.layers[0].attention.output_projection.weight)
    ids, mixed = torch.tensor([[4, 5, 6, 7]]), torch.tensor([[6, 4, 5, 7]])
    assert torch.allclose(model(ids)[0][0, -1], model(mixed)[0][0, -1], atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_a_masked_model_sees_both_sides_or_the_left_one(causal):
    seed_everything(0)
    model = MaskedLM(MASK + 1, causal=causal)
    ids, other = torch.tensor([[5, MASK, 7]]), torch.tensor([[5, MASK, 9]])
    same = torch.allclose(model(ids)[0][0, 1], model(other)[0][0, 1], atol=1e-6)
    assert same == causal


def test_masked_letters_are_the_targets():
    rows = [[5, 6, 7, 8]] * 50
    batch = masked_batch(rows, torch.Generator().manual_seed(0))
    is_masked = batch.inputs == MASK
    assert 0.05 < is_masked.float().mean() < 0.3
    letters = torch.tensor(rows)
    assert torch.equal(batch.targets[is_masked], letters[is_masked])
    assert (batch.targets[~is_masked] == IGNORE_INDEX).all()
    assert torch.equal(batch.inputs[~is_masked], letters[~is_masked])
    one = masked_batch([[5]], torch.Generator().manual_seed(1))  # never a batch without a target
    assert one.inputs.tolist() == [[MASK]] and one.targets.tolist() == [[5]]


def test_words_of_the_parts_differ(short_corpora):
    words = Words.load()
    parts = [{tuple(row) for row in words.rows[part]} for part in ("train", "valid", "test")]
    assert not parts[0] & parts[1] and not parts[1] & parts[2] and not parts[0] & parts[2]
    stream = words.batches(batch_size=4, seed=1)
    assert torch.equal(stream[3].inputs, stream[3].inputs)
    assert not torch.equal(stream[3].inputs, stream[4].inputs)


ROWS = [[4, 5, 6], [4, 7, 8], [4, 5, 6]]


def test_counts_follow_witten_and_bell():
    counts = NeighbourCounts(ROWS, vocab_size=10, chains=[*FREQUENCY, ((0, 0), (1, 0)), *NARROW])
    alone = (2 + 5 * 0.1) / (9 + 5)  # the letter 5, twice of nine letters, five of which differ
    left = (2 + 2 * alone) / (3 + 2)  # after 4: twice 5, once 7
    right = (2 + 1 * alone) / (2 + 1)  # before 6: twice 5
    both = [(2 + 1 * p) / (2 + 1) for p in (left, right)]
    place = ((EDGE, 4), 5, (6, EDGE))
    assert counts.parts(place) == pytest.approx([alone, left, *both])
    unseen = ((8, 9), 5, (MASK, 9))
    assert counts.parts(unseen) == pytest.approx([alone] * 4)


@pytest.mark.parametrize("chains", [FREQUENCY, NARROW, WIDE])
def test_probabilities_of_counts_sum_to_1_whatever_the_neighbours(chains):
    counts = NeighbourCounts(ROWS, vocab_size=10, chains=chains)
    for left in ((EDGE, EDGE), (EDGE, 4), (4, MASK), (9, 9)):
        for right in ((6, EDGE), (MASK, MASK), (5, 6), (9, 9)):
            parts = [counts.parts((left, w, right)) for w in range(10)]
            sums = [sum(of_chain) for of_chain in zip(*parts, strict=True)]
            assert sums == pytest.approx([1.0] * len(chains)), (left, right)


def test_counts_are_fitted_to_masked_words():
    inputs, targets = torch.tensor([[4, MASK, 6]]), torch.tensor([[IGNORE_INDEX, 5, IGNORE_INDEX]])
    batches = [Batch(inputs, targets)]
    assert masked_places(batches) == [((EDGE, 4), 5, (6, EDGE))]
    assert masked_places([Batch(torch.tensor([[MASK, 0]]), torch.tensor([[5, -100]]))]) == [
        ((EDGE, EDGE), 5, (EDGE, EDGE))
    ]
    counts = NeighbourCounts(ROWS, vocab_size=10)
    before = counts.loss(batches)
    counts.fit(batches)
    assert counts.loss(batches) < before and counts.weights.sum() == pytest.approx(1)


def attending_model():
    seed_everything(0)
    model = language_model(20).eval()
    for attention in attentions(model):
        torch.nn.init.normal_(attention.qkv_projection.weight, std=0.3)
        torch.nn.init.normal_(attention.output_projection.weight)
    return model


@torch.no_grad()
@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_changes_only_what_lies_beyond_the_length_of_training(control):
    model = attending_model()
    ids = torch.randint(4, 20, (2, CONTEXT_LENGTH + 30))
    with window_of(model, None):
        plain = model(ids)[0]
    with control_of(model, control):
        changed = (model(ids)[0] - plain).abs().amax((0, 2))
    assert changed[:CONTEXT_LENGTH].max() < 1e-5 < changed[CONTEXT_LENGTH:].min()
    with window_of(model, None):
        assert torch.equal(model(ids)[0], plain)


@torch.no_grad()
def test_near_distances_do_not_tell_far_keys_apart():
    model = attending_model()
    model.layers = model.layers[:1]
    ids = torch.randint(4, 20, (1, CONTEXT_LENGTH + 30))
    ids[0, :2] = torch.tensor([7, 8])
    other = ids.clone()
    other[0, :2] = torch.tensor([8, 7])
    with control_of(model, "near distances"):
        assert torch.allclose(model(ids)[0][0, -1], model(other)[0][0, -1], atol=1e-5)
    with window_of(model, None):
        assert not torch.allclose(model(ids)[0][0, -1], model(other)[0][0, -1], atol=1e-5)


def test_few_keys_are_as_many_as_in_training():
    distance = torch.arange(200)[:, None] - torch.arange(200)
    kept = few_keys(distance)
    assert torch.equal(kept.sum(1), (torch.arange(200) + 1).clamp(max=CONTEXT_LENGTH))
    assert not kept[distance < 0].any()
    assert kept[(distance >= 0) & (distance < NEAREST)].all()
    assert kept[distance > 2 * CONTEXT_LENGTH].any()


@torch.no_grad()
def test_undivided_scores_are_larger_by_the_root():
    models = []
    for divided in (True, False):
        seed_everything(0)
        models.append(language_model(20, num_heads=1, query_std=0.1, divided=divided).eval())
    for layer in models[0].layers:  # the root in the queries instead
        layer.attention.qkv_projection.weight[:64] *= 64**0.5
    for model in models:
        for layer in model.layers:
            layer.attention.output_projection.weight.fill_(0.1)
    ids = torch.randint(4, 20, (1, 10))
    assert torch.allclose(models[0](ids)[0], models[1](ids)[0], atol=1e-5)


def test_initial_sizes_are_as_asked():
    model = language_model(100, word_std=0.5, query_std=0.25, hidden_std=0.125)
    stds = {name: float(p.detach().std()) for name, p in model.named_parameters()}
    for part, std in (("embedding", 0.5), ("qkv_projection", 0.25), ("up_projection", 0.125)):
        found = [value for name, value in stds.items() if part in name]
        assert found == pytest.approx([std] * len(found), rel=0.1)


def test_the_same_predictions_are_measured_at_each_length():
    seed_everything(0)
    model = language_model(20, positions="none").eval()
    for layer in model.layers:  # blind to all but the last token
        layer.attention.output_projection.weight.data.zero_()
    ids = torch.randint(4, 20, (3 * LENGTHS[-1] + 1,))
    figures = measure_lengths(model, ids)
    assert len(figures) == 2 * len(LENGTHS) - 3
    assert max(figures.values()) - min(figures.values()) < 1e-5
    assert LAST <= LENGTHS[0] and CONTEXT_LENGTH in LENGTHS


def test_the_window_is_as_before_afterwards():
    model = language_model(20)
    with window_of(model, None):
        assert {attention.window for attention in attentions(model)} == {None}
    assert {attention.window for attention in attentions(model)} == {CONTEXT_LENGTH}


def test_arms_of_a_part_have_one_budget():
    for part, arms in PARTS.items():
        budgets = {(a.steps, a.batch_size, a.length, a.rates) for a in arms.values()}
        assert len(budgets) == 1, part


@pytest.mark.slow
def test_the_command_writes_trials_runs_and_counts(run, monkeypatch):
    parts = {
        part: {arm: dataclasses.replace(recipe, steps=2) for arm, recipe in arms.items()}
        for part, arms in PARTS.items()
    }
    monkeypatch.setattr(command, "PARTS", parts)
    monkeypatch.setattr(tuning, "tune", lambda score, rates: {rates[0]: score(rates[0])})
    rows = run("transformer", "--seeds", 0, 1)["rows"]
    names = {(row["part"], row["arm"]) for row in rows}
    for part, arms in PARTS.items():
        assert {(part, arm) for arm in arms} <= names
        assert len([row for row in rows if row["part"] == f"{part}, trials"]) == len(arms)
    (counts,) = [row["figures"] for row in rows if row["arm"] == "counts"]
    assert counts["loss, two a side"] < counts["loss, frequency"]


def test_a_misspelt_part_is_refused(run, capsys):
    with pytest.raises(SystemExit):
        run("transformer", "norms")
    assert "there are positions, lengths" in capsys.readouterr().err
