"""The training loop: what a step does, which weights remain, and what is refused."""

import contextlib
import itertools
import math
import os
import signal
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from tests.helpers.small_runs import (
    CONFIG,
    PAIRS,
    SIZES,
    TEXT,
    V,
    flat_weights,
    make_model,
    make_stream,
)
from utils import runtime
from utils.data.batches import IGNORE_INDEX, Batch, TextBatches
from utils.data.pair_batches import PairBatches, pair_eval_batches
from utils.models.encoder_decoder import lstm_seq2seq
from utils.models.gpt import GPT
from utils.models.language_models import RNNLM
from utils.training import optimizer_step, training_run
from utils.training.config import SCHEDULES, TrainConfig, learning_rate_at
from utils.training.distributed import Processes
from utils.training.evaluation import evaluate
from utils.training.history import History
from utils.training.loop import fit
from utils.training.objectives import token_nll, token_objective
from utils.training.optimizer_step import train_step
from utils.training.optimizers import adamw, muon
from utils.training.tensor_file import read_tensor_file
from utils.training.training_run import start_run

EMPTY = Batch(torch.tensor([[1]]), torch.tensor([[IGNORE_INDEX]]))


def start_test_run(model, config, objective=token_nll):
    return start_run(
        model, config, make_optimizer=adamw, objective=objective, processes=Processes()
    )


# ---- one step -----------------------------------------------------------------------------------


def test_train_step_is_one_step_of_torch():
    """Gradient of the mean loss per token, clipped by torch, rate of the step, AdamW's update."""
    config = replace(CONFIG, clip_norm=0.1, accumulation_steps=2)
    objective = token_objective(label_smoothing=0.1)
    model, expected_model = (
        make_model(dropout=0.0).double().eval(),
        make_model(dropout=0.0).double(),
    )
    run, optimizer = start_test_run(model, config, objective), adamw(expected_model, config)
    stream = make_stream()
    stream_of_pairs = [(stream[2 * step], stream[2 * step + 1]) for step in range(3)]
    expected_losses = []
    for step, batches in enumerate(stream_of_pairs):
        train_step(run, batches)
        loss = sum(objective(expected_model, batch) for batch in batches) / 80
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(expected_model.parameters(), 0.1)
        assert norm > 0.1, "the gradient is clipped"
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(config, step)
        optimizer.step()
        expected_losses.append(loss.item())
        assert torch.allclose(flat_weights(model), flat_weights(expected_model), atol=1e-12)
    assert run.step == 3 and run.history.num_tokens == 240 and model.training
    run.read_losses()
    assert run.history.losses == pytest.approx(expected_losses)


def test_train_step_refuses_batches_without_a_token_to_predict():
    run = start_test_run(make_model(), CONFIG)
    train_step(run, [make_stream()[0], EMPTY])
    before = flat_weights(run.model)
    with pytest.raises(ValueError, match="the batches of step 1 hold no token"):
        train_step(run, [EMPTY])
    assert run.step == 1 and torch.equal(flat_weights(run.model), before)


def test_a_scaled_loss_gives_the_step_of_the_unscaled_one():
    """As float16 needs it on a GPU: gradients are unscaled before they are clipped."""
    config, weights = replace(CONFIG, clip_norm=0.1), []
    for scaler in (torch.amp.GradScaler("cpu", init_scale=2.0**10), None):
        run = start_test_run(make_model(dropout=0.0).double(), config)
        run.scaler = scaler or run.scaler
        train_step(run, [make_stream()[0]])
        weights.append(flat_weights(run.model))
        run.read_losses()
        assert run.history.losses[0] == pytest.approx(math.log(V), abs=1)
    assert torch.allclose(*weights, atol=1e-12)


def test_a_step_whose_scaled_gradient_overflows_is_skipped_and_the_scale_lowered():
    def large_loss(model, batch):
        return 1e4 * token_nll(model, batch)

    run = start_test_run(make_model(dropout=0.0), CONFIG, large_loss)
    run.scaler = torch.amp.GradScaler("cpu", init_scale=1e38)
    before = flat_weights(run.model)
    train_step(run, [make_stream()[0]])
    assert torch.equal(flat_weights(run.model), before) and run.step == 1
    assert run.scaler.get_scale() == pytest.approx(0.5e38)


