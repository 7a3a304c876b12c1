"""The files in book/launch mean to Slurm, Kubernetes and torchrun what the book describes.

The command in each is parsed by torchrun and by the book's own command line.
"""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
import yaml
from torch.distributed.run import get_args_parser

from tests.helpers.colab import LIBRARY
from utils.command.catalogue import build_model
from utils.command.job import Job
from utils.command.parser import parse

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = ROOT / "book" / "launch"
PAGE = (ROOT / "book" / "07-beyond-one-machine.md").read_text(encoding="utf-8")
SBATCH = (LAUNCH / "train.sbatch").read_text(encoding="utf-8")
RUNTIME, JOB = yaml.safe_load_all((LAUNCH / "trainjob.yaml").read_text(encoding="utf-8"))

# Options of sbatch with the form of their values, from its manual page.
SBATCH_OPTIONS = {
    "job-name": r"[\w-]+",
    "nodes": r"\d+",
    "ntasks-per-node": r"\d+",
    "gpus-per-node": r"\d+",
    "cpus-per-task": r"\d+",
    "time": r"\d+:\d\d:\d\d",
    "output": r"[\w%.-]+",
}

# The fields of trainer.kubeflow.org/v1alpha1 that may be used here, as the models of
# kubeflow-trainer-api 2.3.0 name them, and below them those of JobSet, Job and Pod.
TRAINER = "trainer.kubeflow.org"
METADATA = {
    "name": str,
    "labels": {f"{TRAINER}/framework": str, f"{TRAINER}/trainjob-ancestor-step": str},
}
RESOURCES = {"limits": {"nvidia.com/gpu": int}, "requests": {"nvidia.com/gpu": int}}
ENVIRONMENT = [{"name": str, "value": str}]
CONTAINER = {
    "name": str,
    "image": str,
    "workingDir": str,
    "command": [str],
    "args": [str],
    "env": ENVIRONMENT,
    "resources": RESOURCES,
    "volumeMounts": [{"name": str, "mountPath": str, "readOnly": bool}],
}
VOLUME = {
    "name": str,
    "persistentVolumeClaim": {"claimName": str},
    "emptyDir": {"medium": str, "sizeLimit": str},
}
POD = {"restartPolicy": str, "containers": [CONTAINER], "volumes": [VOLUME]}
REPLICATED_JOB = {
    "name": str,
    "replicas": int,
    "template": {
        "metadata": METADATA,
        "spec": {"backoffLimit": int, "template": {"spec": POD}},
    },
}
JOB_SET = {"failurePolicy": {"maxRestarts": int}, "replicatedJobs": [REPLICATED_JOB]}
RUNTIME_FIELDS = {
    "apiVersion": str,
    "kind": str,
    "metadata": METADATA,
    "spec": {
        "mlPolicy": {"numNodes": int, "torch": {}},
        "template": {"metadata": METADATA, "spec": JOB_SET},
    },
}
JOB_FIELDS = {
    "apiVersion": str,
    "kind": str,
    "metadata": METADATA,
    "spec": {
        "runtimeRef": {"apiGroup": str, "kind": str, "name": str},
        "suspend": bool,
        "activeDeadlineSeconds": int,
        "trainer": {
            "image": str,
            "command": [str],
            "args": [str],
            "env": ENVIRONMENT,
            "numNodes": int,
            "numProcPerNode": int,
            "resourcesPerNode": RESOURCES,
        },
    },
}


def check_fields(value, fields, path="job"):
    """Every key is a field, and every value has its type."""
    if isinstance(fields, dict):
        assert isinstance(value, dict), f"{path} holds fields"
        for key, inner in value.items():
            assert key in fields, f"{path} has no field {key!r}; choose from {list(fields)}"
            check_fields(inner, fields[key], f"{path}.{key}")
    elif isinstance(fields, list):
        assert isinstance(value, list), f"{path} is a list"
        for i, inner in enumerate(value):
            check_fields(inner, fields[0], f"{path}[{i}]")
    else:
        assert type(value) is fields, f"{path} is {value!r}, not {fields.__name__}"


def pod_of_the_runtime():
    """The specification of the pods in which the nodes train."""
    (replicated,) = RUNTIME["spec"]["template"]["spec"]["replicatedJobs"]
    return replicated["template"]["spec"]["template"]["spec"]


