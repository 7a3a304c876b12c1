"""The benchmark of scaling: its numbers are those of the models that it trains."""

import json
import math
from dataclasses import asdict, replace

import pytest
import torch
from torch.nn import functional as F

from benchmarks.result_files import RESULTS_FOLDER
from benchmarks.scaling import __main__ as command
from benchmarks.scaling.experts import BALANCE_WEIGHT, Experts, balanced_nll, largest_share
from benchmarks.scaling.parts import (
    BALANCE,
    EQUAL_COMPUTE,
    EQUAL_OPERATIONS,
    TUNED_PARTS,
    equal_compute_arms,
    equal_operations_arms,
)
from benchmarks.scaling.training import Recipe, Study, run_trial
from tests.helpers.benchmark_runs import record_calls, window_losses
from utils.data.corpora import load_text
from utils.data.tokenizers import CharTokenizer
from utils.metrics.cost import count_flops
from utils.models.gpt_cost import gpt_parameters
from utils.notebook.seed_results import StoredRow
from utils.runtime import seed_everything
from utils.studies import scaling_runs
from utils.studies.scaling_runs import (
    BATCH_SIZE,
    CONTEXT_LENGTH,
    EVAL_BATCH_SIZE,
    NUM_LAYERS,
    ScalingRun,
    learning_rate_for,
)
from utils.training.objectives import token_nll


def test_the_command_stores_its_trials_and_runs(run, monkeypatch):
    calls = record_calls(monkeypatch, scaling_runs, "fit")
    options = "grid --widths 8 12 --steps 2 3 --grid-seeds 2 --trial-steps 2"
    content = run("scaling", *options.split())
    runs, trials = content["runs"], content["learning_rates"]["rows"]
    assert [(run["width"], run["num_tokens"], run["seed"]) for run in runs] == [
        (width, steps * BATCH_SIZE * CONTEXT_LENGTH, seed)
        for width in (8, 12)
        for steps in (2, 3)
        for seed in (0, 1)
    ]
    assert [trial["learning_rate"] for trial in trials] == [
        learning_rate_for(8),
        learning_rate_for(12),
    ]
    provenance = content["provenance"]
    assert provenance["origin"] == "stand-in" and provenance["seeds"] == [0, 1]

    models = [arguments[0] for arguments, _ in calls]
    losses = [loss for trial in trials for loss in trial["losses"]] + [run["loss"] for run in runs]
    rates = [arguments[2].learning_rate for arguments, _ in calls]
    expected = [
        factor * learning_rate_for(width) for width in (8, 12) for factor in (0.5, 1.0, 2.0)
    ]
    assert rates[:6] == expected and rates[6:] == [run["learning_rate"] for run in runs]
    corpus = load_text()
    tokenizer = CharTokenizer.train(corpus.train)
    ids = torch.tensor(tokenizer.encode(corpus.valid))
    for model, loss in zip(models, losses, strict=True):
        by_hand = window_losses(
            model, ids, num_segments=EVAL_BATCH_SIZE, context_length=CONTEXT_LENGTH
        )
        assert loss == pytest.approx(by_hand.mean().item(), abs=2e-5)
    for run_, model in zip(runs, models[-len(runs) :], strict=True):
        expected = gpt_parameters(len(tokenizer), width=run_["width"], num_layers=NUM_LAYERS)
        assert run_["num_parameters"] == expected == sum(p.numel() for p in model.parameters())
    assert content["settings"]["vocab_size"] == len(tokenizer)


def test_the_stored_runs_are_real_and_span_two_orders_of_magnitude():
    content = json.loads((RESULTS_FOLDER / "scaling.json").read_text())
    sizes = sorted({run["num_parameters"] for run in content["runs"]})
    assert content["provenance"]["origin"] == "real" and content["provenance"]["commit"]
    assert len(sizes) > 6 and sizes[-2] > 100 * sizes[0], "without the largest, which is left out"
    assert len({run["num_tokens"] for run in content["runs"]}) >= 4
    runs = [ScalingRun(**run) for run in content["runs"]]
    assert all(0.5 < run.loss < math.log(content["settings"]["vocab_size"]) for run in runs)
    assert [asdict(run) for run in runs] == content["runs"]
    for part, per_token, arms in (
        ("equal compute", short_form, equal_compute_arms(69)),
        ("equal operations", all_operations, equal_operations_arms(69)),
    ):
        equal = [row for row in content["rows"] if row["part"] == part]
        assert {row["seed"] for row in equal} == {0, 1, 2}
        assert {row["arm"] for row in equal} == arms.keys()
        for row in equal:
            compute = per_token(row["settings"]["width"]) * row["costs"]["tokens"]
            assert compute == pytest.approx(float(row["arm"].split()[2].rstrip(",")), rel=0.05)


