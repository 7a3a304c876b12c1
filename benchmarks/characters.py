"""Tiny Shakespeare by characters: a small recipe as it is commonly run, and the book's, in turn.

    python -m benchmarks.characters --seeds 3               both recipes, in one process, in turn
    python -m benchmarks.characters --seeds 3 --ablation    each ingredient added to those before it

The first 90 % of the characters train, the last 10 % validate: each of them is predicted once, in
windows of 64. `Baseline` re-creates nanoGPT's recipe for a small CPU (Karpathy 2022: 4 layers, 4
heads, 128 wide, block 64, batch 12, 2,000 steps) as a model and a bare loop of its own. The book's
is `utils.lm.GPT` trained by `utils.training.fit`, for as many steps as fit into the baseline's
time. The two advance in turn, a tenth each, so that whatever else the machine does slows both.
Results go to book/results/characters.json, or where `--out=FILE` says; a part that a run does not
make stays as it was there.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import record
from utils import runtime
from utils.data.batches import TextBatches, text_eval_batches
from utils.data.corpora import load_text
from utils.models.gpt import GPT
from utils.training.config import TrainConfig, learning_rate
from utils.training.evaluation import evaluate
from utils.training.loop import fit
from utils.training.optimizers import adamw, muon

BLOCK, BATCH, WIDTH, LAYERS, HEADS, STEPS = 64, 12, 128, 4, 4, 2000
GRAMS = (65 * 65, 8192, 16384)  # vectors of pairs, each its own; of triples and fours, shared
LOOKS = 10  # at the validation data in a run
BASELINE = TrainConfig(
    steps=STEPS, learning_rate=1e-3, schedule="cosine", warmup=0.05, final_ratio=0.1, weight_decay=0.1,
    betas=(0.9, 0.99), clip_norm=1.0,
)  # fmt: skip
OURS = TrainConfig(learning_rate=1e-2, schedule="linear", warmup=0.02, betas=(0.9, 0.98))
MakeOptimizer = Callable[[nn.Module, TrainConfig], torch.optim.Optimizer]
GPT2 = {
    "positions": "learned",
    "norm": "layer",
    "activation": "gelu",
    "normalized": False,
    "zeros": False,
}  # the options of `GPT` that make it the baseline's model


@dataclass(frozen=True)
class Recipe:
    """The options of `GPT`, and how it is trained."""

    options: dict[str, Any]
    config: TrainConfig
    optimizer: MakeOptimizer
    without_replacement: bool  # whether windows are drawn so


@dataclass(frozen=True)
class Ingredient:
    """One change to a recipe; a field that is not given leaves the recipe's as it was."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    config: TrainConfig | None = None
    optimizer: MakeOptimizer | None = None
    without_replacement: bool = False

    def added_to(self, recipe: Recipe) -> Recipe:
        """The recipe with this change."""
        return Recipe(
            options=recipe.options | self.options,
            config=self.config or recipe.config,
            optimizer=self.optimizer or recipe.optimizer,
            without_replacement=self.without_replacement or recipe.without_replacement,
        )


BASELINE_RECIPE = Recipe(GPT2, BASELINE, adamw, without_replacement=False)
INGREDIENTS = [  # in the order in which they are added
    Ingredient("baseline"),
    Ingredient("rotary positions", options={"positions": "rotary"}),
    Ingredient("RMSNorm", options={"norm": "rms"}),
    Ingredient("normalized queries and keys", options={"normalized": True}),
    Ingredient("squared ReLU", options={"activation": "relu2"}),
    Ingredient("zeros at the start", options={"zeros": True}),
    Ingredient("linear decay, rate 3e-3", config=replace(OURS, learning_rate=3e-3)),
    Ingredient("Muon, rate 1e-2", config=OURS, optimizer=muon),
    Ingredient("vectors of pairs", options={"grams": GRAMS[:1]}),
    Ingredient("vectors of triples", options={"grams": GRAMS[:2]}),
    Ingredient("vectors of fours", options={"grams": GRAMS}),
    Ingredient("windows without replacement", without_replacement=True),
]


class BaselineLayer(nn.Module):
    """LayerNorm, causal attention, LayerNorm, a hidden layer of GELUs; no biases."""

    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = (nn.LayerNorm(WIDTH, bias=False) for _ in range(2))
        self.c_attn = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.attn_proj = nn.Linear(WIDTH, WIDTH, bias=False)
        self.c_fc = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.mlp_proj = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            part.unflatten(-1, (HEADS, -1)).transpose(1, 2)  # (B, H, T, D/H)
            for part in self.c_attn(self.ln_1(x)).split(WIDTH, dim=-1)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn_proj(y.transpose(1, 2).flatten(2))  # (B, T, D)
        return x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x))))