def parse_torchrun(words):
    """Return torchrun's options and the book's job, whose model can be built."""
    assert Path(words[0]).name == "torchrun"
    torchrun = get_args_parser().parse_args(words[1:])
    assert torchrun.module and torchrun.training_script == "utils.training"
    job = Job.from_options(*parse(torchrun.training_script_args))
    with torch.device("meta"):
        build_model(job.model, job.model_options, vocab_size=69)
    assert job.training.steps % job.training.checkpoint_every == 0 < job.training.checkpoint_every
    return torchrun, job


def test_slurm_knows_and_reads_all_directives():
    lines = SBATCH.splitlines()
    commands = [i for i, line in enumerate(lines) if line and not line.startswith("#")]
    directives = [i for i, line in enumerate(lines) if line.startswith("#SBATCH")]
    assert directives[-1] < commands[0], "sbatch stops reading at the first command"
    options = dict(re.fullmatch(r"#SBATCH --([\w-]+)=(\S+)", lines[i]).groups() for i in directives)
    for name, value in options.items():
        assert name in SBATCH_OPTIONS, f"sbatch has no option {name}"
        assert re.fullmatch(SBATCH_OPTIONS[name], value), f"{name} is {value}"
    assert options["ntasks-per-node"] == "1", "torchrun starts the processes of a node itself"


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash here")
def test_the_batch_script_runs_the_command_that_is_meant(tmp_path):
    """bash runs it with an srun and a scontrol that only print."""
    path = LAUNCH / "train.sbatch"
    subprocess.run(["bash", "-n", path], check=True)
    stubs = {
        "srun": 'printf "%s\\n" "$SRUN_CPUS_PER_TASK" "$@"',
        "scontrol": "printf 'one\\ntwo\\n'",
    }
    for name, command in stubs.items():
        stub = tmp_path / name
        stub.write_text(f"#!/bin/bash\n{command}\n", encoding="utf-8")
        stub.chmod(0o755)
    nodes, gpus, cpus = (
        int(re.search(rf"--{name}=(\d+)", SBATCH)[1])
        for name in ("nodes", "gpus-per-node", "cpus-per-task")
    )
    environment = {
        "SLURM_JOB_NODELIST": "n[1-2]",
        "SLURM_NNODES": str(nodes),
        "SLURM_JOB_ID": "7",
        "SLURM_GPUS_ON_NODE": str(gpus),
        "SLURM_CPUS_PER_TASK": str(cpus),
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
    }
    result = subprocess.run(
        ["bash", path], capture_output=True, text=True, check=True, env=environment
    )
    cpus_of_a_task, *words = result.stdout.splitlines()
    assert cpus_of_a_task == str(cpus), "srun takes the number from no other variable"
    torchrun, job = parse_torchrun(words)
    assert torchrun.rdzv_endpoint == "one:29500" and torchrun.rdzv_id == "7"
    assert torchrun.rdzv_backend == "c10d" and torchrun.max_restarts > 0
    assert (torchrun.nnodes, torchrun.nproc_per_node) == (str(nodes), str(gpus))
    assert job.data.batch_size % (nodes * gpus) == 0


def test_kubernetes_knows_every_field_of_runtime_and_job():
    check_fields(RUNTIME, RUNTIME_FIELDS)
    check_fields(JOB, JOB_FIELDS)
    assert RUNTIME["apiVersion"] == JOB["apiVersion"] == f"{TRAINER}/v1alpha1"
    assert (RUNTIME["kind"], JOB["kind"]) == ("TrainingRuntime", "TrainJob")
    for document in (RUNTIME, JOB):
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", document["metadata"]["name"])


def test_the_job_and_the_controller_find_what_they_look_for():
    reference = JOB["spec"]["runtimeRef"]
    assert reference == {"kind": RUNTIME["kind"], "name": RUNTIME["metadata"]["name"]}
    (replicated,) = RUNTIME["spec"]["template"]["spec"]["replicatedJobs"]
    labels = replicated["template"]["metadata"]["labels"]
    assert labels[f"{TRAINER}/trainjob-ancestor-step"] == "trainer"
    pod = pod_of_the_runtime()
    assert [replicated["name"], *(c["name"] for c in pod["containers"])] == ["node", "node"]
    mounted = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_a_node_that_fails_restarts_all_of_them():
    """Nothing restarts a process, a container or a pod by itself."""
    job_set = RUNTIME["spec"]["template"]["spec"]
    assert job_set["failurePolicy"]["maxRestarts"] > 0
    assert job_set["replicatedJobs"][0]["template"]["spec"]["backoffLimit"] == 0
    assert pod_of_the_runtime()["restartPolicy"] == "Never"
    assert not any("max-restarts" in word for word in JOB["spec"]["trainer"]["command"])


