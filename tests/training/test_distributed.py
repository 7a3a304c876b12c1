"""Several processes train as one does: gradients, runs, checkpoints, and runs whose processes die.

The agent of torchrun starts two and then three processes (``tests/helpers/workers.py``); the tests
read the results that they saved.
"""

import multiprocessing
import os
import shutil
import signal
import socket
import sys
import uuid
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from tests.helpers import workers
from tests.helpers.workers import STRATEGIES, TASKS, make_gpt, make_translator, start_test_run
from utils.data.batches import IGNORE_INDEX, Batch, TextBatches, text_eval_batches
from utils.training import distributed
from utils.training.checkpoint import resume_from_checkpoint, save_checkpoint
from utils.training.config import TrainConfig, learning_rate_at
from utils.training.distributed import Processes, process_group
from utils.training.loop import fit
from utils.training.loss_module import local_rows
from utils.training.objectives import count_tokens, token_nll
from utils.training.optimizers import adamw
from utils.training.sharding import RUN_FILE, check_torch_for_sharding, newest_checkpoint
from utils.training.tensor_file import read_tensor_file, write_tensor_file

ROOT = Path(__file__).resolve().parents[2]
needs_shards = pytest.mark.skipif(
    "shard" not in STRATEGIES, reason="this torch shards on GPUs only"
)
pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="torchrun and gloo are tried on Linux and macOS"),
    pytest.mark.timeout(1800),  # the first test starts all processes
]


@pytest.fixture(scope="module")
def run_processes():
    """A function that starts processes by the agent of torchrun and waits until they end.

    They are forked from a server that has imported torch once, instead of once for each process.
    """
    forkserver = multiprocessing.get_context("forkserver")
    forkserver.set_forkserver_preload([workers.__name__])
    interface = "lo" if sys.platform == "linux" else "lo0"
    environment = {"GLOO_SOCKET_IFNAME": interface, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    handlers = {number: signal.getsignal(number) for number in signals}

    def run(count, *parts, folder, restarts=0):
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id=str(uuid.uuid4()),
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=restarts,
            monitor_interval=0.1,
            start_method="forkserver",
            local_addr="127.0.0.1",
        )
        with mock.patch.dict(os.environ, environment):
            elastic_launch(config, workers.main)(parts, str(folder))

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("two")


@pytest.fixture(scope="module")
def two(run_processes, folder):
    """The results of two processes, by strategy and rank; in the command some of them died."""
    run_processes(2, "compare", "run_and_die", folder=folder, restarts=len(STRATEGIES))
    return {
        strategy: [torch.load(folder / f"{strategy}-{rank}.pt") for rank in (0, 1)]
        for strategy in STRATEGIES
    }


@pytest.fixture(scope="module")
def three(run_processes, two, folder, tmp_path_factory):
    """The results of three processes that read a copy of what two have written."""
    copy = tmp_path_factory.mktemp("three")
    for task in TASKS:
        shutil.copytree(folder / f"shard-{task}", copy / f"shard-{task}")
    run_processes(3, "read", folder=copy)
    return [torch.load(copy / f"read-{rank}.pt") for rank in range(3)]


@pytest.fixture(scope="module")
def alone():
    """The runs in one process, without a process group."""
    return {task: workers.train(Processes(), task) for task in TASKS}


def assert_close(tensors, expected, tolerance):
    """No number differs by more than `tolerance` times the largest of all."""
    assert tensors.keys() == expected.keys()
    largest = max(x.abs().max() for x in expected.values())
    for name in expected:
        error = (tensors[name] - expected[name]).abs().max()
        assert error <= tolerance * largest, f"{name}: {error} of {largest}"


def assert_equal(tensors, expected):
    assert tensors.keys() == expected.keys()
    for name in expected:
        assert torch.equal(tensors[name], expected[name]), name


