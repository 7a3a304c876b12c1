"""Validation during a run: which parameters remain, what is reported, and losses that are NaN."""

import math
from dataclasses import replace

import pytest

from tests.helpers.small_runs import CONFIG, OTHER_TEXT, TEXT, V, make_model, make_stream
from utils.models.language_models import RNNLM
from utils.training.config import TrainConfig
from utils.training.distributed import Processes
from utils.training.evaluation import evaluate
from utils.training.history import History, Validation
from utils.training.loop import fit
from utils.training.objectives import token_nll
from utils.training.optimizers import adamw
from utils.training.tensor_file import read_tensor_file
from utils.training.training_run import start_run
from utils.training.validation import validate


def test_the_weights_of_the_best_validation_remain():
    """A text learned by heart gets worse on another text; the run returns to its best weights."""
    valid = [make_stream(OTHER_TEXT, seed=0)[0]]
    model, short_stream = make_model(dropout=0.0), make_stream(TEXT[:30], seed=0)
    config = TrainConfig(steps=60, learning_rate=5e-2, validate_every=5)
    history = fit(model, short_stream, config, valid=valid, progress=False)
    best = history.best_loss
    assert history.best_step < 60 and history.validations[-1].loss > best
    assert Validation(history.best_step, best) in history.validations
    assert evaluate(model, valid).loss == best
    assert not model.training


def test_each_validation_is_reported():
    reports, valid = [], [make_stream()[1000]]
    config = replace(CONFIG, validate_every=5)

    def report(history):
        reports.append((len(history.losses), *history.validations[-1]))

    history = fit(
        make_model(), make_stream(), config, valid=valid, progress=False, on_validation=report
    )
    assert [validation.step for validation in history.validations] == [5, 10, 12]
    assert reports == [(step, step, loss) for step, loss in history.validations]


def test_a_report_sees_evaluation_mode_and_training_goes_on_with_dropout():
    model, of_steps, of_reports = make_model(), [], []
    model.register_forward_pre_hook(lambda module, _: of_steps.append(module.training))
    config = replace(CONFIG, steps=4, validate_every=2)
    fit(
        model,
        make_stream(),
        config,
        valid=[make_stream()[1000]],
        progress=False,
        on_validation=lambda _: of_reports.append(model.training),
    )
    assert of_reports == [False, False]
    assert of_steps == [True, True, False, True, True, False]


def test_a_validation_loss_that_is_no_number_stops_the_run_and_leaves_the_last_checkpoint(tmp_path):
    class BrokenInEvaluation(RNNLM):
        def forward(self, ids, state=None):
            logits, state = super().forward(ids, state)
            return (logits if self.training else logits * math.nan), state

    path, valid = tmp_path / "run.safetensors", [make_stream()[0]]
    config = replace(CONFIG, validate_every=6, checkpoint_every=3)
    model = BrokenInEvaluation(V, width=8, num_layers=2, cell="lstm", tied=True)
    with pytest.raises(FloatingPointError, match="the loss is nan by step 6"):
        fit(model, make_stream(), config, valid=valid, checkpoint=path, progress=False)
    assert read_tensor_file(path)["step"] == 3


def test_a_step_is_validated_once():
    model, valid, histories = make_model(), [make_stream()[0]], []
    options = {"make_optimizer": adamw, "objective": token_nll, "processes": Processes()}
    run = start_run(model, CONFIG, **options)
    for step, count in ((0, 1), (0, 1), (4, 2)):
        run.step = step
        validate(run, valid, histories.append)
        assert len(run.history.validations) == len(histories) == count
    assert run.history.best_step == 0 and run.best_parameters is not None
    loss = evaluate(model, valid).loss
    assert run.history.validations == [Validation(0, loss), Validation(4, loss)]


def test_a_run_without_validation_has_no_best_loss():
    history = fit(make_model(), make_stream(), CONFIG, progress=False)
    for unvalidated in (history, History()):
        with pytest.raises(ValueError, match="the run has no validation loss: give `fit`"):
            _ = unvalidated.best_loss
