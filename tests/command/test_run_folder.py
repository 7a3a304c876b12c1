"""The folder of a run: what is damaged, of another run or in use is named."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
import torch

from tests.helpers.command_lines import TEXT, command_line, error_line, run
from utils.command import training_data
from utils.command.run_folder import load_trained_model
from utils.files import exclusive
from utils.training.distributed import STRATEGIES
from utils.training.sharding import supports_sharding

LINE = f"{command_line('lstmlm')} --out run"


@pytest.fixture(scope="module")
def trained_folder(tmp_path_factory):
    """The folder of a run of two steps, which no test changes."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("text").write_text(TEXT, encoding="utf-8")
        assert run(LINE) == 0
    return folder / "run"


@pytest.fixture
def finished_run(working_folder, trained_folder):
    """A copy of the folder of a finished run; the fixture is the command line that made it."""
    shutil.copytree(trained_folder, "run")
    return LINE


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x: [], "not the description of a run: expected a JSON object"),
        (lambda x: 3, "not the description of a run: expected a JSON object"),
        (lambda x: x | {"model": "foo"}, "is damaged: model is 'foo'; choose from nnlm"),
        (lambda x: x | {"model": ["gpt"]}, r"is damaged: model is \['gpt'\]"),
        (lambda x: x | {"vocab_size": "19"}, "is damaged: vocab_size is '19'"),
        (lambda x: x | {"model_options": None}, "is damaged: model_options is None"),
        (
            lambda x: x | {"model_options": x["model_options"] | {"size": 4}},
            "another version of the book: lstmlm has no option 'size'; choose from .*width",
        ),
        (lambda x: x | {"data": {}}, "is damaged: tokenizer is None; choose from characters"),
        (lambda x: x | {"seed": True}, "is damaged: seed is True"),
        (lambda x: x | {"other": 1}, "written by another version of the book"),
        (lambda x: x | {"tokenizer_checksum": None}, "is damaged: tokenizer_checksum is None"),
    ],
)
def test_a_damaged_description_is_refused(finished_run, change, message, capsys):
    path = Path("run/model.json")
    path.write_text(json.dumps(change(json.loads(path.read_text(encoding="utf-8")))))
    assert re.search(f"run/model.json .*{message}", error_line(finished_run, capsys))
    with pytest.raises(ValueError, match=message):
        load_trained_model("run")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"<!doctype html>"])
def test_a_description_that_is_not_json_is_refused(finished_run, content, capsys):
    Path("run/model.json").write_bytes(content)
    assert "run/model.json is not the description of a run" in error_line(finished_run, capsys)


def test_weights_of_another_run_or_damaged_ones_are_refused(finished_run):
    """A width in model.json that was changed, a tokenizer of another run, a flipped bit."""
    assert run(f"{command_line('lstmlm')} --out other --tokenizer words") == 0
    files = {name: Path("run", name) for name in ("model.json", "tokenizer.json")}
    content = {name: path.read_bytes() for name, path in files.items()}
    description = json.loads(content["model.json"])
    description["model_options"]["dropout"] = 0.1
    files["model.json"].write_text(json.dumps(description))
    with pytest.raises(ValueError, match=r"weights.safetensors does not belong to"):
        load_trained_model("run")
    files["model.json"].write_bytes(content["model.json"])
    other = training_data.CharTokenizer.train(["ab"])
    other.save(files["tokenizer.json"])
    with pytest.raises(ValueError, match=r"tokenizer.json is damaged or belongs to another run"):
        load_trained_model("run")
    files["tokenizer.json"].write_bytes(content["tokenizer.json"])
    load_trained_model("run")
    weights = bytearray(Path("run/weights.safetensors").read_bytes())
    weights[-1] ^= 1
    Path("run/weights.safetensors").write_bytes(weights)
    with pytest.raises(ValueError, match=r"weights.safetensors is damaged"):
        load_trained_model("run")


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace('"a"', '"c"', 1),  # one bit
        lambda text: text.replace('"a"', '"*"').replace('"b"', '"a"').replace('"*"', '"b"'),
        lambda text: f"{text} ",
        lambda text: "{",
    ],
    ids=["one bit", "two tokens swapped", "one more byte", "half"],
)
def test_a_damaged_tokenizer_is_refused(finished_run, damage, capsys):
    path = Path("run/tokenizer.json")
    content = path.read_bytes()
    path.write_text(damage(content.decode()), encoding="utf-8")
    assert path.read_bytes() != content
    message = "run/tokenizer.json is damaged or belongs to another run"
    assert message in error_line(finished_run, capsys)
    with pytest.raises(ValueError, match=message) as caught:
        load_trained_model("run")
    assert "\n" not in str(caught.value)


def test_a_vocabulary_of_another_size_than_the_tokenizers_is_refused(finished_run, capsys):
    path = Path("run/model.json")
    description = json.loads(path.read_text(encoding="utf-8"))
    description["vocab_size"] += 1
    path.write_text(json.dumps(description), encoding="utf-8")
    assert "model.json is damaged: vocab_size is" in error_line(finished_run, capsys)


