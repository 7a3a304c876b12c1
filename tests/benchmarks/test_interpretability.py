"""What models contain: rankings of words, heads and features, and their controls."""

import math

import pytest
import torch

from benchmarks.interpretability import __main__ as command
from benchmarks.interpretability import attributions, induction, parts, sparse
from benchmarks.interpretability.networks import AttentionOnly, Reader, praise_loss
from benchmarks.interpretability.stream import Text, logits_from, streams
from utils.data.batches import IGNORE_INDEX
from utils.data.labelled_batches import LabelledBatch
from utils.data.tokenizers import BPETokenizer
from utils.data.vocabulary import UNK
from utils.models.gpt import GPT
from utils.models.multi_head import SelfAttention
from utils.models.positions import RotaryAngles, position_angles
from utils.runtime import seed_everything

# ---- rankings of words --------------------------------------------------------------------------


@pytest.fixture
def reader():
    seed_everything(0)
    return Reader(30, width=8).double().eval()


IDS = torch.tensor([[5, 6, 7, 8, 9, 10]])


def test_the_score_is_the_bias_and_the_weighted_values(reader):
    z, w, h = reader(IDS)
    values = h[0] @ reader.output.weight[0]
    assert torch.allclose(reader.output.bias[0] + w[0] @ values, z[0])
    assert torch.allclose(w.sum(1), torch.ones(1).double()) and (w > 0).all()
    padded = torch.cat([IDS, torch.zeros(1, 2, dtype=torch.int64)], 1)
    assert torch.allclose(reader(padded)[0], z) and (reader(padded)[1][0, -2:] == 0).all()


def test_the_loss_is_summed_over_sentences(reader):
    batch = LabelledBatch(IDS.repeat(2, 1), torch.tensor([1, 0]))
    p = reader(IDS)[0].sigmoid().item()
    assert praise_loss(reader, batch).item() == pytest.approx(-math.log(p) - math.log(1 - p))


def test_occlusion_replaces_one_word(reader):
    found = attributions.occlusion(reader, IDS)
    without = IDS.clone()
    without[0, 2] = UNK
    assert found[2].item() == pytest.approx((reader(IDS)[0] - reader(without)[0]).item())


def test_integrated_gradients_add_up_and_one_point_is_gradient_times_input(reader):
    change = reader(IDS)[0] - reader(torch.full_like(IDS, UNK))[0]
    parts_of_it = attributions.integrated_gradients(reader, IDS, nodes=30)
    assert parts_of_it.sum().item() == pytest.approx(change.item(), rel=1e-6)
    x = reader.embedding(IDS).detach().requires_grad_()
    (slope,) = torch.autograd.grad(reader(IDS, x)[0].sum(), x)
    product = (slope * (x - reader.embedding.weight[UNK])).sum(-1)[0]
    assert torch.allclose(attributions.integrated_gradients(reader, IDS, nodes=0), product)


def test_signed_rankings_speak_for_the_answer_and_unsigned_ones_are_their_sizes(reader):
    reader.output.bias.data.fill_(-5.0)  # the answer is no
    assert reader(IDS)[0] < 0
    found = attributions.attributions(reader, IDS, torch.Generator().manual_seed(0))
    assert found.keys() == {*attributions.SIGNED, *attributions.UNSIGNED, attributions.RANDOM}
    assert torch.allclose(found["occlusion"], -attributions.occlusion(reader, IDS))
    for name in attributions.SIGNED:
        assert torch.equal(found[f"|{name}|"], found[name].abs())


def test_words_are_deleted_in_the_order_of_the_ranking(reader):
    ranking = torch.tensor([0.0, 3.0, 0.1, 2.0, 0.2, 1.0])
    (curve,) = attributions.deletion_curves(reader, IDS, [ranking], deleted=2)
    without = IDS.clone()
    without[0, [1, 3]] = UNK
    sign = reader(IDS)[0].sign()
    expected = [(sign * reader(ids)[0]).sigmoid().item() for ids in (IDS, without)]
    assert curve[[0, 2]].tolist() == pytest.approx(expected)
    judgement = attributions.judge(reader, [IDS[0].tolist()], deleted=2, seed=0)
    curves = attributions.deletion_curves(
        reader,
        IDS,
        [attributions.attributions(reader, IDS, torch.Generator())["attention"]],
        deleted=2,
    )
    assert judgement.areas["attention"] == pytest.approx(curves.mean().item())
    moved = (curves[0, 1:] - curves[0, 0]).abs().mean().item()
    assert judgement.figures()["change, attention"] == pytest.approx(moved)


