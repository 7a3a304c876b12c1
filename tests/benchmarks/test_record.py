"""Files of results: what they say about a run, and that they are written completely."""

import json

import pytest
import torch

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
