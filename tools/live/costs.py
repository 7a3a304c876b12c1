"""What 8-bit weights cost: claims about the networks in the pages, each able to fail.

``python -m tools.live costs`` measures each network on validation data with the weights as the book
stores them and with those of the page, part by part, and writes the parts with the tests on them
into book/results/live.json. A claim says that the difference is below a margin, which was fixed
before the measurement.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tools.live.catalogue import (
    CLASSIFIERS,
    STORED_TRANSLATOR,
    TRANSLATOR,
    page_classifier,
    page_model,
    page_translator,
    weights_checksum,
)
from tools.live.measures import (
    Rows,
    bleu_of_counts,
    counts_of_pairs,
    losses_of_pairs,
    losses_of_reviews,
    losses_of_text,
    ratio,
)
from tools.live.translation import BEAM
from utils.files import write_text_atomically
from utils.models.stored import load_stored_model
from utils.models.stored_classifier import load_stored_classifier
from utils.models.stored_translator import load_stored_translator
from utils.notebook.claims.evaluation import ClaimSpec, evaluate_claim

RESULTS = Path(__file__).resolve().parents[2] / "book" / "results" / "live.json"
PAGE_ARM, STORED_ARM = "8-bit weights", "stored weights"


@dataclass(frozen=True)
class Cost:
    """What rounding the weights of a network costs in one measure, as a claim.

    Parameters
    ----------
    label
        The claim's label.
    model
        The network's name in the pages.
    measure
        The name of its measure in the table.
    unit
        The measure's unit.
    margin
        The largest difference that counts as none.
    statistic
        Computes the measure from the sum of the rows.
    shared
        The data.
    sentence
        The claim in words.
    """

    label: str
    model: str
    measure: str
    unit: str
    margin: float
    statistic: Callable[[np.ndarray], float]
    shared: str
    sentence: str


TEXT, CAPTIONS = "the validation text of Tiny Shakespeare", "the validation captions of Multi30k"
REVIEWS = "the validation sentences of the film reviews"
BITS = ("loss", "bits per character", 0.005, ratio, TEXT)
NATS = ("loss", "nats per token", 0.01, ratio, CAPTIONS)
VERDICT = ("loss", "nats per sentence", 0.01, ratio, REVIEWS)
COSTS = (
    Cost(
        "claim-live-gpt",
        "gpt-pieces",
        *BITS,
        "Rounded to eight bits, the GPT of the page has the same loss to within 0.005 bits per "
        "character.",
    ),
    Cost(
        "claim-live-lstm",
        "lstm-pieces",
        *BITS,
        "Rounded to eight bits, the LSTM of the page has the same loss to within 0.005 bits per "
        "character.",
    ),
    Cost(
        "claim-live-translator",
        TRANSLATOR,
        *NATS,
        "Rounded to eight bits, the translator of the page has the same loss to within 0.01 nats "
        "per token.",
    ),
    Cost(
        "claim-live-greedy",
        TRANSLATOR,
        "BLEU, greedy search",
        "BLEU",
        0.5,
        bleu_of_counts,
        CAPTIONS,
        "Rounded to eight bits, the translator of the page has the same BLEU by greedy search to "
        "within half a point.",
    ),
    Cost(
        "claim-live-beam",
        TRANSLATOR,
        "BLEU, beam of 5",
        "BLEU",
        0.5,
        bleu_of_counts,
        CAPTIONS,
        "Rounded to eight bits, the translator of the page has the same BLEU by beam search to "
        "within half a point.",
    ),
    Cost(
        "claim-live-cnn",
        "sentiment-cnn",
        *VERDICT,
        "Rounded to eight bits, the CNN of the page has the same loss to within 0.01 nats per "
        "sentence.",
    ),
    Cost(
        "claim-live-gru",
        "sentiment-gru",
        *VERDICT,
        "Rounded to eight bits, the GRU of the page has the same loss to within 0.01 nats per "
        "sentence.",
    ),
)


def measure(cost: Cost) -> dict[str, Rows]:
    """Measure a network with both weights.

    Parameters
    ----------
    cost
        What to measure.

    Returns
    -------
    arms : dict of str to list
        The rows of the page's weights and of the stored ones.
    """
    if cost.model in CLASSIFIERS:
        classifier = load_stored_classifier(cost.model).model
        judges = {PAGE_ARM: page_classifier(cost.model), STORED_ARM: classifier}
        return {arm: losses_of_reviews(model, cost.model) for arm, model in judges.items()}
    if cost.model != TRANSLATOR:
        model = load_stored_model(cost.model).model
        arms = {PAGE_ARM: page_model(cost.model), STORED_ARM: model}
        return {arm: losses_of_text(model, cost.model) for arm, model in arms.items()}
    stored = load_stored_translator(STORED_TRANSLATOR).model
    translators = {PAGE_ARM: page_translator(), STORED_ARM: stored}
    if cost.statistic is ratio:
        return {arm: losses_of_pairs(model) for arm, model in translators.items()}
    beam = BEAM if "beam" in cost.measure else None
    return {arm: counts_of_pairs(model, beam) for arm, model in translators.items()}


def tested_record(cost: Cost, arms: Mapping[str, Rows]) -> dict[str, Any]:
    """Test a claim.

    Parameters
    ----------
    cost
        What is claimed.
    arms
        The rows of both arms.

    Returns
    -------
    record : dict
        What ``check.claim`` stores, and the measure of each arm as "values".
    """
    spec = ClaimSpec(
        cost.label, "no difference", cost.margin, "items", "resampling", cost.statistic
    )
    arrays = {arm: np.array(rows) for arm, rows in arms.items()}
    context = {"shared": f"the network and {cost.shared}", "differs": "the weights"}
    claim = evaluate_claim(spec, arrays, seeds=None, unit=cost.unit, context=context)
    values = {arm: cost.statistic(array.sum(0)) for arm, array in arrays.items()}
    return {**claim.record(), "values": values}


def write_costs(names: Sequence[str] = (), path: Path = RESULTS) -> None:
    """Measure and test what the weights of networks cost, and write it.

    Parameters
    ----------
    names
        Networks of the page; none for all. What the file has of others stays.
    path
        The file.
    """
    entries = read_costs(path)
    for cost in COSTS:
        if names and cost.model not in names:
            continue
        arms = measure(cost)
        record = tested_record(cost, arms)
        name = STORED_TRANSLATOR if cost.model == TRANSLATOR else cost.model
        checksum = weights_checksum(name)
        entries[cost.label] = {"record": record, "weights_sha256": checksum, "rows": arms}
        verdict = "holds" if record["holds"] else "does not hold"
        print(cost.label, record["values"], verdict, flush=True)
        ordered = [entries[cost.label] for cost in COSTS if cost.label in entries]
        text = json.dumps({"costs": ordered}, ensure_ascii=False, separators=(",", ":"))
        write_text_atomically(path, text.replace('{"record"', '\n{"record"') + "\n")


def read_costs(path: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """Return what `write_costs` wrote about each claim, by label; nothing without a file."""
    if not path.is_file():
        return {}
    entries = json.loads(path.read_text(encoding="utf-8"))["costs"]
    return {entry["record"]["label"]: entry for entry in entries}