# ---- one step and one run -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-6), (torch.float64, 1e-14)])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_losses_and_gradients_are_those_of_one_process(two, strategy, task, dtype, tolerance):
    make_model, batches, _ = TASKS[task]
    sizes = [len(batches[i].targets) for i in (0, 1)]
    if task == "translator":
        assert 1 in sizes or 3 in sizes, "one process gets more rows than the other, or all"
    for i in (0, 1):
        loss, gradients = workers.compute_gradients(Processes(), make_model, batches[i], dtype)
        assert min(gradient.abs().max() for gradient in gradients.values()) > 1e-5
        for rank in (0, 1):
            joint_loss, joint_gradients = two[strategy][rank][task, dtype][i]
            assert joint_loss == pytest.approx(loss, rel=tolerance)
            assert_close(joint_gradients, gradients, tolerance)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_frozen_parameters_stay_as_they_are_and_have_no_state(two, alone, strategy):
    """To the bit, and in every process; `test_a_run_is_that_of_one_process` compares the rest."""
    before = workers.make_frozen_gpt()
    frozen = {name: x for name, x in before.state_dict().items() if name.startswith("layers.0.")}
    frozen["embedding.weight"] = before.embedding.weight
    num_trained = sum(x.requires_grad for x in before.parameters())
    assert num_trained < len(list(before.parameters()))
    for rank in (0, 1):
        _, weights, optimizer_state = two[strategy][rank]["frozen gpt"]
        assert_equal({name: weights[name] for name in frozen}, frozen)
        assert_close(weights, alone["frozen gpt"][1], 1e-10)
        assert not torch.equal(
            weights["layers.1.attention.qkv_projection.weight"],
            before.state_dict()["layers.1.attention.qkv_projection.weight"],
        )
        assert sum(name.endswith(".exp_avg") for name in optimizer_state) == num_trained


def test_gradients_that_are_not_averaged_would_be_seen():
    """Half of the batch has another gradient than all of it, so the test above can fail."""
    make_model, batches, _ = TASKS["gpt"]
    half = local_rows(batches[0], 0, 2)
    _, of_all = workers.compute_gradients(Processes(), make_model, batches[0], torch.float64)
    _, of_half = workers.compute_gradients(Processes(), make_model, half, torch.float64)
    assert max((of_all[name] - of_half[name]).abs().max() for name in of_all) > 1e-3


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_run_is_that_of_one_process(two, alone, strategy, task):
    """With accumulated batches, clipped gradients and validation."""
    expected, expected_weights, expected_state = alone[task]
    for rank in (0, 1):
        history, weights, optimizer_state = two[strategy][rank][task]
        for name in ("losses", "validations"):
            losses, expected_losses = torch.tensor(history[name]), torch.tensor(expected[name])
            assert torch.allclose(losses, expected_losses, rtol=1e-12, atol=0), name
        assert history["num_tokens"] == expected["num_tokens"]
        assert history["best_step"] == expected["best_step"]
        assert_close(weights, expected_weights, 1e-10)
        assert_close(optimizer_state, expected_state, 1e-10)
    assert_equal(two[strategy][0][task][1], two[strategy][1][task][1])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_processes_that_start_with_different_weights_get_those_of_the_first(two, strategy):
    (first, first_joined), (second, second_joined) = (
        two[strategy][rank]["joined"] for rank in (0, 1)
    )
    assert not any(
        torch.equal(first[name], second[name])
        for name in ("embedding.weight", "layers.1.attention.qkv_projection.weight", "rank")
    )
    assert_equal(first_joined, first)
    assert_equal(second_joined, first)


def test_the_processes_read_the_rows_of_one_order(two):
    batches = TASKS["gpt"][1]
    for strategy in STRATEGIES:
        first, second = (two[strategy][rank]["rows"] for rank in (0, 1))
        for step, halves in enumerate(zip(first, second, strict=True)):
            assert torch.equal(torch.stack(halves, 1).flatten(0, 1), batches[step].inputs)


