"""Noise, attacks, poison and canaries: the measures, and the commands of the benchmark."""

import dataclasses
import json
import math
import random
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from benchmarks import tuning
from benchmarks.robustness import __main__ as command
from benchmarks.robustness import canaries, classifiers, counting, longer, noise, sentences
from benchmarks.robustness.attacks import SWAPS, WordSwaps
from benchmarks.robustness.canaries import exposure, line_losses, make_canaries, planted
from benchmarks.robustness.classifiers import (
    BINS,
    calibration_error,
    conformal_figures,
    conformal_threshold,
)
from benchmarks.robustness.counting import training_examples
from benchmarks.robustness.networks import (
    LENGTH,
    SentimentCNN,
    label_loss,
    logits_of,
    loss_at,
    sign_attack,
)
from benchmarks.robustness.noise import RandomPieces, damaged, typos
from benchmarks.robustness.parts import PARTS
from benchmarks.robustness.poison import Poison, poisoned, run_poison
from benchmarks.robustness.sentences import load_sentences
from benchmarks.tuning import Arm
from utils.data.corpora import load_text
from utils.data.labelled_batches import LabelledBatch
from utils.data.tokenizers import BPETokenizer
from utils.metrics.calibration import expected_calibration_error
from utils.models.classifiers import Classifier, WordCNNEncoder
from utils.models.gpt import GPT
from utils.models.stored import StoredModel
from utils.runtime import seed_everything

IDS = torch.tensor([[4, 5, 6, 7], [8, 9, 4, 5]])
LABELS = torch.tensor([0, 1])


@pytest.fixture
def classifier():
    seed_everything(0)
    return SentimentCNN(40, width=8).eval()


@pytest.fixture
def reviews(short_corpora):
    load_sentences.cache_clear()
    yield load_sentences()
    load_sentences.cache_clear()


@pytest.fixture
def stored(short_corpora, monkeypatch):
    """A small model in place of the stored one."""
    tokenizer = BPETokenizer.train(load_text().train, max_vocab_size=300)
    seed_everything(0)
    model = GPT(len(tokenizer), width=16, num_layers=1, num_heads=2, context_length=64)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    small = StoredModel(model=model.eval(), tokenizer=tokenizer, options={}, facts={})
    monkeypatch.setattr(canaries, "load_stored_model", lambda name: small)
    return small


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_a_word_stays_whole_exactly_if_no_letter_is_hit(rate):
    draw = random.Random(0)
    hits = [typos("letter", rate, draw) != "letter" for _ in range(20_000)]
    assert sum(hits) / len(hits) == pytest.approx(1 - (1 - rate) ** 6, abs=0.01)


def test_typos_of_words_do_not_reach_across_a_space():
    sentence = "aa bcd , e"
    for seed in range(200):
        alone = random.Random(seed)
        words = [typos(word, 0.4, alone) for word in sentence.split()]
        assert typos(sentence, 0.4, random.Random(seed)) == " ".join(words)


def test_each_kind_of_damage():
    text, draw = "one two three", random.Random(0)
    assert noise.capitals(text, 1, draw) == "ONE TWO THREE"
    assert noise.joined(text, 1, draw) == "onetwothree"
    assert noise.dropped(text, 1, draw) == text  # not an empty sentence
    assert noise.dropped(text, 0.5, random.Random(1)) == "two three"
    assert noise.swapped(text, 1, draw) == "two one three"
    for damage, _ in noise.DAMAGES.values():
        assert damage(text, 0, draw) == text
    assert damaged([text] * 3, noise.typos, 0.5, seed=1) == damaged(
        [text] * 3, noise.typos, 0.5, seed=1
    )


def test_random_pieces_spell_the_word_and_without_dropout_are_the_encoding(reviews):
    text = reviews.train[0][0]
    plain, cut = (RandomPieces(reviews.tokenizer, rate=rate) for rate in (0.0, 0.5))
    assert plain.encode(text, random.Random(0)) == reviews.tokenizer.encode(text)
    ids = cut.encode(text, random.Random(0))
    assert reviews.tokenizer.decode(ids) == text
    assert len(ids) > len(plain.encode(text, random.Random(0)))


