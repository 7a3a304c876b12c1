"""The training loop: what it minimizes, what it keeps, and that nothing is lost when it stops."""

import math
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from utils import runtime
from utils.data.batches import IGNORE, Batch, TextBatches
from utils.data.pair_batches import PairBatches, pair_eval_batches
from utils.models.encoder_decoder import lstm_seq2seq
from utils.models.language_models import LSTMLM
from utils.training.checkpoint import load_checkpoint, save_checkpoint
from utils.training.config import SCHEDULES, TrainConfig, learning_rate
from utils.training.evaluation import evaluate
from utils.training.loop import fit
from utils.training.objectives import cross_entropy

V = 12
TEXT = torch.randint(4, V, (400,), generator=torch.Generator().manual_seed(0))
PAIRS = [([4 + i % 5, 5, 6 + i % 3], [4 + i % 5] * (1 + i % 4)) for i in range(24)]
CONFIG = TrainConfig(steps=12, learning_rate=1e-2, warmup=0.25)


class Uniform(nn.Module):
    """Knows nothing: every token is equally likely."""

    def forward(self, ids, state=None):
        return torch.zeros(*ids.shape, V), state


def new_model(dropout=0.3):
    runtime.seed_everything(1)
    return LSTMLM(V, width=8, layers=2, dropout=dropout)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def stream():
    return TextBatches(TEXT, batch_size=4, context_length=10, seed=3)


class Stopped(TextBatches):
    """The stream, which sends Ctrl-C when the batch of step `stop` is asked for."""

    def __init__(self, stop, text=TEXT, seed=3):
        super().__init__(text, 4, 10, seed)
        self.stop = stop

    def __getitem__(self, step):
        if step == self.stop:
            os.kill(os.getpid(), signal.SIGINT)
        return super().__getitem__(step)


def test_a_uniform_models_perplexity_is_the_size_of_the_vocabulary():
    score = evaluate(Uniform(), [stream()[0]])
    assert score.perplexity == pytest.approx(V) and score.tokens == 40


def test_evaluation_does_not_depend_on_batching_or_padding():
    runtime.seed_everything(0)
    model = lstm_seq2seq(V, width=8, layers=1, dropout=0.5).double().train()
    assert len({len(t) for _, t in PAIRS}) > 1, "some targets are padded"
    together, alone = (
        evaluate(model, pair_eval_batches(PAIRS, batch_size=size)) for size in (24, 1)
    )
    assert together.tokens == alone.tokens == sum(len(t) + 1 for _, t in PAIRS)
    assert together.nll == pytest.approx(alone.nll, rel=1e-12)
    assert model.training, "evaluation leaves the mode as it was"


def test_nothing_to_evaluate_is_said():
    empty = Batch(torch.tensor([[1]]), torch.tensor([[IGNORE]]))
    for batches in ([], [empty]):
        with pytest.raises(ValueError, match="no token"):
            evaluate(Uniform(), batches)


def test_label_smoothing_is_its_formula_and_finite():
    logits = torch.randn(1, 5, V, dtype=torch.float64)
    targets = torch.tensor([[4, 5, IGNORE, 6, 7]])

    class Given(nn.Module):
        def forward(self, ids, state=None):
            return logits, state

    batch = Batch(torch.zeros(1, 5, dtype=torch.long), targets)
    log_p, e = logits.log_softmax(-1)[0], 0.1
    wanted = sum(
        -(1 - e) * log_p[t, w] - e / V * log_p[t].sum()
        for t, w in enumerate(targets[0].tolist())
        if w != IGNORE
    )
    assert torch.isclose(cross_entropy(Given(), batch, e), wanted)
    logits = torch.where(torch.arange(V) == 4, 1e4, logits)
    assert cross_entropy(Given(), batch, e).isfinite()


def test_accumulated_batches_are_one_large_batch():
    """Also where the small batches hold different numbers of tokens."""
    whole = Batch(torch.randint(4, V, (6, 5)), torch.randint(4, V, (6, 5)))
    whole.targets[0, 1:] = IGNORE
    parts = [Batch(whole.inputs[i : i + 2], whole.targets[i : i + 2]) for i in (0, 2, 4)]
    results = []
    for batches, accumulate in (([whole], 1), (parts, 3)):
        model = new_model(0.0).double()
        config = TrainConfig(steps=1, learning_rate=0.1, warmup=0, accumulation_steps=accumulate)
        history = fit(model, batches, config, progress=False)
        results.append((weights(model), history.losses[0], history.tokens))
    assert torch.allclose(results[0][0], results[1][0], atol=1e-12)
    assert results[0][1] == pytest.approx(results[1][1]) and results[0][2] == results[1][2] == 26


