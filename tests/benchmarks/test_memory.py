"""Memory of recurrent networks: recall side by side, starts, scan, gradients by distance."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.memory.gradients import best_unit_correlation, gradient_by_distance, line_lengths
from benchmarks.memory.networks import BlockLM, scan
from benchmarks.memory.parts import PARTS, RECALL
from benchmarks.memory.recall import (
    RECALL_RATES,
    SideBySideAdam,
    best_rate,
    losses,
    train_side_by_side,
)
from benchmarks.memory.recall_networks import RecallNetwork, RecallNetworks, draw_parameters
from benchmarks.memory.task import BLANK, NUM_SYMBOLS, QUERY, Characters
from benchmarks.memory.training import run_trial
from utils.data.batches import Batch
from utils.runtime import seed_everything
from utils.training.config import TrainConfig

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}


def sequences(delay):
    """The eight sequences of the recall task, (8, delay + 1)."""
    ids = torch.full((NUM_SYMBOLS, delay + 1), BLANK)
    ids[:, 0], ids[:, -1] = torch.arange(NUM_SYMBOLS), QUERY
    return ids


def torch_layer(cell, p):
    """torch's layer with the parameters of one network."""
    D = p["embedding"].shape[1]
    layer = CELLS[cell](D, D, batch_first=True)
    names = ("input", "recurrent", "input bias", "recurrent bias")
    for parameter, name in zip(layer.parameters(), names, strict=True):
        parameter.data = p[name].T.contiguous() if p[name].dim() == 2 else p[name]
    return layer


def shorten(monkeypatch, *, delay, steps):
    """Make the delay and the training of the recall task shorter."""
    monkeypatch.setattr("benchmarks.memory.recall.DELAY", delay)
    monkeypatch.setattr("benchmarks.memory.recall.STEPS", steps)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_network_beside_others_is_torchs_layer(cell):
    network = RecallNetwork(cell=cell, width=6)
    side_by_side = RecallNetworks(network, seeds=[3, 4])
    p = draw_parameters(network, seed=4)
    x = p["embedding"][sequences(5)]  # (8, T, D)
    h = torch_layer(cell, p)(x)[0][:, -1]
    logits = h @ p["output"] + p["output bias"]
    assert torch.allclose(side_by_side(side_by_side.inputs(5))[1], logits, atol=1e-5)


def test_the_start_of_a_gate_changes_its_biases_alone():
    plain, opened = (
        draw_parameters(RecallNetwork(cell="lstm", keep_bias=bias), seed=0) for bias in (None, 4.0)
    )
    changed = [name for name in plain if not torch.equal(plain[name], opened[name])]
    assert changed == ["input bias", "recurrent bias"]
    assert (opened["input bias"][32:64] == 4).all() and (opened["recurrent bias"][32:64] == 0).all()
    for name in changed:
        assert torch.equal(opened[name][:32], plain[name][:32]), name
        assert torch.equal(opened[name][64:], plain[name][64:]), name
    assert plain["input bias"].abs().max() < 1
    with pytest.raises(ValueError, match="cell"):
        RecallNetwork(cell="rnn")


def test_each_network_takes_the_steps_of_torchs_adamw():
    network = RecallNetwork(cell="gru", width=5)
    networks = RecallNetworks(network, seeds=[0, 1])
    rates, config = (0.01, 0.04), TrainConfig(steps=10, learning_rate=1.0, clip_norm=0.3)
    adam = SideBySideAdam(networks, rates, config)
    alone = [copy.deepcopy(networks) for _ in rates]
    for r, (single, rate) in enumerate(zip(alone, rates, strict=True)):
        for name, p in single.p.items():
            single.p[name] = nn.Parameter(p[r : r + 1].detach())
        rule = torch.optim.AdamW(single.parameters(), betas=config.betas, weight_decay=0.0)
        for step in range(6):
            progress = 1.0 if step < 1 else 1 - step / 10  # without a warm-up, linearly
            rule.param_groups[0]["lr"] = rate * progress
            rule.zero_grad()
            losses(single, 3).sum().backward()
            nn.utils.clip_grad_norm_(single.parameters(), 0.3)
            rule.step()
    for step in range(6):
        adam.step(losses(networks, 3), step)
    for r, single in enumerate(alone):
        for name, p in networks.p.items():
            assert torch.allclose(p[r], single.p[name][0], atol=1e-5), name


def test_networks_side_by_side_do_not_disturb_each_other(monkeypatch):
    shorten(monkeypatch, delay=4, steps=12)
    network = RECALL["LSTM, b = 4"]
    together = train_side_by_side(network, rates=(0.01, 0.05), seeds=(0, 1))
    for (figures, costs), rate, seed in zip(together, (0.01, 0.05), (0, 1), strict=True):
        ((alone, _),) = train_side_by_side(network, rates=(rate,), seeds=(seed,))
        for name, value in alone.items():
            assert figures[name] == pytest.approx(value, rel=1e-3), name
        assert costs["parameters"] == 9098


def test_an_arm_learns_over_a_short_delay(monkeypatch):
    shorten(monkeypatch, delay=2, steps=120)
    ((figures, _),) = train_side_by_side(RECALL["GRU"], rates=(0.02,), seeds=(0,))
    assert figures["loss"] < 0.5


