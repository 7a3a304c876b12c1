"""Memory of recurrent networks: starts, scan, tasks, gradients by distance, and tuning."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from benchmarks.memory.__main__ import MAX_TRIALS, SOLVED, best_rate, tune
from benchmarks.memory.gradients import gradient_by_distance, line_lengths, unit_that_counts
from benchmarks.memory.networks import MinGRULM, build_recurrent, scan
from benchmarks.memory.parts import DELAYS, PARTS, WIDTH, build_open_lstm
from benchmarks.memory.task import (
    BLANK,
    QUERY,
    REPORTING_SEED,
    SELECTION_SEED,
    Characters,
    RecallBatches,
    recall_split,
)
from benchmarks.memory.training import run_trial
from utils.data.batches import IGNORE_INDEX, Batch
from utils.runtime import seed_everything

GUESS = math.log(8)


def test_arms_with_another_start_differ_in_the_recurrent_matrix_alone():
    def parameters(start):
        seed_everything(0)
        return dict(build_recurrent(9, width=8, start=start).named_parameters())

    plain = parameters("torch")
    for start in ("orthogonal", "identity"):
        other = parameters(start)
        changed = [name for name in plain if not torch.equal(plain[name], other[name])]
        assert changed == ["rnn.weight_hh_l0"]
    assert torch.equal(other["rnn.weight_hh_l0"], torch.eye(8))
    matrix = parameters("orthogonal")["rnn.weight_hh_l0"]
    assert torch.allclose(matrix @ matrix.T, torch.eye(8), atol=1e-5)
    with pytest.raises(ValueError, match="torch, orthogonal, identity"):
        build_recurrent(9, width=8, start="zero")


def test_forget_gates_start_with_the_given_bias():
    seed_everything(0)
    model = build_open_lstm(9, bias=4.0)
    bias = (model.rnn.bias_ih_l0 + model.rnn.bias_hh_l0).detach()
    assert (bias[WIDTH : 2 * WIDTH] == 4.0).all()
    assert (bias[:WIDTH].abs() < 1).all() and (bias[2 * WIDTH :].abs() < 1).all()


@pytest.mark.parametrize("length", [1, 2, 5, 8, 13])
def test_a_scan_is_the_loop(length):
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 3, length, 4, generator=generator)
    h, states = torch.zeros(3, 4), []
    for t in range(length):
        h = a[:, t] * h + b[:, t]
        states.append(h)
    assert torch.allclose(scan(a, b), torch.stack(states, dim=1), atol=1e-6)


def test_a_mingru_reads_on_where_it_stopped_and_sees_no_later_token():
    seed_everything(0)
    model = MinGRULM(9, width=8)
    ids = torch.randint(9, (2, 12))
    whole, _ = model(ids)
    first, state = model(ids[:, :7])
    rest, _ = model(ids[:, 7:], state)
    assert torch.allclose(torch.cat([first, rest], 1), whole, atol=1e-5)
    changed = ids.clone()
    changed[:, 8] = (ids[:, 8] + 1) % 9
    assert torch.equal(model(changed)[0][:, :8], whole[:, :8])


def test_only_the_symbol_after_the_query_is_asked_for():
    batch = RecallBatches(4, batch_size=6, seed=1)[3]
    assert batch.inputs.shape == (6, 5)
    assert (batch.inputs[:, 1:-1] == BLANK).all() and (batch.inputs[:, -1] == QUERY).all()
    assert torch.equal(batch.targets[:, -1], batch.inputs[:, 0])
    assert (batch.targets[:, :-1] == IGNORE_INDEX).all()
    assert torch.equal(batch.inputs, RecallBatches(4, batch_size=6, seed=1)[3].inputs)
    (selection,), (reporting,) = (recall_split(4, s) for s in (SELECTION_SEED, REPORTING_SEED))
    assert not torch.equal(selection.inputs, reporting.inputs)


class Forgetful(torch.nn.Module):
    """Its logits are the sum of the last two word vectors."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(5, 5)

    def forward(self, ids, state=None):
        x = self.embedding(ids)
        return x + torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], dim=1), state


def test_the_gradient_by_distance_starts_at_the_last_input():
    seed_everything(0)
    ids = torch.randint(5, (3, 6))
    shares = gradient_by_distance(Forgetful(), Batch(ids, ids))
    assert shares == pytest.approx([0.5, 0.5, 0, 0, 0, 0])