def test_a_field_that_does_not_exist_would_be_reported():
    with pytest.raises(AssertionError, match="no field 'nProcs'"):
        check_fields({"spec": {"trainer": {"nProcs": 8}}}, JOB_FIELDS)
    with pytest.raises(AssertionError, match="not int"):
        check_fields({"spec": {"trainer": {"numNodes": "2"}}}, JOB_FIELDS)


def test_the_job_runs_the_command_that_is_meant(monkeypatch):
    """With the variables that the controller sets, from which torchrun takes its options."""
    trainer, (container,) = JOB["spec"]["trainer"], pod_of_the_runtime()["containers"]
    nodes, gpus = trainer["numNodes"], trainer["numProcPerNode"]
    for limits in trainer["resourcesPerNode"].values():
        assert limits == {"nvidia.com/gpu": gpus}
    monkeypatch.setenv("PET_NNODES", str(nodes))
    monkeypatch.setenv("PET_NPROC_PER_NODE", str(gpus))
    monkeypatch.setenv("PET_MASTER_ADDR", "book-node-0-0.book")
    torchrun, job = parse_torchrun(trainer["command"])
    assert (torchrun.nnodes, torchrun.nproc_per_node) == (str(nodes), str(gpus))
    assert torchrun.master_addr == "book-node-0-0.book"
    assert job.data.batch_size % (nodes * gpus) == 0
    volumes = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert any(job.run.out.startswith(volume) for volume in volumes), "a disk that all nodes see"


def test_the_image_is_built_from_what_is_here():
    dockerfile = (LAUNCH / "Dockerfile").read_text(encoding="utf-8")
    (container,) = pod_of_the_runtime()["containers"]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"', project, re.MULTILINE)[1]
    assert container["image"].endswith(f":{version}") and container["image"] in dockerfile
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    newest_torch = re.search(r"^torch\S*?(<[\d.]+)", requirements, re.MULTILINE)[1]
    assert f'"torch{newest_torch}"' in dockerfile, "the library itself asks for the oldest"
    assert re.search(r"^WORKDIR (\S+)", dockerfile, re.MULTILINE)[1] == container["workingDir"]
    for line in dockerfile.splitlines():
        word, _, rest = line.partition(" ")
        assert word in ("#", "FROM", "WORKDIR", "COPY", "RUN"), line
        for path in rest.split()[:-1] if word == "COPY" else []:
            assert (ROOT / path).exists(), path
    copied = re.findall(r"^COPY (.+) \S+$", dockerfile, re.MULTILINE)
    for name in LIBRARY:
        assert any(name in sources.split() for sources in copied), f"pip needs {name}"


def test_the_commands_of_the_page_can_be_parsed():
    text = PAGE.replace("\\\n", " ")
    lines = re.findall(r"^ *(torchrun .*|python -m utils\.training .*)$", text, re.MULTILINE)
    assert len(lines) >= 4
    for line in lines:
        words = shlex.split(re.sub(r"\$\w+", "head", line))
        if words[0] == "torchrun":
            torchrun, job = parse_torchrun(words)
            nodes, gpus = int(torchrun.nnodes.split(":")[-1]), int(torchrun.nproc_per_node)
            assert job.data.batch_size % (nodes * gpus) == 0
        elif words[-1] == "--help":
            with pytest.raises(SystemExit) as stop:
                parse(words[3:])
            assert stop.value.code == 0
        else:
            parse(words[3:])
    for path in LAUNCH.iterdir():
        assert f"{{literalinclude}} launch/{path.name}" in PAGE, "a file that no page shows"


def test_the_options_in_the_text_of_the_page_exist():
    """In backticks, such as `--strategy shard`; torchrun has some of them."""
    _, options = parse(["gpt"])
    known = {f"--{name.replace('_', '-')}" for name in options}
    known |= set(get_args_parser()._option_string_actions)
    names = re.findall(r"`(--[\w-]+)[^`]*`", PAGE)
    assert "--accumulation-steps" in names and set(names) <= known