def test_processes_exchange_gradients_after_the_last_batch_of_a_step_only(monkeypatch):
    calls, run = [], start_test_run(make_model(), replace(CONFIG, accumulation_steps=3))

    def record(self, loss_module, *, enabled):
        calls.append(enabled)
        return contextlib.nullcontext()

    monkeypatch.setattr(Processes, "gradient_sync", record)
    train_step(run, [make_stream()[i] for i in range(3)])
    assert calls == [False, False, True]


def test_shards_are_refused_on_a_gpu_without_bfloat16(monkeypatch):
    """Their gradients cannot be scaled."""
    monkeypatch.setattr(training_run, "device_of", lambda model: torch.device("cuda"))
    monkeypatch.setattr(runtime, "supports_bfloat16", lambda: False)
    for model in (nn.Linear(1, 1), make_model()):  # then a GPU with bfloat16, and recurrent layers
        with pytest.raises(ValueError, match=r"with bfloat16 and .*mixed_precision=False"):
            start_run(
                model,
                CONFIG,
                make_optimizer=adamw,
                objective=token_nll,
                processes=Processes(strategy="shard"),
            )
        monkeypatch.setattr(runtime, "supports_bfloat16", lambda: True)


@pytest.mark.parametrize("model", [make_model(), nn.Linear(1, 1)], ids=["recurrent", "linear"])
def test_the_loss_is_scaled_where_a_gpu_computes_in_float16(monkeypatch, model):
    """In float16 gradients vanish otherwise; recurrent layers are in float16 on every GPU."""
    monkeypatch.setattr(training_run, "device_of", lambda model: torch.device("cuda"))
    monkeypatch.setattr(torch.amp, "GradScaler", lambda device, enabled: enabled)
    for supported in (True, False):
        monkeypatch.setattr(runtime, "supports_bfloat16", lambda x=supported: x)
        for mixed_precision in (True, False):
            run = start_test_run(model, replace(CONFIG, mixed_precision=mixed_precision))
            needs_float16 = isinstance(model, RNNLM) or not supported
            assert run.scaler == (mixed_precision and needs_float16)
            dtype = torch.float16 if needs_float16 else torch.bfloat16
            assert run.autocast_dtype == (dtype if mixed_precision else None)


def test_a_step_runs_in_the_precision_of_the_state(monkeypatch):
    calls, run = [], start_test_run(make_model(), CONFIG)
    run.autocast_dtype = torch.float16

    def record(device, **options):
        calls.append(options)
        return contextlib.nullcontext()

    monkeypatch.setattr(optimizer_step, "autocast", record)
    train_step(run, [make_stream()[0]])
    assert calls == [{"enabled": True, "dtype": torch.float16}]


def test_accumulated_batches_are_one_large_batch():
    """Also if the small batches hold different numbers of tokens."""
    large = Batch(torch.randint(4, V, (6, 5)), torch.randint(4, V, (6, 5)))
    large.targets[0, 1:] = IGNORE_INDEX
    parts = [Batch(large.inputs[i : i + 2], large.targets[i : i + 2]) for i in (0, 2, 4)]
    results = []
    for batches, accumulation_steps in (([large], 1), (parts, 3)):
        model = make_model(dropout=0.0).double()
        config = TrainConfig(
            steps=1, learning_rate=0.1, warmup_fraction=0, accumulation_steps=accumulation_steps
        )
        history = fit(model, batches, config, progress=False)
        results.append((flat_weights(model), history.losses[0], history.num_tokens))
    assert torch.allclose(results[0][0], results[1][0], atol=1e-12)
    assert results[0][1] == pytest.approx(results[1][1]) and results[0][2] == results[1][2] == 26


