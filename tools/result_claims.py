"""The claims of the results page: figures of this book with seeds, beside others, each tested.

The directive ``result-claims`` shows them; a build fails where one does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from tools.book_facts import read_json
from tools.contents import ROOT
from tools.directives import GeneratedDirective
from tools.evidence_lines import claim_block
from utils.notebook.claims.claim import Expected
from utils.notebook.claims.evaluation import ClaimSpec, evaluate_claim
from utils.notebook.results import ROWS

RESULTS, PUBLISHED = ROOT / "book" / "results", ROOT / "book" / "published.json"
FILES = [PUBLISHED, RESULTS / "records.json", RESULTS / "characters.json"]
PAGE = "book/results"
PART, ARM = "Multi30k, German to English", "Transformer, 4,500 steps"
FIGURE = "test_2016_flickr, greedy, BLEU, lower-cased"


@dataclass(frozen=True)
class ResultClaim:
    """A comparison of the results page.

    Parameters
    ----------
    label
        The claim's label.
    expected
        How the first arm compares with the other.
    read
        Reads the arms: for each seed a value.
    unit
        The unit of the values.
    differs, shared
        What is different in the arms, and what is the same.
    sentence
        The claim in words.
    """

    label: str
    expected: Expected
    read: Callable[[], Mapping[str, Mapping[int, float]]]
    unit: str
    differs: str
    shared: str
    sentence: str

    def record(self) -> dict[str, Any]:
        """Test the claim, and return what ``check.claim`` would store.

        Raises
        ------
        ValueError
            If it does not hold.
        """
        arms = self.read()
        seeds = sorted(set.intersection(*(set(by_seed) for by_seed in arms.values())))
        values = {arm: [by_seed[seed] for seed in seeds] for arm, by_seed in arms.items()}
        spec = ClaimSpec(self.label, self.expected)
        context = {"shared": self.shared, "differs": self.differs}
        claim = evaluate_claim(spec, values, seeds=seeds, unit=self.unit, context=context)
        record: dict[str, Any] = claim.record()
        if not record["holds"]:
            raise ValueError(f"{self.label} does not hold: {values}")
        return record


def read_record() -> dict[str, dict[int, float]]:
    """Return the BLEU of each seed of the record, and the published one beside each."""
    rows = read_json(RESULTS / "records.json")[ROWS]
    ours = {
        row["seed"]: row["figures"][FIGURE]
        for row in rows
        if (row["part"], row["arm"]) == (PART, ARM)
    }
    (published,) = (
        float(entry["value"])
        for entry in read_json(PUBLISHED)
        if entry["model"] == "Transformer" and entry["task"].startswith(PART)
    )
    return {"this book's Transformer": ours, "the published one": dict.fromkeys(ours, published)}


def read_characters() -> dict[str, dict[int, float]]:
    """Return the last loss of both recipes for a small GPT, for each seed."""
    content = read_json(RESULTS / "characters.json")["comparison"]
    seeds = content["provenance"]["seeds"]
    runs = dict(zip(seeds, content["runs"], strict=True))
    return {
        name: {seed: run[recipe]["losses"][-1] for seed, run in runs.items()}
        for name, recipe in (("this book's recipe", "book"), ("nanoGPT's recipe", "baseline"))
    }


CLAIMS: Sequence[ResultClaim] = (
    ResultClaim(
        "claim-record-transformer",
        "higher",
        read_record,
        "BLEU",
        "architecture, recipe and length of the training",
        "the training pairs and the test of 2016, greedy search, lower-cased BLEU",
        "Trained for 4,500 steps on one thread of a processor, the book's Transformer of "
        "1.8 million parameters has a higher BLEU from German to English than the published "
        "Transformer of the tutorial, trained for ten epochs on a GPU.",
    ),
    ResultClaim(
        "claim-record-characters",
        "lower",
        read_characters,
        "nats per character",
        "positions, optimizer, norms, activation and rate",
        "text, split, width, number of layers and about the time of the processor",
        "In about the same time on a processor, the book's recipe for a small GPT on characters "
        "ends with a lower validation loss than the recipe of nanoGPT.",
    ),
)


class ResultClaims(GeneratedDirective):
    """The claims, each with its evidence."""

    def messages(self) -> list[str]:
        """Return the claims in words."""
        return [claim.sentence for claim in CLAIMS]

    def files(self) -> list[Path]:
        """Return the files of the figures."""
        return FILES

    def markdown(self) -> Iterator[str]:
        """Yield the claims."""
        for claim in CLAIMS:
            yield from claim_block(claim.label, claim.sentence, PAGE, claim.record())


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive; Sphinx calls this."""
    app.add_directive("result-claims", ResultClaims)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