def test_a_process_without_a_row_gets_one_that_counts_for_nothing():
    batch = Batch(torch.arange(6).view(2, 3), torch.arange(6).view(2, 3) + 1)
    assert local_rows(batch, 0, 1) is batch
    rows = [local_rows(batch, rank, 3) for rank in range(3)]
    assert [part.inputs.tolist() for part in rows] == [[[0, 1, 2]], [[3, 4, 5]], [[0, 1, 2]]]
    assert (rows[2].targets == IGNORE_INDEX).all() and rows[2].source is None
    assert Processes().wrap(make_gpt(), token_nll)(rows[2]) == 0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_ctrl_c_in_one_process_stops_all_after_the_same_step(two, strategy):
    assert [two[strategy][rank]["interrupted"] for rank in (0, 1)] == [(signal.SIGINT, 10)] * 2


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_processes_with_different_steps_or_models_are_refused_in_all(two, strategy):
    """They would wait for each other for ever, or train parts that do not belong together."""
    for rank in (0, 1):
        configuration, model = two[strategy][rank]["different"]
        assert "the processes do not have the same configuration: by rank" in configuration
        assert "'steps': 6" in configuration and "'steps': 7" in configuration
        assert "do not have the same model: by rank ['22 trained tensors," in model


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_ten_steps_with_tied_weights_are_those_of_one_process(two, strategy):
    """Weights, and all that the optimizer keeps of them; also those of torch's own AdamW."""
    make_model, batches, _ = TASKS["translator"]
    config = workers.TEN_STEPS
    expected = make_model()
    assert expected.encoder.embedding.weight is expected.decoder.embedding.weight
    optimizer = adamw(expected, config)
    for step in range(config.steps):
        optimizer.zero_grad()
        (token_nll(expected, batches[step]) / count_tokens(batches[step])).backward()
        torch.nn.utils.clip_grad_norm_(expected.parameters(), config.clip_norm)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(config, step)
        optimizer.step()
    expected_state = workers.optimizer_state(Processes(), optimizer)
    for rank in (0, 1):
        _, weights, optimizer_state = two[strategy][rank]["ten steps"]
        assert_close(weights, dict(expected.state_dict()), 1e-9)
        assert_close(optimizer_state, expected_state, 1e-9)


# ---- checkpoints --------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_only_the_first_process_writes_a_plain_checkpoint_and_one_process_reads_it(
    two, folder, task
):
    assert [two["data"][rank]["saves", task] for rank in (0, 1)] == [2, 0]
    path = folder / f"data-{task}"
    assert path.is_file() and len(read_tensor_file(path)["random_states"]) == 2
    step, weights, optimizer_state = workers.load(Processes(), task, path)
    _, expected_weights, expected_state = two["data"][0]["stopped", task]
    assert step == 4
    assert_equal(weights, expected_weights)
    assert_equal(optimizer_state, expected_state)


@needs_shards
@pytest.mark.parametrize("task", TASKS)
def test_every_process_writes_its_shards_and_one_or_three_read_them(
    two, three, alone, folder, tmp_path, task
):
    checkpoint = newest_checkpoint(folder / f"shard-{task}")
    assert checkpoint.name == "step-000000004"
    assert list(checkpoint.parent.iterdir()) == [checkpoint], "the one before it is removed"
    assert len(list(checkpoint.glob("__[01]_*.distcp"))) == 2, "one file of each process"
    assert [two["shard"][rank]["saves", task] for rank in (0, 1)] == [2, 0]
    shutil.copytree(folder / f"shard-{task}", tmp_path / task)
    with process_group("shard", "cpu") as processes:
        assert (processes.rank, processes.world_size) == (0, 1)
        loaded = workers.load(processes, task, tmp_path / task)
        readers = [(loaded, workers.train(processes, task, tmp_path / task))]
    readers += [(results["loaded", task], results[task]) for results in three]
    _, saved_weights, saved_state = two["shard"][0]["stopped", task]
    expected, last_weights, last_state = alone[task]
    for (step, weights, optimizer_state), (history, end_weights, end_state) in readers:
        assert step == 4
        assert_equal(weights, saved_weights)
        assert_equal(optimizer_state, saved_state)
        assert len(history["losses"]) == 6 and history["best_step"] == expected["best_step"]
        assert_close(end_weights, last_weights, 1e-10)
        assert_close(end_state, last_state, 1e-10)


