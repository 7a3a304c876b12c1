"""A run that is stopped and resumed is the uninterrupted one, to the bit."""

import os
import random
import signal
import subprocess
import sys
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.helpers.small_runs import (
    CONFIG,
    OTHER_TEXT,
    TEXT,
    InterruptedStream,
    V,
    flat_weights,
    make_model,
    make_stream,
)
from utils import interrupts, runtime
from utils.files import atomic_file
from utils.models.gpt import GPT
from utils.models.language_models import RNNLM
from utils.training import checkpoint
from utils.training.checkpoint import resume_from_checkpoint, save_checkpoint
from utils.training.config import TrainConfig
from utils.training.distributed import Processes
from utils.training.loop import fit
from utils.training.objectives import token_nll
from utils.training.optimizer_step import train_step
from utils.training.optimizers import Muon, adamw, muon
from utils.training.tensor_file import read_tensor_file, write_tensor_file
from utils.training.training_run import start_run

ROOT = Path(__file__).resolve().parents[2]


def make_other_model():
    """A model with other weights: all that makes it equal must come from the checkpoint."""
    runtime.seed_everything(99)
    return RNNLM(V, width=8, num_layers=2, cell="lstm", tied=True, dropout=0.3)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.safetensors"


@pytest.mark.parametrize("step", [1, 5, 11, 12])  # in the last step: nothing is left to do
def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(path, step):
    config, valid = replace(CONFIG, validate_every=4), [make_stream()[1000]]
    uninterrupted = make_model()
    history = fit(uninterrupted, make_stream(), config, valid=valid, progress=False)

    options = {"valid": valid, "checkpoint": path, "progress": False}
    first = fit(make_model(), InterruptedStream(step), config, **options)
    assert first.interrupted == (step < 11) and len(first.losses) == min(step + 1, 12)
    resumed = make_other_model()
    second = fit(resumed, make_stream(), config, **options)
    assert torch.equal(flat_weights(resumed), flat_weights(uninterrupted))
    assert second.losses == history.losses and second.validations == history.validations
    assert not second.interrupted and second.best_step == history.best_step
    assert second.num_tokens == history.num_tokens


def test_the_best_weights_survive_a_restart(path):
    """The best validation lies before the interruption; its weights must come from the file."""
    valid = [make_stream(OTHER_TEXT, seed=0)[0]]
    config = TrainConfig(steps=60, learning_rate=5e-2, validate_every=5)
    stream = make_stream(TEXT[:30], seed=0)
    interrupted_stream = InterruptedStream(42, TEXT[:30], seed=0)
    uninterrupted, stopped, resumed = (make_model(dropout=0.0) for _ in range(3))
    expected = fit(uninterrupted, stream, config, valid=valid, progress=False)
    options = {"valid": valid, "checkpoint": path, "progress": False}
    history = fit(stopped, interrupted_stream, config, **options)
    assert history.interrupted and history.best_step == expected.best_step < 40
    fit(resumed, stream, config, **options)
    assert torch.equal(flat_weights(resumed), flat_weights(uninterrupted))


def test_a_run_that_is_resumed_without_validation_ends_with_its_last_weights(path):
    config, valid = replace(CONFIG, steps=20, validate_every=5), [make_stream()[1000]]
    options = {"checkpoint": path, "progress": False}
    fit(make_model(), InterruptedStream(10), config, valid=valid, **options)
    resumed = make_other_model()
    history = fit(resumed, make_stream(), config, **options)
    uninterrupted = make_model()
    fit(uninterrupted, make_stream(), config, progress=False)
    assert history.best_step == 20
    assert torch.equal(flat_weights(resumed), flat_weights(uninterrupted))


