"""Several processes train as one does: gradients, runs, checkpoints, and what a death leaves.

Two programs are run by torchrun, of two and of three processes (``tests/workers.py``); the tests
look at what they left.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests import workers
from utils import runtime  # BARE runtime
from utils.data.batches import IGNORE, Batch, TextBatches
from utils.training import (
    distributed,
    sharding,  # BARE parallel
)
from utils.training.checkpoint import load_checkpoint
from utils.training.distributed import ProcessGroup
from utils.training.objectives import cross_entropy
from utils.training.optimizers import adamw
from utils.training.sharding import RUN_FILE

ROOT = Path(__file__).resolve().parents[1]
KINDS, TASKS = workers.KINDS, list(workers.TASKS)
needs_shards = pytest.mark.skipif("shard" not in KINDS, reason="this torch shards on GPUs only")
pytestmark = pytest.mark.skipif(
    os.name == "nt", reason="torchrun and gloo are tried on Linux and macOS"
)


def torchrun(processes, part, folder, restarts=0):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--local-addr", "127.0.0.1", "--nproc_per_node", str(processes)]
    command += ["--max-restarts", str(restarts), "tests/workers.py", part, str(folder)]
    loopback = {"GLOO_SOCKET_IFNAME": "lo" if sys.platform == "linux" else "lo0"}
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300,
        env={**os.environ, **loopback, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("two")


@pytest.fixture(scope="module")
def two(folder):
    """What two processes found, by kind and rank; the command ran with two deaths behind it."""
    said = torchrun(2, "compare,killed", folder, restarts=len(KINDS))
    found = {k: [torch.load(folder / f"{k}-{r}.pt") for r in (0, 1)] for k in KINDS}
    return {**found, "said": said}


@pytest.fixture(scope="module")
def three(two, folder, tmp_path_factory):
    """What three processes found that read a copy of what two have written."""
    copy = tmp_path_factory.mktemp("three")
    for task in TASKS:
        shutil.copytree(folder / f"shard-{task}", copy / f"shard-{task}")
    torchrun(3, "read", copy)
    return [torch.load(copy / f"read-{rank}.pt") for rank in range(3)]


@pytest.fixture(scope="module")
def alone():
    """The same in one process, without a process group."""
    return {task: workers.trained(ProcessGroup(), task) for task in TASKS}


def close(found, wanted, tolerance):
    """No number differs by more than `tolerance` times the largest of all."""
    assert found.keys() == wanted.keys()
    largest = max(x.abs().max() for x in wanted.values())
    for name in wanted:
        error = (found[name] - wanted[name]).abs().max()
        assert error <= tolerance * largest, f"{name}: {error} of {largest}"


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert torch.equal(found[name], wanted[name]), name


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-6), (torch.float64, 1e-14)])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_gradients_are_those_of_one_process(two, kind, task, dtype, tolerance):
    make, batches, _ = workers.TASKS[task]
    sizes = [len(batches[i].targets) for i in (0, 1)]
    if task == "translator":
        assert 1 in sizes or 3 in sizes, "one process gets more rows than the other, or all"
    for i in (0, 1):
        loss, grads = workers.gradients(ProcessGroup(), make, batches[i], dtype)
        assert min(g.abs().max() for g in grads.values()) > 1e-5, "there is something to compare"
        for rank in (0, 1):
            there, theirs = two[kind][rank][task, dtype][i]
            assert there == pytest.approx(loss, rel=tolerance)
            close(theirs, grads, tolerance)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_is_that_of_one_process(two, alone, kind, task):
    """With accumulated batches, clipped gradients and validation."""
    history, weights, moments = alone[task]
    for rank in (0, 1):
        theirs, their_weights, their_moments = two[kind][rank][task]
        for name in ("losses", "valid"):
            found, wanted = torch.tensor(theirs[name]), torch.tensor(history[name])
            assert torch.allclose(found, wanted, rtol=1e-12, atol=0), name
        assert theirs["tokens"] == history["tokens"]
        assert theirs["best_step"] == history["best_step"]
        close(their_weights, weights, 1e-10)
        close(their_moments, moments, 1e-10)
    same(two[kind][0][task][1], two[kind][1][task][1])


def test_the_processes_read_the_rows_of_one_order(two):
    batches = workers.TASKS["gpt"][1]
    for kind in KINDS:
        first, second = two[kind][0]["rows"], two[kind][1]["rows"]
        for step, halves in enumerate(zip(first, second, strict=True)):
            assert torch.equal(torch.stack(halves, 1).flatten(0, 1), batches[step].inputs)


def test_a_process_without_a_row_gets_one_that_counts_for_nothing():
    batch = Batch(torch.arange(6).view(2, 3), torch.arange(6).view(2, 3) + 1)
    assert distributed.local_rows(batch, 0, 1) is batch
    shares = [distributed.local_rows(batch, rank, 3) for rank in range(3)]
    assert [s.inputs.tolist() for s in shares] == [[[0, 1, 2]], [[3, 4, 5]], [[0, 1, 2]]]
    assert (shares[2].targets == IGNORE).all() and shares[2].source is None
    loss = ProcessGroup().spread(workers.gpt(), cross_entropy)(shares[2])
    assert loss == 0


@pytest.mark.parametrize("task", TASKS)
def test_only_the_first_process_writes_a_plain_checkpoint_and_one_process_reads_it(
    two, folder, task
):
    assert [two["data"][rank]["writes", task] for rank in (0, 1)] == [2, 0]
    path = folder / f"data-{task}"
    assert path.is_file() and len(load_checkpoint(path)["random"]) == 2
    step, weights, moments = workers.loaded(ProcessGroup(), task, path)
    _, wanted, wanted_moments = two["data"][0]["stopped", task]
    assert step == 4
    same(weights, wanted)
    same(moments, wanted_moments)


@needs_shards
@pytest.mark.parametrize("task", TASKS)
def test_every_process_writes_its_shards_and_one_or_three_read_them(
    two, three, alone, folder, tmp_path, task
):
    place = sharding.newest_checkpoint(folder / f"shard-{task}")
    assert place.name == "step-000000004"
    assert len(list(place.glob("__[01]_*.distcp"))) == 2, "one file of each process"
    assert [two["shard"][rank]["writes", task] for rank in (0, 1)] == [2, 0]
    shutil.copytree(folder / f"shard-{task}", tmp_path / task)
    with distributed.process_group("shard", "cpu") as team:
        assert (team.rank, team.world) == (0, 1)
        readers = [(workers.loaded(team, task, tmp_path / task), None)]
        readers[0] = readers[0][0], workers.trained(team, task, tmp_path / task)
    readers += [(found["loaded", task], found[task]) for found in three]
    _, wanted, wanted_moments = two["shard"][0]["stopped", task]
    for (step, weights, moments), (history, end, end_moments) in readers:
        assert step == 4
        same(weights, wanted)
        same(moments, wanted_moments)
        assert len(history["losses"]) == 6 and history["best_step"] == alone[task][0]["best_step"]
        close(end, alone[task][1], 1e-10)
        close(end_moments, alone[task][2], 1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_after_a_death_the_run_goes_on_from_its_checkpoint_and_ends_the_same(two, folder, kind):
    """By torchrun's elastic agent: SIGKILL in a step, or a process gone while shards are written"""
    assert (folder / "done-1").read_text() == str(len(KINDS)), "an attempt died for each kind"
    attempt = KINDS.index(kind)
    for rank in (0, 1):
        first, second = (
            (folder / f"steps-{kind}-{rank}-{n}.txt").read_text().split()
            for n in (attempt, attempt + 1)
        )
        # the first step asked for is looked at to compare the processes' data
        assert first[1:8] == list("0123456") and "11" not in first
        assert second[1:] == ["6", "7", "8", "9", "10", "11"]
    whole, again = folder / f"whole-{kind}", folder / f"killed-{kind}"
    for name in ("weights.safetensors", "model.json", "tokenizer.json"):
        assert (whole / name).read_bytes() == (again / name).read_bytes(), name
    histories = []
    for place in (whole, again):
        path = place / "checkpoint.safetensors" if kind == "data" else place / "checkpoint"
        file = path if kind == "data" else sharding.newest_checkpoint(path) / RUN_FILE
        saved = load_checkpoint(file)
        histories.append({k: saved["history"][k] for k in ("losses", "valid", "best_step")})
        if kind == "shard":
            assert not list(path.glob(".step-*")), "what the dead left is swept away"
    assert histories[0] == histories[1]