@needs_shards
def test_the_best_weights_of_shards_survive_a_restart(tmp_path):
    """The best validation lies before the interruption; its weights must come from the folder."""
    stream = TextBatches(workers.TEXT[:30], batch_size=4, context_length=8)
    valid = text_eval_batches(workers.TEXT.flip(0), batch_size=4, context_length=8)
    config = TrainConfig(steps=30, learning_rate=5e-2, validate_every=3, checkpoint_every=5)

    def run(path=None, end=None):
        model, batches = make_gpt(), workers.EndingStream(stream, end)
        options = {"checkpoint": path, "processes": processes, "progress": False}
        history = fit(model, batches, config, valid=valid, **options)
        return history.best_step, processes.full_state_dict(model.state_dict())

    with process_group("shard", "cpu") as processes:
        expected_step, expected_weights = run()
        with pytest.raises(workers.ProgramEnd):
            run(tmp_path, end=27)
        best_step, weights = run(tmp_path)
    assert best_step == expected_step < 25
    assert_equal(weights, expected_weights)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_after_a_death_the_run_resumes_from_its_checkpoint_and_ends_the_same(two, folder, strategy):
    """By torchrun's elastic agent: SIGKILL in a step, or a process gone while shards are written"""
    assert (folder / "done-1").read_text() == str(len(STRATEGIES)), "a death in each strategy"
    attempt = STRATEGIES.index(strategy)
    for rank in (0, 1):
        first, second = (
            (folder / f"steps-{strategy}-{rank}-{n}.txt").read_text().split()
            for n in (attempt, attempt + 1)
        )
        # before the run the first batch is read, to compare the data of the processes
        assert first[1:8] == list("0123456") and "11" not in first
        assert second[1:] == ["6", "7", "8", "9", "10", "11"]
    undisturbed, killed = folder / f"undisturbed-{strategy}", folder / f"killed-{strategy}"
    for name in ("weights.safetensors", "model.json", "tokenizer.json"):
        assert (undisturbed / name).read_bytes() == (killed / name).read_bytes(), name
    histories = []
    for run in (undisturbed, killed):
        if strategy == "data":
            saved = read_tensor_file(run / "checkpoint.safetensors")
        else:
            saved = read_tensor_file(newest_checkpoint(run / "checkpoint") / RUN_FILE)
            assert not list((run / "checkpoint").glob(".step-*")), "the half that was left is gone"
        names = ("losses", "validations", "best_step")
        histories.append({name: saved["history"][name] for name in names})
    assert histories[0] == histories[1]


def test_processes_that_do_not_agree_get_an_error(two, folder, tmp_path, monkeypatch):
    """Here the other process always says 3: its checkpoint, say, is of step 3."""
    run = start_test_run(Processes(), make_gpt())
    run.processes = Processes(world_size=2)  # after the run is made: there is only one
    before = [parameter.clone() for parameter in run.model.parameters()]
    monkeypatch.setattr(Processes, "gather", lambda self, value: [value, 3])
    with pytest.raises(ValueError, match=r"not have the same step: by rank .40, 3."):
        run.processes.check_same("step", 40)
    for path, steps in ((folder / "data-gpt", ".4, 3."), (tmp_path / "none", ".None, 3.")):
        with pytest.raises(ValueError, match=f"a disk that all see.*by rank {steps}"):
            resume_from_checkpoint(run, path)
    after = run.model.parameters()
    assert all(torch.equal(p, q) for p, q in zip(after, before, strict=True))