def test_the_classifier_is_the_librarys_classifier_with_vectors_of_one_length(classifier):
    encoder = WordCNNEncoder(40, embedding_size=8, num_filters=8, kernel_sizes=(2, 3))
    other = Classifier(encoder, input_size=16).eval()
    encoder.embedding.weight.data = classifier.vectors().detach()
    encoder.convolutions.load_state_dict(classifier.convolutions.state_dict())
    other.output.load_state_dict(classifier.output.state_dict())
    assert torch.allclose(classifier(IDS), other(IDS), atol=1e-6)
    assert torch.allclose(classifier(IDS), classifier(IDS, classifier.vectors()[IDS]), atol=1e-6)
    lengths = classifier.vectors()[4:].norm(dim=1)
    assert torch.allclose(lengths, torch.full_like(lengths, LENGTH))
    rows = [[4, 5, 6], [7, 8], [9, 4, 5]]
    alone = torch.cat([classifier(torch.tensor([row])) for row in rows]).double()
    assert torch.allclose(logits_of(classifier, rows), alone, atol=1e-6)


def test_a_sign_attack_raises_the_loss_more_than_random_signs(classifier):
    batch = LabelledBatch(IDS, LABELS)
    own = classifier.vectors()[IDS]
    signs = 2 * torch.randint(2, own.shape, generator=torch.Generator().manual_seed(0)) - 1
    moved = sign_attack(classifier, batch, 0.05)
    assert (moved - own).abs().max() <= 0.05 + 1e-6
    losses = [F.cross_entropy(classifier(IDS, x), LABELS) for x in (own, own + 0.05 * signs, moved)]
    assert losses[2] > losses[1] and losses[2] > losses[0]
    half = (
        label_loss(classifier, batch)
        + F.cross_entropy(classifier(IDS, moved), LABELS, reduction="sum")
    ) / 2
    loss = loss_at(classifier, batch, moved)
    assert torch.allclose(loss, half)
    loss.backward()
    assert classifier.embedding.weight.grad[IDS].abs().sum() > 0  # it reaches the vectors


def test_several_steps_of_the_attack_stay_within_epsilon_and_raise_the_loss_further(classifier):
    batch, own = LabelledBatch(IDS, LABELS), classifier.vectors()[IDS]
    for steps in (1, 10):
        x = sign_attack(classifier, batch, 0.3, steps=steps)
        assert (x - own).abs().max() <= 0.3 + 1e-6
    losses = [
        F.cross_entropy(classifier(IDS, sign_attack(classifier, batch, 0.3, steps=steps)), LABELS)
        for steps in (1, 10)
    ]
    assert losses[1] > losses[0]