def test_the_gradient_is_clipped():
    distance = {}
    for clip_norm in (0.0, 1e-9):
        model = make_model(dropout=0.0)
        before = flat_weights(model)
        config = TrainConfig(
            steps=1, learning_rate=1.0, warmup_fraction=0, clip_norm=clip_norm, betas=(0.0, 0.0)
        )
        fit(model, make_stream(), config, progress=False)
        distance[clip_norm] = (flat_weights(model) - before).norm()
    # with betas 0 a step is g / (|g| + 1e-8): its size shows only gradients near 1e-8
    assert distance[1e-9] < 0.5 * distance[0.0]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_each_step_has_the_rate_of_its_schedule(schedule):
    """With betas 0 a step of Adam is lr · g / |g|, so the largest change of a weight is lr."""
    model, weights = make_model(dropout=0.0).double(), []

    class WatchedStream(TextBatches):
        def __getitem__(self, step):
            weights.append(flat_weights(model))
            return super().__getitem__(step)

    config = TrainConfig(
        steps=6,
        learning_rate=1e-3,
        schedule=schedule,
        warmup_fraction=0.5,
        final_learning_rate_fraction=0.1,
        clip_norm=0.0,
        betas=(0.0, 0.0),
    )
    fit(model, WatchedStream(TEXT, **SIZES), config, progress=False)
    weights.append(flat_weights(model))
    changes = [(after - before).abs().max().item() for before, after in itertools.pairwise(weights)]
    rates = [learning_rate_at(config, step) for step in range(6)]
    assert changes == pytest.approx(rates, rel=1e-3)


def test_clipping_is_that_of_torch():
    """For several limits, with a gradient above and below them, on every parameter."""
    batch, norms = make_stream()[0], []
    for clip_norm in (0.01, 0.1, 1.0, 100.0):
        run = start_test_run(make_model(dropout=0.0), replace(CONFIG, clip_norm=clip_norm))
        gradients, expected_model = {}, make_model(dropout=0.0)
        run.optimizer.step = lambda model=run.model, gradients=gradients: gradients.update(
            {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
        )
        train_step(run, [batch])
        (token_nll(expected_model, batch) / 40).backward()
        norms.append(nn.utils.clip_grad_norm_(expected_model.parameters(), clip_norm).item())
        for name, parameter in expected_model.named_parameters():
            assert torch.equal(gradients[name], parameter.grad), name
    assert 0.1 < norms[0] < 100.0, "some limits are reached, and some are not"


def leave_gradients(model):
    """Leave large gradients in a model, as a program does that differentiates it."""
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 1e3)


def freeze(model, *names):
    for name in names:
        model.get_submodule(name).requires_grad_(False)
    return model


def test_gradients_that_a_model_has_before_are_cleared():
    """Also those of frozen parameters: they would count where gradients are clipped."""
    weights = []
    for leave in (lambda model: None, leave_gradients):
        model = freeze(make_model(dropout=0.0), "rnn")
        leave(model)
        fit(model, make_stream(), replace(CONFIG, clip_norm=0.1), progress=False)
        assert all(parameter.grad is None for parameter in model.parameters())
        weights.append(flat_weights(model))
    assert torch.equal(*weights)


def test_frozen_parameters_stay_as_they_are_and_the_others_are_trained():
    """As by torch alone: neither decayed, nor counted where gradients are clipped."""
    config = replace(
        CONFIG, clip_norm=0.1, weight_decay=0.5, schedule="constant", warmup_fraction=0.0
    )
    model, expected = (freeze(make_model(dropout=0.0), "rnn").double() for _ in range(2))
    before = {name: x.clone() for name, x in model.named_parameters()}
    fit(model, make_stream(), config, progress=False)
    trained = [x for x in expected.parameters() if x.requires_grad]
    decayed = [{"params": [x], "weight_decay": 0.5 if x.dim() > 1 else 0.0} for x in trained]
    optimizer = torch.optim.AdamW(decayed, lr=config.learning_rate, betas=config.betas)
    for step in range(config.steps):
        optimizer.zero_grad()
        (token_nll(expected, make_stream()[step]) / 40).backward()
        nn.utils.clip_grad_norm_(trained, 0.1)
        optimizer.step()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) == name.startswith("rnn."), name
        assert torch.allclose(parameter, expected.get_parameter(name), atol=1e-12)


def test_an_optimizer_of_a_part_of_the_model_clips_the_gradients_of_that_part():
    """Those of the other parameters would add up over the steps, and are gone at the end."""

    def output_only(model, config):
        return torch.optim.SGD(model.output.parameters(), lr=config.learning_rate)

    config = replace(CONFIG, clip_norm=0.1, schedule="constant", warmup_fraction=0.0)
    model, expected = make_model(dropout=0.0), freeze(make_model(dropout=0.0), "rnn")
    fit(model, make_stream(), config, make_optimizer=output_only, progress=False)
    fit(expected, make_stream(), config, make_optimizer=output_only, progress=False)
    assert torch.equal(flat_weights(model), flat_weights(expected))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_model_with_nothing_to_train_is_refused():
    for model in (make_model().requires_grad_(False), nn.Identity()):
        with pytest.raises(ValueError, match="no parameter to train: expected one with"):
            fit(model, make_stream(), CONFIG, progress=False)


