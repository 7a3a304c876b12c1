"""What the processes of test_distributed.py do.

The agent of torchrun starts each of them with a call of `main`. They save their results in a
folder, and the tests compare these with those of one process.
"""

import itertools
import os
import signal
import socket
import struct
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from utils import runtime
from utils.command import run as command
from utils.command import training_data
from utils.data.batches import TextBatches, text_eval_batches
from utils.data.pair_batches import PairBatches, pair_eval_batches
from utils.models.encoder_decoder import EncoderDecoder, share_embeddings
from utils.models.gpt import GPT
from utils.models.transformer import TransformerDecoder, TransformerEncoder
from utils.training import checkpoint, sharding
from utils.training.config import TrainConfig
from utils.training.distributed import STRATEGIES as ALL_STRATEGIES
from utils.training.distributed import process_group
from utils.training.loop import fit
from utils.training.loss_module import local_rows
from utils.training.objectives import count_tokens, token_nll
from utils.training.optimizers import adamw
from utils.training.sharding import supports_sharding
from utils.training.tensor_file import write_tensor_file
from utils.training.training_run import start_run

STRATEGIES = [
    strategy
    for strategy in ALL_STRATEGIES
    if strategy == "data" or supports_sharding(torch.device("cpu"))
]
V = 13
TEXT = torch.randint(4, V, (400,), generator=torch.Generator().manual_seed(0))
PAIRS = [([4 + i % 5, 5, 6 + i % 3] + [7] * (i % 2), [4 + i % 5] * (1 + i % 4)) for i in range(23)]
CONFIG = TrainConfig(
    steps=6,
    learning_rate=1e-2,
    accumulation_steps=2,
    clip_norm=0.5,
    validate_every=3,
    checkpoint_every=2,
)
TEN_STEPS = TrainConfig(steps=10, learning_rate=1e-2, weight_decay=0.1, clip_norm=0.1)
COMMAND_TEXT = "to be or not to be, that is the question. " * 60
ALL_REDUCE_BYTES = 8 * 2**20


def rank():
    """Return the number of this process."""
    return int(os.environ["RANK"])


def attempt():
    """Return how often the processes have been restarted."""
    return int(os.environ["TORCHELASTIC_RESTART_COUNT"])


def make_gpt(dtype=torch.float64, num_layers=2):
    runtime.seed_everything(1)
    sizes = {"width": 8, "num_layers": num_layers, "num_heads": 2, "context_length": 8}
    return GPT(V, **sizes, zero_init=False, bias=True).to(dtype)


def make_frozen_gpt(dtype=torch.float64):
    """The embedding and a layer are not trained."""
    model = make_gpt(dtype)
    for module in (model.embedding, model.layers[0]):
        module.requires_grad_(False)
    return model


def make_translator(dtype=torch.float64):
    """Of 5 hidden units and of 13 words the processes get unequal parts."""
    runtime.seed_everything(1)
    sizes = {"width": 8, "num_layers": 2, "num_heads": 2, "feedforward_size": 5}
    encoder, decoder = TransformerEncoder(V, **sizes), TransformerDecoder(V, **sizes)
    return share_embeddings(EncoderDecoder(encoder, decoder)).to(dtype)


TEXT_DATA = (
    TextBatches(TEXT, batch_size=6, context_length=8, seed=3),
    text_eval_batches(TEXT[:50], batch_size=5, context_length=8),
)
TASKS = {  # a model, its batches by step, and its validation batches
    "gpt": (make_gpt, *TEXT_DATA),
    "frozen gpt": (make_frozen_gpt, *TEXT_DATA),
    "translator": (  # some batches have fewer than two rows
        make_translator,
        PairBatches(PAIRS, batch_size=3),
        pair_eval_batches(PAIRS[:9], batch_size=3),
    ),
}


# ---- what the tests also call, with one process -------------------------------------------------


def compute_gradients(processes, make_model, batch, dtype):
    """Return the mean loss of a batch and the gradients by name, as all processes have them."""
    model = make_model(dtype)
    loss_module = processes.wrap(model, token_nll)
    local_loss = loss_module(batch) / count_tokens(batch)
    (processes.world_size * local_loss).backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    return float(processes.all_reduce(local_loss.detach())), processes.full_state_dict(gradients)


class ProgramEnd(Exception):
    """The end of a program in the middle of a run."""


class EndingStream:
    """Batches up to a step, and then the end of the program."""

    def __init__(self, batches, end):
        self.batches, self.end = batches, end

    def __getitem__(self, step):
        if step == self.end:
            raise ProgramEnd
        return self.batches[step]


