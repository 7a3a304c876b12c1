"""The benchmark on characters: nanoGPT's model re-created, its recipes, and what its clocks count.

A clock that only tests advance takes the place of the machine's.
"""

import dataclasses

import pytest
import torch

from benchmarks import characters, nanogpt, stopwatch
from benchmarks.character_recipes import BOOK_RECIPE, INGREDIENTS, NANOGPT_RECIPE
from benchmarks.character_task import CharacterTask
from benchmarks.nanogpt import BaselineGPT
from benchmarks.stopwatch import LossCurve, Seconds, Stopwatch, TimedBatches
from tests.helpers.tensors import randomize_weights, same
from utils.metrics.cost import count_parameters

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


class ManualClock:
    """A clock that stands still until it is advanced."""

    def __init__(self):
        self.seconds = 0.0

    def advance(self, seconds: float) -> None:
        self.seconds += seconds

    def read(self) -> Seconds:
        return Seconds(wall=self.seconds, processor=self.seconds / 2)


@pytest.fixture
def clock(monkeypatch):
    clock = ManualClock()
    monkeypatch.setattr(stopwatch, "now", clock.read)
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


def test_a_duel_trains_each_recipe_for_its_steps(task, monkeypatch):
    book = dataclasses.replace(BOOK_RECIPE, options={"ngram_tables": (V * V, 50)})
    monkeypatch.setattr(characters, "BOOK_RECIPE", book)
    run = characters.run_duel(task, seed=0, baseline_steps=10, book_steps=40)
    last_steps = {name: curve.steps[-1] for name, curve in run.items()}
    assert last_steps == {"baseline": 10, "book": 40, "quarter": 10}
    for curve in run.values():
        lengths = {len(part) for part in dataclasses.astuple(curve)}
        assert lengths == {characters.NUM_VALIDATIONS} and curve.wall == sorted(curve.wall)
    summary = characters.summarize([run])
    assert summary["final_loss"]["book"] == {"mean": run["book"].losses[-1], "sd": None}


def test_a_curve_tells_when_it_reached_a_loss():
    curve = LossCurve.from_readings(
        [(10, 2.00004), (20, 1.5), (30, 1.0)], [Seconds(2.0 * i, 1.006 * i) for i in (1, 2, 3)]
    )
    assert curve == LossCurve([10, 20, 30], [2.0, 1.5, 1.0], [2.0, 4.0, 6.0], [1.01, 2.01, 3.02])
    assert curve.seconds_to(99.0) == 1.01 and curve.seconds_to(1.2) == 3.02
    assert curve.seconds_to(0.0) is None


def test_a_stopwatch_leaves_its_pauses_out(clock):
    watch = Stopwatch()
    clock.advance(3)
    with watch.paused():
        clock.advance(100)
    clock.advance(1)
    with pytest.raises(RuntimeError), watch.paused():
        clock.advance(50)
        raise RuntimeError
    assert watch.elapsed() == Seconds(wall=4.0, processor=2.0)


def test_reading_validation_batches_and_another_run_are_left_out(clock):
    """Of two rounds of training of 1 s each, with 10 s of validation and 100 s of another run."""

    class SlowBatches(list):
        def __iter__(self):
            clock.advance(10)
            return super().__iter__()

    gradients_enabled = []

    def other_run():
        for _ in range(9):
            gradients_enabled.append(torch.is_grad_enabled())
            clock.advance(100)
            yield

    batches = TimedBatches(SlowBatches([1, 2]), meanwhile=other_run())
    clock.advance(1000)
    batches.start()
    for _ in range(2):
        clock.advance(1)
        with torch.inference_mode():
            assert list(batches) == [1, 2]
    assert [reading.wall for reading in batches.readings] == [1.0, 2.0]
    assert gradients_enabled == [True, True], "the other run trains, though validation does not"


def test_the_baseline_counts_its_own_steps_only(task, clock, monkeypatch):
    """Each step takes 1 s; what happens between two validations elsewhere takes 1,000 s."""
    learning_rate_at = nanogpt.learning_rate_at

    def slow_learning_rate_at(config, step):
        clock.advance(1)
        return learning_rate_at(config, step)

    monkeypatch.setattr(nanogpt, "learning_rate_at", slow_learning_rate_at)
    valid = task.valid_batches()
    config = characters.with_validations(NANOGPT_RECIPE.config, 20)
    steps = []
    for step, _ in nanogpt.train_baseline(task, valid, config, seed=0):
        steps.append(step)
        clock.advance(1000)
    assert steps == list(range(2, 21, 2))
    assert [reading.wall for reading in valid.readings] == steps