def short_form(width):
    """6·N of a token."""
    return 6 * sum(p.numel() for p in Recipe(width=width, steps=1).build(69).parameters())


def all_operations(width):
    """The operations of a token in training, counted by PyTorch."""
    model = Recipe(width=width, steps=1).build(69)
    x = torch.zeros(1, CONTEXT_LENGTH, dtype=torch.long)
    return count_flops(lambda: model(x)[0].sum().backward()) / CONTEXT_LENGTH


@pytest.mark.parametrize(
    ("arms", "amounts", "per_token"),
    [
        (equal_compute_arms(69), EQUAL_COMPUTE, short_form),
        (equal_operations_arms(69), EQUAL_OPERATIONS, all_operations),
    ],
    ids=["6ND", "all operations"],
)
def test_models_of_one_amount_of_compute_cost_the_same(arms, amounts, per_token):
    assert len(arms) == sum(map(len, amounts.values()))
    for name, recipe in arms.items():
        tokens = recipe.steps * recipe.batch_size * CONTEXT_LENGTH
        wanted = float(name.split()[2].rstrip(","))
        assert wanted in amounts, name
        assert per_token(recipe.width) * tokens == pytest.approx(wanted, rel=0.05), name


def test_arms_of_a_part_differ_in_what_is_named_only():
    small, large = TUNED_PARTS["batches"].values()
    assert small.steps * small.batch_size == large.steps * large.batch_size
    assert large.batch_size == 4 * small.batch_size
    for arms in TUNED_PARTS.values():
        assert len({recipe.width for recipe in arms.values()}) == 1
    (experts,) = TUNED_PARTS["experts"].values()
    balanced, unbalanced = BALANCE.values()
    assert balanced == experts == replace(unbalanced, balance_weight=BALANCE_WEIGHT)
    assert unbalanced.balance_weight == 0
    assert (experts.width, experts.steps, experts.batch_size) == (
        small.width,
        small.steps,
        small.batch_size,
    )
    sizes = [sum(p.numel() for p in r.build(69).parameters()) for r in (small, experts)]
    added = NUM_LAYERS * (3 * 8 * experts.width**2 + 4 * experts.width)  # experts, and a router
    assert sizes[1] == sizes[0] + added


@torch.no_grad()
def test_each_token_goes_through_the_expert_with_the_largest_gate():
    seed_everything(0)
    experts = Experts(8, num_experts=3)
    for down in experts.down:
        torch.nn.init.normal_(down.weight)
    torch.nn.init.normal_(experts.router)
    x = torch.randn(2, 5, 8)
    y, chosen = experts(x), []
    for token, result in zip(x.flatten(0, 1), y.flatten(0, 1), strict=True):
        gates = F.linear(token, experts.router).softmax(-1)
        expert = int(gates.argmax())
        chosen.append(expert)
        hidden = experts.up[expert](token).relu().square()
        assert torch.allclose(gates[expert] * experts.down[expert](hidden), result, atol=1e-6)
    assert len(set(chosen)) > 1
    probs = F.linear(x.flatten(0, 1), experts.router).softmax(-1)
    shares = torch.bincount(torch.tensor(chosen), minlength=3) / len(chosen)
    by_hand = 3 * sum(shares[i] * probs[:, i].mean() for i in range(3))
    assert float(experts.imbalance) == pytest.approx(float(by_hand), rel=1e-5)


@pytest.fixture
def study(short_corpora):
    return Study(load_text())


@torch.no_grad()
def test_the_busiest_expert_is_counted_over_all_batches(study):
    model = Recipe(width=8, steps=1, num_experts=3).build(study.vocab_size).eval()
    counts = torch.zeros(NUM_LAYERS, 3)
    layers = [layer for layer in model.modules() if isinstance(layer, Experts)]
    for layer, row in zip(layers, counts, strict=True):

        def count(module, inputs, row=row):
            gates = F.linear(inputs[0].flatten(0, -2), module.router)
            row += torch.bincount(gates.argmax(-1), minlength=3)

        layer.register_forward_pre_hook(count)
    share = largest_share(model, study.valid_batches)
    assert share == pytest.approx(float((counts.amax(1) / counts.sum(1)).mean()), rel=1e-5)
    assert 1 / 3 < share < 1


