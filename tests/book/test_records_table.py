"""The table of records: what it shows is what the rows hold."""

import json

import pytest

from tools import records_table
from tools.book_facts import read_json
from tools.contents import ROOT
from tools.records_table import arm_table, record_lines, record_result
from tools.results_page import measured_results

PART, ARM = "Multi30k, German to English", "Transformer, 9 steps"
SETTINGS = {
    "optimizer": "Muon",
    "learning_rate": 0.008,
    "grid": [0.004, 0.008, 0.016],
    "steps": 9,
    "trial steps": 600,
    "positions": "rotary",
    "dropout": 0.2,
    "beam": 5,
    "rankings": ["length penalty 1", "bonus 0.4"],
}


def row(seed, *, part=PART, lower=38.0, ranking="bonus 0.4"):
    figures = {"validation loss (nats per token)": 1.5 + seed / 10, "ranking": ranking}
    for search in ("greedy", "beam"):
        scores = {"BLEU, lower-cased": lower + seed, "BLEU, cased": 37.0, "chrF": 60.0}
        for score, value in scores.items():
            figures[f"test_2016_flickr, {search}, {score}"] = value
    costs = {"parameters": 1829536, "tokens": 5, "processor_seconds": 120.0, "threads": 1}
    names = {"part": part, "arm": ARM, "seed": seed, "code": "a", "provenance": {}}
    return {**names, "figures": figures, "settings": SETTINGS, "costs": costs}


def test_a_record_shows_its_costs_its_choices_and_its_scores():
    rows = [row(0), row(1, ranking="length penalty 1"), row(100, part=f"{PART}, trials")]
    heading, _, costs, choice, _, *lines = record_lines(rows)
    assert heading == f"### {PART}: {ARM}"
    assert costs == (
        "1,829,536 parameters; threads 1, 2 minutes of the processor for each seed; seeds 0, 1; "
        "validation loss 1.55 ± 0.071 (2 runs) nats per token."
    )
    assert "Muon at the rate 0.008, chosen from 0.004, 0.008, 0.016 by trials of 600" in choice
    assert "*bonus 0.4* (1), *length penalty 1* (1)" in choice
    assert lines[2:4] == [
        f"| test 2016 flickr, {search} | 38.5 ± 0.71 (2 runs) | 37 | 60 |"
        for search in ("greedy", "beam")
    ]


def test_trials_alone_show_nothing():
    assert list(record_lines([row(100, part=f"{PART}, trials")])) == []


def test_a_record_stands_beside_a_published_figure_once_it_is_measured(monkeypatch, tmp_path):
    path = tmp_path / "records.json"
    monkeypatch.setattr(records_table, "RECORDS", path)
    figure = "test_2016_flickr, greedy, BLEU, lower-cased"
    assert list(record_result(PART, ARM, figure)) == []
    path.write_text(json.dumps({"rows": [row(0), row(2), row(1, part="another")]}))
    (text,) = measured_results([{"record": PART, "arm": ARM, "figure": figure}])
    assert text == "[Transformer, 9 steps](#how-far-one-thread-comes) 39 ± 1.4 (2 runs)"
    assert list(record_result(PART, "none", figure)) == []


@pytest.mark.parametrize("name", ["LSTM + attention", None])
def test_a_row_named_after_minutes_is_shown_by_its_steps(name):
    reference = {"benchmark": "translation", "row": "five minutes", "column": "test/greedy/bleu"}
    (text,) = measured_results([reference | ({"name": name} if name else {})])
    assert text.startswith(f"[{name or 'five minutes'}, 1,650 steps](#translation) 3")


def test_every_row_of_the_published_table_says_how_ours_was_measured():
    entries = read_json(ROOT / "book" / "published.json")
    assert all(entry["how"] and entry["ours how"] for entry in entries)
    for task in {entry["task"] for entry in entries}:
        assert len({e["ours how"] for e in entries if e["task"] == task}) == 1, task
    shown = [text for entry in entries for text in measured_results(entry["ours"])]
    assert not any("minutes" in text for text in shown)


def test_arms_of_a_part_stand_by_size_with_the_means_of_their_seeds():
    def stored(arm, seed, size, **figures):
        costs = {"parameters": size, "processor_seconds": 2.0 + seed}
        return {"arm": arm, "seed": seed, "figures": figures, "costs": costs}

    rows = [stored("LSTM", seed, 50_000, loss=1.0 + seed, mixture=0.5) for seed in (0, 1)]
    lines = arm_table([*rows, stored("2-gram", 0, 1_447, loss=2.5)], ["loss", "mixture"])
    assert lines[0] == "| run | stored numbers | processor seconds | loss | mixture |"
    assert lines[2:] == [
        "| 2-gram | 1,447 | 2.0 | 2.5 |  |",
        "| LSTM | 50,000 | 2.5 | 1.5 ± 0.71 (2 runs) | 0.5 |",
    ]
