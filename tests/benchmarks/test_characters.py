"""The benchmark on characters: nanoGPT's model re-created, the recipes, and the times of losses."""

import dataclasses

import pytest
import torch

from benchmarks import timing
from benchmarks.characters import comparison, nanogpt, recipes
from benchmarks.characters.loss_curves import LossCurve, TimedBatches
from benchmarks.characters.nanogpt import BaselineGPT
from benchmarks.characters.recipes import BOOK_RECIPE, INGREDIENTS, NANOGPT_RECIPE
from benchmarks.characters.task import EVAL_BATCH_SIZE, CharacterTask
from benchmarks.timing import Seconds
from tests.helpers.benchmark_runs import record_calls, window_losses
from tests.helpers.manual_clock import ManualClock
from tests.helpers.tensors import randomize_weights, same
from utils.metrics.cost import count_parameters
from utils.training.optimizers import adamw

V = 11
NAMES = {  # of nanoGPT's parameters, and of GPT's
    "wte": "embedding",
    "wpe": "positional_encoding.table",
    "h.": "layers.",
    "ln_1": "attention_norm",
    "ln_2": "feedforward_norm",
    "c_attn": "attention.qkv_projection",
    "attn_proj": "attention.output_projection",
    "c_fc": "up_projection",
    "mlp_proj": "down_projection",
    "ln_f": "norm",
}


@pytest.fixture
def task():
    """A short random text, in small batches of short windows."""
    text = torch.randint(V, (2000,), generator=torch.Generator().manual_seed(0))
    return CharacterTask(
        train=text,
        valid=text[:300],
        vocab_size=V,
        origin="stand-in",
        context_length=8,
        batch_size=2,
    )


@pytest.fixture
def small_models(monkeypatch):
    """Models of both recipes that are trained in little time."""
    for module in (nanogpt, recipes):
        monkeypatch.setattr(module, "WIDTH", 16)
        monkeypatch.setattr(module, "NUM_LAYERS", 2)


@pytest.fixture
def clock(monkeypatch):
    """A clock in place of the machine's."""
    clock = ManualClock()
    monkeypatch.setattr(timing, "now", clock.read)
    return clock


def test_the_baseline_is_gpt_with_its_options(task):
    torch.manual_seed(0)
    baseline = BaselineGPT(V, context_length=task.context_length).double()
    model = NANOGPT_RECIPE.build(task).double()
    assert count_parameters(baseline) == count_parameters(model)
    weights = {"output.weight": baseline.wte.weight}
    for their_name, value in baseline.state_dict().items():
        name = their_name
        for theirs, ours in NAMES.items():
            name = name.replace(theirs, ours)
        weights[name] = value
    model.load_state_dict(weights)
    ids = task.train[:14].view(2, 7)
    assert same(model(ids)[0], baseline(ids)[0])


@pytest.mark.parametrize(
    "part, std", [("c_fc", 0.02), ("mlp_proj", 0.02 / 8**0.5), ("attn_proj", 0.02 / 8**0.5)]
)
def test_the_baselines_weights_start_as_nanogpts(part, std):
    torch.manual_seed(0)
    model = BaselineGPT(V, context_length=8)
    weights = [p.flatten() for name, p in model.named_parameters() if part in name]
    assert abs(torch.cat(weights).std() / std - 1) < 0.02


def test_the_ingredients_lead_from_the_baseline_to_the_books_recipe(task):
    recipe = NANOGPT_RECIPE
    for ingredient in INGREDIENTS:
        recipe = ingredient.add_to(recipe)
    assert dataclasses.replace(recipe, options=BOOK_RECIPE.options) == BOOK_RECIPE
    models = []
    for chosen in (recipe, BOOK_RECIPE):
        torch.manual_seed(0)
        models.append(chosen.build(task))
    initial_weights, book_weights = (model.state_dict() for model in models)
    assert initial_weights.keys() == book_weights.keys()
    assert all(torch.equal(weight, book_weights[name]) for name, weight in initial_weights.items())
    randomize_weights(models[1])  # weights of zero would hide the activation
    models[0].load_state_dict(models[1].state_dict())
    logits, book_logits = (model(task.train[None, :8])[0] for model in models)
    assert torch.equal(logits, book_logits)


def test_a_comparison_trains_each_recipe_for_its_steps(task, small_models):
    run = comparison.compare_recipes(task, seed=0, baseline_steps=10, book_steps=40)
    last_steps = {name: curve.steps[-1] for name, curve in run.items()}
    assert last_steps == {"baseline": 10, "book": 40, "quarter": 10}
    for curve in run.values():
        lengths = {len(part) for part in dataclasses.astuple(curve)}
        assert lengths == {recipes.NUM_VALIDATIONS} and curve.wall == sorted(curve.wall)


def test_a_seed_decides_all_that_is_random(task, small_models):
    config = dataclasses.replace(NANOGPT_RECIPE.config, steps=1, validate_every=1)
    windows = task.train_batches(seed=0)
    assert not torch.equal(windows[0].inputs, task.train_batches(seed=1)[0].inputs)
    losses = [
        recipes.train_recipe(
            task, NANOGPT_RECIPE, config=config, valid=task.valid_batches(), seed=seed
        ).losses
        for seed in (0, 0, 1)
    ]
    assert losses[0] == losses[1] != losses[2]