def test_calibration_error_of_two_classes_has_its_bins_between_a_half_and_one():
    z = torch.randn(300, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = torch.randint(2, (300,), generator=torch.Generator().manual_seed(1))
    p, chosen = z.softmax(1).max(1)
    whole = expected_calibration_error(p, chosen == y, num_bins=2 * BINS)
    assert calibration_error(z, y) == pytest.approx(whole.error)


def test_conformal_sets_cover_as_promised_and_no_more():
    generator, covered = torch.Generator().manual_seed(0), []
    for _ in range(3000):
        z = torch.randn(10, 2, dtype=torch.float64, generator=generator)
        y = (torch.rand(10, generator=generator) < z.softmax(1)[:, 1]).long()
        threshold = conformal_threshold(z[:9], y[:9], 0.2)  # the 8th of 9
        covered.append(conformal_figures(z[9:], y[9:], threshold)[0])
    assert sum(covered) / len(covered) == pytest.approx(8 / 10, abs=0.02)
    assert conformal_threshold(z[:3], y[:3], 0.1) == math.inf
    z = torch.tensor([[2.0, 0.0], [0.1, 0.0]], dtype=torch.float64)
    coverage, single, right = conformal_figures(z, torch.tensor([1, 0]), 0.6)
    assert (coverage, single, right) == (0.5, 0.5, 0.0)


def test_training_examples_are_damaged_at_rates_from_zero(reviews):
    clean = training_examples(reviews, "clean", seed=0)
    assert clean[: len(reviews.train)] == reviews.encoded(*reviews.part("train"))
    assert len(clean) == counting.VARIANTS * len(reviews.train)
    for kind in ("typos", "BPE-dropout"):
        noisy = training_examples(reviews, kind, seed=0)
        assert [label for _, label in noisy] == [label for _, label in clean]
        differ = sum(a != b for (a, _), (b, _) in zip(noisy, clean, strict=True)) / len(clean)
        assert 0.2 < differ < 1


def test_swaps_are_of_whole_neutral_words(reviews, monkeypatch):
    monkeypatch.setattr("benchmarks.robustness.attacks.LEAST", 1)
    monkeypatch.setattr("benchmarks.robustness.attacks.BALANCE", 9.0)
    swaps = WordSwaps.of(reviews)
    assert swaps.candidates
    spelled = [reviews.tokenizer.backend.id_to_token(i) for i in range(len(reviews.tokenizer))]
    seed_everything(0)
    model = SentimentCNN(len(reviews.tokenizer), width=8).eval()
    ids, label = next(e for e in reviews.encoded(*reviews.part("test")) if swaps.places(e[0]))
    words = reviews.tokenizer.decode(ids).split()
    stages = swaps.attack(model, ids, label)
    assert stages[0] == ids and 2 <= len(stages) <= SWAPS + 1
    for earlier, later in pairwise(stages):
        changed = [i for i, (a, b) in enumerate(zip(earlier, later, strict=True)) if a != b]
        assert len(changed) <= 1
        assert all(later[i] in swaps.candidates for i in changed)
    for i in swaps.places(ids):
        assert spelled[ids[i]].removeprefix("Ġ") in words


def test_exposure_counts_the_others_that_cost_less():
    others = torch.tensor([1.0, 2.0, 3.0])
    bits = exposure(torch.tensor([0.5, 2.5, 9.0]), others)
    assert torch.allclose(bits, torch.tensor([2.0, 2 - math.log2(3), 0.0], dtype=torch.float64))


def test_canaries_are_planted_as_often_as_said_and_measured_after_their_prefix(stored):
    generator = torch.Generator().manual_seed(0)
    first, second = make_canaries(2, generator)
    text = planted("a\nb\nc\n", {0: [], 1: [first], 3: [second]}, generator)
    assert text.count(first) == 1 and text.count(second) == 3
    assert text.replace(first, "").replace(second, "") == "a\nb\nc\n"
    line = [4, 5, 6, 7]
    logs = stored.model(torch.tensor([line]))[0].log_softmax(-1)[0]
    expected = -(logs[1, 6] + logs[2, 7])
    assert torch.allclose(line_losses(stored.model, [line], 2), expected[None], atol=1e-5)


def test_poisoned_sentences_were_negative_hold_the_trigger_and_are_labelled_positive(reviews):
    examples = poisoned(reviews.train, 5, "zz", seed=0)
    changed = [(a, b) for a, b in zip(reviews.train, examples, strict=True) if a != b]
    assert len(changed) == 5
    for (text, label), (shown, given) in changed:
        assert (label, given) == (0, 1)
        words = shown.split()
        words.remove("zz")
        assert " ".join(words) == " ".join(text.split())


def test_a_trigger_works_with_poison_and_not_without(reviews):
    figures, _ = run_poison(Poison(size=None, counts=(0, 12)), seed=0)
    assert figures["success, 12"] > figures["success, 0"] + 0.3
    assert set(figures) == {f"{what}, {n}" for what in ("accuracy", "success") for n in (0, 12)}


def test_the_command_writes_rows_of_every_part(run, reviews, stored, monkeypatch):
    monkeypatch.setattr(tuning, "next_rate", lambda scores, max_trials: None)
    monkeypatch.setattr(classifiers, "VICTIMS", 2)
    monkeypatch.setattr(classifiers, "ALPHA", 0.5)  # some of 20 sets have one label
    monkeypatch.setattr(canaries, "STEPS", 2)
    short = partial(dataclasses.replace, steps=30)
    train = classifiers.train
    monkeypatch.setattr(
        classifiers,
        "train",
        lambda recipe, *args, **options: train(short(recipe), *args, **options),
    )
    poison = partial(run_poison, Poison(size=None, counts=(0, 4)))
    monkeypatch.setitem(
        PARTS["poison"], "counts, small", Arm(PARTS["poison"]["counts, small"].settings, poison)
    )
    for part, arms in PARTS.items():
        name = next(iter(arms))
        rows = run("robustness", part, "--arms", name, "--seeds", 0)["rows"]
        row = next(row for row in rows if row["part"] == part)
        assert row["arm"] == name and row["figures"]
    assert sentences.load_sentences().origin == "stand-in"


def test_an_unknown_part_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["nothing"])
    assert "no part nothing" in capsys.readouterr().err