# Safetensors writes to a file of another name beside the one that it is given.
STOPPED_RUN = """
import sys, time
from dataclasses import replace
from pathlib import Path
from tests.helpers.small_runs import CONFIG, make_model, make_stream
from utils.training import tensor_file
from utils.training.loop import fit

save_file, paths = tensor_file.save_file, []

def save_file_or_stop(tensors, path, metadata):
    paths.append(path)
    save_file(tensors, path, metadata)
    if len(paths) == 3:
        content = Path(path).read_bytes()
        for name in (path, Path(path).with_name(".tmpABC")):
            Path(name).write_bytes(content[: len(content) // 2])
        print("half written", flush=True)
        time.sleep(600)

tensor_file.save_file = save_file_or_stop
config = replace(CONFIG, checkpoint_every=2)
fit(make_model(), make_stream(), config, checkpoint=sys.argv[1], progress=False)
"""


@pytest.fixture(scope="module")
def killed_run(tmp_path_factory):
    """The file of a run that was killed in its third save, and the error of another run before."""
    path = tmp_path_factory.mktemp("killed") / "run.safetensors"
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED_RUN, path], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "half written\n"
            model = make_model()
            before = flat_weights(model)
            with pytest.raises(ValueError, match="another run is writing to") as error:
                fit(model, make_stream(), CONFIG, checkpoint=path, progress=False)
            assert torch.equal(flat_weights(model), before)
        finally:
            process.kill()
    return path, str(error.value)


def test_a_file_that_another_run_writes_is_refused(killed_run):
    path, message = killed_run
    assert message.startswith(f"another run is writing to {path}")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_run_killed_while_it_writes_a_checkpoint_resumes_from_the_one_before(killed_run):
    path, _ = killed_run
    assert read_tensor_file(path)["step"] == 4, "the third save was cut off, the second is complete"
    assert len(list(path.parent.glob(".*.unfinished"))) == 1
    config = replace(CONFIG, checkpoint_every=2)
    uninterrupted = make_model()
    fit(uninterrupted, make_stream(), config, progress=False)
    resumed = make_other_model()
    fit(resumed, make_stream(), config, checkpoint=path, progress=False)
    assert torch.equal(flat_weights(resumed), flat_weights(uninterrupted))
    assert list(path.parent.iterdir()) == [path], (
        "no lock is left, and the resumed run removed the half at once"
    )


def test_a_checkpoint_of_another_configuration_or_of_nothing_is_refused(path):
    fit(make_model(), make_stream(), CONFIG, checkpoint=path, progress=False)
    other = replace(CONFIG, learning_rate=0.5)
    with pytest.raises(ValueError, match=r"learning_rate=0.01, not 0.5"):
        fit(make_model(), make_stream(), other, checkpoint=path, progress=False)
    path.write_bytes(b"<!doctype html>")
    with pytest.raises(ValueError, match="not a checkpoint"):
        fit(make_model(), make_stream(), CONFIG, checkpoint=path, progress=False)
    assert path.read_bytes() == b"<!doctype html>"


OTHER_OPTIONS = {
    "steps": 13,
    "learning_rate": 0.5,
    "schedule": "cosine",
    "warmup_fraction": 0.5,
    "final_learning_rate_fraction": 0.1,
    "weight_decay": 0.1,
    "betas": (0.9, 0.99),
    "clip_norm": 2.0,
    "accumulation_steps": 2,
    "validate_every": 5,
    "checkpoint_every": 5,
    "mixed_precision": False,
}


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    """The checkpoint of a run with CONFIG, which no test changes."""
    path = tmp_path_factory.mktemp("finished") / "run.safetensors"
    fit(make_model(), make_stream(), CONFIG, checkpoint=path, progress=False)
    return path


