"""What models contain: rankings of words, heads and features, and their controls."""

import math

import pytest
import torch

from benchmarks.interpretability import __main__ as command
from benchmarks.interpretability import attributions, induction, parts, sparse, steering
from benchmarks.interpretability.networks import AttentionOnly, Reader, praise_loss
from benchmarks.interpretability.stream import StreamTask, logits_from, streams
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
    figures = attributions.measure_deletion(reader, [IDS[0].tolist()], deleted=2, seed=0)
    curves = attributions.deletion_curves(
        reader,
        IDS,
        [attributions.attributions(reader, IDS, torch.Generator())["attention"]],
        deleted=2,
    )
    assert figures["area, attention"] == pytest.approx(curves.mean().item())
    moved = (curves[0, 1:] - curves[0, 0]).abs().mean().item()
    assert figures["change, attention"] == pytest.approx(moved)


def test_sentences_are_judged_by_their_answer_too(reader):
    sentences = [[5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16], [17, 18, 19, 20]]
    scores = [reader(torch.tensor([ids]))[0].item() for ids in sentences]
    reader.output.bias.data -= sum(scores) / len(scores)  # so that both answers occur
    counts = [sum(reader(torch.tensor([ids]))[0].item() > 0 for ids in sentences)]
    counts.append(len(sentences) - counts[0])
    assert all(counts)
    figures = attributions.measure_deletion(reader, sentences, deleted=2, seed=0)
    for what in ("area", "change"):
        groups = [figures[f"{what}, occlusion, {answer}"] for answer in ("praise", "no praise")]
        total = sum(count * mean for count, mean in zip(counts, groups, strict=True))
        assert figures[f"{what}, occlusion"] == pytest.approx(total / len(sentences))
    expected = reader(torch.full((1, 4), UNK))[0].item()
    assert figures["score, unknown words"] == pytest.approx(expected)
    only = attributions.measure_deletion(reader, sentences[:1], deleted=2, seed=0)
    assert ("area, occlusion, praise" in only) != ("area, occlusion, no praise" in only)


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
def test_a_head_is_ablated(model):
    ids = torch.randint(64, (2, 9))
    before, after = model.streams(ids)[:2]
    keep = induction.without(model, [(0, 2)])
    assert keep.tolist() == [[1, 1, 0, 1], [1, 1, 1, 1]]
    _, added = model.heads(0, before)
    assert torch.allclose(model.streams(ids, keep=keep)[1], after - added[:, 2], atol=1e-5)


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


def test_the_heads_of_the_first_layer_are_examined(model):
    figures, batch = induction.examine_heads(model, 1), induction.repeated_batch(256, 1)
    assert figures["loss, repeated"] == pytest.approx(induction.repeated_loss(model, batch))
    scores = induction.head_scores(model, 1)[0][0]
    first, second, *others = scores.argsort(descending=True).tolist()
    assert figures["previous-token score, first"] == pytest.approx(scores[first].item())
    assert figures["previous-token score, second"] == pytest.approx(scores[second].item())

    def loss(*heads):
        keep = induction.without(model, [(0, head) for head in heads])
        return induction.repeated_loss(model, batch, keep)

    assert figures["loss without first"] == pytest.approx(loss(first))
    assert figures["loss without both"] == pytest.approx(loss(first, second))
    rest = [loss(head) for head in (second, *others)]
    assert figures["loss without another head"] == pytest.approx(sum(rest) / 3)


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
    return StreamTask(model.eval().requires_grad_(False), tokenizer, parts_of_it, "real")


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
    errors = [sparse.unexplained_variance(vectors, one(vectors)) for one in (short, long)]
    assert errors[1] < errors[0] / 2
    assert sparse.unexplained_variance(vectors, vectors) == 0
    assert sparse.unexplained_variance(
        vectors, vectors.mean(0).expand_as(vectors)
    ) == pytest.approx(1)


def test_the_table_has_the_mean_of_each_piece():
    vectors = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 5.0]])
    means = sparse.piece_means(vectors, torch.tensor([2, 2, 0]), 4)
    assert means.tolist() == [
        [0, 5],
        pytest.approx(vectors.mean(0).tolist()),
        [2, 0],
        pytest.approx(vectors.mean(0).tolist()),
    ]


