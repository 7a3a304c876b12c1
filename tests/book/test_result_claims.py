"""The claims of the results page: they read the stored figures, and one that fails is refused."""

import dataclasses

import pytest

from tools import claims_page, result_claims
from tools.result_claims import CLAIMS, ResultClaims, read_characters, read_record


def test_the_arms_are_the_stored_figures():
    ours, published = read_record().values()
    assert len(ours) >= 3 and set(published.values()) == {36.5}
    assert all(30 < score < 50 for score in ours.values())
    book, baseline = read_characters().values()
    assert list(book) == list(baseline) == [0, 1, 2]
    assert all(1 < loss < 2 for loss in (*book.values(), *baseline.values()))


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.label)
def test_a_claim_that_does_not_hold_stops_the_build(claim):
    assert claim.record()["comparisons"][0]["p"] < 0.05
    arms = claim.read()
    subject, other = arms
    swapped = {subject: arms[other], other: arms[subject]}
    wrong = dataclasses.replace(claim, read=lambda: swapped)
    with pytest.raises(ValueError, match=f"{claim.label} does not hold"):
        wrong.record()


def test_the_pages_show_each_claim_with_its_evidence(monkeypatch):
    lines = "\n".join(ResultClaims.__new__(ResultClaims).markdown())
    monkeypatch.setattr(claims_page, "page_names", lambda: ["book/results"])
    listed = "\n".join(claims_page.ClaimList.__new__(claims_page.ClaimList).markdown())
    assert listed.startswith("### Results")
    for claim in result_claims.CLAIMS:
        assert f"({claim.label})=\n{claim.sentence}" in lines and "paired t test" in lines
        assert f"<{claim.label}>" in listed and claim.sentence in listed
