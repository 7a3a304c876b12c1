"""What the processes of tests/test_distributed.py do: ``torchrun … tests/workers.py PART FOLDER``.

They leave what they found in the folder, and the tests compare it with one process.
"""

import itertools
import os
import signal
import sys
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from utils import runtime
from utils.command.run import main
from utils.data.batches import TextBatches, text_eval_batches
from utils.data.pair_batches import PairBatches, pair_eval_batches  # noqa: E402
from utils.models.encoder_decoder import EncoderDecoder, share_embeddings
from utils.models.gpt import GPT  # noqa: E402
from utils.models.transformer import (
    TransformerDecoder,  # noqa: E402
    TransformerEncoder,  # noqa: E402
)
from utils.training import distributed, sharding
from utils.training.checkpoint import save_checkpoint
from utils.training.config import TrainConfig  # noqa: E402
from utils.training.distributed import STRATEGIES
from utils.training.evaluation import count_tokens
from utils.training.loop import fit
from utils.training.objectives import cross_entropy
from utils.training.optimizers import adamw  # noqa: E402

KINDS = [k for k in STRATEGIES if k == "data" or sharding.supports_sharding(torch.device("cpu"))]
V = 13
TEXT = torch.randint(4, V, (400,), generator=torch.Generator().manual_seed(0))
PAIRS = [([4 + i % 5, 5, 6 + i % 3] + [7] * (i % 2), [4 + i % 5] * (1 + i % 4)) for i in range(23)]
CONFIG = TrainConfig(steps=6, learning_rate=1e-2, accumulation_steps=2, clip_norm=0.5, evaluate_every=3,
                     checkpoint_every=2)  # fmt: skip
WRITTEN = "to be or not to be, that is the question. " * 60
MEGABYTES = 32

RANK, WORLD = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
ATTEMPT = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))


def gpt(dtype=torch.float64):
    runtime.seed_everything(1)
    return GPT(V, width=8, layers=2, heads=2, context_length=8, zero_init=False, bias=True).to(
        dtype
    )


def translator(dtype=torch.float64):
    """Of 5 hidden numbers and of 13 words the processes get unequal parts."""
    runtime.seed_everything(1)
    sizes = {"width": 8, "layers": 2, "heads": 2, "hidden": 5}
    return share_embeddings(
        EncoderDecoder(TransformerEncoder(V, **sizes), TransformerDecoder(V, **sizes))
    ).to(dtype)


TASKS = {  # model, batches by step, validation; of 23 pairs some batches have fewer rows than 2
    "gpt": (
        gpt,
        TextBatches(TEXT, batch_size=6, context_length=8, seed=3),
        text_eval_batches(TEXT[:50], batch_size=5, context_length=8),
    ),
    "translator": (
        translator,
        PairBatches(PAIRS, batch_size=3),
        pair_eval_batches(PAIRS, batch_size=3),
    ),
}


def gradients(team, make, batch, dtype):
    """The loss of a batch and the gradient by name, as the team has them."""
    model = make(dtype)
    loss = team.spread(model, cross_entropy)
    tokens = count_tokens(batch)
    mine = loss(batch) / tokens
    (team.world * mine).backward()
    grads = team.whole({name: p.grad for name, p in model.named_parameters()})
    return float(team.sum(mine.detach())), grads


class Stopped(Exception):
    """In the middle of a run."""


class Until:
    """Batches up to a step, and then the end of the program."""

    def __init__(self, batches, stop):
        self.batches, self.stop = batches, stop

    def __getitem__(self, step):
        if step == self.stop:
            raise Stopped
        return self.batches[step]


def trained(team, task, path=None, stop=None):
    """The history, the weights and the optimizer's state after a run of `fit`, or where it ends."""
    make, batches, valid = TASKS[task]
    model, made, history = make(), [], None

    def kept(*arguments):
        made.append(adamw(*arguments))
        return made[0]

    try:
        history = vars(
            fit(
                model,
                Until(batches, stop),
                CONFIG,
                valid=valid,
                checkpoint=path,
                progress=False,
                optimizer=kept,
                processes=team,
            )
        )
    except Stopped:
        pass
    return history, team.whole(model.state_dict()), moments(team, made[0])


def loaded(team, task, path):
    """The weights and the optimizer's state of a checkpoint, and the rest of it."""
    model = TASKS[task][0]()
    team.spread(model, cross_entropy)
    optimizer = adamw(model, CONFIG)
    rest = team.load(path, model, optimizer, lambda saved: None)
    return rest["step"], team.whole(model.state_dict()), moments(team, optimizer)


def moments(team, optimizer):
    """The state of every weight, shards put together, by the weight's place."""
    state = optimizer.state_dict()["state"]
    return {f"{i}.{name}": x for i in state for name, x in team.whole(state[i]).items()}


def rows(team, batches, steps):
    """The inputs that this process reads in each step."""
    return [
        distributed.local_rows(batches[step], team.rank, team.world).inputs for step in range(steps)
    ]