def test_a_summary_has_means_and_times_over_the_baselines():
    """From two seeds, of which the second one's book is never as good as its baseline."""

    def curves(losses, processor):
        return {
            name: LossCurve([1, 2], [3.0, loss], [0.0, 9.0], [seconds / 2, seconds])
            for name, loss, seconds in zip(comparison.RUN_NAMES, losses, processor, strict=True)
        }

    runs = [curves([2.0, 1.0, 1.5], [10.0, 8.0, 2.0]), curves([2.0, 3.0, 2.5], [10.0, 6.0, 2.0])]
    summary = comparison.summarize(runs)
    assert summary["final_loss"]["book"] == {"mean": 2.0, "sd": 1.4142}
    assert summary["time_over_baseline"]["book"] == {"mean": 0.7, "sd": 0.1414}
    fraction = summary["book_reaches_baselines_best_at_part_of_its_time"]
    assert fraction == {"mean": 0.8, "sd": None}


def test_equal_time_is_that_of_the_median_steps(task, clock, monkeypatch):
    """By trials in which a step of the baseline takes 1 s, and one of the book's recipe 4 s."""

    def train(valid, seconds):
        valid.start()
        clock.advance(seconds)
        return list(valid)

    def train_baseline(task, valid, config, *, seed):
        return train(valid, config.steps)

    def train_recipe(task, recipe, config, valid, *, seed):
        return train(valid, 4 * config.steps)

    monkeypatch.setattr(comparison, "train_baseline", train_baseline)
    monkeypatch.setattr(comparison, "train_recipe", train_recipe)
    assert comparison.equal_time_steps(task, 1000) == int(comparison.TIME_FRACTION * 250)


def test_the_command_stores_a_comparison_beside_an_ablation(run, small_models, monkeypatch):
    """The losses are those that each trained model has, computed window by window."""
    calls = record_calls(monkeypatch, recipes, "fit")
    run("characters", "--steps", 10, "--book-steps", 40)
    content = run("characters", "--ablation", "--steps", 2)
    assert content.keys() == {"comparison", "ablation"}
    (curves,) = content["comparison"]["runs"]
    assert curves["baseline"]["steps"] == list(range(1, 11))
    assert (
        content["comparison"]["summary"]["final_loss"]["book"]["mean"]
        == curves["book"]["losses"][-1]
    )
    rows = content["ablation"]["rows"]
    assert [row["added"] for row in rows] == [ingredient.name for ingredient in INGREDIENTS]
    losses = [min(curves[name]["losses"]) for name in ("book", "quarter")]
    losses += [row["losses"][0] for row in rows]
    task = CharacterTask.load()
    for (arguments, _), loss in zip(calls, losses, strict=True):
        by_hand = window_losses(
            arguments[0], task.valid, num_segments=EVAL_BATCH_SIZE, context_length=64
        )
        assert loss == pytest.approx(by_hand.mean().item(), abs=2e-4)
    for part in content.values():
        assert part["provenance"]["origin"] == "stand-in" and part["provenance"]["seeds"] == [0]


def test_a_curve_tells_when_it_reached_a_loss():
    curve = LossCurve.from_readings(
        [(10, 2.00004), (20, 1.5), (30, 1.0)], [Seconds(2.0 * i, 1.006 * i) for i in (1, 2, 3)]
    )
    assert curve == LossCurve([10, 20, 30], [2.0, 1.5, 1.0], [2.0, 4.0, 6.0], [1.01, 2.01, 3.02])
    assert curve.seconds_to(99.0) == 1.01 and curve.seconds_to(1.2) == 3.02
    assert curve.seconds_to(0.0) is None


def test_reading_validation_batches_is_left_out(clock):
    """Of two rounds of training of 1 s each, with 10 s of validation."""

    class SlowBatches(list):
        def __iter__(self):
            clock.advance(10)
            return super().__iter__()

    batches = TimedBatches(SlowBatches([1, 2]))
    clock.advance(1000)
    batches.start()
    for _ in range(2):
        clock.advance(1)
        assert list(batches) == [1, 2]
    assert [reading.wall for reading in batches.readings] == [1.0, 2.0]


def test_what_another_run_does_after_a_validation_is_left_out(task, small_models, clock):
    """Of steps of 1 s each; the other run takes 100 s and computes gradients, as training does."""
    gradients_enabled = []

    def timed_adamw(model, config):
        optimizer = adamw(model, config)
        optimizer.register_step_post_hook(lambda *_: clock.advance(1))
        return optimizer

    def other_run():
        gradients_enabled.append(torch.is_grad_enabled() and not torch.is_inference_mode_enabled())
        clock.advance(100)

    recipe = dataclasses.replace(NANOGPT_RECIPE, make_optimizer=timed_adamw)
    config = dataclasses.replace(recipe.config, steps=4, validate_every=2)
    curve = recipes.train_recipe(
        task, recipe, config=config, valid=task.valid_batches(), seed=0, after_validation=other_run
    )
    assert curve.wall == [2.0, 4.0] and gradients_enabled == [True, True]


def test_the_baseline_counts_its_own_steps_only(task, clock, monkeypatch):
    """Each step takes 1 s; what happens between two validations elsewhere takes 1,000 s."""
    learning_rate_at = nanogpt.learning_rate_at

    def slow_learning_rate_at(config, step):
        clock.advance(1)
        return learning_rate_at(config, step)

    monkeypatch.setattr(nanogpt, "learning_rate_at", slow_learning_rate_at)
    valid = task.valid_batches()
    config = recipes.with_validations(NANOGPT_RECIPE.config, 20)
    steps = []
    for step, _ in nanogpt.train_baseline(task, valid, config, seed=0):
        steps.append(step)
        clock.advance(1000)
    assert steps == list(range(2, 21, 2))
    assert [reading.wall for reading in valid.readings] == steps