def test_pieces_in_capitals_have_two_letters_and_no_small_one():
    found = steering.capital_pieces(["ROM", "O", "Rom", " KING", ":", "\n", "no"])
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
    read = sparse.read_vectors(text, "train", count=3, seed=0)
    line_break = text.line_break
    assert text.pieces()[line_break] == "\n"
    tokens, found = read.tokens.view(3, -1), read.is_break.view(3, -1)
    for row, marks in zip(tokens.tolist(), found.tolist(), strict=True):
        for t, mark in enumerate(marks):
            assert mark == (t > 0 and row[t] == row[t - 1] == line_break)
    assert found.any()


@pytest.fixture
def examined(text, monkeypatch):
    """A feature of an autoencoder of the short text, with the vectors that it reads."""
    monkeypatch.setattr(steering, "LENGTHS", (0, 40))
    torch.manual_seed(0)
    learned = sparse.read_vectors(text, "train", count=20, seed=0)
    autoencoder = sparse.train_autoencoder(learned.x, rate=0.01, seed=0, steps=20)
    return steering.ExaminedFeature(text, autoencoder, 3, learned)


def test_steering_by_nothing_changes_nothing_and_by_a_long_vector_does(text, examined):
    found = steering.steer(examined, torch.Generator().manual_seed(0))
    for name in ("feature", "difference of means", "random", "other features"):
        assert found[f"capitals, {name}, 0"] == pytest.approx(found["capitals, plain"], rel=1e-4)
        assert abs(found[f"steered loss, {name}, 40"] - found["steered loss, plain"]) > 1e-3
    assert found["largest capitals, random, 40"] >= found["capitals, random, 40"]
    ids, targets = text.windows["test"][:16, :-1], text.windows["test"][:16, 1:]
    is_capitals = steering.capital_pieces(text.pieces())
    elsewhere = ~is_capitals[targets] & ~sparse.breaks(ids, text.line_break)
    p = text.model(ids)[0].softmax(-1)[..., is_capitals].sum(-1)
    assert found["capitals, plain"] == pytest.approx(p[elsewhere].mean().item(), rel=1e-4)


def test_parts_are_taken_off_at_breaks(examined):
    found = steering.ablate(examined, torch.Generator().manual_seed(0))
    for name in ("feature", "close features", "difference of means", "random"):
        plain = found["after breaks, plain"]
        assert found[f"after breaks, {name}, 0"] == pytest.approx(plain, rel=1e-3)
    assert found["lowest after breaks, random, 40"] <= found["after breaks, random, 40"]
    assert found["length, feature"] >= 0 and -1 <= found["cosine, feature"] <= 1
    examined.autoencoder.encoder_bias[3] = -1e6  # never active
    unused = steering.ablate(examined, torch.Generator().manual_seed(0))
    assert unused["length, feature"] == 0
    assert unused["after breaks, without feature"] == pytest.approx(found["after breaks, plain"])


def test_close_features_are_those_near_the_direction(examined):
    autoencoder = examined.autoencoder
    x, cosines = torch.randn(1, 2, 16), torch.zeros(sparse.FEATURES)
    cosines[[5, 9]] = 0.9
    generator = torch.Generator().manual_seed(0)
    parts_of_it = steering._stream_components(examined, cosines, x=x, generator=generator)
    f, directions = autoencoder.encode(x), autoencoder.directions()
    expected = f[..., [5]] * directions[5] + f[..., [9]] * directions[9]
    assert torch.allclose(parts_of_it["close features"][0], expected, atol=1e-5)
    assert torch.allclose(parts_of_it["feature"][0], f[..., [3]] * directions[3], atol=1e-5)
    assert len(parts_of_it["other features"]) == steering.GROUP_DRAWS


@pytest.mark.slow
def test_the_command_writes_trials_and_runs(run, text, short_corpora, monkeypatch):
    monkeypatch.setattr(parts, "load_stream_task", lambda: text)
    monkeypatch.setattr(sparse.train_autoencoder, "__kwdefaults__", {"steps": 3})
    monkeypatch.setattr(command, "run_tuned_arm", _run_once)
    rows = run("interpretability", "features", "--seeds", 0)["rows"]
    assert [(row["part"], row["arm"]) for row in rows] == [("features", "autoencoder")]


def _run_once(name, arm, *, tuning_seeds, seeds, trials, rows):
    """Run without tuning."""
    for seed in rows.missing(name, seeds, arm.settings):
        figures, costs = arm.run(rate=arm.rates[0], seed=seed)
        full = {**arm.settings, "learning_rate": arm.rates[0], "grid": list(arm.rates)}
        rows.write(name, seed, figures=figures, settings=full, costs=costs)


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