@pytest.mark.parametrize("kind", KINDS)
def test_ctrl_c_in_one_process_stops_all_after_the_same_step(two, kind):
    assert [two[kind][rank]["interrupted"] for rank in (0, 1)] == [(True, 10)] * 2


@needs_shards  # three processes read shards
def test_an_all_reduce_sends_what_the_formula_says(two, three):
    """2 (n − 1) / n of the bytes from each of n processes; whatever else uses the loopback adds."""
    size = workers.MEGABYTES * 2**20
    for n, found in ((2, two["data"][0]["bytes"]), (3, three[0]["bytes"])):
        if found is None:
            pytest.skip("only Linux counts the loopback's bytes")
        assert 0.98 < found / (n * 2 * (n - 1) / n * size) < 1.15


@needs_shards
def test_shards_gather_twice_and_scatter_once_where_copies_reduce_once(two):
    """The weights of each layer; those outside of the stack are gathered once."""
    _, copies, size = two["data"][0]["step"]
    calls, shards, _ = two["shard"][0]["step"]
    gathered, scattered = (sum(word in c for c in calls) for word in ("gather", "reduce_scatter"))
    assert (gathered, scattered) == (1 + 2 * 2, 1 + 2), "the rest, and two layers"
    if copies is None:
        pytest.skip("only Linux counts the loopback's bytes")
    assert 0.98 < copies / (2 * size) < 1.15
    # a gathering moves 1, and gloo's reduce-scatter 2, as if all got all of the sum
    assert 2.9 < shards / size < 4.6