# ---- heads --------------------------------------------------------------------------------------


@pytest.fixture
def model():
    seed_everything(0)
    return AttentionOnly(induction.VOCAB_SIZE, width=32, head_width=8).eval()


@torch.no_grad()
def test_the_heads_of_a_layer_add_up_to_self_attention(model):
    library = SelfAttention(32, num_heads=4, qk_norm=True)
    library.qkv_projection.weight.copy_(model.qkv[1].weight)
    library.output_projection.weight.copy_(model.out[1].weight)
    x, angles = torch.randn(2, 7, 32), position_angles(torch.arange(7)[None], 8)
    rotary = RotaryAngles(angles.cos()[:, None], angles.sin()[:, None])
    weights, added = model.heads(1, x)
    normed = torch.nn.functional.rms_norm(x, (32,), eps=1e-6)
    assert torch.allclose(added.sum(1), library(normed, rotary=rotary)[0], atol=1e-5)
    assert torch.allclose(weights.sum(-1), torch.ones(2, 4, 7)) and weights[0, 0, 0, 1] == 0


@torch.no_grad()
def test_a_head_is_silenced_and_a_vector_is_replaced(model):
    ids = torch.randint(64, (2, 9))
    before, after = model.streams(ids)[:2]
    keep = torch.ones(2, 4)
    keep[0, 2] = 0
    _, added = model.heads(0, before)
    without = model.streams(ids, keep=keep)[1]
    assert torch.allclose(without, after - added[:, 2], atol=1e-5)
    where = torch.zeros(2, 9, dtype=torch.bool)
    where[:, 3] = True
    patched = model.streams(ids, patches={1: (where, torch.zeros_like(after))})
    assert (patched[1][:, 3] == 0).all() and torch.equal(patched[1][:, 4], after[:, 4])
    assert not torch.equal(model(ids, patches={1: (where, 0 * after)})[0], model(ids)[0])


def test_sequences_repeat_their_period_and_only_what_it_determines_is_a_target():
    rows, periods = induction.periodic_rows(6, torch.Generator().manual_seed(3))
    for row, period in zip(rows.tolist(), periods.tolist(), strict=True):
        assert len(set(row[:period])) == period and row[period:] == row[:-period]
    batch = induction.repeated_batch(6, 3)
    counts = (batch.targets != IGNORE_INDEX).sum(1)
    assert torch.equal(counts, induction.LENGTH - (periods - 1))
    first = batch.targets[0][batch.targets[0] != IGNORE_INDEX][0]
    assert first == rows[0, 0]  # the first token of the second period
    stream = induction.PeriodicBatches(batch_size=2, seed=1)
    assert torch.equal(stream[4].inputs, stream[4].inputs)
    assert not torch.equal(stream[4].inputs, stream[5].inputs)


def test_scores_find_a_head_of_the_diagonal(model, monkeypatch):
    T = induction.LENGTH
    weights = torch.zeros(induction.SCORED, 4, T, T)
    weights[:, 1] = torch.eye(T).roll(-1, 1)  # to the token before
    weights[:, 2] = torch.eye(T).roll(1 - induction.LONGEST, 1)  # to what came next
    monkeypatch.setattr(model, "heads", lambda layer, x: (weights, x[:, None].repeat(1, 4, 1, 1)))
    previous, found = induction.head_scores(model, 0)
    assert previous[0, 1] == 1 and previous[0, 2] == 0
    assert found[0, 2] == 1 and found[0, 1] == 0


def test_a_traced_sequence_differs_at_the_first_occurrence_only():
    traced = induction.traced_rows(5, 0)
    differ = traced.clean != traced.corrupt
    assert differ.sum(1).tolist() == [1] * 5 and differ[:, 8].all()
    assert torch.equal(traced.clean[:, -1], traced.clean[:, 8])
    assert torch.equal(traced.answers, traced.clean[:, 9])
    for row, token in zip(traced.clean.tolist(), traced.corrupt[:, 8].tolist(), strict=True):
        assert token not in row


