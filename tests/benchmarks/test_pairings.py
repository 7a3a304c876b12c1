"""Pairs of an encoder and a decoder: what is planted, counted and trained is what is said."""

import itertools

import pytest
import torch

from benchmarks import tuning
from benchmarks.pairings import __main__ as command
from benchmarks.pairings import training
from benchmarks.pairings.__main__ import TUNING_SEEDS
from benchmarks.pairings.measures import (
    answers,
    exact_share,
    first_mistakes,
    history_figures,
    rest_is_right,
)
from benchmarks.pairings.parts import ARMS
from benchmarks.pairings.task import KINDS, LARGEST, Task, spell
from benchmarks.pairings.training import ScheduledSampling, inverse_sigmoid, run_trial
from tests.helpers.benchmark_runs import record_calls
from utils.data.pair_batches import PairBatches
from utils.data.vocabulary import BOS
from utils.decoding.greedy_search import greedy_search
from utils.models.fixed_vector_encoder import FixedVectorEncoder
from utils.notebook.seed_results import StoredRow
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.loop import fit


@pytest.fixture(scope="module")
def task():
    return Task.make()


@pytest.fixture(scope="module")
def model(task):
    """A model that has learned the form of the answers, and makes mistakes of both kinds."""
    seed_everything(0)
    model = ARMS["GRU → GRU, c in each step"].build(task.vocab_size)
    batches = PairBatches(task.train, batch_size=16)
    fit(model, batches, TrainConfig(steps=150, learning_rate=0.016), progress=False)
    return model.eval()


def test_numbers_are_spelled_in_both_languages():
    assert " ".join(spell(7243, "de")) == "sieben tausend zwei hundert drei und vierzig"
    assert " ".join(spell(7243, "en")) == "seven thousand two hundred forty three"
    assert spell(19, "en") == ["nineteen"] and spell(90, "de") == ["neunzig"]
    assert spell(1001, "en") == ["one", "thousand", "one"]
    for language in ("de", "en"):
        assert len({tuple(spell(n, language)) for n in range(1, LARGEST + 1)}) == LARGEST


def test_splits_have_no_number_in_common_and_no_unknown_word(task):
    parts = (task.train, task.selection, task.reporting)
    assert [len(part) for part in parts] == [LARGEST - 1000, 500, 500]
    assert len({tuple(source) for part in parts for source, _ in part}) == LARGEST
    unknown = task.tokenizer.encode("unknowable")[0]
    assert all(unknown not in [*s, *t] for part in parts for s, t in part)


def test_planted_words_are_wrong_of_the_right_kind_and_not_the_last(task):
    kinds = task.kinds()
    assert [len(kind) for kind in kinds] == [len(kind) for kind in KINDS] == [9, 10, 8]
    items = task.planted()
    assert len(items) > 450 and items == task.planted()
    for item in items:
        target = item.pair[1]
        assert item.position < len(target) - 1 and item.word != target[item.position]
        assert any(item.word in kind and target[item.position] in kind for kind in kinds)
    assert {item.pair[1][item.position] for item in items} >= {*kinds[0], *kinds[2]}


def test_the_rest_is_right_exactly_if_greedy_decoding_goes_on_right(task, model):
    items = task.planted()[:150]
    pairs, positions = [item.pair for item in items], [item.position for item in items]
    for words in ([item.word for item in items], None):
        outcomes = []
        for i, (source, target) in enumerate(pairs):
            word = target[positions[i]] if words is None else words[i]
            prompt = torch.tensor([[BOS, *target[: positions[i]], word]])
            state = model.begin(torch.tensor([source]))
            (rest,) = greedy_search(model, prompt, state, max_length=12)
            outcomes.append(rest == target[positions[i] + 1 :])
        assert rest_is_right(model, pairs, positions=positions, words=words).tolist() == outcomes
        assert 10 < sum(outcomes) < 140


def test_first_mistakes_are_found_and_told_apart(task, model):
    same_kind, others = first_mistakes(model, task.reporting, task.kinds())
    assert same_kind and others
    kind_of = {word: kind for kind in task.kinds() for word in kind}
    all_written = answers(model, task.reporting)
    written = {tuple(s): w for (s, _), w in zip(task.reporting, all_written, strict=True)}
    for mistakes, fits in ((same_kind, True), (others, False)):
        for source, target in (mistake.pair for mistake in mistakes):
            assert written[tuple(source)] != target
        for mistake in mistakes:
            target, ids = mistake.pair[1], written[tuple(mistake.pair[0])]
            assert ids[: mistake.position] == target[: mistake.position]
            true = target[mistake.position]
            assert true != mistake.word
            assert (mistake.word in kind_of.get(true, [])) == fits
    numbers_wrong = round((1 - exact_share(model, task.reporting)) * len(task.reporting))
    longer = sum(written[tuple(s)][: len(t)] == t != written[tuple(s)] for s, t in task.reporting)
    assert len(same_kind) + len(others) + longer == numbers_wrong


def test_figures_count_items_by_history(task, model):
    items = task.planted()
    figures = history_figures(model, items)
    pairs, positions = [item.pair for item in items], [item.position for item in items]
    wrong = rest_is_right(model, pairs, positions=positions, words=[item.word for item in items])
    true = rest_is_right(model, pairs, positions=positions, words=None)
    counts = {"items": len(items), "true": int(true.sum()), "wrong": int(wrong.sum())}
    assert figures == counts and counts["true"] > counts["wrong"]
    assert history_figures(model, []) == {"items": 0, "true": 0, "wrong": 0}


