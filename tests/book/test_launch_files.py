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
JOB = yaml.safe_load((LAUNCH / "pytorchjob.yaml").read_text(encoding="utf-8"))

# Fields of kubeflow.org/v1 PyTorchJob, from pkg/apis/kubeflow.org/v1 of the training operator, and
# those of a pod that are used here.
CONTAINER = {
    "name": str,
    "image": str,
    "workingDir": str,
    "command": [str],
    "args": [str],
    "env": [{"name": str, "value": str}],
    "resources": {"limits": {"nvidia.com/gpu": int}, "requests": {"nvidia.com/gpu": int}},
    "volumeMounts": [{"name": str, "mountPath": str, "readOnly": bool}],
    "ports": [{"name": str, "containerPort": int}],
}
POD = {
    "containers": [CONTAINER],
    "volumes": [
        {
            "name": str,
            "persistentVolumeClaim": {"claimName": str},
            "emptyDir": {"medium": str, "sizeLimit": str},
        }
    ],
}
REPLICA = {"replicas": int, "restartPolicy": str, "template": {"metadata": dict, "spec": POD}}
FIELDS = {
    "apiVersion": str,
    "kind": str,
    "metadata": {"name": str, "namespace": str},
    "spec": {
        "runPolicy": {
            "cleanPodPolicy": str,
            "ttlSecondsAfterFinished": int,
            "activeDeadlineSeconds": int,
            "backoffLimit": int,
        },
        "elasticPolicy": {
            "minReplicas": int,
            "maxReplicas": int,
            "rdzvBackend": str,
            "rdzvPort": int,
            "rdzvHost": str,
            "rdzvId": str,
            "maxRestarts": int,
        },
        "nprocPerNode": str,
        "pytorchReplicaSpecs": {"Master": REPLICA, "Worker": REPLICA},
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


def test_slurm_reads_all_directives():
    lines = SBATCH.splitlines()
    commands = [i for i, line in enumerate(lines) if line and not line.startswith("#")]
    directives = [i for i, line in enumerate(lines) if line.startswith("#SBATCH")]
    assert directives[-1] < commands[0], "sbatch stops reading at the first command"
    tasks = re.search(r"^#SBATCH --ntasks-per-node=(\d+)$", SBATCH, re.MULTILINE)[1]
    assert tasks == "1", "torchrun starts the processes of a node itself"


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash here")
def test_the_batch_script_runs_the_command_that_is_meant(tmp_path):
    """bash runs it with an srun and a scontrol that only print."""
    path = LAUNCH / "train.sbatch"
    subprocess.run(["bash", "-n", path], check=True)
    stubs = {"srun": 'printf "%s\\n" "$@"', "scontrol": "printf 'one\\ntwo\\n'"}
    for name, command in stubs.items():
        stub = tmp_path / name
        stub.write_text(f"#!/bin/bash\n{command}\n", encoding="utf-8")
        stub.chmod(0o755)
    nodes, gpus = (
        int(re.search(rf"--{name}=(\d+)", SBATCH)[1]) for name in ("nodes", "gpus-per-node")
    )
    environment = {
        "SLURM_JOB_NODELIST": "n[1-2]",
        "SLURM_NNODES": str(nodes),
        "SLURM_JOB_ID": "7",
        "SLURM_GPUS_ON_NODE": str(gpus),
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
    }
    result = subprocess.run(
        ["bash", path], capture_output=True, text=True, check=True, env=environment
    )
    torchrun, job = parse_torchrun(result.stdout.splitlines())
    assert torchrun.rdzv_endpoint == "one:29500" and torchrun.rdzv_id == "7"
    assert torchrun.rdzv_backend == "c10d" and torchrun.max_restarts > 0
    assert (torchrun.nnodes, torchrun.nproc_per_node) == (str(nodes), str(gpus))
    assert job.data.batch_size % (nodes * gpus) == 0


def test_kubernetes_knows_every_field_of_the_job():
    check_fields(JOB, FIELDS)
    spec = JOB["spec"]
    assert spec["runPolicy"]["cleanPodPolicy"] in ("All", "Running", "None")
    assert spec["elasticPolicy"]["rdzvBackend"] in ("c10d", "etcd", "etcd-v2")
    worker = spec["pytorchReplicaSpecs"]["Worker"]
    assert worker["restartPolicy"] in ("Always", "OnFailure", "Never", "ExitCode")
    pod = worker["template"]["spec"]
    names = [container["name"] for container in pod["containers"]]
    assert names == ["pytorch"], "the operator's name for the container that trains"
    mounted = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_a_field_that_does_not_exist_would_be_reported():
    with pytest.raises(AssertionError, match="no field 'nProcs'"):
        check_fields({"spec": {"nProcs": 8}}, FIELDS)
    with pytest.raises(AssertionError, match="not str"):
        check_fields({"spec": {"nprocPerNode": 8}}, FIELDS)


def test_the_job_runs_the_command_that_is_meant():
    worker = JOB["spec"]["pytorchReplicaSpecs"]["Worker"]
    (container,) = worker["template"]["spec"]["containers"]
    torchrun, job = parse_torchrun(container["command"])
    gpus = container["resources"]["limits"]["nvidia.com/gpu"]
    assert torchrun.nproc_per_node == str(gpus)
    assert job.data.batch_size % (worker["replicas"] * gpus) == 0
    volumes = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert any(job.run.out.startswith(volume) for volume in volumes), "a disk that all pods see"


def test_the_image_is_built_from_what_is_here():
    dockerfile = (LAUNCH / "Dockerfile").read_text(encoding="utf-8")
    (container,) = JOB["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]["containers"]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"', project, re.MULTILINE)[1]
    assert container["image"].endswith(f":{version}") and container["image"] in dockerfile
    torch_versions = re.search(
        r"^torch(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE
    )[1]
    assert f'"torch{torch_versions}"' in dockerfile
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