def test_patching_the_cause_or_the_last_vector_recovers_everything(model):
    traced = induction.traced_rows(8, 0)
    last = traced.clean.shape[1] - 1
    assert induction.recovered(model, traced, 0, 8) == pytest.approx(1, abs=1e-3)
    assert induction.recovered(model, traced, 2, last) == pytest.approx(1, abs=1e-3)
    assert induction.recovered(model, traced, 0, 3) == pytest.approx(0, abs=1e-3)
    assert abs(induction.recovered(model, traced, 2, last, is_control=True) - 1) > 1e-3


def test_all_heads_of_two_layers_are_examined(model):
    figures = induction.examine_heads(model, 1)
    assert figures["loss, repeated"] == pytest.approx(
        induction.repeated_loss(model, induction.repeated_batch(256, 1))
    )
    layers = torch.tensor(figures["previous-token scores"])
    assert figures["largest previous-token score"] == pytest.approx(layers[0].max().item())
    best = int(layers[0].argmax())
    batch = induction.repeated_batch(256, 1)
    assert figures["loss without previous head"] == pytest.approx(
        induction.loss_without(model, batch, [(0, best)])
    )
    one = AttentionOnly(induction.VOCAB_SIZE, num_layers=1, width=32, head_width=8)
    assert "loss without previous head" not in induction.examine_heads(one, 1)


# ---- the stream of a GPT ------------------------------------------------------------------------

LINES = "ROMEO:\nwhat light is this?\n\nJULIET:\nthe sun it is, my love, and we must part.\n\n" * 30


@pytest.fixture(scope="module")
def text():
    seed_everything(0)
    tokenizer = BPETokenizer.train(LINES, max_vocab_size=280)
    model = GPT(len(tokenizer), width=16, num_layers=3, num_heads=2, context_length=24)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    ids = torch.tensor(tokenizer.encode(LINES))
    windows = ids[: len(ids) // 25 * 25].view(-1, 25)
    parts_of_it = dict.fromkeys(("train", "valid", "test"), windows)
    return Text(model.eval().requires_grad_(False), tokenizer, parts_of_it, "real")


def test_layers_above_a_height_go_on_with_the_stream(text):
    ids = text.windows["test"][:2, :-1]
    expected = text.model(ids)[0]
    for height, x in enumerate(streams(text.model, ids)):
        assert torch.allclose(logits_from(text.model, x, height), expected, atol=1e-4)


def test_an_autoencoder_keeps_the_largest_activations():
    torch.manual_seed(0)
    autoencoder = sparse.SparseAutoencoder(6, 20, active=3)
    x = torch.randn(5, 6)
    f = autoencoder.encode(x)
    assert ((f > 0).sum(1) <= 3).all()
    every = torch.relu((x - autoencoder.mean) @ autoencoder.encoder.T + autoencoder.encoder_bias)
    assert torch.allclose(f.amax(1), every.amax(1))
    autoencoder.decoder.data *= 7
    lengths = autoencoder.directions().norm(dim=1)
    assert torch.allclose(lengths, torch.ones(20))
    expected = autoencoder.mean + sum(f[0, i] * autoencoder.directions()[i] for i in range(20))
    assert torch.allclose(autoencoder(x)[0], expected, atol=1e-5)


def test_training_lowers_the_error():
    torch.manual_seed(1)
    basis = torch.randn(10, 6)
    vectors = torch.relu(torch.randn(800, 10) - 1) @ basis
    short, long = (
        sparse.train_autoencoder(vectors, rate=0.01, seed=0, steps=steps) for steps in (1, 150)
    )
    errors = [sparse.unexplained(vectors, one(vectors)) for one in (short, long)]
    assert errors[1] < errors[0] / 2
    assert sparse.unexplained(vectors, vectors) == 0
    assert sparse.unexplained(vectors, vectors.mean(0).expand_as(vectors)) == pytest.approx(1)


def test_the_table_has_the_mean_of_each_piece():
    vectors = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 5.0]])
    means = sparse.piece_means(vectors, torch.tensor([2, 2, 0]), 4)
    assert means.tolist() == [
        [0, 5],
        pytest.approx(vectors.mean(0).tolist()),
        [2, 0],
        pytest.approx(vectors.mean(0).tolist()),
    ]