@pytest.mark.parametrize("name", [field.name for field in fields(TrainConfig)])
def test_a_resumed_run_may_differ_in_when_it_is_validated_and_saved_and_in_nothing_else(
    finished_run, name
):
    other = replace(CONFIG, **{name: OTHER_OPTIONS[name]})
    assert getattr(CONFIG, name) != OTHER_OPTIONS[name]
    run = start_run(
        make_model(),
        other,
        make_optimizer=adamw,
        objective=token_nll,
        processes=Processes(),
    )
    if name in ("validate_every", "checkpoint_every"):
        assert resume_from_checkpoint(run, finished_run) and run.step == CONFIG.steps
    else:
        with pytest.raises(ValueError, match=f"was trained with {name}="):
            resume_from_checkpoint(run, finished_run)


# ---- wrapped models -----------------------------------------------------------------------------


def make_gpt(num_layers=2):
    runtime.seed_everything(1)
    return GPT(V, width=8, num_layers=num_layers, num_heads=2, context_length=10, dropout=0.3)


def compile_model(model):
    return torch.compile(model, backend="eager")


def compile_layers(model):
    for i, layer in enumerate(model.layers):
        model.layers[i] = torch.compile(layer, backend="eager")
    return model


@pytest.fixture
def process_group_of_one():
    """What DistributedDataParallel needs."""
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


WRAPPERS = {
    "plain": lambda model: model,
    "compiled": compile_model,
    "compiled layers": compile_layers,
    "distributed": nn.parallel.DistributedDataParallel,
    "data parallel": nn.DataParallel,
    "compiled and distributed": lambda x: nn.parallel.DistributedDataParallel(compile_model(x)),
}


@pytest.mark.parametrize(
    "first, second",
    [pair for name in WRAPPERS for pair in ((name, "plain"), ("plain", name)) if name != "plain"],
)
def test_a_model_shares_checkpoints_with_its_wrappers(first, second, path, process_group_of_one):
    config, valid = replace(CONFIG, validate_every=4), [make_stream()[1000]]
    options = {"valid": valid, "checkpoint": path, "progress": False}
    uninterrupted = make_gpt()
    expected = fit(uninterrupted, make_stream(), config, valid=valid, progress=False)
    fit(WRAPPERS[first](make_gpt()), InterruptedStream(5), config, **options)
    saved = read_tensor_file(path)
    names = make_gpt().state_dict().keys()
    assert saved["model"].keys() == saved["best_parameters"].keys() == names
    model = make_gpt()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(9.0)
    history = fit(WRAPPERS[second](model), make_stream(), config, **options)
    assert torch.allclose(torch.tensor(history.losses), torch.tensor(expected.losses), atol=1e-6)
    assert torch.allclose(flat_weights(model), flat_weights(uninterrupted), atol=1e-5)
    assert history.best_step == expected.best_step


def test_a_layer_that_is_called_module_keeps_its_name(path):
    """Only a wrapper's part of this name is left out."""

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = make_model()

        def forward(self, ids, state=None):
            return self.module(ids, state)

    fit(Outer(), make_stream(), CONFIG, checkpoint=path, progress=False)
    assert all(name.startswith("module.") for name in read_tensor_file(path)["model"])


# ---- what is refused ----------------------------------------------------------------------------


def other_model(*, num_layers=2, dtype=torch.float32, width=8, tied=True):
    runtime.seed_everything(7)
    sizes = {"width": width, "num_layers": num_layers}
    return RNNLM(V, **sizes, cell="lstm", tied=tied, dropout=0.3).to(dtype)


def muon_without_matrices(model, config):
    return Muon(adamw(model, config).param_groups, lr=config.learning_rate)


def flip_bit(path):
    content = bytearray(path.read_bytes())
    content[-20] ^= 4
    path.write_bytes(content)


def forget(path, key):
    content = read_tensor_file(path)
    del content[key]
    write_tensor_file(path, content)


def add_option(path):
    content = read_tensor_file(path)
    content["config"]["new_option"] = 1
    write_tensor_file(path, content)


def spoil_random_state(path):
    content = read_tensor_file(path)
    content["random_states"][0]["numpy"]["key"] = torch.zeros(3)
    write_tensor_file(path, content)


