"""Files of results: their provenance, and that they are written completely."""

import json
import subprocess
import sys
import threading
from functools import cache

import numpy as np
import pytest
import torch

from benchmarks import result_files
from benchmarks.code_version import code_version
from benchmarks.result_files import ROOT, Run, SeedRows, write_results
from utils.notebook.seed_results import StoredRow


@pytest.mark.parametrize("out", [["--out=x/y.json"], ["--out", "x/y.json"], []])
def test_the_command_is_stored_without_the_file(out):
    run = Run.start("ladder", ["--seeds", "0", "1", *out, "--units", "two words"])
    assert run.command == "python -m benchmarks.ladder --seeds 0 1 --units 'two words'"


def test_provenance_is_that_of_the_start():
    run = Run("loop", ("--rounds", "2"), "abc", start_time=0.0)
    provenance = run.provenance(seeds=range(2), origin="stand-in", scipy="1.0")
    assert provenance["command"] == "python -m benchmarks.loop --rounds 2"
    assert (provenance["commit"], provenance["seeds"]) == ("abc", [0, 1])
    assert (provenance["origin"], provenance["scipy"]) == ("stand-in", "1.0")
    assert provenance["torch"] == torch.__version__
    later = run.restarted()
    assert later.commit == run.commit and later.start_time > run.start_time
    assert later.provenance(seeds=[0], origin="real")["seconds"] == 0


def test_other_parts_of_a_file_stay_if_asked_for(tmp_path):
    path = tmp_path / "new" / "results.json"
    write_results(path, {"a": 1, "b": 2})
    write_results(path, {"b": 3}, keep_others=True)
    assert json.loads(path.read_text()) == {"a": 1, "b": 3}
    write_results(path, {"c": "–"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"c": "–"}


def test_results_that_json_cannot_hold_leave_the_file_as_it_was(tmp_path):
    path = tmp_path / "results.json"
    write_results(path, {"a": 1})
    with pytest.raises(TypeError, match="Tensor"):
        write_results(path, {"a": torch.ones(1)})
    assert json.loads(path.read_text()) == {"a": 1}


@pytest.mark.parametrize("content", ["{", "[]", "<!doctype html>"])
def test_a_file_that_holds_no_results_is_named_and_the_new_ones_are_not_lost(
    tmp_path, capsys, content
):
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"results.json is not a file of results"):
        write_results(path, {"a": 1}, keep_others=True)
    assert path.read_text() == content and list(tmp_path.iterdir()) == [path]
    assert json.loads(capsys.readouterr().out) == {"a": 1}