def test_names_have_capitals_only():
    found = sparse.name_pieces(["ROM", "O", "Rom", " KING", ":", "\n", "no"])
    assert found.tolist() == [True, False, False, True, False, False, False]


def test_the_best_detector_is_found_with_its_threshold():
    truth = torch.tensor([True, True, False, False, False])
    activations = torch.tensor(
        [[0.1, 0.9], [0.4, 0.8], [0.2, 0.3], [0.3, 0.0], [0.0, 0.2]]
    )  # the second one is right above a third of its largest value
    detector = sparse.best_detector(activations, truth)
    assert detector.feature == 1 and detector.score == 1
    assert 0.3 <= detector.threshold < 0.8
    assert sparse.f1_score(activations[:, 0] > 0.25, truth).item() == pytest.approx(2 / 4)


def test_breaks_are_line_breaks_after_line_breaks(text):
    read = sparse.read_vectors(text, "train", 3, 0)
    line_break = text.line_break
    assert text.pieces()[line_break] == "\n"
    tokens, found = read.tokens.view(3, -1), read.is_break.view(3, -1)
    for row, marks in zip(tokens.tolist(), found.tolist(), strict=True):
        for t, mark in enumerate(marks):
            assert mark == (t > 0 and row[t] == row[t - 1] == line_break)
    assert found.any()


def test_steering_by_nothing_changes_nothing(text):
    windows, is_name = text.windows["test"][:4], sparse.name_pieces(text.pieces())
    p = text.model(windows[:, :-1])[0].softmax(-1)[..., is_name].sum(-1)
    expected = p[~is_name[windows[:, 1:]]].mean().item()
    found = sparse.steering(text, windows, torch.zeros(16), is_name)
    assert found == pytest.approx(expected, rel=1e-4)
    assert sparse.steering(text, windows, torch.full((16,), 9.0), is_name) != pytest.approx(found)


def test_an_unused_feature_costs_nothing_to_remove(text):
    torch.manual_seed(0)
    autoencoder = sparse.SparseAutoencoder(16, 30)
    autoencoder.encoder_bias.data[4] = -1e6
    autoencoder.requires_grad_(False)
    directions = torch.eye(16)[:2]
    losses = sparse.losses_without(text, autoencoder, 4, directions)
    assert len({round(loss, 5) for loss in losses.values()}) == 1
    autoencoder.encoder_bias[4] = 50.0
    losses = sparse.losses_without(text, autoencoder, 4, directions)
    assert len({round(loss, 4) for loss in losses.values()}) == 3


@pytest.mark.slow
def test_the_command_writes_trials_and_runs(run, text, short_corpora, monkeypatch):
    monkeypatch.setattr(parts, "text_of_gpt", lambda: text)
    monkeypatch.setattr(sparse, "STEPS", 3)
    monkeypatch.setattr(command, "run_tuned_arm", _run_once)
    rows = run("interpretability", "features", "--seeds", 0)["rows"]
    assert [(row["part"], row["arm"]) for row in rows] == [("features", "autoencoder")]


def _run_once(arm, settings, run, *, rates, tuning_seeds, seeds, trials, rows):
    """Run without tuning."""
    for seed in rows.missing(arm, seeds, settings):
        figures, costs = run(rate=rates[0], seed=seed)
        full = {**settings, "learning_rate": rates[0], "grid": list(rates)}
        rows.write(arm, seed, figures=figures, settings=full, costs=costs)


def test_arms_of_a_part_have_one_budget():
    for part, arms in parts.PARTS.items():
        assert (
            len({(arm.settings["steps"], arm.settings.get("batch size")) for arm in arms.values()})
            == 1
        ), part


def test_a_misspelt_part_is_refused(run, capsys):
    with pytest.raises(SystemExit):
        run("interpretability", "heads")
    assert "there are induction, reviews" in capsys.readouterr().err