@torch.no_grad()
def test_balance_counts_in_training_only(study):
    model = Recipe(width=8, steps=1, num_experts=3).build(study.vocab_size)
    batch = study.valid_batches[0]
    assert balanced_nll(model.eval(), batch) == token_nll(model, batch)
    plain = token_nll(model.train(), batch)
    imbalances = [layer.imbalance for layer in model.modules() if isinstance(layer, Experts)]
    assert len(imbalances) == NUM_LAYERS
    extra = BALANCE_WEIGHT * batch.targets.numel() * float(sum(imbalances))
    assert float(balanced_nll(model, batch)) == pytest.approx(float(plain) + extra, rel=1e-5)
    assert balanced_nll(model, batch, balance_weight=0) == plain


def test_a_model_with_experts_learns_and_starts_as_the_identity(study):
    recipe = Recipe(width=8, steps=60, num_experts=2, batch_size=6)
    model = recipe.build(study.vocab_size)
    x = torch.randn(1, 4, 8)
    assert torch.equal(model.layers[0].experts(x), torch.zeros_like(x))
    figures, costs = run_trial(recipe, study, rate=0.03, seed=0)
    assert figures["loss"] < math.log(study.vocab_size) - 0.5
    assert costs["parameters"] == sum(p.numel() for p in model.parameters())
    assert costs["tokens"] == 60 * 6 * CONTEXT_LENGTH


def test_rates_are_chosen_on_other_text_than_is_measured(monkeypatch, short_corpora):
    monkeypatch.setattr("benchmarks.scaling.training.VALID_CHARACTERS", 200)
    monkeypatch.setattr(scaling_runs, "VALID_CHARACTERS", 200)
    study, corpus = Study(load_text()), load_text()
    tokenizer = CharTokenizer.train(corpus.train)
    for batches, text in (
        (study.valid_batches, corpus.valid[:201]),
        (study.selection_batches, corpus.valid[200:401]),
    ):
        first = batches[0].inputs[0, 0]
        assert int(first) == tokenizer.encode(text)[0]
        assert sum(int((batch.targets >= 0).sum()) for batch in batches) == 200


def test_the_other_parts_store_their_trials_and_seeds_and_go_on(run, monkeypatch):
    few = {"small batches": Recipe(width=8, steps=3)}
    monkeypatch.setattr(command, "TUNED_PARTS", {"batches": few})
    arms = {"C = 1.0e+09, d = 8": Recipe(width=8, steps=2)}
    monkeypatch.setattr(command, "equal_compute_arms", lambda vocab_size: arms)
    calls = record_calls(monkeypatch, command, "run_trial")
    monkeypatch.setattr(command, "equal_operations_arms", lambda vocab_size: arms)
    parts = ["equal compute", "rates", "batches", "--seeds", 3, "--equal-seeds", 2]
    rows = [StoredRow.from_stored(entry) for entry in run("scaling", *parts)["rows"]]
    by_part = {part: [row for row in rows if row.part == part] for part in {r.part for r in rows}}
    assert [row.seed for row in by_part["equal compute"]] == [0, 1]
    assert {row.settings["learning_rate"] for row in by_part["equal compute"]} == {
        learning_rate_for(8)
    }
    best, grid = best_rate(by_part["rates"])
    rule = learning_rate_for(8)
    assert {rule / 2, rule, 2 * rule} <= set(grid) and min(grid) < best < max(grid)
    again = by_part.get("tuned rates", [])
    assert {row.settings["learning_rate"] for row in again} == ({best} - {rule})
    assert all(row.settings["grid"] == grid for row in again)
    tuned = by_part["batches"]
    assert [row.seed for row in tuned] == [0, 1, 2]
    best, grid = best_rate(by_part["batches, trials"])
    assert tuned[0].settings["learning_rate"] == best
    assert tuned[0].settings["grid"] == grid
    number = len(calls)
    run("scaling", *parts)
    assert len(calls) == number, "all rows are there"
    with pytest.raises(SystemExit):
        run("scaling", "batch")


def best_rate(trials):
    """The rate with the lowest mean selection loss, and all rates, of the rows of trials."""
    scores: dict[float, list[float]] = {}
    for row in trials:
        assert row.seed in command.TUNING_SEEDS
        scores.setdefault(row.settings["learning_rate"], []).append(row.figures["selection loss"])
    means = {rate: sum(values) / len(values) for rate, values in scores.items()}
    return min(means, key=means.get), sorted(means)