def train(processes, task, path=None, end=None, config=CONFIG):
    """Return the history, the weights and the optimizer's state after a run, or where it ends."""
    make_model, batches, valid = TASKS[task]
    model, optimizers, history = make_model(), [], None

    def make_optimizer(*arguments):
        optimizers.append(adamw(*arguments))  # of several processes the second is the run's
        return optimizers[-1]

    options = {"make_optimizer": make_optimizer, "processes": processes, "progress": False}
    try:
        stream = EndingStream(batches, end)
        history = vars(fit(model, stream, config, valid=valid, checkpoint=path, **options))
        history["validations"] = list(map(tuple, history["validations"]))  # which torch.load reads
    except ProgramEnd:
        pass
    weights = processes.full_state_dict(model.state_dict())
    return history, weights, optimizer_state(processes, optimizers[-1])


def start_test_run(processes, model):
    """Return the state of a run before its first step."""
    return start_run(model, CONFIG, make_optimizer=adamw, objective=token_nll, processes=processes)


def load(processes, task, path):
    """Return the step, the weights and the optimizer's state of a checkpoint."""
    run = start_test_run(processes, TASKS[task][0]())
    assert checkpoint.resume_from_checkpoint(run, path)
    weights = processes.full_state_dict(run.model.state_dict())
    return run.step, weights, optimizer_state(processes, run.optimizer)


def optimizer_state(processes, optimizer):
    """Return the state of every weight, shards put together, by the index of the weight."""
    states = optimizer.state_dict()["state"]
    return {
        f"{i}.{name}": x
        for i, state in states.items()
        for name, x in processes.full_state_dict(state).items()
    }


def received_bytes():
    """Return the bytes that this process has received over TCP so far; None but on Linux.

    Counted by the kernel for each socket of this process, so nothing else on the machine matters.
    """
    if not sys.platform.startswith("linux"):
        return None
    total = 0
    for descriptor in list(Path("/proc/self/fd").iterdir()):
        try:
            connection = socket.socket(fileno=os.dup(int(descriptor.name)))
        except OSError:  # no socket, or closed in the meantime
            continue
        with connection:
            is_tcp = connection.family in (socket.AF_INET, socket.AF_INET6)
            if is_tcp and connection.type == socket.SOCK_STREAM:
                info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 136)
                total += struct.unpack_from("=Q", info, 128)[0]  # tcpi_bytes_received
    return total


# ---- two processes ------------------------------------------------------------------------------


def read_rows(processes, batches, steps):
    """Return the inputs that this process reads in each step."""
    return [
        local_rows(batches[step], processes.rank, processes.world_size).inputs
        for step in range(steps)
    ]


def join_different_models(processes):
    """Return the weights of a process with a seed of its own, before and after they are joined."""
    runtime.seed_everything(100 + processes.rank)
    model = GPT(V, width=8, num_layers=2, num_heads=2, context_length=8)
    model.register_buffer("rank", torch.tensor([float(processes.rank)]))
    before = {name: x.detach().clone() for name, x in model.state_dict().items()}
    processes.wrap(model, token_nll)
    return before, processes.full_state_dict(model.state_dict())


def count_received_bytes(processes, work):
    """Return the bytes that this process receives for `work`."""
    processes.is_true_in_any(False)  # a barrier
    before = received_bytes()
    work()
    return None if before is None else received_bytes() - before