@needs_shards
def test_a_checkpoint_of_the_other_strategy_or_of_another_model_is_refused(two, folder, tmp_path):
    with pytest.raises(ValueError, match="written with strategy='shard', not 'data'"):
        resume_from_checkpoint(start_test_run(Processes(), make_gpt()), folder / "shard-gpt")
    with process_group("shard", "cpu") as processes:
        with pytest.raises(ValueError, match="written with strategy='data', not 'shard'"):
            resume_from_checkpoint(start_test_run(processes, make_gpt()), folder / "data-gpt")
        run = start_test_run(processes, make_translator())
        with pytest.raises(ValueError, match="shard-gpt belongs to another model"):
            resume_from_checkpoint(run, folder / "shard-gpt")
        assert not resume_from_checkpoint(run, tmp_path)
        run = start_test_run(processes, make_gpt(num_layers=1))  # the checkpoint has all it needs
        with pytest.raises(ValueError, match=r"another model: there layers.1.* here missing"):
            resume_from_checkpoint(run, folder / "shard-gpt")


@needs_shards
def test_one_checkpoint_of_the_folder_of_shards_is_refused(two, folder):
    """Neither its file of the run, by a process with a copy, nor its own folder, for shards."""
    checkpoint = newest_checkpoint(folder / "shard-gpt")
    before = sorted(checkpoint.iterdir())
    run = start_test_run(Processes(), make_gpt())
    weights = {name: x.clone() for name, x in run.model.state_dict().items()}
    with pytest.raises(ValueError, match=r"run.safetensors was written with strategy='shard'"):
        resume_from_checkpoint(run, checkpoint / RUN_FILE)
    assert_equal(dict(run.model.state_dict()), weights)
    with process_group("shard", "cpu") as processes:
        options = {"checkpoint": checkpoint, "processes": processes, "progress": False}
        with pytest.raises(ValueError, match="step-000000004 is one checkpoint of a run: expected"):
            fit(make_gpt(), TASKS["gpt"][1], workers.CONFIG, **options)
    assert sorted(checkpoint.iterdir()) == before


def remove(key):
    return lambda content: content.pop(key)


@needs_shards
@pytest.mark.parametrize(
    "change, message",
    [
        (remove("checksums"), "another version of the book"),
        (remove("has_best_parameters"), "another version of the book"),
        (lambda content: content.update(has_best_parameters=False), "best parameters if it has"),
        (lambda content: content.update(has_best_parameters=1), "best parameters if it has"),
        (lambda content: content.update(checksums={}), "no checksums of its shards"),
        (lambda content: content.update(step=99), "step must be an integer from 0 to 6, got 99"),
    ],
)
def test_a_file_of_the_run_with_wrong_values_is_refused_and_changes_nothing(
    two, folder, tmp_path, change, message
):
    shutil.copytree(folder / "shard-gpt", tmp_path / "shards")
    path = newest_checkpoint(tmp_path / "shards") / RUN_FILE
    content = read_tensor_file(path)
    change(content)
    write_tensor_file(path, content)
    with process_group("shard", "cpu") as processes:
        run = start_test_run(processes, make_gpt())
        before = processes.full_state_dict(run.model.state_dict())
        random_state = torch.get_rng_state()
        with pytest.raises(ValueError, match=message):
            resume_from_checkpoint(run, tmp_path / "shards")
        assert_equal(processes.full_state_dict(run.model.state_dict()), before)
        assert torch.equal(torch.get_rng_state(), random_state)
        assert not run.optimizer.state and run.step == 0


@needs_shards
def test_shards_that_lack_a_tensor_are_refused_and_change_nothing(two, folder, tmp_path):
    """Shards of a model with a layer less, in a file of the run that names two."""
    with process_group("shard", "cpu") as processes:
        save_checkpoint(start_test_run(processes, make_gpt(num_layers=1)), tmp_path)
        run = start_test_run(processes, make_gpt())
        path = newest_checkpoint(tmp_path) / RUN_FILE
        layout = read_tensor_file(newest_checkpoint(folder / "shard-gpt") / RUN_FILE)["layout"]
        write_tensor_file(path, {**read_tensor_file(path), "layout": layout})
        before = processes.full_state_dict(run.model.state_dict())
        random_state = torch.get_rng_state()
        with pytest.raises(ValueError, match=r"cannot be loaded: .*Missing key"):
            resume_from_checkpoint(run, tmp_path)
        assert_equal(processes.full_state_dict(run.model.state_dict()), before)
        assert torch.equal(torch.get_rng_state(), random_state) and run.step == 0