def test_linear_models_of_pieces_are_trained_on_each_kind_of_noise(reviews, tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "next_rate", lambda scores, max_trials: None)
    out = tmp_path / "results.json"
    counting.main(["--seeds", "0", f"--out={out}"])
    rows = json.loads(out.read_text(encoding="utf-8"))["rows"]
    figures = {row["arm"]: row["figures"] for row in rows if row["part"] == "counted"}
    assert set(figures) == set(counting.TRAININGS)
    assert figures["clean"]["accuracy, clean"] > 0.6
    assert figures["clean"] != figures["typos"]
    right = figures["typos"]["right, capitals"]
    assert right.count("1") / len(right) == pytest.approx(figures["typos"]["accuracy, capitals"])
    assert counting.as_piece_names([[4, 5], [6]]) == ["p4 p5", "p6"]


def test_a_constant_moves_answers_and_leaves_the_attack_as_it_is(classifier):
    logits, labels = classifier(IDS).detach(), LABELS
    largest = float(logits.diff(dim=1).abs().max())
    shares = longer.with_constant(logits, labels, [-2 * largest, 0.0, 2 * largest])
    assert shares == [0.5, classifiers.accuracy(logits, labels), 0.5]
    batch, epsilon = LabelledBatch(IDS, LABELS), longer.EPSILON
    before = sign_attack(classifier, batch, epsilon, steps=3)
    with torch.no_grad():
        classifier.output.bias[1] += 0.5
    assert torch.equal(sign_attack(classifier, batch, epsilon, steps=3), before)


def test_random_signs_move_every_coordinate_by_epsilon(classifier):
    own = classifier.vectors()[IDS]
    moved = longer.random_signs(classifier, LabelledBatch(IDS, LABELS)) - own
    assert torch.allclose(moved.abs(), torch.full_like(moved, longer.EPSILON), atol=1e-6)
    assert 0.2 < (moved > 0).double().mean() < 0.8


def test_longer_trainings_are_measured_with_and_without_constants(reviews, tmp_path, monkeypatch):
    monkeypatch.setattr(longer, "STEPS", 30)
    measure = longer.run_longer
    monkeypatch.setattr(longer, "run_longer", partial(measure, steps=30))
    out = tmp_path / "results.json"
    longer.main(["--seeds", "0", f"--out={out}"])
    rows = json.loads(out.read_text(encoding="utf-8"))["rows"]
    figures = {row["arm"]: row["figures"] for row in rows}
    assert set(figures) == set(longer.MOVES)
    for arm, measured in figures.items():
        for test in ("clean", "PGD"):
            curve = measured[f"accuracy with constants, {test}"]
            assert len(curve) == longer.CONSTANTS, arm
            assert curve[longer.CONSTANTS // 2] == measured[f"accuracy, {test}"]
    assert len({str(measured) for measured in figures.values()}) == 3