def all_reduce_bytes(processes):
    """Return the bytes that this process receives for one all-reduce."""
    x = torch.ones(ALL_REDUCE_BYTES // 4)
    return count_received_bytes(processes, lambda: processes.all_reduce(x))


class CollectiveCalls(TorchDispatchMode):
    """Records the names of the collective operations."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.namespace == "c10d":
            self.names.append(func.__name__)
        return func(*args, **(kwargs or {}))


def exchange_gradients(processes):
    """Return the collectives of a backward pass and the bytes received, with and without exchange.

    The third result is the number of bytes of the weights.
    """
    runtime.seed_everything(1)
    model = GPT(V, width=256, num_layers=2, num_heads=4, context_length=8)
    size = 4 * sum(parameter.numel() for parameter in model.parameters())
    loss_module, batch = processes.wrap(model, token_nll), TASKS["gpt"][1][0]
    loss_module(batch).backward()  # in the first step DDP sends more, to arrange its buckets

    def backward(enabled=True):
        with processes.gradient_sync(loss_module, enabled=enabled):
            loss_module(batch).backward()

    with CollectiveCalls() as calls:
        backward()
    received = count_received_bytes(processes, backward)
    with CollectiveCalls() as other_calls:
        backward(enabled=False)
    other_received = count_received_bytes(processes, lambda: backward(enabled=False))
    return (calls.names, received), (other_calls.names, other_received), size


class OneProcessInterrupted(EndingStream):
    """In step 3 Ctrl-C is pressed, and reaches the second process only."""

    def __getitem__(self, step):
        if step == 3 and rank() == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return super().__getitem__(step)


def refuse_different(processes):
    """Return the errors of processes of which each has its own number of steps, or model."""
    config = replace(CONFIG, steps=6 + processes.rank)
    own_model = make_frozen_gpt() if processes.rank else make_gpt()
    return [
        error_of_run(processes, make_gpt(), config),
        error_of_run(processes, own_model, CONFIG),
    ]


def error_of_run(processes, model, config):
    """Return the error with which a run is refused."""
    try:
        fit(model, TASKS["gpt"][1], config, progress=False, processes=processes)
    except ValueError as error:
        return str(error)
    return None


def interrupt(processes):
    """Return the signal that interrupted a run, and the number of its steps."""
    make_model, batches, _ = TASKS["gpt"]
    stream, config = OneProcessInterrupted(batches, None), TrainConfig(steps=25)
    history = fit(make_model(), stream, config, progress=False, processes=processes)
    return history.stop_signal, len(history.losses)


def compare(folder):
    """Save what both strategies give: gradients, runs, rows, checkpoints, collectives, bytes."""
    save = mock.Mock(side_effect=write_tensor_file)
    with (
        mock.patch.object(checkpoint, "write_tensor_file", save),
        mock.patch.object(sharding, "write_tensor_file", save),
    ):
        for strategy in STRATEGIES:
            with process_group(strategy, "cpu") as processes:
                results = compute_results(processes, folder, save)
                torch.save(results, folder / f"{strategy}-{processes.rank}.pt")


def compute_results(processes, folder, save):
    """Return the results of one strategy in this process; `save` counts the checkpoints."""
    results = {"rows": read_rows(processes, TASKS["gpt"][1], 4)}
    for task, (make_model, batches, _) in TASKS.items():
        for dtype in (torch.float32, torch.float64):
            results[task, dtype] = [
                compute_gradients(processes, make_model, batches[i], dtype) for i in (0, 1)
            ]
        results[task] = train(processes, task)
        save.reset_mock()
        path = folder / f"{processes.strategy}-{task}"
        results["stopped", task] = train(processes, task, path, end=8)
        results["saves", task] = save.call_count
    results["joined"] = join_different_models(processes)
    results["exchange"] = exchange_gradients(processes)
    results["interrupted"] = interrupt(processes)
    results["different"] = refuse_different(processes)
    results["ten steps"] = train(processes, "translator", config=TEN_STEPS)
    if processes.strategy == "data":
        results["bytes"] = all_reduce_bytes(processes)
    return results


# ---- another number of processes ----------------------------------------------------------------


def read(folder):
    """Load what two processes have written, and finish their runs."""
    with process_group("shard", "cpu") as processes:
        results = {"bytes": all_reduce_bytes(processes)}
        for task in TASKS:
            path = folder / f"shard-{task}"
            results["loaded", task] = load(processes, task, path)
            results[task] = train(processes, task, path)
        torch.save(results, folder / f"read-{processes.rank}.pt")


# ---- processes that die -------------------------------------------------------------------------


class RecordedStream(TextBatches):
    """Writes the steps that are asked for to a file, and may kill this process in step 7."""

    file, kills = None, False

    def __getitem__(self, step):
        if RecordedStream.file:
            with Path(RecordedStream.file).open("a", encoding="utf-8") as file:
                file.write(f"{step} ")
        if RecordedStream.kills and step == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(step)


def run_and_die(folder):
    """Run the command, whose processes die in two of three attempts, and once undisturbed."""
    text = folder / f"text-{rank()}.txt"
    text.write_text(COMMAND_TEXT, encoding="utf-8")
    options = ["lstmlm", "--width=8", "--dropout=0.3", "--batch-size=4", "--context-length=8"]
    options += ["--steps=12", "--checkpoint-every=3", "--validate-every=4", "--device=cpu"]
    options += [f"--file={folder / 'text-0.txt'}"]
    training_data.TextBatches = RecordedStream
    saves = itertools.count(1)

    def save_or_die(*content):
        """In the third save the shards are written, but their folder has not its name yet."""
        if next(saves) == 3:
            os._exit(9)
        write_tensor_file(*content)

    for attempt_that_dies, strategy in enumerate(STRATEGIES):
        arguments = [*options, f"--strategy={strategy}"]
        if attempt() == attempt_that_dies:
            assert command.main([*arguments, f"--out={folder / f'undisturbed-{strategy}'}"]) == 0
        elif attempt() > attempt_that_dies + 1:
            continue  # ended in the attempt before
        RecordedStream.file = folder / f"steps-{strategy}-{rank()}-{attempt()}.txt"
        if attempt() == attempt_that_dies:
            RecordedStream.kills = strategy == "data" and rank() == 1
            if strategy == "shard" and rank() == 0:
                sharding.write_tensor_file = save_or_die
        assert command.main([*arguments, f"--out={folder / f'killed-{strategy}'}"]) == 0
        RecordedStream.file = None
    (folder / f"done-{rank()}").write_text(str(attempt()), encoding="utf-8")


def main(parts, folder):
    """Run functions of this module by name; after a restart only `run_and_die`."""
    torch.set_num_threads(1)
    for part in parts:
        if part == "run_and_die" or attempt() == 0:
            {"compare": compare, "read": read, "run_and_die": run_and_die}[part](Path(folder))