def test_the_share_of_the_symbol_is_that_of_the_gradient_by_distance(monkeypatch):
    shorten(monkeypatch, delay=4, steps=12)
    network = RecallNetwork(cell="gru", width=6)
    ((figures, _),) = train_side_by_side(network, rates=(0.01,), seeds=(7,))
    p, ids = draw_parameters(network, seed=7), sequences(4)
    vectors = p["embedding"][ids].requires_grad_()
    logits = torch_layer("gru", p)(vectors)[0][:, -1] @ p["output"] + p["output bias"]
    F.cross_entropy(logits, ids[:, 0], reduction="sum").backward()
    norms = vectors.grad.norm(dim=-1)  # (8, T)
    expected = float((norms[:, 0] / norms.sum(dim=1)).mean())
    assert figures["share of the first input, start"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("length", [1, 2, 5, 8, 13])
def test_a_scan_is_the_loop(length):
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 3, length, 4, generator=generator)
    h, states = torch.zeros(3, 4), []
    for t in range(length):
        h = a[:, t] * h + b[:, t]
        states.append(h)
    assert torch.allclose(scan(a, b), torch.stack(states, dim=1), atol=1e-6)


@pytest.mark.parametrize("cell", ["mingru", "rnn"])
def test_a_model_in_blocks_reads_on_where_it_stopped_and_sees_no_later_token(cell):
    seed_everything(0)
    model = BlockLM(9, cell=cell, width=8)
    ids = torch.randint(9, (2, 12))
    whole, _ = model(ids)
    first, state = model(ids[:, :7])
    rest, _ = model(ids[:, 7:], state)
    assert torch.allclose(torch.cat([first, rest], 1), whole, atol=1e-5)
    changed = ids.clone()
    changed[:, 8] = (ids[:, 8] + 1) % 9
    assert torch.equal(model(changed)[0][:, :8], whole[:, :8])


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

    assert best_unit_correlation(Counter(), first, second, decode=decode) == pytest.approx(1)


def test_of_the_rates_that_solve_a_task_the_middle_one_is_taken():
    assert best_rate({1.0: 0.04, 2.0: 0.03, 4.0: 0.01, 8.0: 2.0}) == 2.0
    assert best_rate({1.0: 0.04, 2.0: 0.03, 4.0: 2.0}) == 1.0
    assert best_rate({1.0: 1.0, 2.0: 0.5, 4.0: 1.5}) == 2.0


def test_arms_of_a_part_have_one_budget():
    for part, arms in PARTS.items():
        budgets = {(r.steps, r.batch_size, r.rates, r.tuning_seeds) for r in arms.values()}
        assert len(budgets) == 1, part
    build = {name: recipe.build(69) for name, recipe in PARTS["characters"].items()}
    sizes = {n: sum(p.numel() for p in model.parameters()) for n, model in build.items()}
    assert max(sizes.values()) < 1.01 * min(sizes.values()), sizes
    assert sizes["minGRU"] == sizes["RNN in blocks"]


def test_no_gradient_reaches_beyond_a_window():
    seed_everything(0)
    ids = torch.randint(9, (2, 20))
    model = PARTS["characters"]["window of 8"].build(9)
    shares = gradient_by_distance(model, Batch(ids, ids))
    assert len(shares) == 20 and min(shares[:8]) > 0 and sum(shares[8:]) == 0


@pytest.fixture
def task(short_corpora):
    return Characters.load()


def test_a_run_reports_what_the_page_reads_and_a_trial_what_selects(task):
    recipe = dataclasses.replace(PARTS["characters"]["LSTM"], steps=3)
    figures, costs = run_trial(recipe, task, rate=0.01, seed=0)
    wanted = {"bits", "gradient at the start", "gradient at the end", "line unit, start"}
    assert figures.keys() >= wanted | {"line unit, end", "selection loss"}
    assert costs["parameters"] > 0 and costs["tokens"] > 0
    trial, _ = run_trial(recipe, task, rate=0.01, seed=0, is_trial=True)
    assert trial == {"selection loss": figures["selection loss"]}
    assert not torch.equal(task.selection[:99], task.reporting[:99])


def test_the_command_writes_trials_and_runs_once(run, capsys, monkeypatch):
    shorten(monkeypatch, delay=2, steps=12)
    recipe = PARTS["characters"]["RNN"]
    monkeypatch.setitem(PARTS["characters"], "RNN", dataclasses.replace(recipe, steps=3))
    arms = ("LSTM, b = 1", "GRU", "RNN")
    arguments = ("recall", "characters", "--arms", *arms, "--seeds", 0)
    monkeypatch.setattr("benchmarks.memory.__main__.tune", lambda score, rates: {0.1: score(0.1)})
    rows = run("memory", *arguments)["rows"]
    runs = {(row["part"], row["arm"]): row for row in rows if "trials" not in row["part"]}
    assert runs.keys() == {("recall", "LSTM, b = 1"), ("recall", "GRU"), ("characters", "RNN")}
    assert all(row["seed"] == 0 for row in runs.values())
    for row in runs.values():
        assert row["settings"]["learning_rate"] in row["settings"]["grid"]
    trials = [row for row in rows if row["part"] == "recall, trials"]
    assert len(trials) == 6
    assert all(len(row["figures"]["loss by rate"]) == len(RECALL_RATES) for row in trials)
    assert np.isfinite(runs["recall", "GRU"]["figures"]["loss"])
    capsys.readouterr()
    run("memory", *arguments)
    assert "wrote" not in capsys.readouterr().out