def test_results_that_cannot_be_written_are_printed(tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        write_results(tmp_path / "file" / "results.json", {"a": 1})
    assert json.loads(capsys.readouterr().out) == {"a": 1}


def test_two_benchmarks_that_end_at_a_time_keep_each_others_parts(tmp_path, monkeypatch):
    """The second waits until the first has written what it read."""
    path, threads = tmp_path / "results.json", []
    read_results = result_files._read_results

    def read_slowly(path):
        results = read_results(path)
        if not threads:
            threads.append(threading.Thread(target=write, args=({"b": 2},)))
            threads[0].start()
            threads[0].join(0.3)
        return results

    def write(results):
        write_results(path, results, keep_others=True)

    write({})
    monkeypatch.setattr(result_files, "_read_results", read_slowly)
    write({"a": 1})
    threads[0].join()
    assert json.loads(path.read_text()) == {"a": 1, "b": 2}


def test_a_machine_without_git_or_load_has_results_too(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delattr(result_files.os, "getloadavg", raising=False)
    provenance = Run.start("loop", []).provenance(seeds=[0], origin="real")
    assert provenance["commit"] is None and provenance["load"] is None


@pytest.fixture(scope="module", autouse=True)
def one_code_version():
    """The version of the code, computed once, as it parses much of the library."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(result_files, "code_version", cache(code_version))
        yield


SETTINGS = {"optimizer": "AdamW", "learning_rate": 0.1, "grid": (0.1, 0.3), "steps": 5}
COSTS = {"parameters": 7, "tokens": 50, "processor_seconds": 0.1}


def seed_rows(path, *, part="words", origin="real", code=None):
    rows = SeedRows(path, Run.start("loop", ["--rounds", "2"]), part=part, origin=origin)
    rows._code = code or rows._code
    return rows


def run_seeds(rows, seeds, *, arm="LSTM", settings=SETTINGS, stop=None):
    """A benchmark's loop over seeds; returns those that it ran."""
    done = []
    for seed in rows.missing(arm, seeds, settings):
        if seed == stop:
            raise KeyboardInterrupt
        figures = {"loss": 1.0 + seed, "curve": [3, 2]}
        rows.write(arm, seed, figures=figures, settings=settings, costs=COSTS)
        done.append(seed)
    return done


def read_rows(path):
    return [StoredRow.from_stored(entry) for entry in json.loads(path.read_text())["rows"]]


def test_a_run_that_was_stopped_goes_on_where_it_stopped(tmp_path, capsys):
    path = tmp_path / "new" / "results.json"
    with pytest.raises(KeyboardInterrupt):
        run_seeds(seed_rows(path), range(4), stop=2)
    assert [row.seed for row in read_rows(path)] == [0, 1]
    assert run_seeds(seed_rows(path), range(4)) == [2, 3]
    assert "words/LSTM, seed 1: is in results.json" in capsys.readouterr().out
    assert run_seeds(seed_rows(path), range(4)) == []
    row = read_rows(path)[3]
    assert (row.part, row.arm, row.seed) == row.key == ("words", "LSTM", 3)
    assert row.figures == {"loss": 4.0, "curve": [3, 2]} and row.costs == COSTS
    assert row.settings == SETTINGS | {"grid": [0.1, 0.3]}
    assert row.code == code_version("benchmarks.loop")
    assert row.provenance["command"] == "python -m benchmarks.loop --rounds 2"
    assert row.provenance["seeds"] == [3] and row.provenance["origin"] == "real"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "rows, settings",
    [
        ({"code": "older"}, {}),
        ({"origin": "stand-in"}, {}),
        ({}, {"steps": 6}),
        ({}, {"learning_rate": 0.3}),
    ],
)
def test_rows_of_other_code_settings_or_data_are_run_again(tmp_path, rows, settings):
    path = tmp_path / "results.json"
    run_seeds(seed_rows(path, **rows), range(2), settings=SETTINGS | settings)
    assert run_seeds(seed_rows(path), range(3)) == [0, 1, 2]
    assert [row.seed for row in read_rows(path)] == [0, 1, 2], "one row for each seed"
    assert {row.code for row in read_rows(path)} == {code_version("benchmarks.loop")}


def test_figures_of_a_run_are_read_again(tmp_path):
    path = tmp_path / "results.json"
    run_seeds(seed_rows(path), [2])
    assert seed_rows(path).figures("LSTM", 2) == {"loss": 3.0, "curve": [3, 2]}
    with pytest.raises(KeyError):
        seed_rows(path).figures("LSTM", 3)
    with pytest.raises(KeyError):
        seed_rows(path, part="characters").figures("LSTM", 2)


def test_rows_of_other_arms_parts_and_forms_stay(tmp_path):
    path = tmp_path / "results.json"
    write_results(path, {"old": {"loss": 1}})
    for part, arm in (("words", "RNN"), ("words", "LSTM"), ("characters", "LSTM")):
        assert run_seeds(seed_rows(path, part=part), [1, 0], arm=arm) == [1, 0]
    assert json.loads(path.read_text())["old"] == {"loss": 1}
    keys = [row.key for row in read_rows(path)]
    assert len(keys) == 6 and keys == sorted(keys)
    write_results(path, {"old": {"loss": 2}}, keep_others=True)
    assert len(read_rows(path)) == 6


def test_two_runs_at_once_lose_no_row_and_share_the_work(tmp_path):
    path = tmp_path / "results.json"
    first, second = seed_rows(path), seed_rows(path)
    seeds = first.missing("LSTM", range(3), SETTINGS)
    assert next(seeds) == 0
    assert run_seeds(second, [1, 2]) == [1, 2]
    first.write("LSTM", 0, figures={"loss": 0}, settings=SETTINGS, costs=COSTS)
    assert list(seeds) == [], "the other run has written these meanwhile"
    assert [row.seed for row in read_rows(path)] == [0, 1, 2]


WRITER = """
import sys
from pathlib import Path
from tests.benchmarks.test_result_files import run_seeds, seed_rows
rows = seed_rows(Path(sys.argv[1]), part=sys.argv[2])
run_seeds(rows, range(12))
"""


def test_processes_that_write_at_once_lose_no_row(tmp_path):
    path = tmp_path / "results.json"
    commands = [[sys.executable, "-c", WRITER, str(path), part] for part in ("a", "b")]
    processes = [subprocess.Popen(command, cwd=ROOT) for command in commands]
    assert [process.wait() for process in processes] == [0, 0]
    assert [row.key for row in read_rows(path)] == [
        (part, "LSTM", seed) for part in "ab" for seed in range(12)
    ]


def test_numbers_of_numpy_are_stored_as_pythons(tmp_path):
    path = tmp_path / "results.json"
    figures = {"a": np.int64(3), "b": np.float32(0.5), "c": np.arange(2), "d": np.bool_(True)}
    settings = SETTINGS | {"steps": np.int64(5)}
    rows = seed_rows(path)
    rows.write("LSTM", 0, figures=figures, settings=settings, costs=COSTS)
    ((row,),) = [json.loads(path.read_text())["rows"]]
    assert row["figures"] == {"a": 3, "b": 0.5, "c": [0, 1], "d": True}
    assert list(rows.missing("LSTM", [0, 1], settings)) == [1]


@pytest.mark.parametrize("value, error", [(float("nan"), ValueError), ({1}, TypeError)])
def test_a_figure_that_json_cannot_hold_is_printed_and_not_stored(tmp_path, capsys, value, error):
    path = tmp_path / "results.json"
    with pytest.raises(error):
        seed_rows(path).write("LSTM", 0, figures={"x": value}, settings=SETTINGS, costs=COSTS)
    assert '"x": ' in capsys.readouterr().out and not path.exists()
    with pytest.raises(error):
        write_results(path, {"x": value})
    assert '"x": ' in capsys.readouterr().out and not path.exists()


def test_a_row_that_cannot_be_written_is_printed(tmp_path, capsys):
    path = tmp_path / "results.json"
    rows = seed_rows(path)
    with pytest.raises(ValueError, match="the costs of words/LSTM lack tokens"):
        rows.write("LSTM", 0, figures={"loss": 1.5}, settings=SETTINGS, costs={"parameters": 1})
    assert '"loss": 1.5' in capsys.readouterr().out and not path.exists()
    path.write_text("{")
    with pytest.raises(ValueError, match="is not a file of results"):
        rows.write("LSTM", 0, figures={"loss": 1.5}, settings=SETTINGS, costs=COSTS)
    assert '"loss": 1.5' in capsys.readouterr().out and path.read_text() == "{"
