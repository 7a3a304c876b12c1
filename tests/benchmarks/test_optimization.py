"""Choices of training: tuning ends inside its grid, and a trial measures what it says."""

import dataclasses
import itertools
import math
from statistics import fmean

import pytest
import torch

from benchmarks.optimization import __main__ as command
from benchmarks.optimization import parts
from benchmarks.optimization.__main__ import TUNING_SEEDS
from benchmarks.optimization.networks import DeepLM, build_lstm
from benchmarks.optimization.parts import PARTS, build_muon, build_split_adam, cosine, trapezoid
from benchmarks.optimization.task import Task, eval_batches
from benchmarks.optimization.training import (
    CONTEXT_LENGTH,
    is_due,
    run_trial,
    steps_to_target,
)
from benchmarks.tuning import DIVERGED
from tests.helpers.benchmark_runs import record_calls
from utils.data.batches import TextBatches
from utils.notebook.seed_results import StoredRow
from utils.runtime import seed_everything
from utils.training.config import TrainConfig, learning_rate_at
from utils.training.evaluation import evaluate
from utils.training.loop import fit


def test_arms_of_one_optimizer_in_a_part_share_a_grid():
    for part, arms in PARTS.items():
        for name in {arm.name for arm in arms.values()}:
            grids = {arm.rates for arm in arms.values() if arm.name == name}
            assert len(grids) == 1, (part, name)
            (grid,) = grids
            assert grid[-1] / grid[0] > 10, "it spans a decade"


