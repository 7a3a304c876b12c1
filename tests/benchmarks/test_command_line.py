"""Command lines of the benchmarks: what is not a number of seeds ends the program at once."""

import importlib

import pytest

from benchmarks import command_line
from benchmarks.command_line import benchmark_parser
from benchmarks.result_files import ROOT


def test_the_results_of_a_benchmark_have_its_name():
    parser = benchmark_parser("loop", "A summary.\n\nDetails.")
    assert parser.description == "A summary."
    assert parser.parse_args([]).out == ROOT / "book" / "results" / "loop.json"


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "", "²"])
def test_a_number_of_seeds_that_is_not_positive_ends_the_program(text, capsys):
    parser = benchmark_parser("loop", "")
    parser.add_argument("--seeds", type=command_line.positive_integer)
    parser.add_argument("--first-seed", type=command_line.non_negative_integer)
    with pytest.raises(SystemExit) as stop:
        parser.parse_args([f"--seeds={text}"])
    assert stop.value.code == 2
    assert f"--seeds: expected a positive integer, got {text!r}" in capsys.readouterr().err
    assert parser.parse_args(["--seeds=2", "--first-seed=0"]).first_seed == 0


@pytest.mark.parametrize(
    "line",
    [
        "reviews --seeds 0",
        "reviews --folds 10",
        "loop --steps 0",
        "loop --rounds 1",
        "ladder --steps 0",
        "ladder --seeds -1",
        "translation bake-off --processes 0",
        "speech voices --seeds 0",
        "characters --book-steps 0",
        "optimization --seeds -1",
        "transformer --seeds -1",
        "generation --arms nosuch",
        "memory recall --arms nosuch",
        "optimization schedules --arms nosuch",
        "robustness --arms nosuch",
        "scaling balance --equal-seeds 0",
        "scaling grid --widths 0",
        "window --steps 0",
        "translation_speed training --rounds 1",
        "scaling --grid-seeds 0",
        "scaling --widths 6",
        "scaling --steps -1",
        "memory --seeds -1",
        "window --orders 1",
        "compression --seeds -1",
        "generation --seeds -1",
        "generation.controls --seeds -1",
        "robustness --seeds -1",
        "bottleneck --seeds -1",
        "interpretability --seeds -1",
    ],
)
def test_a_benchmark_refuses_an_empty_measurement(line, capsys, tmp_path):
    name, *arguments = line.split()
    module = importlib.import_module(f"benchmarks.{name}")
    if hasattr(module, "__path__"):
        module = importlib.import_module(f"benchmarks.{name}.__main__")
    with pytest.raises(SystemExit) as stop:
        module.main([*arguments, "--out", str(tmp_path / "results.json")])
    (option,) = [word for word in arguments if word.startswith("--")]
    assert stop.value.code == 2 and f"error: argument {option}: " in capsys.readouterr().err


PARTS = {"one": {"a": 1, "b": 2}, "two": {"b": 3, "c": 4}}


@pytest.fixture
def read():
    """Reads a command line with the options of many benchmarks."""

    def parse(line):
        parser = benchmark_parser("loop", "")
        command_line.add_parts(parser, PARTS)
        command_line.add_arms(parser)
        command_line.add_seeds(parser, range(2))
        options = parser.parse_args(line.split())
        return command_line.chosen_arms(parser, options, PARTS), options.seeds

    return parse


def test_parts_and_arms_are_chosen_by_name(read):
    assert read("") == (PARTS, [0, 1])
    assert read("two --seeds 7 0") == ({"two": {"b": 3, "c": 4}}, [7, 0])
    assert read("--arms b") == ({"one": {"b": 2}, "two": {"b": 3}}, [0, 1])
    assert read("two one --arms c") == ({"two": {"c": 4}, "one": {}}, [0, 1])


@pytest.mark.parametrize(
    "line, message",
    [
        ("three", "no part three; there are one, two"),
        ("--arms a d", "argument --arms: no arm d; there are a, b, c"),
        ("two --arms a", "argument --arms: no arm a; there are b, c"),
        ("--seeds -1", "argument --seeds: expected a non-negative integer, got '-1'"),
    ],
)
def test_a_misspelt_part_or_arm_ends_the_program(read, line, message, capsys):
    """An arm that no part has was ignored: the program ended well and had measured nothing."""
    with pytest.raises(SystemExit) as stop:
        read(line)
    assert stop.value.code == 2 and message in capsys.readouterr().err


def test_some_parts_may_run_only_where_they_are_named():
    parser = benchmark_parser("loop", "")
    command_line.add_parts(parser, PARTS, default=("one",))
    assert parser.parse_args([]).parts == ["one"]
    assert parser.parse_args(["two"]).parts == ["two"]


def test_no_benchmark_reads_any_integer():
    """A negative seed or number of steps was an error after the data, or after a measurement."""
    for path in (ROOT / "benchmarks").rglob("*.py"):
        assert "type=int," not in path.read_text(encoding="utf-8"), path


def test_results_go_to_a_file_or_the_program_ends_before_it_measures(tmp_path, capsys):
    """The name of a folder was an error after the measurement, or a traceback."""
    parser = benchmark_parser("loop", "")
    file = tmp_path / "file"
    file.write_text("{}")
    for path in (file, tmp_path / "new", tmp_path / "new" / "file"):
        assert parser.parse_args(["--out", str(path)]).out == path
    for text in ("", str(tmp_path), str(file / "below")):
        with pytest.raises(SystemExit) as stop:
            parser.parse_args(["--out", text])
        assert stop.value.code == 2
        assert f"--out: expected the name of a file, got {text!r}" in capsys.readouterr().err


def test_models_go_to_a_folder(tmp_path, capsys):
    parser = benchmark_parser("stored_models", "", folder=tmp_path)
    assert parser.parse_args([]).out == tmp_path
    file = tmp_path / "file"
    file.write_text("{}")
    for path in (tmp_path, tmp_path / "new" / "folder"):
        assert parser.parse_args(["--out", str(path)]).out == path
    for path in (file, file / "below"):
        with pytest.raises(SystemExit) as stop:
            parser.parse_args(["--out", str(path)])
        assert stop.value.code == 2
        assert f"--out: expected the name of a folder, got {str(path)!r}" in capsys.readouterr().err


@pytest.mark.parametrize("folder", [None, ROOT])
def test_a_name_that_is_too_long_ends_the_program_in_one_line(folder, capsys):
    with pytest.raises(SystemExit) as stop:
        benchmark_parser("loop", "", folder=folder).parse_args(["--out", "x" * 300])
    assert stop.value.code == 2
    assert "argument --out: expected the name of a f" in capsys.readouterr().err