class Counter:
    """A model whose third unit is the position in the line; id 0 ends a line."""

    def eval(self):
        """Be like a module."""

    def __call__(self, ids, state):
        since = 0.0 if state is None else float(state[2])
        since = 0.0 if int(ids) == 0 else since + 1
        return None, torch.tensor([1.0, float(ids), since])


def test_the_unit_that_counts_is_found():
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randint(4, (2, 60), generator=generator)
    assert line_lengths("ab\n\nc").tolist() == [1, 2, 0, 0, 1]

    def decode(ids):
        return "".join("\nabc"[i] for i in ids)

    assert unit_that_counts(Counter(), first, second, decode) == pytest.approx(1)


def test_tuning_ends_inside_its_grid_or_where_a_task_is_decided():
    def tried(score, **options):
        return list(tune(score, (1.0, 2.0, 4.0), **options))

    assert tried(lambda rate: abs(math.log(rate / 8))) == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert tried(lambda rate: GUESS, guess=GUESS) == [1.0, 2.0, 4.0]
    assert tried(lambda rate: SOLVED / rate / 2, guess=GUESS) == [1.0, 2.0, 4.0]
    assert len(tried(lambda rate: abs(math.log(rate / 8)) + 0.5, guess=GUESS)) == 5
    calls = []
    with pytest.raises(RuntimeError, match="at an edge"):
        tune(lambda rate: calls.append(rate) or -rate, (1.0, 2.0))
    assert len(calls) == MAX_TRIALS


def test_of_the_rates_that_solve_a_task_the_middle_one_is_taken():
    scores = {1.0: 0.04, 2.0: 0.03, 4.0: 0.01, 8.0: 2.0}
    assert best_rate(scores, can_be_solved=True) == 2.0
    assert best_rate(scores, can_be_solved=False) == 4.0
    assert best_rate({1.0: 1.0, 2.0: 0.5}, can_be_solved=True) == 2.0


def test_arms_of_a_part_have_one_budget():
    for part, arms in PARTS.items():
        budgets = {(r.steps, r.batch_size, r.rates, r.tuning_seeds) for r in arms.values()}
        assert len(budgets) == 1, part
    for name, recipe in PARTS["recall"].items():
        assert recipe.delay in DELAYS, name
    build = {name: recipe.build(69) for name, recipe in PARTS["characters"].items()}
    sizes = {n: sum(p.numel() for p in model.parameters()) for n, model in build.items()}
    assert max(sizes.values()) < 1.1 * min(sizes.values()), sizes


@pytest.fixture
def task(short_corpora):
    return Characters.load()


def test_a_trial_reports_what_the_page_reads(task):
    wanted = {
        "recall": {"loss", "accuracy", "share of the first input, start"},
        "characters": {"bits", "gradient at the start", "gradient at the end"},
        "strips": {"bits", "bits, fresh state"},
    }
    for part, arms in PARTS.items():
        recipe = dataclasses.replace(next(iter(arms.values())), steps=3, units=part == "characters")
        figures, costs = run_trial(recipe, task, rate=0.01, seed=0)
        assert figures.keys() >= wanted[part] | {"selection loss"}
        assert costs["parameters"] > 0 and costs["tokens"] > 0
    assert not torch.equal(task.selection[:99], task.reporting[:99])


def test_a_carried_state_changes_the_training_and_reads_better_text(task):
    recipe = dataclasses.replace(PARTS["strips"]["carried state"], steps=12, batch_size=64)
    fresh = dataclasses.replace(recipe, carried=False)
    bits = [run_trial(r, task, rate=0.01, seed=0)[0]["bits"] for r in (recipe, recipe, fresh)]
    assert bits[0] == bits[1] != bits[2]


def test_the_command_writes_trials_and_runs_once(run, capsys, monkeypatch):
    recipe = PARTS["recall"]["RNN, delay 5"]
    monkeypatch.setitem(PARTS["recall"], "RNN, delay 5", dataclasses.replace(recipe, steps=5))
    arguments = ("recall", "--arms", "RNN, delay 5", "--seeds", 0)
    rows = run("memory", *arguments)["rows"]
    assert [row["seed"] for row in rows if row["part"] == "recall"] == [0]
    (row,) = [row for row in rows if row["part"] == "recall"]
    assert row["settings"]["learning_rate"] in row["settings"]["grid"]
    assert np.isfinite(row["figures"]["loss"])
    capsys.readouterr()
    run("memory", *arguments)
    assert "wrote" not in capsys.readouterr().out