REFUSED = {  # a change of the file, a model, options of fit, and the message
    "config": (None, other_model, {"config": replace(CONFIG, steps=13)}, "with steps=12, not 13"),
    "width": (
        None,
        partial(other_model, width=9),
        {},
        r"another model: there .*, 8\), here .*, 9\)",
    ),
    "more layers": (None, partial(other_model, num_layers=3), {}, "there .* is missing, here"),
    "fewer layers": (None, partial(other_model, num_layers=1), {}, "here missing"),
    "dtype": (None, partial(other_model, dtype=torch.float64), {}, "float32 .*, here float64"),
    "optimizer": (
        None,
        other_model,
        {"make_optimizer": muon_without_matrices},
        "there AdamW with .*, here Muon",
    ),
    "flipped bit": (flip_bit, other_model, {}, "run.safetensors is damaged"),
    "no optimizer": (partial(forget, key="scaler"), other_model, {}, "another version of the book"),
    "new option": (add_option, other_model, {}, "another version of the book"),
    "random state": (spoil_random_state, other_model, {}, "not a state of random generators"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_checkpoint_changes_nothing(finished_run, path, case):
    """Neither model, nor random state, nor files."""
    change_file, make, options, message = REFUSED[case]
    path.write_bytes(finished_run.read_bytes())
    if change_file:
        change_file(path)
    model, content = make(), path.read_bytes()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    random_state = runtime.get_random_state()
    options = {"config": CONFIG, "progress": False, "checkpoint": path} | options
    with pytest.raises(ValueError, match=message) as error:
        fit(model, make_stream(), **options)
    assert "\n" not in str(error.value) and "None" not in str(error.value)
    assert all(torch.equal(before[name], x) for name, x in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    later = runtime.get_random_state()
    assert torch.equal(later["torch"], random_state["torch"])
    assert later["python"] == random_state["python"]
    assert torch.equal(later["numpy"]["key"], random_state["numpy"]["key"])
    assert path.read_bytes() == content and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"num_heads": 4}, "layers.0.attention.num_heads is 2, here 4"),
        ({"dropout": 0.1}, "dropout.p is 0.3, here 0.1"),
        ({"activation": "gelu"}, "layers.0.activation is squared_relu, here gelu"),
        ({"positional_encoding": "sinusoidal"}, "embedding_scale is 1.0, here 2.8"),
    ],
    ids=["num_heads", "dropout", "activation", "positional_encoding"],
)
def test_a_model_that_differs_only_in_what_its_tensors_do_not_show_is_refused(
    path, options, message
):
    sizes = {"width": 8, "num_layers": 1, "num_heads": 2, "context_length": 10, "dropout": 0.3}
    fit(GPT(V, **sizes), make_stream(), CONFIG, checkpoint=path, progress=False)
    with pytest.raises(ValueError, match=f"belongs to another model: there {message}"):
        fit(GPT(V, **sizes | options), make_stream(), CONFIG, checkpoint=path, progress=False)
    content = read_tensor_file(path)
    del content["layout"]["modules"]  # as in a checkpoint of an earlier version
    write_tensor_file(path, content)
    fit(GPT(V, **sizes), make_stream(), CONFIG, checkpoint=path, progress=False)


def test_an_optimizer_with_another_option_is_refused(path):
    """The option would be that of the checkpoint, whatever was asked for."""
    options = {"checkpoint": path, "progress": False}
    fit(make_gpt(), make_stream(), CONFIG, make_optimizer=muon, **options)
    with pytest.raises(ValueError, match=r"scale=2.0 of Muon, not 3.0"):
        fit(
            make_gpt(), make_stream(), CONFIG, make_optimizer=partial(muon, lr_scale=3.0), **options
        )

    def reversed_groups(model, config):
        return torch.optim.AdamW(list(model.parameters())[::-1], lr=config.learning_rate)

    other = path.with_name("other.safetensors")
    fit(make_gpt(), make_stream(), CONFIG, checkpoint=other, progress=False)
    with pytest.raises(ValueError, match="another optimizer: there AdamW with 2 groups"):
        fit(
            make_gpt(),
            make_stream(),
            CONFIG,
            make_optimizer=reversed_groups,
            checkpoint=other,
            progress=False,
        )