def test_an_optimizer_without_a_parameter_that_the_model_trains_is_refused():
    """That of another model, or of parameters that are frozen: nothing would change."""
    model, other = make_model(), make_model()
    first, *_ = model.parameters()
    first.requires_grad_(False)
    for held in (other, nn.ParameterList([first])):
        with pytest.raises(
            ValueError, match=r"AdamW holds no parameter that RNNLM trains.*expected"
        ):
            fit(
                model,
                make_stream(),
                CONFIG,
                progress=False,
                make_optimizer=lambda *_, held=held: torch.optim.AdamW(held.parameters()),
            )


def test_an_optimizer_may_hold_some_of_the_parameters_and_others_besides():
    """As adapters do, and an objective with parameters of its own."""
    model, other = make_model(), nn.Linear(2, 2)
    *frozen, last = model.parameters()
    before = [x.detach().clone() for x in (*frozen, last)]
    fit(
        model,
        make_stream(),
        CONFIG,
        progress=False,
        make_optimizer=lambda *_: torch.optim.AdamW([last, *other.parameters()]),
    )
    changed = [not torch.equal(x, y) for x, y in zip(before, (*frozen, last), strict=True)]
    assert changed == [False] * len(frozen) + [True]


def lbfgs(model, config):
    return torch.optim.LBFGS(model.parameters(), lr=config.learning_rate)


@pytest.mark.parametrize(
    "make_optimizer, strategy, message",
    [
        (lbfgs, "data", "LBFGS needs a closure"),
        (lbfgs, "shard", "LBFGS needs a closure"),
        (muon, "shard", "Muon needs whole matrices: expected adamw with strategy 'shard'"),
        (partial(muon, lr_scale=3.0), "shard", "Muon needs whole matrices"),
    ],
)
def test_an_optimizer_that_needs_what_it_does_not_get_is_refused_before_anything_changes(
    make_optimizer, strategy, message
):
    """Before the model is sharded: no group of processes is needed to see that."""
    model = GPT(V, width=8, num_layers=1, num_heads=2)
    leave_gradients(model)
    before, processes = flat_weights(model), Processes(strategy=strategy)
    options = {"make_optimizer": make_optimizer, "processes": processes, "progress": False}
    with pytest.raises(ValueError, match=message):
        fit(model, make_stream(), CONFIG, **options)
    assert torch.equal(flat_weights(model), before)
    assert all((parameter.grad == 1e3).all() for parameter in model.parameters())


# ---- the run ------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["batch", "forward", "backward", "update"])
def test_ctrl_c_at_any_moment_returns_what_was_learned(tmp_path, moment):
    """While a batch is read, in the forward or backward pass, or in the update of the weights."""
    model, calls = make_model(dropout=0.0), []

    def press_in_the_sixth_call(*_):
        calls.append(moment)
        if len(calls) == 6:
            os.kill(os.getpid(), signal.SIGINT)

    class WatchedStream(TextBatches):
        def __getitem__(self, step):
            if moment == "batch":
                press_in_the_sixth_call()
            return super().__getitem__(step)

    def make_optimizer(model, config):
        optimizer = adamw(model, config)
        if moment == "update":
            optimizer.register_step_pre_hook(press_in_the_sixth_call)
        return optimizer

    if moment == "forward":
        model.register_forward_pre_hook(press_in_the_sixth_call)
    elif moment == "backward":
        next(model.parameters()).register_post_accumulate_grad_hook(press_in_the_sixth_call)
    handler = signal.getsignal(signal.SIGINT)
    path, stream = tmp_path / "run.safetensors", WatchedStream(TEXT, **SIZES)
    config = replace(CONFIG, steps=100)
    history = fit(
        model,
        stream,
        config,
        make_optimizer=make_optimizer,
        checkpoint=path,
        progress=False,
    )
    assert history.interrupted and len(history.losses) == 6, "the step is finished first"
    assert read_tensor_file(path)["step"] == 6
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_batch_without_a_token_to_predict_is_refused():
    with pytest.raises(ValueError, match="step 0 hold no token"):
        fit(make_model(), [EMPTY] * CONFIG.steps, CONFIG, progress=False)