def test_the_gradient_is_clipped():
    moved = {}
    for clip in (0.0, 1e-9):
        model = new_model(0.0)
        before = weights(model)
        sgd = TrainConfig(steps=1, learning_rate=1.0, warmup=0, clip_norm=clip, betas=(0.0, 0.0))
        fit(model, stream(), sgd, progress=False)
        moved[clip] = (weights(model) - before).norm()
    # with betas 0 a step is g / (|g| + 1e-8): its size shows only gradients near 1e-8
    assert moved[1e-9] < 0.5 * moved[0.0]


def test_the_learning_rate_rises_and_falls_as_written():
    config = TrainConfig(
        steps=100, learning_rate=1.0, warmup=0.1, final_ratio=0.2, schedule="linear"
    )
    rates = [learning_rate(config, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == rates[9] == rates[10] == 1.0
    assert rates[55] == pytest.approx(0.6) and rates[100] == pytest.approx(0.2)
    cosine = replace(config, schedule="cosine")
    assert learning_rate(cosine, 55) == pytest.approx(0.6)
    assert learning_rate(cosine, 30) == pytest.approx(
        0.2 + 0.8 * (1 + math.cos(math.pi * 20 / 90)) / 2
    )
    constant = replace(config, schedule="constant")
    assert learning_rate(constant, 99) == 1.0
    assert learning_rate(replace(config, warmup=0.0), 0) == 1.0


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_each_step_has_the_rate_of_its_schedule(schedule):
    """With betas 0 a step of Adam is lr · g / |g|, so the largest move of a weight is lr."""
    model, seen = new_model(0.0).double(), []

    class Watched(TextBatches):
        def __getitem__(self, step):
            seen.append(weights(model))
            return super().__getitem__(step)

    config = TrainConfig(
        steps=6,
        learning_rate=1e-3,
        schedule=schedule,
        warmup=0.5,
        final_ratio=0.1,
        clip_norm=0.0,
        betas=(0.0, 0.0),
    )
    fit(model, Watched(TEXT, 4, 10), config, progress=False)
    seen.append(weights(model))
    moves = [(b - a).abs().max().item() for a, b in zip(seen, seen[1:], strict=False)]
    rates = [learning_rate(config, step) for step in range(6)]
    assert moves == pytest.approx(rates, rel=1e-3)


def test_weight_decay_touches_matrices_only():
    model = new_model()
    groups = training.adamw(model, replace(CONFIG, weight_decay=0.1)).param_groups
    decayed = {id(p) for g in groups if g["weight_decay"] for p in g["params"]}
    assert decayed == {id(p) for p in model.parameters() if p.dim() >= 2}
    assert sum(len(g["params"]) for g in groups) == len(list(model.parameters()))


def test_the_weights_of_the_best_validation_are_kept():
    """A text learned by heart gets worse on another text; the run goes back to its best."""
    other = [TextBatches(TEXT.flip(0) % 5 + 4, batch_size=4, context_length=10)[0]]
    model, small = new_model(0.0), TextBatches(TEXT[:30], batch_size=4, context_length=10)
    config = TrainConfig(steps=60, learning_rate=5e-2, evaluate_every=5)
    history = fit(model, small, config, valid=other, progress=False)
    best = min(loss for _, loss in history.valid)
    assert history.best_step < 60 and history.valid[-1][1] > best
    assert evaluate(model, other).loss == best
    assert not model.training


@pytest.mark.parametrize("stop", [1, 5, 11, 12])  # in the last step: nothing is left to do
def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(tmp_path, stop):
    config = replace(CONFIG, evaluate_every=4)
    valid = [stream()[1000]]
    whole = new_model()
    history = fit(whole, stream(), config, valid=valid, progress=False)

    path = tmp_path / "run.safetensors"
    first = fit(new_model(), Stopped(stop), config, valid=valid, checkpoint=path, progress=False)
    assert first.interrupted == (stop < 11) and len(first.losses) == min(stop + 1, 12)
    runtime.seed_everything(99)
    again = LSTMLM(
        V, width=8, layers=2, dropout=0.3
    )  # other weights: everything comes from the file
    second = fit(again, stream(), config, valid=valid, checkpoint=path, progress=False)
    assert torch.equal(weights(again), weights(whole))
    assert second.losses == history.losses and second.valid == history.valid
    assert not second.interrupted and second.best_step == history.best_step


def test_the_best_weights_survive_a_restart(tmp_path):
    """The best validation lies before the interruption; its weights must come from the file."""
    other = [TextBatches(TEXT.flip(0) % 5 + 4, batch_size=4, context_length=10)[0]]
    config = TrainConfig(steps=60, learning_rate=5e-2, evaluate_every=5)
    small = TextBatches(TEXT[:30], batch_size=4, context_length=10)
    path, models, best = tmp_path / "run.safetensors", [new_model(0.0), new_model(0.0)], []
    cut_off = Stopped(42, TEXT[:30], seed=0)
    for model, batches, file in ((models[0], small, None), (models[1], cut_off, path)):
        history = fit(model, batches, config, valid=other, checkpoint=file, progress=False)
        best.append(history.best_step)
    assert history.interrupted and best[0] == best[1] < 40
    again = new_model(0.0)
    fit(again, small, config, valid=other, checkpoint=path, progress=False)
    assert torch.equal(weights(again), weights(models[0]))


def test_a_run_that_goes_on_without_validation_keeps_its_last_weights(tmp_path):
    path, config = tmp_path / "run.safetensors", replace(CONFIG, steps=20, evaluate_every=5)
    fit(new_model(), Stopped(10), config, valid=[stream()[1000]], checkpoint=path, progress=False)
    again = LSTMLM(V, width=8, layers=2, dropout=0.3)
    history = fit(again, stream(), config, valid=None, checkpoint=path, progress=False)
    whole = new_model()
    fit(whole, stream(), config, progress=False)
    assert history.best_step == 20 and torch.equal(weights(again), weights(whole))


def test_validation_without_a_batch_is_refused_before_the_first_step():
    class Untouched(TextBatches):
        def __getitem__(self, step):
            raise AssertionError("no batch is needed to see that")

    with pytest.raises(ValueError, match="valid holds no batch"):
        fit(new_model(), Untouched(TEXT, 4, 10), CONFIG, valid=[], progress=False)


def test_an_evaluation_that_is_broken_off_leaves_the_mode_as_it_was():
    def broken(model, batch, label_smoothing):
        raise KeyboardInterrupt

    model = new_model().train()
    with pytest.raises(KeyboardInterrupt):
        evaluate(model, [stream()[0]], objective=broken)
    assert model.training


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from utils import runtime, training
from tests.test_training import CONFIG, new_model, stream
from dataclasses import replace
whole, calls = runtime.save_file, []
def half(tensors, path, metadata):
    calls.append(path)
    if len(calls) < 3:
        return whole(tensors, path, metadata)
    whole(tensors, path, metadata)
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: len(content) // 2])
    os.kill(os.getpid(), signal.SIGKILL)
runtime.save_file = half
training.fit(new_model(), stream(), replace(CONFIG, checkpoint_every=2), None, {path!r},
             progress=False)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_run_killed_while_it_writes_a_checkpoint_goes_on_from_the_one_before(tmp_path):
    root, path = str(Path(__file__).resolve().parents[1]), tmp_path / "run.safetensors"
    code = KILLED.format(root=root, path=str(path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert load_checkpoint(path)["step"] == 4, "the third save died, the second stands"
    assert len(list(tmp_path.iterdir())) == 2, "and its half is there"
    config = replace(CONFIG, checkpoint_every=2)
    whole = new_model()
    fit(whole, stream(), config, progress=False)
    again = LSTMLM(V, width=8, layers=2, dropout=0.3)
    fit(again, stream(), config, valid=None, checkpoint=path, progress=False)
    assert torch.equal(weights(again), weights(whole))
    assert list(tmp_path.iterdir()) == [path], "the next save swept it away"


def test_ctrl_c_in_time_returns_what_was_learned(tmp_path):
    class Slow(TextBatches):
        def __getitem__(self, step):
            if step == 20:
                threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()
            return super().__getitem__(step)

    before = signal.getsignal(signal.SIGINT)
    path = tmp_path / "run.safetensors"
    config = replace(CONFIG, steps=100_000)
    history = fit(
        new_model(), Slow(TEXT, 4, 10), config, valid=None, checkpoint=path, progress=False
    )
    assert history.interrupted and 20 < len(history.losses) < 100_000
    assert load_checkpoint(path)["step"] == len(history.losses)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_checkpoint_of_another_run_or_of_nothing_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    fit(new_model(), stream(), CONFIG, valid=None, checkpoint=path, progress=False)
    with pytest.raises(ValueError, match="learning_rate=0.01, not 0.5"):
        fit(
            new_model(),
            stream(),
            replace(CONFIG, learning_rate=0.5),
            valid=None,
            checkpoint=path,
            progress=False,
        )
    whole = path.read_bytes()
    for wrong in (whole[: len(whole) // 2], b"<!doctype html>", b""):
        path.write_bytes(wrong)
        with pytest.raises(ValueError, match="not a checkpoint"):
            fit(new_model(), stream(), CONFIG, valid=None, checkpoint=path, progress=False)


def test_a_checkpoint_of_another_model_or_of_no_run_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    fit(new_model(), stream(), CONFIG, valid=None, checkpoint=path, progress=False)
    with pytest.raises(ValueError, match="belongs to another model"):
        fit(LSTMLM(V, width=9), stream(), CONFIG, valid=None, checkpoint=path, progress=False)
    save_checkpoint(path, {"weights": torch.ones(2)})
    with pytest.raises(ValueError, match="holds .'weights'., but no run"):
        fit(new_model(), stream(), CONFIG, valid=None, checkpoint=path, progress=False)


def test_a_restarted_run_may_be_looked_at_more_often(tmp_path):
    path = tmp_path / "run.safetensors"
    fit(new_model(), stream(), CONFIG, valid=None, checkpoint=path, progress=False)
    often = replace(CONFIG, evaluate_every=1, checkpoint_every=1)
    history = fit(
        new_model(), stream(), often, valid=[stream()[50]], checkpoint=path, progress=False
    )
    assert len(history.losses) == 12 and [step for step, _ in history.valid] == [12]


def test_what_cannot_train_or_validate_is_said():
    with pytest.raises(ValueError, match="not an iterator"):
        fit(new_model(), stream(), CONFIG, valid=iter([stream()[0]]), progress=False)
    empty = Batch(torch.tensor([[1]]), torch.tensor([[IGNORE]]))
    with pytest.raises(ValueError, match="step 0 hold no token"):
        fit(new_model(), [empty], CONFIG, progress=False)


def test_the_bar_tells_loss_and_speed(capsys):
    fit(new_model(), stream(), CONFIG)
    said = capsys.readouterr().err
    assert "12/12 steps" in said and "loss 2." in said and "tokens/s" in said
    fit(new_model(), stream(), CONFIG, progress=False)
    assert capsys.readouterr().err == ""


def test_the_history_counts_what_was_seen():
    history = fit(new_model(), stream(), CONFIG, progress=False)
    assert len(history.losses) == history.best_step == 12 and history.tokens == 12 * 40
    assert history.tokens_per_second == history.tokens / history.seconds
    assert history.losses[0] == pytest.approx(math.log(V), abs=1)


def test_a_validation_that_is_no_number_stops_the_run_and_keeps_the_last_checkpoint(tmp_path):
    class Broken(LSTMLM):
        def forward(self, ids, state=None):
            logits, state = super().forward(ids, state)
            return (logits if self.training else logits * float("nan")), state

    path = tmp_path / "run.safetensors"
    config = replace(CONFIG, evaluate_every=6, checkpoint_every=3)
    with pytest.raises(FloatingPointError, match="the loss is nan by step 6"):
        fit(Broken(V, 8), stream(), config, valid=[stream()[0]], checkpoint=path, progress=False)
    assert load_checkpoint(path)["step"] == 3


def test_a_loss_that_is_no_number_stops_the_run():
    model = new_model()
    with torch.no_grad():
        model.output.bias.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        fit(model, stream(), CONFIG, progress=False)


@pytest.mark.parametrize(
    "wrong",
    [{"steps": 0}, {"accumulate": 0}, {"schedule": "sawtooth"}, {"warmup": 1.5}, {"clip": -1},
     {"learning_rate": 0}, {"label_smoothing": 1.5}, {"weight_decay": -0.1},
     {"evaluate_every": -1}, {"checkpoint_every": -1}, {"final": 2}, {"steps": 2.5},
     {"learning_rate": float("nan")}, {"clip": float("nan")}],
)  # fmt: skip
def test_a_configuration_out_of_range_is_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TrainConfig(**wrong)


def test_a_translator_learns_a_tiny_language():
    runtime.seed_everything(0)
    model = lstm_seq2seq(V, width=16, layers=1)
    batches = PairBatches(PAIRS, batch_size=100)  # more than there are
    config = TrainConfig(steps=150, learning_rate=2e-2)
    fit(model, batches, config, progress=False)
    score = evaluate(model, pair_eval_batches(PAIRS, batch_size=8))
    assert score.loss < 0.3 * math.log(V)  # which a model that knows nothing has