def least_sent(team, work):
    """Bytes that all processes send for `work`: the least of three, for others may send as well."""
    found = []
    for _ in range(3):
        before = collectives.loopback_bytes()
        team.any(False)  # all are here
        work()
        team.any(False)  # and done
        found.append(before and collectives.loopback_bytes() - before)
    return before and min(found)


def moved(team):
    """Bytes that all processes together send for one all-reduce."""
    x = torch.ones(MEGABYTES * 2**18)
    return least_sent(team, lambda: team.sum(x))


class CtrlC(Until):
    """In step 3 somebody presses Ctrl-C, which one process alone gets to know."""

    def __getitem__(self, step):
        if step == 3 and RANK == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return super().__getitem__(step)


def interrupted(team):
    """Whether a run was interrupted, and after how many steps."""
    make, batches, _ = TASKS["gpt"]
    config = TrainConfig(steps=25)
    history = fit(make(), CtrlC(batches, None), config, progress=False, processes=team)
    return history.interrupted, len(history.losses)


class Calls(TorchDispatchMode):
    """Counts the exchanges by name."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.namespace == "c10d":
            self.names.append(func.__name__)
        return func(*args, **(kwargs or {}))


def moved_by_a_step(team):
    """For the gradients of one step: exchanges by name, bytes sent by all, bytes of the weights."""
    runtime.seed_everything(1)
    model = GPT(V, width=256, layers=2, heads=4, context_length=8)
    size = 4 * sum(p.numel() for p in model.parameters())
    loss, batch = team.spread(model, cross_entropy), TASKS["gpt"][1][0]
    loss(batch).backward()  # in the first step DDP sends more, to arrange its buckets
    with Calls() as calls:
        loss(batch).backward()
    return calls.names, least_sent(team, lambda: loss(batch).backward()), size


def compare(folder):
    """Both kinds against one process: gradients, runs, rows, who writes, and bytes sent."""
    writes, save = [], save_checkpoint
    save_checkpoint = lambda path, content: (writes.append(1), save(path, content))
    for kind in KINDS:
        with distributed.process_group(kind, "cpu") as team:
            found = {"rows": rows(team, TASKS["gpt"][1], 4)}
            for task, (make, batches, _) in TASKS.items():
                for dtype in (torch.float32, torch.float64):
                    found[task, dtype] = [gradients(team, make, batches[i], dtype) for i in (0, 1)]
                found[task] = trained(team, task)
                writes.clear()
                found["stopped", task] = trained(team, task, folder / f"{kind}-{task}", stop=8)
                found["writes", task] = len(writes)
            found["step"] = moved_by_a_step(team)
            found["interrupted"] = interrupted(team)
            if kind == "data":
                found["bytes"] = moved(team)
            torch.save(found, folder / f"{kind}-{team.rank}.pt")
    save_checkpoint = save


def read(folder):
    """Another number of processes reads what two have written, and goes on from there."""
    with distributed.process_group("shard", "cpu") as team:
        found = {"bytes": moved(team)}
        for task in TASKS:
            path = folder / f"shard-{task}"
            found["loaded", task] = loaded(team, task, path)
            found[task] = trained(team, task, path)
        torch.save(found, folder / f"read-{team.rank}.pt")


class Watched(TextBatches):
    """Notes the steps asked for, and kills this process in step 7 of the first attempt."""

    note, kill = None, False

    def __getitem__(self, step):
        if Watched.note:
            with open(Watched.note, "a", encoding="utf-8") as file:
                file.write(f"{step} ")
        if Watched.kill and step == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(step)


def killed(folder):
    """A run of the command whose processes die in two of three attempts, beside a whole one."""
    text = folder / f"text-{RANK}.txt"
    text.write_text(WRITTEN, encoding="utf-8")
    options = ["lstmlm", "--width", "8", "--dropout", "0.3", "--batch", "4", "--block", "8"]
    options += ["--steps", "12", "--checkpoint-every", "3", "--evaluate-every", "4"]
    options += ["--device", "cpu", "--file", str(folder / "text-0.txt")]
    command.data.TextBatches = Watched
    save, saves = save_checkpoint, itertools.count(1)

    def dies(*arguments):  # the shards are written, the step's folder has not its name yet
        if next(saves) == 3:
            os._exit(9)
        save(*arguments)

    for attempt, kind in enumerate(KINDS):
        plain = [*options, "--parallel", kind]
        if ATTEMPT == attempt:
            assert main([*plain, "--out", str(folder / f"whole-{kind}")]) == 0
        elif ATTEMPT > attempt + 1:
            continue  # ended in the attempt before
        Watched.note = folder / f"steps-{kind}-{RANK}-{ATTEMPT}.txt"
        if ATTEMPT == attempt:
            Watched.kill = kind == "data" and RANK == 1
            if kind == "shard" and RANK == 0:
                save_checkpoint = dies
        assert main([*plain, "--out", str(folder / f"killed-{kind}")]) == 0
        Watched.note = None
    (folder / f"done-{RANK}").write_text(str(ATTEMPT), encoding="utf-8")


if __name__ == "__main__":
    parts = {"compare": compare, "read": read, "killed": killed}
    for part in sys.argv[1].split(","):
        if part != "compare" or ATTEMPT == 0:
            parts[part](Path(sys.argv[2]))