class Baseline(nn.Module):
    """GPT-2 in small: learned positions, tied matrices, weights that start at 0.02."""

    def __init__(self, vocab_size: int):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab_size, WIDTH), nn.Embedding(BLOCK, WIDTH)
        self.h = nn.ModuleList(BaselineLayer() for _ in range(LAYERS))
        self.ln_f = nn.LayerNorm(WIDTH, bias=False)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * LAYERS) if "proj" in name else 0.02)

    def forward(self, ids: torch.Tensor, state=None):
        x = self.wte(ids) + self.wpe.weight[: ids.shape[1]]  # (B, T, D)
        for layer in self.h:
            x = layer(x)
        return self.ln_f(x) @ self.wte.weight.T, None  # (B, T, V)


class Clock(list):
    """Validation batches that note, each time they are read, how long training took until then.

    Before they are read, `meanwhile` advances: another run, whose time does not count here.
    """

    meanwhile: Iterator | None = None

    def start(self) -> Clock:
        self.readings: list[Seconds] = []
        self.begun, self.away = now(), Seconds(0.0, 0.0)
        return self

    def __iter__(self):
        reached = now()
        self.readings.append(reached - self.begun - self.away)
        if self.meanwhile is not None:
            with torch.inference_mode(False), torch.enable_grad():  # unlike the evaluation around
                next(self.meanwhile, None)
        yield from super().__iter__()
        self.away += now() - reached


@dataclass(frozen=True)
class Seconds:
    """Time by the clock on the wall, and of the processor: the second ignores other programs."""

    wall: float
    processor: float

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall + other.wall, self.processor + other.processor)

    def __sub__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall - other.wall, self.processor - other.processor)


def now() -> Seconds:
    return Seconds(time.perf_counter(), time.process_time())


@dataclass
class Curve:
    """Validation losses in nats a character, with the steps and seconds of training till there."""

    steps: list[int]
    losses: list[float]
    wall: list[float]
    processor: list[float]

    @classmethod
    def of(cls, found: list[tuple[int, float]], clock: Clock) -> Curve:
        steps, losses = zip(*found, strict=True)
        wall = [round(r.wall, 2) for r in clock.readings]
        processor = [round(r.processor, 2) for r in clock.readings]
        return cls(list(steps), [round(loss, 4) for loss in losses], wall, processor)

    def seconds_to(self, loss: float) -> float | None:
        """Processor seconds at the first look that is as good as `loss`, or None."""
        reached = [s for s, found in zip(self.processor, self.losses, strict=True) if found <= loss]
        return reached[0] if reached else None


def corpus() -> tuple[torch.Tensor, torch.Tensor, int, str]:
    """Ids of the first 90 % and of the last 10 %, the number of characters, the text's origin."""
    text = load_text()
    ids = {character: i for i, character in enumerate(sorted(set(text.all)))}
    parts = [torch.tensor([ids[c] for c in part]) for part in (text.train, text.valid + text.test)]
    return *parts, len(ids), text.origin


def windows(ids: torch.Tensor) -> Clock:
    return Clock(text_eval_batches(ids, batch_size=128, context_length=BLOCK))