def test_a_folder_is_no_file_for_checkpoints(tmp_path):
    with pytest.raises(ValueError, match="is a folder: expected the name of a file"):
        fit(make_model(), make_stream(), CONFIG, checkpoint=tmp_path, progress=False)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"expected a folder for .*, found a file"):
        fit(make_model(), make_stream(), CONFIG, checkpoint=tmp_path / "file" / "x", progress=False)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


# ---- two runs at a time -------------------------------------------------------------------------

# ---- signals and random numbers -----------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_sigterm_saves_as_ctrl_c_does(path):
    class TerminatedStream(InterruptedStream):
        def __getitem__(self, step):
            if step == self.interrupted_step:
                os.kill(os.getpid(), signal.SIGTERM)
            return make_stream()[step]

    handler = signal.getsignal(signal.SIGTERM)
    uninterrupted = make_model()
    fit(uninterrupted, make_stream(), CONFIG, progress=False)
    history = fit(make_model(), TerminatedStream(5), CONFIG, checkpoint=path, progress=False)
    assert history.interrupted and history.stop_signal == signal.SIGTERM
    assert read_tensor_file(path)["step"] == len(history.losses) == 6
    assert signal.getsignal(signal.SIGTERM) is handler
    resumed = make_other_model()
    history = fit(resumed, make_stream(), CONFIG, checkpoint=path, progress=False)
    assert not history.interrupted and history.stop_signal == 0
    assert torch.equal(flat_weights(resumed), flat_weights(uninterrupted))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["validation", "checkpoint"])