def test_schedules_rise_and_fall_where_they_should():
    assert {trapezoid(step, 40) for step in range(40)} == {1.0}
    rates = [trapezoid(step, 40, warmup=0.1, cooldown=0.2) for step in range(40)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates[31:34] == [1.0, 1.0, 7 / 8] and rates[-1] == 1 / 8
    decays = [trapezoid(step, 40, cooldown=1.0) for step in range(40)]
    assert decays == pytest.approx([1 - step / 40 for step in range(40)])
    plan = TrainConfig(steps=40, learning_rate=1.0, schedule="cosine", warmup_fraction=0.1)
    assert [cosine(step, 40) for step in range(40)] == pytest.approx(
        [learning_rate_at(plan, step) for step in range(40)]
    )


def test_steps_to_a_target_are_interpolated_and_a_miss_counts_more():
    assert steps_to_target([(10, 3.0), (20, 2.0)], 2.25) == pytest.approx(17.5)
    assert steps_to_target([(10, 2.0)], 2.25) == 10
    near, far = (steps_to_target([(10, 4.0), (20, loss)], 2.25) for loss in (2.3, 2.5))
    assert 20 < near < far


def test_validations_come_more_rarely_as_the_run_goes_on():
    recipe = PARTS["batches"]["16"]
    due = [step for step in range(1, recipe.steps + 1) if is_due(step, recipe)]
    assert due[0] >= 16 and due[-1] == recipe.steps
    gaps = [b - a for a, b in itertools.pairwise(due)]
    assert max(gaps) > 30 and all(
        gap <= 0.2 * step + 2 for gap, step in zip(gaps, due, strict=False)
    )
    recipe = PARTS["overfitting"]["dropout 0.3"]
    due = [step for step in range(1, recipe.steps + 1) if is_due(step, recipe)]
    assert due == list(range(20, 301, 20))
    recipe = PARTS["depth"]["residual"]
    assert [step for step in range(1, 151) if is_due(step, recipe)] == [150]


@pytest.mark.parametrize("options", [{}, {"residual": True}, {"residual": True, "norm": True}])
def test_a_deep_network_reads_on_where_it_stopped(options):
    seed_everything(0)
    model = DeepLM(9, num_layers=3, width=8, scale=1.0, **options)
    ids = torch.randint(9, (2, 12))
    whole, _ = model(ids)
    first, state = model(ids[:, :7])
    rest, _ = model(ids[:, 7:], state)
    assert torch.allclose(torch.cat([first, rest], 1), whole, atol=1e-6)
    changed = ids.clone()
    changed[:, 8] = (ids[:, 8] + 1) % 9
    assert torch.equal(model(changed)[0][:, :8], whole[:, :8]), "it sees no later character"


def test_weights_start_with_the_scale_that_only_normalization_hides():
    def logits(scale, **options):
        seed_everything(0)
        model = DeepLM(9, num_layers=4, width=400, scale=scale, **options)
        assert float(model.hidden[1].weight.detach().std()) == pytest.approx(scale / 20, rel=0.02)
        return model(torch.arange(9)[None])[0]

    assert torch.allclose(logits(1.0, norm=True), logits(2.0, norm=True), atol=1e-4)
    assert not torch.allclose(logits(1.0), logits(2.0), atol=1e-2)


def test_muon_trains_the_hidden_matrices_and_adamw_the_rest():
    model = DeepLM(9, num_layers=3, width=8, scale=1.0)
    groups = build_muon(model, 0.5).param_groups
    matrices = [group for group in groups if group["orthogonal"]]
    inside = {id(p) for group in matrices for p in group["params"]}
    assert inside == {id(layer.weight) for layer in model.hidden}
    assert {group["lr"] for group in matrices} == {0.5}
    others = [group for group in groups if not group["orthogonal"]]
    assert {group["lr"] for group in others} == {parts.REST_RATE}
    split = build_split_adam(model, 0.5)
    assert type(split) is torch.optim.Adam
    rates = {id(p): group["lr"] for group in split.param_groups for p in group["params"]}
    assert {key for key, rate in rates.items() if rate == 0.5} == inside
    assert sorted(set(rates.values())) == [parts.REST_RATE, 0.5]
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


@pytest.fixture
def task(short_corpora):
    return Task.load()


def test_a_trial_takes_the_steps_of_fit_and_validates_on_other_text(task):
    recipe = dataclasses.replace(
        PARTS["schedules"]["warm-up and decay"], steps=12, clip_norm=0.2, train_length=2000
    )
    figures, costs = run_trial(recipe, task, rate=0.01, seed=3)
    seed_everything(3)
    model = build_lstm(task.vocab_size)
    windows = TextBatches(task.train[:2000], batch_size=16, context_length=CONTEXT_LENGTH, seed=3)
    rates = [0.01 * recipe.schedule(step, 12) for step in range(12)]
    plan = TrainConfig(steps=12, learning_rate=0.01, clip_norm=0.2, betas=(0.9, 0.999))

    class Scheduled(torch.optim.AdamW):
        def step(self, closure=None):
            for group in self.param_groups:
                group["lr"] = rates.pop(0)
            return super().step(closure)

    def optimizer(model, config):
        return Scheduled(model.parameters(), betas=config.betas, weight_decay=0.0)

    history = fit(model, windows, plan, progress=False, make_optimizer=optimizer)
    assert figures["training curve"] == pytest.approx(history.losses, abs=1e-5)
    measured = ((task.selection, figures["score"]), (task.reporting, figures["loss"]))
    for batches, loss in measured:
        losses = [
            torch.nn.functional.cross_entropy(
                model(batch.inputs)[0].flatten(0, 1), batch.targets.flatten(), reduction="sum"
            )
            for batch in batches
        ]
        number = sum(int((batch.targets >= 0).sum()) for batch in batches)
        assert loss == pytest.approx(float(sum(losses).detach()) / number, abs=1e-4)
    assert costs["tokens"] == 12 * 16 * CONTEXT_LENGTH


def test_the_report_is_that_of_the_step_with_the_lowest_loss_on_the_selection_split(task):
    recipe = dataclasses.replace(
        PARTS["schedules"]["constant"], steps=6, validate_every=2, train_length=100
    )
    figures, _ = run_trial(recipe, task, rate=0.3, seed=0)
    curve = dict(figures["validation curve"])
    assert list(curve) == [2, 4, 6] and figures["score"] == min(curve.values())
    best = min(curve, key=curve.get)
    again, _ = run_trial(dataclasses.replace(recipe, steps=best), task, rate=0.3, seed=0)
    assert again["loss"] == pytest.approx(figures["loss"], abs=1e-5)


def test_the_training_text_is_measured_without_masks(task):
    recipe = dataclasses.replace(
        PARTS["overfitting"]["dropout 0.3"], steps=4, validate_every=2, train_length=600
    )
    figures, _ = run_trial(recipe, task, rate=0.01, seed=0)
    steps, losses = zip(*figures["training curve, evaluation mode"], strict=True)
    assert steps == (2, 4)
    seed_everything(0)
    model = recipe.build(task.vocab_size)
    windows = TextBatches(task.train[:600], batch_size=16, context_length=CONTEXT_LENGTH, seed=0)
    plan = TrainConfig(
        steps=4,
        learning_rate=0.01,
        schedule="constant",
        warmup_fraction=0.0,
        clip_norm=0.0,
        weight_decay=0.0,
        betas=(0.9, 0.999),
    )
    history = fit(model, windows, plan, progress=False)
    expected = evaluate(model, eval_batches(task.train[:600])).loss
    assert losses[-1] == pytest.approx(expected, abs=1e-4)
    assert figures["training curve"] == pytest.approx(history.losses, abs=1e-5)
    recipe = dataclasses.replace(PARTS["schedules"]["decay"], steps=2)
    figures = run_trial(recipe, task, rate=0.01, seed=0)[0]
    assert "training curve, evaluation mode" not in figures


def test_the_share_of_clipped_steps_is_stored(task):
    def figures(**changes):
        recipe = dataclasses.replace(PARTS["optimizers"]["SGD, clipped"], steps=10, **changes)
        return run_trial(recipe, task, rate=0.5, seed=0)[0]

    assert figures(clip_norm=1e-3)["clipped share"] == 1.0
    assert figures(clip_norm=1e3)["clipped share"] == 0.0
    assert "clipped share" not in figures(clip_norm=math.inf)


def test_a_run_that_diverges_or_misses_its_target_has_a_finite_score(task):
    recipe = dataclasses.replace(PARTS["optimizers"]["SGD"], steps=40)
    figures, _ = run_trial(recipe, task, rate=1e9, seed=0)
    assert figures["score"] == DIVERGED and figures["loss"] == DIVERGED
    recipe = dataclasses.replace(PARTS["batches"]["4"], steps=20, target=0.1)
    assert run_trial(recipe, task, rate=0.01, seed=0)[0]["score"] > 20


def test_arms_of_a_part_differ_in_what_is_named_only(task):
    for part, arms in PARTS.items():
        sizes = {sum(p.numel() for p in arm.build(9).parameters()) for arm in arms.values()}
        assert len(sizes) == 1, part
        assert len({arm.steps for arm in arms.values()}) == 1 or part == "batches"


def test_the_command_stores_trials_and_seeds_and_goes_on_where_it_stopped(run, monkeypatch):
    few = {"decay": dataclasses.replace(PARTS["schedules"]["decay"], steps=8)}
    monkeypatch.setattr(command, "PARTS", {"schedules": few})
    calls = record_calls(monkeypatch, command, "run_trial")
    content = run("optimization", "schedules", "--seeds", 0, 2)
    rows = [StoredRow.from_stored(entry) for entry in content["rows"]]
    trials: dict[float, list[StoredRow]] = {}
    for row in rows:
        if row.seed in TUNING_SEEDS:
            trials.setdefault(row.settings["learning_rate"], []).append(row)
    runs = {row.seed: row for row in rows if row.seed not in TUNING_SEEDS}
    assert runs.keys() == {0, 2} and len(calls) == len(rows)
    settings = runs[0].settings
    assert settings["grid"] == sorted(trials)
    assert {len(pair) for pair in trials.values()} == {len(TUNING_SEEDS)}
    scores = {r: fmean(row.figures["score"] for row in pair) for r, pair in trials.items()}
    assert settings["learning_rate"] == min(scores, key=scores.get) and settings["steps"] == 8
    assert settings["learning_rate"] not in (min(scores), max(scores))
    assert trials[settings["learning_rate"]][0].part == "schedules, trials"
    run("optimization", "--seeds", 0, 1, 2)
    assert len(calls) == len(rows) + 1, "seed 1 alone was missing"
    for arguments in (["depths"], ["schedules", "--arms", "another"]):
        with pytest.raises(SystemExit):
            run("optimization", *arguments)
    assert len(calls) == len(rows) + 1, "nothing of that name"
    again = run("optimization", "--seeds", 0, "--tuning-seeds", 7)["rows"]
    tried = {row["seed"] for row in again if row["part"] == "schedules, trials"}
    assert tried == {*TUNING_SEEDS, 7}