@needs_shards
def test_a_damaged_checkpoint_of_shards_is_refused_and_changes_nothing(two, folder, tmp_path):
    """Each of its files in turn: a bit is flipped, or the file is gone."""
    names = [path.name for path in newest_checkpoint(folder / "shard-gpt").iterdir()]
    assert len(names) == 4, "two of shards, their table and the rest of the run"
    with process_group("shard", "cpu") as processes:
        run = start_test_run(processes, make_gpt())
        before = processes.full_state_dict(run.model.state_dict())
        for i, name in enumerate([*names, *names]):
            copy = tmp_path / str(i)
            shutil.copytree(folder / "shard-gpt", copy)
            file = newest_checkpoint(copy) / name
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.write_bytes(content) if i < len(names) else file.unlink()
            with pytest.raises((ValueError, FileNotFoundError), match=name) as error:
                resume_from_checkpoint(run, copy)
            assert "\n" not in str(error.value)
            assert_equal(processes.full_state_dict(run.model.state_dict()), before)
            assert not run.optimizer.state and run.step == 0
        assert resume_from_checkpoint(run, folder / "shard-gpt")


@needs_shards
def test_a_full_disk_is_an_error_of_the_system_and_leaves_the_last_shards(tmp_path):
    resource = pytest.importorskip("resource", reason="Windows limits no file sizes")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with process_group("shard", "cpu") as processes:
        run = start_test_run(processes, make_gpt())
        save_checkpoint(run, tmp_path)
        (checkpoint,) = tmp_path.iterdir()
        for limit in (5_000, 500):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
            try:
                with pytest.raises(OSError, match=r"cannot be written \(is the disk full\?\)"):
                    save_checkpoint(run, tmp_path)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert list(tmp_path.iterdir()) == [checkpoint]
        assert resume_from_checkpoint(start_test_run(processes, make_gpt()), tmp_path)


@needs_shards
def test_shards_of_a_compiled_model_are_those_of_the_model(tmp_path):
    valid = TASKS["gpt"][2]
    options = {"valid": valid, "progress": False}
    with process_group("shard", "cpu") as processes:
        expected = make_gpt()
        fit(expected, TASKS["gpt"][1], workers.CONFIG, processes=processes, **options)
        model = torch.compile(make_gpt(), backend="eager")
        stream = workers.EndingStream(TASKS["gpt"][1], 8)
        options |= {"processes": processes, "checkpoint": tmp_path}
        with pytest.raises(workers.ProgramEnd):
            fit(model, stream, workers.CONFIG, **options)
        plain = make_gpt()
        fit(plain, TASKS["gpt"][1], workers.CONFIG, **options)
        weights, expected_weights = (
            processes.full_state_dict(x.state_dict()) for x in (plain, expected)
        )
    assert_close(weights, expected_weights, 1e-10)


# ---- what is sent -------------------------------------------------------------------------------


@needs_shards  # three processes read shards
def test_an_all_reduce_sends_what_the_formula_says(two, three):
    """2 (n − 1) / n of the bytes to each of n processes."""
    for results in (two["data"], three):
        n = len(results)
        for received in (result["bytes"] for result in results):
            if received is None:
                pytest.skip("only Linux counts the bytes of a socket")
            assert received == pytest.approx(2 * (n - 1) / n * workers.ALL_REDUCE_BYTES, rel=1e-3)


def count_calls(calls):
    """The numbers of gatherings and of scatterings."""
    return tuple(sum(name in call for call in calls) for name in ("gather", "reduce_scatter"))