def test_a_team_of_one_needs_no_torchrun_and_what_cannot_be_is_named(monkeypatch, tmp_path):
    with distributed.process_group("data", "cpu") as team:
        assert team.alone and team.gather(3) == [3] and not team.any(False)
    with (
        pytest.raises(ValueError, match="choose from data, shard"),
        distributed.process_group("tensor"),
    ):
        pass
    with monkeypatch.context() as patch:
        patch.setattr(parallel, "can_shard", lambda device: False)
        with (
            pytest.raises(ValueError, match="no shards on 'cpu'"),
            distributed.process_group("shard", "cpu"),
        ):
            pass
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(runtime, "device", lambda name: torch.device("mps"))
    with pytest.raises(ValueError, match="not 'mps'"), distributed.process_group("data"):
        pass
    monkeypatch.setattr(runtime, "device", lambda name: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with (
        pytest.raises(ValueError, match="2 processes need 2 GPUs"),
        distributed.process_group("data"),
    ):
        pass


def test_processes_that_do_not_agree_are_told_so(two, folder, tmp_path, monkeypatch):
    """Here the other process always says 3: its checkpoint, say, is of step 3."""
    team, model = ProcessGroup(world_size=2), workers.gpt()
    optimizer = adamw(model, workers.CONFIG)
    before = [p.clone() for p in model.parameters()]
    monkeypatch.setattr(ProcessGroup, "gather", lambda self, value: [value, 3])
    with pytest.raises(ValueError, match="not have the same step: by rank .40, 3."):
        team.check_same("step", 40)
    for path, told in ((folder / "data-gpt", ".4, 3."), (tmp_path / "none", ".None, 3.")):
        with pytest.raises(ValueError, match=f"a disk that all see.*by rank {told}"):
            team.load(path, model, optimizer, lambda saved: None)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))


@needs_shards
def test_a_checkpoint_of_the_other_kind_or_model_is_refused(two, folder, tmp_path):
    model = workers.gpt()
    optimizer = adamw(model, workers.CONFIG)
    with pytest.raises(ValueError, match="written with parallel='shard', not 'data'"):
        ProcessGroup().load(folder / "shard-gpt", model, optimizer, lambda saved: None)
    with distributed.process_group("shard", "cpu") as team:
        with pytest.raises(ValueError, match="written with parallel='data', not 'shard'"):
            team.load(folder / "data-gpt", model, optimizer, lambda saved: None)
        other = workers.translator()
        team.spread(other, cross_entropy)
        made = adamw(other, workers.CONFIG)
        with pytest.raises(ValueError, match="shard-gpt belongs to another model"):
            team.load(folder / "shard-gpt", other, made, lambda saved: None)
        assert team.load(tmp_path, other, made, lambda saved: None) is None


def test_gradients_that_are_not_averaged_would_be_seen():
    """The guard of the first tests: half of the batch has another gradient than all of it."""
    make, batches, _ = workers.TASKS["gpt"]
    _, whole = workers.gradients(ProcessGroup(), make, batches[0], torch.float64)
    part = distributed.local_rows(batches[0], 0, 2)
    _, half = workers.gradients(ProcessGroup(), make, part, torch.float64)
    assert max((whole[k] - half[k]).abs().max() for k in whole) > 1e-3
    assert isinstance(batches, TextBatches)