def test_a_loss_that_is_no_number_stops_the_run():
    model = make_model()
    with torch.no_grad():
        model.output.bias.fill_(math.nan)
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        fit(model, make_stream(), CONFIG, progress=False)


def test_a_loss_that_is_no_number_in_one_of_the_accumulated_batches_stops_the_run(tmp_path):
    """It is not averaged away, and the checkpoint before remains."""
    calls = itertools.count()

    def objective(model, batch):
        loss = token_nll(model, batch)
        return loss * math.nan if next(calls) == 2 * 7 else loss  # the first batch of step 7

    path = tmp_path / "run.safetensors"
    config = replace(CONFIG, accumulation_steps=2, checkpoint_every=3)
    with pytest.raises(FloatingPointError, match="the loss is nan by step 9"):
        fit(
            make_model(),
            make_stream(),
            config,
            objective=objective,
            checkpoint=path,
            progress=False,
        )
    assert read_tensor_file(path)["step"] == 6


class SpoiledGradient(torch.autograd.Function):
    """The identity, whose gradient is NaN."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * math.nan


@pytest.mark.parametrize("checkpoint_every", [0, 4])
@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
def test_a_gradient_that_is_no_number_after_a_finite_loss_stops_the_run(
    tmp_path, checkpoint_every, clip_norm
):
    """In the last step before a checkpoint or the end: no loss shows it."""
    spoiled_step = checkpoint_every * 2 or CONFIG.steps
    config = replace(CONFIG, checkpoint_every=checkpoint_every, clip_norm=clip_norm)
    for path in (None, tmp_path / "run.safetensors"):
        calls = itertools.count(1)

        def objective(model, batch, calls=calls):
            loss = token_nll(model, batch)
            return SpoiledGradient.apply(loss) if next(calls) == spoiled_step else loss

        message = f"a parameter is infinite or NaN by step {spoiled_step}, though the loss is"
        if path is None and checkpoint_every:
            message = "the loss is nan by step 10"
        with pytest.raises(FloatingPointError, match=message):
            fit(
                make_model(),
                make_stream(),
                config,
                objective=objective,
                checkpoint=path,
                progress=False,
            )
    saved = read_tensor_file(path)["step"] if path.exists() else 0
    assert saved == checkpoint_every, "the checkpoint before remains"


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_a_checkpoint_without_a_name_is_refused(name):
    with pytest.raises(ValueError, match=f"checkpoint must be the name of a file, got '{name}'"):
        fit(make_model(), make_stream(), CONFIG, checkpoint=name, progress=False)


def test_the_progress_bar_shows_loss_and_speed(capsys):
    fit(make_model(), make_stream(), CONFIG)
    stderr = capsys.readouterr().err
    assert "12/12 steps" in stderr and "loss 2." in stderr and "tokens/s" in stderr
    fit(make_model(), make_stream(), CONFIG, progress=False)
    assert capsys.readouterr().err == ""


def test_after_a_run_the_model_is_in_evaluation_mode_without_gradients():
    model = make_model()
    fit(model, make_stream(), CONFIG, progress=False)
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_history_passes_the_signal_on_that_ended_its_run():
    History().raise_if_interrupted()
    with pytest.raises(KeyboardInterrupt):
        History(stop_signal=signal.SIGINT).raise_if_interrupted()
    with pytest.raises(SystemExit) as stop:
        History(stop_signal=signal.SIGTERM).raise_if_interrupted()
    assert stop.value.code == 143


def test_the_history_counts_steps_and_tokens():
    history = fit(make_model(), make_stream(), CONFIG, progress=False)
    assert len(history.losses) == history.best_step == 12 and history.num_tokens == 12 * 40
    assert history.tokens_per_second == history.num_tokens / history.seconds
    assert history.losses[0] == pytest.approx(math.log(V), abs=1)


def test_a_translator_learns_a_tiny_language():
    runtime.seed_everything(0)
    model = lstm_seq2seq(V, width=16, num_layers=1)
    batches = PairBatches(PAIRS, batch_size=100)  # more than there are
    config = TrainConfig(steps=150, learning_rate=2e-2)
    fit(model, batches, config, progress=False)
    score = evaluate(model, pair_eval_batches(PAIRS, batch_size=8))
    assert score.loss < 0.3 * math.log(V)  # which a uniform model has
