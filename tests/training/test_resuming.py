"""A run that is stopped and resumed is the uninterrupted one, to the bit."""

import os
import signal
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

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
from utils import runtime
from utils.models.language_models import RNNLM
from utils.training.checkpoint import load_checkpoint, save_checkpoint
from utils.training.config import TrainConfig
from utils.training.distributed import ProcessGroup
from utils.training.loop import fit, train_step
from utils.training.objectives import cross_entropy
from utils.training.optimizers import adamw
from utils.training.resuming import resume_run, save_run
from utils.training.state import initial_state

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
    config, valid = replace(CONFIG, evaluate_every=4), [make_stream()[1000]]
    uninterrupted = make_model()
    history = fit(uninterrupted, make_stream(), config, valid=valid, progress=False)

    options = {"valid": valid, "checkpoint": path, "progress": False}
    first = fit(make_model(), InterruptedStream(step), config, **options)
    assert first.interrupted == (step < 11) and len(first.losses) == min(step + 1, 12)
    resumed = make_other_model()
    second = fit(resumed, make_stream(), config, **options)
    assert torch.equal(flat_weights(resumed), flat_weights(uninterrupted))
    assert second.losses == history.losses and second.valid_losses == history.valid_losses
    assert not second.interrupted and second.best_step == history.best_step
    assert second.num_tokens == history.num_tokens


def test_the_best_weights_survive_a_restart(path):
    """The best validation lies before the interruption; its weights must come from the file."""
    valid = [make_stream(OTHER_TEXT, seed=0)[0]]
    config = TrainConfig(steps=60, learning_rate=5e-2, evaluate_every=5)
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
    config, valid = replace(CONFIG, steps=20, evaluate_every=5), [make_stream()[1000]]
    options = {"checkpoint": path, "progress": False}
    fit(make_model(), InterruptedStream(10), config, valid=valid, **options)
    resumed = make_other_model()
    history = fit(resumed, make_stream(), config, **options)
    uninterrupted = make_model()
    fit(uninterrupted, make_stream(), config, progress=False)
    assert history.best_step == 20
    assert torch.equal(flat_weights(resumed), flat_weights(uninterrupted))


# The third checkpoint of a run is half written when the process is killed. Safetensors writes to a
# file of another name beside the one that it is given.
KILLED_RUN = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from tests.helpers.small_runs import CONFIG, make_model, make_stream
from utils.training import checkpoint
from utils.training.loop import fit

save_file, paths = checkpoint.save_file, []

def save_file_and_die(tensors, path, metadata):
    paths.append(path)
    save_file(tensors, path, metadata)
    if len(paths) == 3:
        content = Path(path).read_bytes()
        for name in (path, Path(path).with_name(".tmpABC")):
            Path(name).write_bytes(content[: len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)

checkpoint.save_file = save_file_and_die
config = replace(CONFIG, checkpoint_every=2)
fit(make_model(), make_stream(), config, checkpoint=sys.argv[1], progress=False)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_run_killed_while_it_writes_a_checkpoint_resumes_from_the_one_before(path):
    result = subprocess.run(
        [sys.executable, "-c", KILLED_RUN, path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert load_checkpoint(path)["step"] == 4, "the third save was cut off, the second is complete"
    (half,) = path.parent.glob(".*.unfinished")
    for file in (half, *half.iterdir()):
        os.utime(file, (0, 0))  # as if the process had been killed long ago
    config = replace(CONFIG, checkpoint_every=2)
    uninterrupted = make_model()
    fit(uninterrupted, make_stream(), config, progress=False)
    resumed = make_other_model()
    fit(resumed, make_stream(), config, checkpoint=path, progress=False)
    assert torch.equal(flat_weights(resumed), flat_weights(uninterrupted))
    assert list(path.parent.iterdir()) == [path], "a later save removed the half"


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
    "warmup": 0.5,
    "final_ratio": 0.1,
    "weight_decay": 0.1,
    "betas": (0.9, 0.99),
    "clip_norm": 2.0,
    "accumulation_steps": 2,
    "label_smoothing": 0.1,
    "evaluate_every": 5,
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
    state = initial_state(
        make_model(),
        other,
        make_optimizer=adamw,
        objective=cross_entropy,
        processes=ProcessGroup(),
    )
    if name in ("evaluate_every", "checkpoint_every"):
        assert resume_run(state, finished_run) and state.step == CONFIG.steps
    else:
        with pytest.raises(ValueError, match=f"was trained with {name}="):
            resume_run(state, finished_run)


def test_a_checkpoint_of_another_model_or_of_no_run_is_refused(path):
    fit(make_model(), make_stream(), CONFIG, checkpoint=path, progress=False)
    other = RNNLM(V, width=9, num_layers=2, cell="lstm", tied=True)
    with pytest.raises(ValueError, match=r"run.safetensors belongs to another model: there emb"):
        fit(other, make_stream(), CONFIG, checkpoint=path, progress=False)
    save_checkpoint(path, {"weights": torch.ones(2)})
    with pytest.raises(ValueError, match=r"holds .'weights'., but no run"):
        fit(make_model(), make_stream(), CONFIG, checkpoint=path, progress=False)


def test_the_scale_of_the_loss_is_saved_and_a_checkpoint_without_one_is_loaded_too(path):
    """Float16 on a GPU needs a scale; a checkpoint that a CPU wrote has none."""

    def make_state(scale=None):
        state = initial_state(
            make_model(),
            CONFIG,
            make_optimizer=adamw,
            objective=cross_entropy,
            processes=ProcessGroup(),
        )
        if scale is not None:
            state.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
            train_step(state, [make_stream()[0]])
        return state

    for saved_scale, expected_scale in ((8.0, 8.0), (None, 4.0)):
        save_run(make_state(saved_scale), path)
        resumed = make_state(4.0)
        assert resume_run(resumed, path)
        assert resumed.scaler.get_scale() == expected_scale
        assert len(resumed.history.losses) == resumed.step, "losses are read before they are saved"


def test_a_resumed_run_may_be_validated_and_saved_more_often(path):
    fit(make_model(), make_stream(), CONFIG, checkpoint=path, progress=False)
    config, valid = replace(CONFIG, evaluate_every=1, checkpoint_every=1), [make_stream()[50]]
    history = fit(make_model(), make_stream(), config, valid=valid, checkpoint=path, progress=False)
    assert len(history.losses) == 12 and [step for step, _ in history.valid_losses] == [12]
