"""The evidence of the notebooks: sides of equations, sentences of claims, linked summaries."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from tools.claims_page import (
    LIVE_PAGE,
    ClaimEntry,
    ClaimList,
    claim_lines,
    read_claims,
    read_sentences,
)
from tools.contents import page_names
from tools.live.costs import COSTS
from utils.notebook.cell_output import CLAIM_KEY
from utils.notebook.check import SIDES

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def calls(code, function):
    """The calls of a function, such as check.equation, in a cell."""
    lines = [line for line in code.splitlines() if line[:1] not in "%!"]
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == function:
            yield node


def calls_in(notebook, function):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [call for cell in cells for call in calls(cell.source, function)]


def prose(notebook):
    cells = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    return "\n\n".join(cell.source for cell in cells)


def summary_points(text):
    """The points of the list in the section "Summary"."""
    section = re.split(r"^## ", text.partition("\n## Summary\n")[2], flags=re.MULTILINE)[0]
    return re.findall(r"^- ((?:.+\n?)(?:^  .+\n?)*)", section, re.MULTILINE)


def claim_links(text):
    """The labels of the claims that a text links."""
    return set(re.findall(r"\]\(#(claim-[\w-]+)\)", text))


def has_names(call):
    return len(call.args) == 1 and len({key.arg for key in call.keywords} & SIDES.keys()) == 2


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


def test_a_notebook_names_the_sides_of_its_equations(path, notebook):
    nameless = [
        ast.unparse(call.args[0])
        for call in calls_in(notebook, "check.equation")
        if not has_names(call)
    ]
    assert not nameless, f"{path.stem}: these need two sides with names of {list(SIDES)}"


def test_each_claim_has_its_sentence_and_its_place_in_the_summary(path, notebook):
    labels = {ast.literal_eval(call.args[0]) for call in calls_in(notebook, "check.claim")}
    text = prose(notebook)
    sentences = read_sentences(text)
    assert sentences.keys() == labels
    for label, sentence in sentences.items():
        assert "](" not in sentence, f"{label}: the page of claims quotes it, without links"
    links = claim_links(text)
    assert links <= labels, "links to claims that the page does not make"
    summary = claim_links(" ".join(summary_points(text)))
    assert summary == labels, "each claim is linked from a point of the summary"


def test_each_point_of_a_summary_leads_to_an_equation_or_a_claim(path, notebook):
    points = summary_points(prose(notebook))
    assert points
    for point in points:
        assert "{eq}`" in point or claim_links(point), f"neither equation nor claim: {point}"


def test_labels_of_claims_are_unique_in_the_book():
    labels = [
        ast.literal_eval(call.args[0])
        for path in NOTEBOOKS
        for call in calls_in(nbformat.read(path, as_version=4), "check.claim")
    ]
    assert len(set(labels)) == len(labels)


def test_claims_that_pages_refer_to_exist():
    texts = {path: prose(nbformat.read(path, as_version=4)) for path in NOTEBOOKS}
    texts |= {path: path.read_text(encoding="utf-8") for path in (ROOT / "book").glob("*.md")}
    labels = {path: set(re.findall(r"\((claim-[\w-]+)\)=", text)) for path, text in texts.items()}
    generated = [ROOT / "tools" / name for name in ("result_claims.py", "live/costs.py")]
    known = set().union(*labels.values())
    known |= {name for path in generated for name in re.findall(r"claim-[\w-]+", path.read_text())}
    for path, text in texts.items():
        assert set(re.findall(r"\{ref\}`[^`]*<(claim-[\w-]+)>`", text)) <= known, path.name
        assert claim_links(text) <= labels[path], path.name
        assert not re.search(r"\.(?:ipynb|md)#claim-", text), f"{path.name}: use {{ref}}"


def test_calls_with_and_without_names_are_told_apart():
    code = """