def test_a_signal_between_two_steps_loses_nothing(path, monkeypatch, moment, number):
    """While the model is validated or a checkpoint is written, in a run and at its end."""
    config = replace(CONFIG, validate_every=4, checkpoint_every=4)
    options = {"valid": [make_stream()[1000]], "progress": False}
    uninterrupted = make_model()
    expected = fit(uninterrupted, make_stream(), config, **options)

    def send(*_):
        os.kill(os.getpid(), number)

    def write_and_send(path, content):
        write_tensor_file(path, content)
        if not path.with_suffix(".sent").exists():  # a second signal would act at once
            path.with_suffix(".sent").touch()
            send()

    handlers = [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)]
    signalled = {"on_validation": send} if moment == "validation" else {}
    if moment == "checkpoint":
        monkeypatch.setattr(checkpoint, "write_tensor_file", write_and_send)
    history = fit(make_model(), make_stream(), config, checkpoint=path, **options, **signalled)
    assert history.stop_signal == number and read_tensor_file(path)["step"] == 4
    monkeypatch.undo()
    while history.interrupted:
        resumed = make_other_model()
        history = fit(resumed, make_stream(), config, checkpoint=path, **options, **signalled)
    assert [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)] == handlers
    assert history.losses == expected.losses and history.validations == expected.validations
    assert torch.equal(flat_weights(resumed), flat_weights(uninterrupted))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_second_ctrl_c_in_the_last_validation_loses_no_step(path):
    def press_twice(_):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # also in the background
    options = {"valid": [make_stream()[1000]], "checkpoint": path, "progress": False}
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(make_model(), make_stream(), CONFIG, on_validation=press_twice, **options)
    finally:
        signal.signal(signal.SIGINT, before)
    assert read_tensor_file(path)["step"] == CONFIG.steps
    history = fit(make_other_model(), make_stream(), CONFIG, **options)
    assert not history.interrupted and len(history.losses) == CONFIG.steps
    assert len(history.validations) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_second_ctrl_c_while_a_checkpoint_is_written_keeps_the_earlier_one(path, monkeypatch):
    config = replace(CONFIG, checkpoint_every=4)

    def press_twice_in_step_8(path, content):
        with atomic_file(path) as temporary:
            write_tensor_file(temporary, content)
            if content["step"] == 8:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(checkpoint, "write_tensor_file", press_twice_in_step_8)
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(make_model(), make_stream(), config, checkpoint=path, progress=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert read_tensor_file(path)["step"] == 4
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_run_that_is_interrupted_before_its_first_step_leaves_no_checkpoint(path, monkeypatch):
    """It would hold nothing that a new run does not have, and an optimizer that has no state."""

    class Impatient(interrupts.Interrupt):
        signal_number = signal.SIGINT

        def is_set(self):
            return True

    monkeypatch.setattr(interrupts, "Interrupt", Impatient)
    history = fit(make_model(), make_stream(), CONFIG, checkpoint=path, progress=False)
    assert history.interrupted and history.losses == [] and history.tokens_per_second == 0
    assert list(path.parent.iterdir()) == []


def test_random_numbers_of_the_batches_go_on_where_they_stopped(path):
    """A stream may draw from the generators of Python, NumPy and torch."""

    class NoisyStream(InterruptedStream):
        def __getitem__(self, step):
            batch = super().__getitem__(step)
            shift = random.randrange(8) + np.random.randint(8) + int(torch.randint(8, ()))
            batch.inputs[:, 0] = 4 + (batch.inputs[:, 0] + shift) % (V - 4)
            return batch

    uninterrupted = make_model()
    fit(uninterrupted, NoisyStream(-1), CONFIG, progress=False)
    fit(make_model(), NoisyStream(6), CONFIG, checkpoint=path, progress=False)
    resumed = make_other_model()
    fit(resumed, NoisyStream(-1), CONFIG, checkpoint=path, progress=False)
    assert torch.equal(flat_weights(resumed), flat_weights(uninterrupted))


def test_a_checkpoint_of_another_model_or_of_no_run_is_refused(path):
    fit(make_model(), make_stream(), CONFIG, checkpoint=path, progress=False)
    other = RNNLM(V, width=9, num_layers=2, cell="lstm", tied=True)
    with pytest.raises(ValueError, match=r"run.safetensors belongs to another model: there emb"):
        fit(other, make_stream(), CONFIG, checkpoint=path, progress=False)
    write_tensor_file(path, {"weights": torch.ones(2)})
    with pytest.raises(ValueError, match=r"holds .'weights'., but no run"):
        fit(make_model(), make_stream(), CONFIG, checkpoint=path, progress=False)


def test_the_scale_of_the_loss_is_saved_and_a_checkpoint_without_one_is_loaded_too(path):
    """Float16 on a GPU needs a scale; a checkpoint that a CPU wrote has none."""

    def start_test_run(scale=None):
        run = start_run(
            make_model(),
            CONFIG,
            make_optimizer=adamw,
            objective=token_nll,
            processes=Processes(),
        )
        if scale is not None:
            run.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
            train_step(run, [make_stream()[0]])
        return run

    for saved_scale, expected_scale in ((8.0, 8.0), (None, 4.0)):
        save_checkpoint(start_test_run(saved_scale), path)
        resumed = start_test_run(4.0)
        assert resume_from_checkpoint(resumed, path)
        assert resumed.scaler.get_scale() == expected_scale
        assert len(resumed.history.losses) == resumed.step, "losses are read before they are saved"


def test_a_resumed_run_may_be_validated_and_saved_more_often(path):
    fit(make_model(), make_stream(), CONFIG, checkpoint=path, progress=False)
    config, valid = replace(CONFIG, validate_every=1, checkpoint_every=1), [make_stream()[50]]
    history = fit(make_model(), make_stream(), config, valid=valid, checkpoint=path, progress=False)
    assert len(history.losses) == 12 and [
        validation.step for validation in history.validations
    ] == [12]