@needs_shards
def test_shards_gather_twice_and_scatter_once_where_copies_reduce_once(two):
    """The weights of each layer; those outside of the stack are gathered once."""
    (calls, _), (other_calls, _), _ = two["shard"][0]["exchange"]
    assert count_calls(calls) == (1 + 2 * 2, 1 + 2), "the rest, and two layers"
    assert count_calls(other_calls)[1] == 0, "nothing is scattered before the last batch of a step"
    for rank in (0, 1):
        (_, copies), (_, other_copies), size = two["data"][rank]["exchange"]
        (_, shards), _, _ = two["shard"][rank]["exchange"]
        if copies is None:
            pytest.skip("only Linux counts the bytes of a socket")
        assert copies / size == pytest.approx(1, rel=0.01)
        assert other_copies / size < 0.01, "nothing is exchanged before the last batch of a step"
        # two gatherings receive 1/2 each; a scatter 1/2, or 1 by gloo, as if all got all of the sum
        assert shards / size in (pytest.approx(1.5, rel=0.01), pytest.approx(2, rel=0.01))


def test_the_bytes_of_a_socket_are_counted():
    before = workers.received_bytes()
    if before is None:
        pytest.skip("only Linux counts the bytes of a socket")
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as sender,
    ):
        receiver, _ = server.accept()
        with receiver:
            sender.sendall(bytes(100_000))
            received = 0
            while received < 100_000:
                received += len(receiver.recv(65536))
            assert workers.received_bytes() - before == 100_000


# ---- process groups -----------------------------------------------------------------------------


def test_a_group_of_one_process_needs_no_torchrun():
    with process_group("data", "cpu") as processes:
        assert (
            not processes.is_distributed
            and processes.gather(3) == [3]
            and not processes.is_true_in_any(False)
        )


def assert_refused(message, *arguments):
    with pytest.raises(ValueError, match=message), process_group(*arguments):
        raise AssertionError("the block must not be entered")


def test_an_unknown_strategy_is_refused():
    assert_refused("choose from data, shard", "tensor")


def test_shards_are_refused_if_torch_has_none(monkeypatch):
    monkeypatch.setattr(distributed, "supports_sharding", lambda device: False)
    assert_refused("no shards on 'cpu'", "shard", "cpu")


@pytest.mark.parametrize("version", ["2.9.1+cpu", "1.13.0", "2.10.0a0+git", "3.0.1"])
def test_shards_are_refused_by_a_torch_that_computes_them_wrongly(monkeypatch, version):
    monkeypatch.setattr(torch, "__version__", version)
    if version.startswith(("2.9", "1.13")):
        assert_refused("wrong gradients of sharded models: expected torch 2.10", "shard", "cpu")
    else:
        check_torch_for_sharding()


def test_several_processes_on_mps_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(distributed, "select_device", lambda name: torch.device("mps"))
    assert_refused("not 'mps'", "data")


@pytest.mark.parametrize("device, gpus", [("cuda", 1), ("cuda:0", 2)])
def test_more_processes_than_gpus_or_one_named_gpu_are_refused(monkeypatch, device, gpus):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setattr(distributed, "select_device", lambda name: torch.device(device))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert_refused("2 processes need 2 GPUs", "data")


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"RANK": "1"}, "RANK=1 and WORLD_SIZE=1: expected a RANK from 0 to WORLD_SIZE − 1"),
        ({"RANK": "-1"}, "RANK=-1 and WORLD_SIZE=1"),
        ({"WORLD_SIZE": "0"}, "RANK=0 and WORLD_SIZE=0"),
        ({"WORLD_SIZE": "-1"}, "RANK=0 and WORLD_SIZE=-1"),
        ({"LOCAL_RANK": "3"}, "LOCAL_RANK=3 and LOCAL_WORLD_SIZE=1"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE='two': expected an integer, as torchrun sets it"),
        ({"RANK": ""}, "RANK='': expected an integer"),
    ],
    ids=str,
)
def test_an_environment_that_torchrun_does_not_set_is_refused(monkeypatch, settings, message):
    """A process of rank 1 that is alone would train without a word and write nothing."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert_refused(message, "data", "cpu")