check.equation("eq-a", left, right)
check.equation("eq-a", loops=left, torch=right, tolerance=1e-5, reason="float32")
check.equation("eq-a", *both)
check.equation("eq-a", loops=left, right=right)
"""
    assert [has_names(call) for call in calls(code, "check.equation")] == [
        False,
        True,
        False,
        False,
    ]


RECORD = {
    "label": "claim-a",
    "kind": "lower",
    "unit": "nats",
    "threshold": None,
    "comparisons": [
        {
            "subject": "A",
            "other": "B",
            "effect": -0.1,
            "interval": None,
            "level": 0.95,
            "spread": None,
            "p": 0.01,
            "test": "paired t test",
        }
    ],
    "over": "seeds",
    "seeds": [0, 1, 2],
    "differs": "the *cell*",
    "shared": "data, steps",
    "sources": {"A": {"file": "ladder.json"}, "B": "computed here"},
}
CLAIM_PROSE = """# 1 A

Before.

(claim-a)=
A has a lower loss
than B.

## Summary

- A equation ({eq}`eq-a`).
- A is better than B
  on text ([evidence](#claim-a)).

## Exercises

- Try [this](#claim-b).
"""


@pytest.fixture
def book(tmp_path):
    """A book of one notebook with one claim."""
    v4 = nbformat.v4
    output = v4.new_output("display_data", {"text/plain": ""}, metadata={CLAIM_KEY: RECORD})
    cells = [v4.new_markdown_cell(CLAIM_PROSE), v4.new_code_cell("…", outputs=[output])]
    nbformat.write(v4.new_notebook(cells=cells), tmp_path / "a.ipynb")
    return tmp_path


def test_a_claim_is_read_with_its_sentence_and_its_evidence(book):
    (claim,) = read_claims("a", book)
    assert claim == ClaimEntry("claim-a", "a", "A has a lower loss than B.", RECORD)
    assert claim.evidence == "A − B = -0.1 nats, p = 0.01 (paired t test, 3 seeds)"
    assert claim.benchmarks == ["ladder.json"]
    lines = "\n".join(claim_lines(claim))
    assert "{ref}`where it is made <claim-a>`" in lines and "from ladder.json" in lines
    assert r"the \*cell\*" in lines


@pytest.mark.parametrize(
    "old, new", [("(claim-a)=", "(claim-b)="), ("(claim-a)=\nA has a lower loss\nthan B.\n", "")]
)
def test_a_sentence_without_evidence_and_evidence_without_a_sentence_are_refused(book, old, new):
    path = book / "a.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = notebook.cells[0].source.replace(old, new)
    nbformat.write(notebook, book / "b.ipynb")
    with pytest.raises(ValueError, match="claim-a"):
        read_claims("b", book)


def test_two_claims_may_follow_each_other_in_two_cells(book):
    notebook = nbformat.read(book / "a.ipynb", as_version=4)
    record = RECORD | {"label": "claim-b"}
    output = nbformat.v4.new_output(
        "display_data", {"text/plain": ""}, metadata={CLAIM_KEY: record}
    )
    notebook.cells[0].source = "(claim-a)=\nA has a lower loss than B."
    notebook.cells.append(nbformat.v4.new_markdown_cell("(claim-b)=\nB is shorter."))
    notebook.cells.append(nbformat.v4.new_code_cell("…", outputs=[output]))
    nbformat.write(notebook, book / "b.ipynb")
    assert [claim.sentence for claim in read_claims("b", book)] == [
        "A has a lower loss than B.",
        "B is shorter.",
    ]


def test_points_of_a_summary_and_their_links_are_found():
    points = summary_points(CLAIM_PROSE)
    assert (
        len(points) == 2
        and claim_links(points[0]) == set()
        and claim_links(points[1]) == {"claim-a"}
    )


def test_the_page_of_claims_has_those_about_the_models_in_the_page(monkeypatch):
    assert LIVE_PAGE in page_names()
    monkeypatch.setattr("tools.claims_page.page_names", lambda: [LIVE_PAGE])
    lines = list(ClaimList.__new__(ClaimList).markdown())
    assert lines[0] == "### Models in the page"
    labels = [cost.label for cost in COSTS]
    assert re.findall(r"<(claim-live-[a-z]+)>", "\n".join(lines)) == labels
