"""A checkpoint whose values cannot be those of the run is refused before anything changes."""

from dataclasses import replace

import pytest
import torch

from tests.helpers.small_runs import (
    CONFIG,
    InterruptedStream,
    V,
    flat_weights,
    make_model,
    make_stream,
)
from utils import runtime
from utils.models.gpt import GPT
from utils.training.checkpoint_content import check_content
from utils.training.distributed import Processes
from utils.training.loop import fit
from utils.training.objectives import token_nll
from utils.training.optimizers import adamw, muon
from utils.training.tensor_file import read_tensor_file, write_tensor_file
from utils.training.training_run import start_run

RUN_CONFIG = replace(CONFIG, steps=4, validate_every=2)
VALID = [make_stream()[1000]]


@pytest.fixture(scope="module")
def complete_file(tmp_path_factory):
    """A checkpoint after all steps of a run with two validations."""
    path = tmp_path_factory.mktemp("complete") / "run.safetensors"
    fit(make_model(), make_stream(), RUN_CONFIG, valid=VALID, checkpoint=path, progress=False)
    return path


def optimizer_part(content):
    return content["optimizer"]


def first_state(content):
    return content["optimizer"]["state"][0]


def first_group(content):
    return content["optimizer"]["param_groups"][0]


def history(content):
    return content["history"]


def whole(content):
    return content


# a part of the content, one of its keys, the new value (or REMOVED), and words of the message
REMOVED = object()
MALFORMED = "its form is wrong"
WRONG_CONTENT = {
    "no model": (whole, "model", REMOVED, "another version"),
    "no optimizer": (whole, "optimizer", REMOVED, "another version"),
    "no best parameters": (whole, "best_parameters", REMOVED, "another version"),
    "no random states": (whole, "random_states", REMOVED, "another version"),
    "empty random states": (whole, "random_states", [], "no random states"),
    "an additional value": (whole, "more", 1, "another version"),
    "later step": (whole, "step", 99, "step must be an integer from 0 to 4, got 99"),
    "earlier step": (whole, "step", 3, "expected the losses of 3 steps, found 4"),
    "negative step": (whole, "step", -1, "step must be an integer"),
    "step as text": (whole, "step", "4", "step must be an integer"),
    "configuration as text": (whole, "config", "config", "another version"),
    "history as number": (whole, "history", 3, MALFORMED),
    "layout as list": (whole, "layout", [], MALFORMED),
    "scaler": (whole, "scaler", {"scale": 1.0}, "loss scaler is incomplete"),
    "part of the model": (whole, "model", {"embedding.weight": torch.ones(12, 8)}, "in model"),
    "model as list": (whole, "model", [torch.ones(1)], MALFORMED),
    "part of the best": (whole, "best_parameters", {}, "in best_parameters"),
    "best but no validations": (history, "validations", [], "best parameters if it has"),
    "losses": (history, "losses", [1.0, 2.0, 3.0], "losses of 4 steps, found 3"),
    "losses of texts": (history, "losses", ["1"] * 4, "losses of 4 steps"),
    "validation after the step": (history, "validations", [(5, 1.0)], "from 0 to 4, got 5"),
    "validations twice": (history, "validations", [(2, 1.0), (2, 1.0)], "from 3 to 4, got 2"),
    "validation without loss": (history, "validations", [(2, "x")], "validation_loss must be"),
    "validation of three": (history, "validations", [(2, 1.0, 1.0)], "too many values"),
    "best step": (history, "best_step", 5, "best_step must be an integer from 0 to 4"),
    "tokens": (history, "num_tokens", -1, "num_tokens must be"),
    "signal": (history, "stop_signal", 0.5, "stop_signal must be"),
    "seconds": (history, "seconds", -1.0, "seconds must be"),
    "optimizer as list": (whole, "optimizer", [], MALFORMED),
    "no states": (optimizer_part, "state", REMOVED, MALFORMED),
    "empty states": (optimizer_part, "state", {}, "lacks the state of a parameter"),
    "no groups": (optimizer_part, "param_groups", [], "other groups of parameters"),
    "parameters of a group": (first_group, "params", [0], "other groups of parameters"),
    "no betas": (first_group, "betas", REMOVED, MALFORMED),
    "other betas": (first_group, "betas", (0.5, 0.5), "other options than it names"),
    "empty state": (lambda content: content["optimizer"]["state"], 0, {}, "lacks the state"),
    "unknown parameter": (lambda content: content["optimizer"]["state"], 99, {}, "unknown"),
    "shape": (first_state, "exp_avg", torch.zeros(3), r"exp_avg .* shape \(3,\), not \(12, 8\)"),
    "transposed": (first_state, "exp_avg_sq", torch.zeros(8, 12), r"\(8, 12\), not"),
    "mean as number": (first_state, "exp_avg", 0.0, MALFORMED),
    "no mean": (first_state, "exp_avg", REMOVED, r"keeps \['exp_avg_sq', 'step'\]"),
    "no steps of Adam": (first_state, "step", REMOVED, "keeps .'exp_avg', 'exp_avg_sq'"),
    "steps of Adam": (first_state, "step", torch.tensor(5.0), "counts 5 steps of 4"),
    "negative steps of Adam": (first_state, "step", torch.tensor(-1.0), "counts -1 steps"),
    "many steps of Adam": (first_state, "step", torch.ones(2), "of such a run: only one element"),
}


