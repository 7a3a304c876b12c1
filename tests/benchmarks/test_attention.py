"""Attention: gold links, alignment error, baselines, hard choices, and the decoders compared."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from benchmarks import tuning
from benchmarks.attention import __main__ as command
from benchmarks.attention.choice import (
    READINGS,
    HardObjective,
    drawn_nll,
    effective_positions,
    largest_nll,
    mixture_nll,
    predict_from_each_position,
)
from benchmarks.attention.counting import IBMModel1
from benchmarks.attention.links import LinkedPair, linked_pairs, split
from benchmarks.attention.networks import SCORES, build
from benchmarks.attention.parts import PARTS
from benchmarks.attention.task import (
    COPYING_VOCABULARY,
    CopyingBatches,
    Translation,
    align_diagonally,
    align_to_first_gold,
    alignment_error_rate,
    drawn_error_rate,
)
from benchmarks.attention.training import OWN_READING
from utils.data.batches import Batch
from utils.runtime import seed_everything

PAIR = LinkedPair(["der", "hund", "rennt"], ["the", "dog", "runs"], frozenset({(1, 1), (2, 2)}))


@pytest.fixture(scope="module")
def pairs():
    return linked_pairs(600, longest=12)


def words_of_links(pair):
    return {(pair.target[t], pair.source[s]) for t, s in pair.links}


def test_words_of_one_entry_are_linked(pairs):
    eaten = [words_of_links(pair) for pair in pairs if "gegessen" in pair.source]
    assert eaten and all({t for t, s in links if s == "gegessen"} <= {"ate"} for links in eaten)
    assert any(("ate", "gegessen") in links for links in eaten)
    linked = set().union(*map(words_of_links, pairs))
    assert not {target for target, _ in linked} & {"the", "a", "."}
    assert not {source for _, source in linked} & {"der", "die", "das", "hat", "ist"}


def test_both_parts_of_a_separable_verb_are_linked(pairs):
    pair = next(p for p in pairs if p.source[-2:] == ["an", "."] and "sieht" in p.source)
    verb = {(t, s) for t, s in words_of_links(pair) if s in ("sieht", "an")}
    assert {s for _, s in verb} == {"sieht", "an"} and {t for t, _ in verb} == {"looks", "at"}


def test_linked_pairs_have_no_marks_and_no_duplicates(pairs):
    texts = [" ".join(side) for pair in pairs for side in (pair.source, pair.target)]
    assert len(set(texts)) == len(texts)
    assert max(map(ord, "".join(texts))) < 0x2000
    assert all(max(len(p.source), len(p.target)) <= 12 for p in pairs)
    assert split("Die Katze, müde.") == ["die", "katze", ",", "müde", "."]


def test_alignment_error_counts_words_with_a_link_only():
    assert alignment_error_rate([[2, 1, 2]], [PAIR]) == 0  # "the" has no link
    assert alignment_error_rate([[0, 0, 2]], [PAIR]) == pytest.approx(0.5)
    more = PAIR._replace(links=PAIR.links | {(2, 0)})  # one word of the target, two of the source
    assert alignment_error_rate([[0, 1, 2]], [more]) == pytest.approx(1 - 2 * 2 / (2 + 3))
    with pytest.raises(ValueError, match="no pair has a gold link"):
        alignment_error_rate([[0, 1, 2]], [PAIR._replace(links=frozenset())])


def test_the_diagonal_goes_from_the_first_word_to_the_last():
    assert align_diagonally(PAIR) == [0, 1, 2]
    assert align_diagonally(PAIR._replace(target=["a"] * 6)) == [0, 0, 1, 1, 2, 2]


def test_chance_is_the_mean_over_all_places():
    pairs = [PAIR, PAIR._replace(links=PAIR.links | {(2, 0)})]
    errors = [
        alignment_error_rate([[i, i, i], [j, j, j]], pairs) for i in range(3) for j in range(3)
    ]
    assert drawn_error_rate(pairs) == pytest.approx(np.mean(errors))


def test_no_link_of_a_word_is_better_than_a_gold_one():
    more = PAIR._replace(links=PAIR.links | {(2, 0)})
    assert alignment_error_rate([align_to_first_gold(PAIR)], [PAIR]) == 0
    best = alignment_error_rate([align_to_first_gold(more)], [more])
    all_choices = [[0, s, u] for s in range(3) for u in range(3)]
    assert best == min(alignment_error_rate([links], [more]) for links in all_choices) > 0


def test_counting_finds_what_translates_what():
    model = IBMModel1([([4], [6]), ([4, 5], [7, 6])], vocab_size=8)
    assert model.align([5, 4], [6, 7]) == [1, 0]
    once = IBMModel1([([4], [6]), ([4, 5], [7, 6])], vocab_size=8, iterations=1)
    assert once.table[4, 6] == pytest.approx((1 + 1 / 2) / (1 + 1 / 2 + 1 / 2))
    assert np.allclose(model.table[[4, 5]].sum(1), 1)


@pytest.mark.parametrize("score", SCORES)
def test_steps_one_by_one_are_one_call(score):
    seed_everything(0)
    model = build(12, width=8, score=score)
    source, ids = torch.randint(4, 12, (3, 5)), torch.randint(4, 12, (3, 6))
    state = model.begin(source)
    whole, _ = model(ids, state)
    weights = model.decoder.attention_weights(ids, state)
    assert torch.allclose(weights.sum(-1), torch.ones(3, 6))
    for t in range(6):
        step, state = model(ids[:, t : t + 1], state)
        assert torch.allclose(step[:, 0], whole[:, t], atol=1e-5)


def test_the_scaled_score_is_the_general_one_divided_by_the_root_of_the_width():
    models = []
    for score in ("general", "scaled"):
        seed_everything(0)
        models.append(build(12, width=16, score=score))
    source, ids = torch.randint(4, 12, (3, 5)), torch.randint(4, 12, (3, 6))
    general, scaled = (m.decoder.attention_weights(ids, m.begin(source)) for m in models)
    assert not torch.allclose(general, scaled, atol=1e-4)
    models[0].decoder.score.key_projection.weight.data /= 16**0.5
    divided = models[0].decoder.attention_weights(ids, models[0].begin(source))
    assert torch.allclose(divided, scaled, atol=1e-6)


def test_padding_of_the_source_changes_nothing():
    seed_everything(0)
    model = build(12, width=8, is_bidirectional=True)
    source, ids = torch.randint(4, 12, (1, 5)), torch.randint(4, 12, (1, 6))
    padded = F.pad(source, (0, 2))
    weights = model.decoder.attention_weights(ids, model.begin(padded))
    assert (weights[..., 5:] == 0).all()
    plain, other = (model(ids, model.begin(x))[0] for x in (source, padded))
    assert torch.allclose(plain, other, atol=1e-5)


@pytest.fixture
def small():
    """A model, a batch, and log p of each word from each place, with the log weights."""
    seed_everything(1)
    model = build(COPYING_VOCABULARY, width=6)
    batch = CopyingBatches(3, batch_size=2, seed=0)[0]
    state = model.begin(batch.source)
    queries, weights = model.decoder.queries_and_weights(batch.inputs, state)
    log_p = torch.stack(
        [
            model.decoder.read(queries, state.states[:, None, s].expand_as(queries))
            .log_softmax(-1)
            .gather(2, batch.targets[..., None])[..., 0]
            for s in range(3)
        ],
        -1,
    )  # (B, T, S)
    return model, batch, log_p, weights


def test_the_mixture_sums_over_places(small):
    model, batch, log_p, weights = small
    expected = -(log_p.exp() * weights).sum(-1).log().sum()
    assert torch.allclose(mixture_nll(model, batch), expected, rtol=1e-5)


def test_the_other_readings_take_one_place(small):
    model, batch, log_p, weights = small
    expected = -(log_p * weights).sum()
    assert torch.allclose(drawn_nll(model, batch), expected, rtol=1e-5)
    assert drawn_nll(model, batch) > mixture_nll(model, batch)  # Jensen
    rows = zip(log_p.flatten(0, 1), weights.flatten(0, 1), strict=True)
    expected = -sum(row[weight.argmax()] for row, weight in rows)
    assert torch.allclose(largest_nll(model, batch), expected, rtol=1e-5)
    log_weights, of_places = predict_from_each_position(model, batch)
    assert torch.allclose(log_weights.exp(), weights) and torch.allclose(of_places, log_p)
    assert set(OWN_READING.values()) <= READINGS.keys()


@pytest.mark.parametrize("has_baseline", [False, True])
def test_reinforce_is_right_on_average(small, has_baseline, monkeypatch):
    model, _, _, _ = small
    word = CopyingBatches(1, batch_size=1, seed=3)[0]  # one word to predict,
    batch = Batch(word.inputs, word.targets, torch.tensor([[5, 7, 9]]))  # from three places
    parameters = [model.decoder.score.key_projection.weight, model.decoder.combine.weight]

    def expected_reward():
        state = model.begin(batch.source)
        queries, weights = model.decoder.queries_and_weights(batch.inputs, state)
        logits = model.decoder.read(queries.expand(-1, 3, -1), state.states)  # (1, S, V)
        return (weights[0, 0] * logits.log_softmax(-1)[0, :, word.targets.item()]).sum(), weights

    reward, weights = expected_reward()
    exact = torch.autograd.grad(-reward, parameters)
    for part, wanted in zip(
        torch.autograd.grad(drawn_nll(model, batch), parameters), exact, strict=True
    ):
        assert torch.allclose(part, wanted, atol=1e-6)
    estimates = []
    for place in range(3):
        drawn = torch.tensor([[place]])
        monkeypatch.setattr(torch.distributions.Categorical, "sample", lambda _, drawn=drawn: drawn)
        objective = HardObjective(has_baseline=has_baseline)
        objective.baseline = -1.5
        estimate = torch.autograd.grad(objective(model, batch), parameters)
        estimates.append([weights[0, 0, place].detach() * part for part in estimate])
    for *parts, wanted in zip(*estimates, exact, strict=True):
        assert torch.allclose(sum(parts), wanted, atol=1e-6) and wanted.abs().max() > 1e-4


def test_the_baseline_is_the_mean_of_earlier_rewards(small):
    model, batch, _, _ = small
    objective = HardObjective(has_baseline=True)
    objective(model, batch)
    first = objective.baseline
    assert -4 < first < 0 and objective.drawn_losses == [pytest.approx(-first)]
    objective.baseline = 0.0
    objective(model, batch)
    assert objective.baseline == pytest.approx(0.1 * first, rel=0.3)


def test_places_used_counts_equal_weights():
    rows = [torch.full((2, 4), 0.25), torch.full((3, 4), 0.25)]
    assert effective_positions(rows) == pytest.approx(4)
    assert effective_positions([F.one_hot(torch.tensor([0, 1])).float()]) == pytest.approx(1)


def test_arms_of_a_part_have_one_budget():
    for part, arms in PARTS.items():
        budgets = {(a.steps, a.batch_size, a.length, a.rates, a.clip_norm) for a in arms.values()}
        assert len(budgets) == 1, part


@pytest.fixture
def short(monkeypatch):
    """Two steps for each arm, one trial of its rate, and few pairs."""
    parts = {
        part: {arm: dataclasses.replace(recipe, steps=2) for arm, recipe in arms.items()}
        for part, arms in PARTS.items()
    }
    task = Translation.make((40, 10, 20))
    monkeypatch.setattr(command, "PARTS", parts)
    monkeypatch.setattr(tuning, "tune", lambda score, rates: {rates[0]: score(rates[0])})
    monkeypatch.setattr(command.Translation, "make", lambda: task)


def test_the_command_writes_trials_runs_and_baselines(run, short):
    rows = run("attention", "--seeds", 0, 1)["rows"]
    names = {(row["part"], row["arm"]) for row in rows}
    for part, arms in PARTS.items():
        assert {(part, arm) for arm in arms} <= names
        assert len([row for row in rows if row["part"] == f"{part}, trials"]) == 2 * len(arms)
    assert {("alignment", "diagonal"), ("alignment", "IBM Model 1")} <= names
    measured = [row["figures"] for row in rows if row["part"] == "alignment"]
    assert all(0 <= figures["alignment error"] <= 1 for figures in measured)
    example = next(figures["example"] for figures in measured if "example" in figures)
    shape = (len(example["target"]), len(example["source"]))
    assert np.shape(example["weights"]) == shape
    copied = [row["figures"] for row in rows if row["part"] == "choice"]
    losses = [figures[f"loss, {reading}"] for figures in copied for reading in READINGS]
    assert len(copied) == 10 and all(1 < loss < 8 for loss in losses)


def test_a_misspelt_part_is_refused(run, capsys):
    with pytest.raises(SystemExit):
        run("attention", "alignmet")
    assert "there are alignment, choice" in capsys.readouterr().err
