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
import torch
from sacrebleu.metrics import BLEU

from tools.live.catalogue import (
    STORED_TRANSLATOR,
    TRANSLATOR,
    PageModel,
    load_corpus,
    page_model,
    page_translator,
    tokenizer_of,
    weights_checksum,
)
from tools.live.translation import BEAM, MAX_LENGTH
from utils.data.corpora import load_pairs
from utils.data.pair_batches import encode_pairs, pair_batch
from utils.decoding.beam_config import BeamConfig
from utils.decoding.scoring import token_log_probs
from utils.decoding.translation import translate
from utils.files import write_text_atomically
from utils.metrics.text import make_bleu_metric
from utils.models.stored import load_stored_model
from utils.models.stored_translator import Translator, load_stored_translator
from utils.notebook.claims.evaluation import ClaimSpec, evaluate_claim
from utils.training.evaluation import evaluate

RESULTS = Path(__file__).resolve().parents[2] / "book" / "results" / "live.json"
PAGE_ARM, STORED_ARM = "8-bit weights", "stored weights"
PART_TOKENS = 100  # of the validation text in one part

Rows = list[list[float]]  # one for each part or sentence


def ratio(sums: np.ndarray) -> float:
    """Return a loss per unit from the sums of losses and of units, (2,)."""
    return float(sums[0] / sums[1])


def bleu_of_counts(sums: np.ndarray) -> float:
    """Return BLEU from the summed counts of sentences, (10,)."""
    *ngrams, length, reference_length = (round(count) for count in sums.tolist())
    return BLEU.compute_bleu(
        ngrams[:4], ngrams[4:], length, reference_length, smooth_method="exp"
    ).score


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
BITS = ("loss", "bits per character", 0.005, ratio, TEXT)
NATS = ("loss", "nats per token", 0.01, ratio, CAPTIONS)
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


def losses_of_text(model: PageModel, name: str) -> Rows:
    """Return the loss in bits and the number of characters of each part of the validation text.

    Parameters
    ----------
    model
        A language model.
    name
        Its name.

    Returns
    -------
    rows : list
        Two numbers for each part.
    """
    tokenizer = tokenizer_of(name)
    ids = tokenizer.encode(load_corpus().valid)
    bits = -token_log_probs(model, torch.tensor(ids)) / np.log(2)
    rows = []
    for start in range(1, len(ids), PART_TOKENS):
        part = slice(start, start + PART_TOKENS)
        before, after = tokenizer.decode(ids[: part.start]), tokenizer.decode(ids[: part.stop])
        loss = float(bits[part.start - 1 : part.stop - 1].sum())
        rows.append([round(loss, 5), len(after) - len(before)])
    return rows


def losses_of_pairs(model: Translator) -> Rows:
    """Return the loss in nats and the number of tokens of each validation pair."""
    tokenizer, rows = tokenizer_of(TRANSLATOR), []
    for pair in encode_pairs(_captions(), tokenizer):
        result = evaluate(model, [pair_batch([pair])])
        rows.append([round(result.nll, 5), result.num_tokens])
    return rows


def counts_of_pairs(model: Translator, beam: BeamConfig | None) -> Rows:
    """Return BLEU's counts of each validation sentence: matches, n-grams and two lengths.

    Parameters
    ----------
    model
        A translator.
    beam
        Options of beam search; None for greedy search.

    Returns
    -------
    rows : list
        Ten whole numbers for each sentence.
    """
    sources, references = zip(*_captions(), strict=True)
    tokenizer = tokenizer_of(TRANSLATOR)
    answers = translate(model, sources, tokenizer, beam=beam, max_length=MAX_LENGTH)
    metric = make_bleu_metric(tokenize="13a", lowercase=False, effective_order=True)
    scores = (
        metric.sentence_score(*texts)
        for texts in zip(answers, ([r] for r in references), strict=True)
    )
    return [[*score.counts, *score.totals, score.sys_len, score.ref_len] for score in scores]


def _captions() -> Sequence[tuple[str, str]]:
    """Return the validation pairs."""
    corpus = load_pairs("multi30k", source_language="de", target_language="en")
    if corpus.origin != "real":
        raise OSError("the cost is measured on the real captions, which cannot be loaded here")
    return corpus.valid


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