@pytest.mark.parametrize("case", WRONG_CONTENT)
def test_a_checkpoint_with_wrong_values_is_refused_and_changes_nothing(
    complete_file, tmp_path, case
):
    """With a valid checksum, so that only the values show it."""
    part, key, value, message = WRONG_CONTENT[case]
    content, path = read_tensor_file(complete_file), tmp_path / "run.safetensors"
    if value is REMOVED:
        del part(content)[key]
    else:
        part(content)[key] = value
    write_tensor_file(path, content)
    runtime.seed_everything(5)
    run = start_run(
        make_model(),
        RUN_CONFIG,
        make_optimizer=adamw,
        objective=token_nll,
        processes=Processes(),
    )
    before, random_state = flat_weights(run.model), torch.get_rng_state()
    with pytest.raises(ValueError, match=message):
        check_content(read_tensor_file(path), run, path)
    with pytest.raises(ValueError, match=message) as error:
        fit(run.model, make_stream(), RUN_CONFIG, checkpoint=path, progress=False)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert torch.equal(flat_weights(run.model), before)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert not run.optimizer.state and run.step == 0 and run.history.losses == []


OPTIMIZERS = {
    "adamw": adamw,
    "muon": muon,
    "amsgrad": lambda model, _: torch.optim.AdamW(model.parameters(), amsgrad=True),
    "sgd": lambda model, _: torch.optim.SGD(model.parameters()),
    "momentum": lambda model, _: torch.optim.SGD(model.parameters(), momentum=0.9),
    "rmsprop": lambda model, _: torch.optim.RMSprop(model.parameters()),
    "adagrad": lambda model, _: torch.optim.Adagrad(model.parameters()),
    "adafactor": lambda model, _: torch.optim.Adafactor(model.parameters()),
}


def make_model_with_matrices():
    """The same weights on every call; Muon needs linear layers."""
    runtime.seed_everything(1)
    return GPT(V, width=8, num_layers=2, num_heads=2, dropout=0.3)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_run_with_any_optimizer_resumes(tmp_path, name):
    """With a state of one's own shape, of another shape, or without a state."""
    options = {"make_optimizer": OPTIMIZERS[name], "progress": False}
    make = make_model_with_matrices if name == "muon" else make_model
    uninterrupted, resumed = make(), make()
    expected = fit(uninterrupted, make_stream(), CONFIG, **options)
    options["checkpoint"] = tmp_path / "run.safetensors"
    fit(make(), InterruptedStream(5), CONFIG, **options)
    history = fit(resumed, make_stream(), CONFIG, **options)
    assert history.losses == expected.losses
    assert torch.equal(flat_weights(resumed), flat_weights(uninterrupted))


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_what_a_newer_torch_keeps_besides_is_no_obstacle(tmp_path, name):
    path = tmp_path / "run.safetensors"
    options = {"make_optimizer": OPTIMIZERS[name], "checkpoint": path, "progress": False}
    make = make_model_with_matrices if name == "muon" else make_model
    expected = fit(make(), make_stream(), CONFIG, **{**options, "checkpoint": None})
    fit(make(), InterruptedStream(5), CONFIG, **options)
    content = read_tensor_file(path)
    for state in content["optimizer"]["state"].values():
        state |= {"new_tensor": torch.ones(2), "new_number": 3}
    write_tensor_file(path, content)
    assert fit(make(), make_stream(), CONFIG, **options).losses == expected.losses


def test_a_parameter_that_the_loss_does_not_depend_on_has_no_state(tmp_path):
    def with_unused(model):
        model.unused = torch.nn.Parameter(torch.ones(3))
        return model

    options = {"checkpoint": tmp_path / "run.safetensors", "progress": False}
    fit(with_unused(make_model()), InterruptedStream(5), CONFIG, **options)
    history = fit(with_unused(make_model()), make_stream(), CONFIG, **options)
    assert len(history.losses) == CONFIG.steps


def test_another_shape_in_the_state_of_any_optimizer_is_refused(tmp_path):
    options = {"make_optimizer": OPTIMIZERS["momentum"], "progress": False}
    path = tmp_path / "run.safetensors"
    fit(make_model(), make_stream(), CONFIG, checkpoint=path, **options)
    content = read_tensor_file(path)
    first_state(content)["momentum_buffer"] = torch.ones(2)
    write_tensor_file(path, content)
    with pytest.raises(ValueError, match=r"momentum_buffer .* shape \(2,\), not \(12, 8\)"):
        fit(make_model(), make_stream(), CONFIG, checkpoint=path, **options)
