"""Files of results: what they say about a run, and that they are written completely."""

import json
import threading

import pytest
import torch

from benchmarks import record
from benchmarks.record import ROOT, Run, benchmark_parser, write_results


def test_the_results_of_a_benchmark_have_its_name():
    parser = benchmark_parser("loop", "A summary.\n\nDetails.")
    assert parser.description == "A summary."
    assert parser.parse_args([]).out == ROOT / "book" / "results" / "loop.json"


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
    with pytest.raises(ValueError, match=r"results.json is no file of results"):
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
    read_results = record._read_results

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
    monkeypatch.setattr(record, "_read_results", read_slowly)
    write({"a": 1})
    threads[0].join()
    assert json.loads(path.read_text()) == {"a": 1, "b": 2}


def test_a_machine_without_git_or_load_has_results_too(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delattr(record.os, "getloadavg", raising=False)
    provenance = Run.start("loop", []).provenance(seeds=[0], origin="real")
    assert provenance["commit"] is None and provenance["load"] is None