def run_baseline(train, clock: Clock, vocab_size: int, seed: int, config: TrainConfig):
    """The bare loop; a generator of (step, loss) at each look."""
    random = torch.Generator().manual_seed(seed)
    runtime.seed_everything(seed)
    model = Baseline(vocab_size)
    optimizer = adamw(model, config)
    clock.start()
    for step in range(config.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, step)
        starts = torch.randint(len(train) - BLOCK, (BATCH,), generator=random)
        x = torch.stack([train[s : s + BLOCK] for s in starts])  # (B, T)
        y = torch.stack([train[s + 1 : s + BLOCK + 1] for s in starts])
        logits, _ = model(x)  # (B, T, V)
        F.cross_entropy(logits.flatten(0, 1), y.flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if (step + 1) % config.evaluate_every == 0:
            loss = evaluate(model, clock).loss
            before = now()
            yield step + 1, loss
            clock.away += now() - before


def ours(vocab_size: int) -> GPT:
    """The book's model: GPT's defaults, and vectors of pairs, triples and fours."""
    return GPT(
        vocab_size,
        width=WIDTH,
        layers=LAYERS,
        heads=HEADS,
        context_length=BLOCK,
        ngram_tables=GRAMS,
    )


def run_gpt(
    train, clock: Clock, model: GPT, config: TrainConfig, optimizer, seed: int, once: bool = True
) -> Curve:
    """The book's loop; `once`: windows without replacement."""
    batches = TextBatches(
        train, batch_size=BATCH, context_length=BLOCK, seed=seed, without_replacement=once
    )
    clock.start()
    history = fit(model, batches, config, valid=clock, progress=False, optimizer=optimizer)
    return Curve.of(history.valid, clock)


def run_recipe(
    train, clock: Clock, vocab_size: int, recipe: Recipe, steps: int, seed: int
) -> Curve:
    """A new GPT by a recipe, in so many steps, validated once, at the end."""
    runtime.seed_everything(seed)
    model = GPT(vocab_size, **recipe.options)
    config = replace(recipe.config, steps=steps, evaluate_every=0)
    return run_gpt(train, clock, model, config, recipe.optimizer, seed, recipe.without_replacement)


def looks(config: TrainConfig, steps: int) -> TrainConfig:
    """The recipe in so many steps, a multiple of the number of looks at the validation data."""
    steps = max(1, steps // LOOKS) * LOOKS
    return replace(config, steps=steps, evaluate_every=steps // LOOKS)


def ratio_of_steps(train, vocab_size: int) -> float:
    """How many steps of the book's recipe take as long as one of the baseline's, in turn."""
    times: tuple[list, list] = ([], [])
    for _ in range(3):
        for kind, recipe in enumerate((None, OURS)):
            clock = Clock(text_eval_batches(train[:100], batch_size=1, context_length=BLOCK))
            if recipe is None:
                config = replace(BASELINE, steps=20, evaluate_every=20)
                list(run_baseline(train, clock, vocab_size, 0, config))
            else:
                config = replace(recipe, steps=20)
                run_gpt(train, clock, ours(vocab_size), config, muon, 0)
            times[kind].append(clock.readings[-1].processor)
    return statistics.median(times[0]) / statistics.median(times[1])


def duel(train, valid, vocab_size: int, seed: int, steps: int, own: int) -> dict:
    """One seed: both recipes in turn, then the book's alone in a quarter of its steps."""
    theirs_clock, clock = windows(valid), windows(valid)
    found: list = []
    baseline = run_baseline(train, theirs_clock, vocab_size, seed, looks(BASELINE, steps))
    clock.meanwhile = (found.append(look) for look in baseline)
    curves = {}
    for name, count in (("book", own), ("quarter", own // 4)):
        runtime.seed_everything(seed)
        model = ours(vocab_size)
        curves[name] = run_gpt(train, clock, model, looks(OURS, count), muon, seed)
        clock = windows(valid)
    curves["baseline"] = Curve.of(found, theirs_clock)
    for name, curve in curves.items():
        print(f"seed {seed} {name:9s} {curve.losses[-1]:.4f} nats, {curve.processor[-1]:.0f} s")
    return {name: asdict(curve) for name, curve in curves.items()}


def summary(runs: list[dict]) -> dict:
    """Means over the seeds: losses at the end, and times as parts of the baseline's."""

    def mean(values: list[float]) -> dict:
        spread = statistics.stdev(values) if len(values) > 1 else None
        return {"mean": round(statistics.mean(values), 4), "sd": spread and round(spread, 4)}

    names = ("baseline", "book", "quarter")
    losses = {name: mean([run[name]["losses"][-1] for run in runs]) for name in names}
    times = {
        name: mean([run[name]["processor"][-1] / run["baseline"]["processor"][-1] for run in runs])
        for name in names
    }
    reached = [
        (Curve(**run["book"]).seconds_to(min(run["baseline"]["losses"])), run) for run in runs
    ]
    passing = [s / run["baseline"]["processor"][-1] for s, run in reached if s is not None]
    return {
        "final_loss": losses,
        "time_over_baseline": times,
        "book_reaches_baselines_best_at_part_of_its_time": mean(passing) if passing else None,
    }


def ablation(train, valid, vocab_size: int, seeds: int, steps: int) -> list[dict]:
    """From the baseline to the book's recipe, one ingredient at a time, all in so many steps."""
    recipe, rows = BASELINE_RECIPE, []
    for ingredient in INGREDIENTS:
        recipe = ingredient.added_to(recipe)
        losses, seconds = [], []
        for seed in range(seeds):
            curve = run_recipe(train, windows(valid), vocab_size, recipe, steps, seed)
            losses.append(curve.losses[-1])
            seconds.append(curve.processor[-1])
        rows.append({"added": ingredient.name, "losses": losses, "processor": seconds})
        loss, time_taken = statistics.mean(losses), statistics.mean(seconds)
        print(f"{ingredient.name:28s} {loss:.4f} nats, {time_taken:.0f} s")
    return rows


def main(arguments: list[str]) -> None:
    parser = record.parser("characters", __doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=STEPS, help="of the baseline")
    parser.add_argument("--ours", type=int, help="steps of the book's recipe: measured if absent")
    parser.add_argument("--ablation", action="store_true")
    chosen = parser.parse_args(arguments)
    started = time.perf_counter()
    commit = record.commit_now()
    train, valid, vocab_size, origin = corpus()
    if chosen.ablation:
        name = "ablation"
        found = {"rows": ablation(train, valid, vocab_size, chosen.seeds, chosen.steps)}
        found["steps"] = chosen.steps
    else:
        name = "duel"
        own = chosen.ours or int(0.97 * chosen.steps * ratio_of_steps(train, vocab_size))
        given = (train, valid, vocab_size)
        runs = [duel(*given, seed, chosen.steps, own) for seed in range(chosen.seeds)]
        found = {"summary": summary(runs), "runs": runs}
    found["provenance"] = record.provenance(
        "characters",
        arguments,
        commit=commit,
        seeds=list(range(chosen.seeds)),
        origin=origin,
        started=started,
    )
    record.write(chosen.out, {name: found}, keep=True)


if __name__ == "__main__":
    main(sys.argv[1:])