@pytest.mark.parametrize(
    "message",
    [
        "run/tokenizer.json is missing: use a copy of it, or train again in another folder",
        "run/model.json is missing: expected the folder of a run",
    ],
)
def test_a_run_that_lacks_a_file_is_not_resumed(finished_run, capsys, message):
    Path(message.partition(" ")[0]).unlink()
    assert message in error_line(finished_run, capsys, expected_code=1)
    with pytest.raises(FileNotFoundError, match=message):
        load_trained_model("run")


def test_a_text_of_another_name_is_the_same_if_its_content_is(finished_run, capsys):
    """And the description stays, so that a call that is refused later changes nothing."""
    before = Path("run/model.json").read_bytes()
    shutil.copy("text", "copy")
    for name in ("./text", Path("text").resolve(), "copy"):
        assert run(finished_run.replace("--file text", f"--file {name}")) == 0
        assert "resumes from run" in capsys.readouterr().out
    assert Path("run/model.json").read_bytes() == before
    load_trained_model("run")
    Path("copy").write_text(TEXT.upper(), encoding="utf-8")
    line = error_line(finished_run.replace("--file text", "--file copy"), capsys)
    assert "run has a checkpoint of other data than copy (real) is now" in line
    line = error_line(finished_run.replace("--file text", ""), capsys)
    assert "checkpoint with file='text', not None" in line


def test_a_run_removes_what_killed_runs_left_in_its_folder(finished_run):
    def leave(name):
        folder = Path("run", f".{name}.12345678.unfinished")
        folder.mkdir()
        (folder / name).write_bytes(b"half")

    files = {path.name for path in Path("run").iterdir()}
    assert files >= {"model.json", "tokenizer.json", "checkpoint.safetensors"}
    for name in (*files, "own.txt"):
        leave(name)
    assert run(finished_run) == 0
    assert {x.name for x in Path("run").iterdir()} == {*files, ".own.txt.12345678.unfinished"}


def test_a_run_is_not_resumed_with_other_data(finished_run, capsys):
    Path("text").write_text(TEXT.replace("question", "answer..", 1), encoding="utf-8")
    line = error_line(finished_run, capsys)
    assert "run has a checkpoint of other data than text (real) is now" in line
    Path("text").write_text(TEXT, encoding="utf-8")
    assert run(finished_run) == 0


def test_a_folder_that_another_run_writes_is_refused(capsys):
    line = f"{command_line('lstmlm')} --out run"
    with exclusive(Path("run/run"), wait=False):
        assert "another run is writing to run" in error_line(line, capsys)
        assert [path.name for path in Path("run").iterdir()] == [".run.lock"]
    assert not Path("run").exists()
    assert run(line) == 0 and not list(Path("run").glob(".*"))


@pytest.mark.parametrize("option", ["--context-length 99999", "--label-smoothing 2"])
def test_a_command_that_is_refused_leaves_no_folder(option, capsys):
    error_line(f"{command_line('lstmlm')} --out new {option}", capsys)
    assert not Path("new").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_files_of_a_run_have_the_permissions_of_any_other_file(strategy):
    if not (strategy == "data" or supports_sharding(torch.device("cpu"))):
        pytest.skip("this torch shards on GPUs only")
    umask = os.umask(0o027)
    try:
        assert run(f"{command_line('lstmlm')} --out run --strategy {strategy}") == 0
    finally:
        os.umask(umask)
    paths = [Path("run"), *Path("run").rglob("*")]
    assert len(paths) >= 5
    for path in paths:
        assert path.stat().st_mode & 0o777 == (0o750 if path.is_dir() else 0o640), path


@pytest.mark.parametrize(
    "change, message",
    [
        ("--width 5", "checkpoint with width=4, not 5"),
        ("--dropout 0.1", "checkpoint with dropout=0.0, not 0.1"),
        ("--batch-size 6", "checkpoint with batch_size=4, not 6"),
        ("--seed 1", "checkpoint with seed=0, not 1"),
        ("--optimizer muon", "checkpoint with optimizer='adamw', not 'muon'"),
        ("--label-smoothing 0.1", "checkpoint with label_smoothing=0.0, not 0.1"),
        ("--strategy shard", "checkpoint with strategy='data', not 'shard'"),
        ("--learning-rate 0.5", "learning_rate=0.002, not 0.5"),
        ("--betas [0.5,0.9]", "betas=(0.9, 0.98), not (0.5, 0.9)"),
    ],
)
def test_a_folder_of_another_run_is_refused(finished_run, change, message, capsys):
    before = {path.name: path.read_bytes() for path in Path("run").iterdir()}
    assert message in error_line(f"{finished_run} {change}", capsys)
    assert {path.name: path.read_bytes() for path in Path("run").iterdir()} == before


def test_a_folder_of_another_model_is_refused(finished_run, capsys):
    line = error_line(f"{command_line('rnnlm')} --out run", capsys)
    assert "checkpoint with model='lstmlm', not 'rnnlm'" in line


def test_a_folder_of_another_version_of_the_book_is_refused(finished_run, capsys):
    path = Path("run/model.json")
    description = json.loads(path.read_text(encoding="utf-8"))
    del description["seed"]
    path.write_text(json.dumps(description), encoding="utf-8")
    assert "model.json was written by another version of the book" in error_line(
        finished_run, capsys
    )
    with pytest.raises(ValueError, match="train the model again"):
        load_trained_model("run")