def test_a_control_has_the_parameters_of_its_arm_and_sees_one_state(task):
    for name, arm in ARMS.items():
        if arm.has_one_vector:
            model = arm.build(task.vocab_size)
            twin = ARMS[f"{arm.encoder} → {arm.decoder}"].build(task.vocab_size)
            sizes = [sum(p.numel() for p in each.parameters()) for each in (model, twin)]
            assert sizes[0] == sizes[1], name
            assert isinstance(model.encoder, FixedVectorEncoder)
            assert model.encoder(torch.tensor([[4, 5, 6]])).states.shape == (1, 1, 48)
    assert sum(arm.has_one_vector for arm in ARMS.values()) == 2


class Witness(torch.nn.Module):
    """After word w it predicts w + 1, and it keeps a record of what it reads."""

    def __init__(self):
        super().__init__()
        self.read, self.table = [], 1e3 * torch.eye(9).roll(1, 1)

    def forward(self, ids, state=None):
        self.read.append(ids)
        return self.table[ids], state


def test_scheduled_sampling_reads_true_or_drawn_words_and_in_evaluation_true_ones():
    ids = torch.tensor([[BOS, 4, 6, 8, 3, 7]] * 400)
    for epsilon, low, high in ((1.0, 1, 1), (0.0, 0, 0), (0.5, 0.45, 0.55)):
        witness = Witness()
        wrapped = ScheduledSampling(witness, lambda step, e=epsilon: e, seed=0)
        logits, _ = wrapped(ids)
        assert logits.shape == (400, 6, 9) and wrapped.steps_done == 1
        words = torch.cat(witness.read, 1)
        assert low <= float((words == ids)[:, 1:].float().mean()) <= high
        is_drawn = words[:, 1:] == (words[:, :-1] + 1) % 9
        assert (is_drawn | (words == ids)[:, 1:]).all()
        if epsilon == 0:
            assert words[0].tolist() == [1, 2, 3, 4, 5, 6]
        wrapped.eval()
        witness.read.clear()
        wrapped(ids)
        assert torch.equal(witness.read[0], ids) and wrapped.steps_done == 1


def test_the_share_of_true_words_falls_from_almost_one():
    shares = [inverse_sigmoid(step) for step in range(training.STEPS)]
    assert shares[0] > 0.98 and 0.2 < shares[-1] < 0.4
    assert all(b < a for a, b in itertools.pairwise(shares))


def test_a_trial_trains_by_fit_and_its_score_counts_wrong_selection_answers(task):
    arm = ARMS["GRU → GRU, c in each step"]
    figures, costs = run_trial(arm, task, rate=0.016, seed=3, steps=40)
    seed_everything(3)
    model = arm.build(task.vocab_size)
    batches = PairBatches(task.train, batch_size=training.BATCH_SIZE, seed=3)
    fit(model, batches, TrainConfig(steps=40, learning_rate=0.016), progress=False)
    assert figures["exact"] == exact_share(model, task.reporting)
    wrong = (1 - exact_share(model, task.selection)) * 500
    assert wrong < figures["score"] < wrong + 1
    tokens = sum(len(t) + 1 for k in range(40) for t in _targets(batches[k]))
    assert costs["tokens"] == tokens
    arm = ARMS["scheduled sampling"]
    scheduled, scheduled_costs = run_trial(arm, task, rate=0.016, seed=3, steps=40)
    assert scheduled_costs["parameters"] == costs["parameters"]
    assert scheduled["loss"] != figures["loss"]


def _targets(batch):
    """The targets of a batch without EOS and padding."""
    return [[i for i in row if i >= 0][:-1] for row in batch.targets.tolist()]


def test_the_command_tunes_stores_and_goes_on_where_it_stopped(run, monkeypatch):
    monkeypatch.setattr(command, "FIRST_RATES", (0.004, 0.016, 0.064))
    monkeypatch.setattr(tuning, "tune", lambda score, rates: {rate: score(rate) for rate in rates})
    monkeypatch.setattr(training, "STEPS", 3)
    calls = record_calls(monkeypatch, training, "fit")
    monkeypatch.setattr(command, "run_trial", _short_trial)
    content = run("pairings", "--arms", "GRU → GRU, one vector", "--seeds", 0, 2)
    rows = {row.key: row for row in map(StoredRow.from_stored, content["rows"])}
    assert len(rows) == 3 * len(TUNING_SEEDS) + 2 == len(calls)
    scores = {
        rate: sum(
            rows["trials", f"GRU → GRU, one vector, rate {rate:g}", seed].figures["score"]
            for seed in TUNING_SEEDS
        )
        for rate in command.FIRST_RATES
    }
    row = rows["runs", "GRU → GRU, one vector", 2]
    assert row.settings["learning_rate"] == min(scores, key=scores.get)
    assert row.settings["grid"] == list(command.FIRST_RATES)
    run("pairings", "--arms", "GRU → GRU, one vector", "--seeds", 0, 1, 2)
    assert len(calls) == len(rows) + 1, "seed 1 alone was missing"
    with pytest.raises(SystemExit):
        run("pairings", "--arms", "none")


def _short_trial(arm, task, *, rate, seed):
    return run_trial(arm, task, rate=rate, seed=seed, steps=2)
