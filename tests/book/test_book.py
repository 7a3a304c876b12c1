"""The book as a whole: its pages, the form of its notebooks, and that every formula is checked."""

import ast
import base64
import pkgutil
import re
from functools import cache
from pathlib import Path

import nbformat
import pytest
import yaml

from tools.notebooks import STAMP, WIDGET, code_hash, execution_problems, setup_code
from tools.repository import repository_address
from utils.notebook.results import RESULTS_KEY

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = sorted((ROOT / "book").glob("*.md"))
EXECUTED = ROOT / "executed"
GUIDES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "Makefile"]
GUIDES += sorted(path for path in (ROOT / ".github").rglob("*") if path.suffix in (".md", ".yml"))
BIBLIOGRAPHY = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")

# The sections of the outline that the book follows, and the book's pages for them.
SECTIONS = {
    "1": "book/01-background.md",
    "2": "book/02-concepts.md",
    "2.1": "notebooks/02-1-language-models.ipynb",
    "2.2": "notebooks/02-2-large-language-models.ipynb",
    "2.3": "notebooks/02-3-encoder-decoder.ipynb",
    "3": "book/03-algorithms.md",
    "3.1": "notebooks/03-1-training-a-language-model.ipynb",
    "3.2": "notebooks/03-2-encoder-and-decoder-steps.ipynb",
    "4": "book/04-mathematics.md",
    "4.1": "book/04-1-language-model-mathematics.md",
    "4.1.1": "notebooks/04-1-1-nnlm.ipynb",
    "4.1.2": "notebooks/04-1-2-rnnlm.ipynb",
    "4.2": "notebooks/04-2-encoder-decoder-mathematics.ipynb",
    "5": "book/05-practice.md",
    "5.1": "notebooks/05-1-a-language-model.ipynb",
    "5.2": "notebooks/05-2-a-seq2seq-model.ipynb",
    "6": "book/06-applications.md",
    "6.1": "notebooks/06-1-machine-translation.ipynb",
    "6.2": "notebooks/06-2-text-generation.ipynb",
    "6.3": "notebooks/06-3-speech-recognition.ipynb",
    "7": "book/07-tools.md",
    "7.1": "notebooks/07-1-tensorflow.ipynb",
    "7.2": "notebooks/07-2-pytorch.ipynb",
    "7.3": "notebooks/07-3-transformer.ipynb",
    "8": "book/08-outlook.md",
    "8.1": "notebooks/08-1-compute-and-memory.ipynb",
    "8.2": "notebooks/08-2-interpretability.ipynb",
    "8.3": "notebooks/08-3-robustness.ipynb",
    "8.4": "notebooks/08-4-after-pretraining.ipynb",
    "9": "book/09-faq.md",
    "9.1": "notebooks/09-1-text-classification.ipynb",
}
# Not written yet. A section leaves this list with the commit that adds its page.
MISSING: set[str] = set()
# Labelled equations that define a symbol and compute nothing, each with the reason.
DEFINITIONS: dict[str, str] = {}

MODULES = sorted((ROOT / "utils").rglob("*.py"))
LABEL = re.compile(r"^\$\$\s*\((eq-[\w-]+)\)", re.MULTILINE)
BADGE = "https://colab.research.google.com/github/{slug}/blob/main/notebooks/{name}"
PATH_OF_ONE_MACHINE = re.compile(r"/(?:home|root|Users|work|tmp)/\w+|[A-Z]:\\\\Users")


@cache
def read(path):
    return nbformat.read(path, as_version=4)


def cells(notebook, cell_type):
    return [cell for cell in notebook.cells if cell.cell_type == cell_type]


def outputs(notebook):
    return [output for cell in cells(notebook, "code") for output in cell.outputs]


def tagged(notebook, tag):
    """The code cells with a tag."""
    return [cell for cell in cells(notebook, "code") if tag in cell.metadata.get("tags", [])]


def prose(notebook):
    return "\n\n".join(cell.source for cell in cells(notebook, "markdown"))


def stored_results(notebook):
    """What report_results stored, in order."""
    metadata = [output.get("metadata", {}) for output in outputs(notebook)]
    return [data[RESULTS_KEY] for data in metadata if RESULTS_KEY in data]


def text_of(path):
    """The prose of a notebook, or the text of another file."""
    return prose(read(path)) if path.suffix == ".ipynb" else path.read_text(encoding="utf-8")


def checked_labels(notebook):
    """Labels given to check.equation, by parsing the code: a comment does not count."""
    labels = set()
    for cell in cells(notebook, "code"):
        code = "\n".join(line for line in cell.source.splitlines() if line[:1] not in "%!")
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "equation":
                assert isinstance(node.args[0], ast.Constant), "give check.equation a plain label"
                labels.add(node.args[0].value)
    return labels


def for_each_notebook(test):
    """Let one test read all notebooks, and report each for which it fails."""

    def fault(notebook):
        try:
            return test(notebook)
        except AssertionError as error:
            return str(error)

    def run():
        faults = {path.stem: fault(read(path)) for path in NOTEBOOKS}
        if any(faults.values()):
            pytest.fail("\n".join(f"{k}: {v}" for k, v in faults.items() if v), pytrace=False)

    run.__doc__ = test.__doc__
    return run


def test_every_notebook_is_read_and_each_fault_is_reported():
    def find_two_faults(notebook):
        seen.append(notebook)
        assert notebook not in (read(NOTEBOOKS[0]), read(NOTEBOOKS[2])), f"fault {len(seen)}"

    seen = []
    with pytest.raises(pytest.fail.Exception) as error:
        for_each_notebook(find_two_faults)()
    assert len(seen) == len(NOTEBOOKS)
    assert re.findall(r"^([\w-]+): fault \d", str(error.value), re.MULTILINE) == [
        NOTEBOOKS[0].stem,
        NOTEBOOKS[2].stem,
    ]


def test_every_section_of_the_outline_has_its_page_or_is_listed_as_missing():
    written = {number for number, path in SECTIONS.items() if (ROOT / path).exists()}
    assert written | MISSING == SECTIONS.keys(), "these are neither written nor listed as missing"
    assert not written & MISSING, "these are written: take them off the list of missing sections"
    unlisted = {path.relative_to(ROOT).as_posix() for path in NOTEBOOKS} - set(SECTIONS.values())
    assert not unlisted, "notebooks that belong to no section"


def test_titles_carry_the_numbers_of_the_outline():
    for number, path in SECTIONS.items():
        if number not in MISSING:
            title = text_of(ROOT / path).lstrip().splitlines()[0]
            assert title.startswith(f"# {number} "), f"{path}: {title!r} lacks its number {number}"


def test_the_contents_list_every_page_and_no_empty_one():
    listed = re.findall(
        r"^\s*(?:- file|root): (\S+)$", (ROOT / "_toc.yml").read_text(), re.MULTILINE
    )
    files = [*PAGES, *NOTEBOOKS]
    names = [path.relative_to(ROOT).with_suffix("").as_posix() for path in files]
    assert sorted(listed) == sorted(names)
    for name in listed:
        path = next(ROOT.glob(f"{name}.*"))
        words = len((BIBLIOGRAPHY if name == "book/references" else text_of(path)).split())
        assert words > 250, f"{name} has {words} words: a page that is not written is not listed"


def test_labels_are_unique_and_every_labelled_equation_is_checked():
    files = {}
    for path in [*NOTEBOOKS, *PAGES]:
        for label in LABEL.findall(text_of(path)):
            assert label not in files, f"{label} is in {files[label].name} and in {path.name}"
            files[label] = path
    checked = {path: checked_labels(read(path)) for path in NOTEBOOKS}
    for path, labels in checked.items():
        unknown = {label for label in labels if label not in files}
        assert not unknown, f"{path.name} checks equations that no page labels: {unknown}"
    for label, path in files.items():
        has_check = label in checked.get(path, set())
        is_definition = label in DEFINITIONS
        assert has_check or is_definition, f"{label} in {path.name} has no check and no reason"
        assert not (has_check and is_definition), f"{label} is checked: no definition after all"
    assert DEFINITIONS.keys() <= files.keys(), "definitions that no page labels"


def test_equations_that_the_library_names_are_labelled():
    labels = {label for path in [*NOTEBOOKS, *PAGES] for label in LABEL.findall(text_of(path))}
    code = "\n".join(path.read_text(encoding="utf-8") for path in MODULES)
    named = set(re.findall(r"``(eq-[\w-]+)``", code))
    assert len(named) > 50
    for label in named:
        assert label in labels, f"utils names ``{label}``, which no page labels"


def docstrings_of(module):
    """All docstrings of a module of the library, each on one line, that of the module first."""
    nodes = [
        node
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
    ]
    return [" ".join((ast.get_docstring(node) or "").split()) for node in nodes]


def named_equations(docstring):
    """The pairs of an equation's label and the section that a docstring gives for it."""
    label = r"``eq-[\w-]+``"
    groups = re.findall(rf"({label}(?:(?:,| and|, and) {label})*) \(section ([\d.]+)\)", docstring)
    return [
        (name, section) for names, section in groups for name in re.findall(r"eq-[\w-]+", names)
    ]


def test_a_docstring_gives_the_section_of_an_equation():
    """And a module is derived in a section only if an equation it names is there."""
    labels = {number: LABEL.findall(text_of(ROOT / path)) for number, path in SECTIONS.items()}
    for module in MODULES:
        docstrings = docstrings_of(module)
        equations = [pair for docstring in docstrings for pair in named_equations(docstring)]
        for label, section in equations:
            assert label in labels[section], f"{module}: {label} is not in section {section}"
        named = {where for _, where in equations}
        for sentence in re.findall(r"Derived in sections? [^;:]*?(?:[;:]|\.(?!\d))", docstrings[0]):
            for section in re.findall(r"\d(?:\.\d)*", sentence):
                assert section in SECTIONS, f"{module}: there is no section {section}"
                assert section in named, f"{module}: no equation of section {section}"


def test_equations_and_their_sections_are_found_in_a_docstring():
    text = "Source: ``eq-a`` and ``eq-b`` (section 3.2), ``eq-c`` (section 4.1.1); Post 2018."
    assert named_equations(text) == [("eq-a", "3.2"), ("eq-b", "3.2"), ("eq-c", "4.1.1")]


@cache
def is_defined(name):
    """Whether a dotted name is a module of this repository, or something that one defines."""
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


def test_texts_name_modules_and_files_that_exist():
    modules = re.compile(r"(?<![\w.])(?:utils|benchmarks|tools)(?:\.[A-Za-z_]\w*)+")
    files = re.compile(r"(?<![\w./])(?:utils|benchmarks|tools|tests)/[\w/]*\.\w+")
    examples = {"benchmarks.NAME", "tests/PACKAGE/test_MODULE.py"}
    for path in [*PAGES, *NOTEBOOKS, *GUIDES]:
        text = text_of(path)
        for name in set(modules.findall(text)) - examples:
            assert is_defined(name), f"{path.name}: {name} does not exist"
        for file in set(files.findall(text)) - examples:
            assert (ROOT / file).exists(), f"{path.name}: {file} does not exist"


def slug(heading):
    """The anchor of a heading, as MyST makes it."""
    return re.sub(r"[^\w\s-]", "", heading.lower()).strip().replace(" ", "-")


def code_below(notebook, anchor):
    """The code of the part of a notebook whose heading has this anchor, or None."""
    code, is_inside = None, False
    for cell in notebook.cells:
        if cell.cell_type == "code":
            code = code + "\n" + cell.source if is_inside else code
            continue
        for heading in re.findall(r"^##+ (.+)$", cell.source, re.MULTILINE):
            is_inside = slug(heading) == anchor
            code = "" if is_inside else code
    return code


def test_each_error_of_the_outline_leads_to_the_cells_that_prove_it():
    text = (ROOT / "book" / "errata.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\* - \[[^]]+\]\(([\w-]+)\)\n  - (.+)\n  - (.+)$", text, re.MULTILINE)
    assert {label for label, _, _ in rows} == set(
        re.findall(r"^\((errata-[\w-]+)\)=$", text, re.MULTILINE)
    )
    proved = [(label, proof) for label, _, proof in rows if "shown" in proof]
    assert len(proved) >= 12
    for label, proof in proved:
        link = re.search(r"\]\(\.\./(notebooks/[\w-]+\.ipynb)#([\w-]+)\)", proof)
        name, anchor = link.groups()
        code = code_below(read(ROOT / name), anchor)
        assert code is not None, f"{label}: {name} has no part {anchor!r}"
        asserts = re.search(r"\bassert\b|check\.equation|\bexcept\b", code)
        assert asserts, f"{label}: nothing is asserted below {anchor!r} in {name}"


@for_each_notebook
def test_notebooks_have_their_parts_in_order(notebook):
    text = prose(notebook)
    assert text.startswith("# "), "the first cell is the title"
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    for needed in ("Setup", "Knobs", "Summary", "Exercises", "References"):
        assert needed in headings, f"no section {needed!r}; there are {headings}"
    assert headings[-3:] == ["Summary", "Exercises", "References"]
    assert "## References" in notebook.cells[-1].source, "the references close the notebook"
    aims = re.findall(r"^\n?You will \*\*derive\*\*", notebook.cells[0].source, re.MULTILINE)
    assert len(aims) == 1, "the title's cell has one paragraph that begins “You will **derive**”"


@for_each_notebook
def test_setup_cell_is_the_one_of_the_book(notebook):
    assert cells(notebook, "code")[0].source == setup_code(), "python -m tools.notebooks setup"
    assert repository_address() in setup_code()


@for_each_notebook
def test_knobs_stand_in_one_cell_with_a_setting_for_cpu_and_gpu(notebook):
    knobs = tagged(notebook, "knobs")
    assert len(knobs) == 1, "one code cell carries the tag 'knobs'"
    trains = any("fit(" in cell.source for cell in notebook.cells if cell.cell_type == "code")
    has_gpu = "cuda" in knobs[0].source or "gpu" in knobs[0].source.lower()
    assert has_gpu or not trains, "what is trained has sizes for a GPU"


@for_each_notebook
def test_exercises_have_executed_solutions(notebook):
    solutions = len(tagged(notebook, "hide-cell"))
    exercises = len(re.findall(r"^\*\*Exercise \d", prose(notebook), re.MULTILINE))
    assert exercises >= 3, f"{exercises} exercises"
    assert solutions >= exercises, f"{exercises} exercises, {solutions} solutions"


@for_each_notebook
def test_code_cells_are_short_and_never_three_in_a_row(notebook):
    run = 0
    for cell in notebook.cells:
        run = 0 if cell.cell_type == "markdown" else run + 1
        assert run <= 2, f"three code cells without a sentence between, at {cell.source[:60]!r}"
        lines = [line for line in cell.source.splitlines() if line.strip()]
        imports = [line for line in lines if re.match(r"(?:from [\w.]+ )?import [\w., ]+$", line)]
        is_short = len(lines) - len(imports) <= 30
        assert cell.cell_type == "markdown" or is_short, f"long: {cell.source[:60]!r}"


@for_each_notebook
def test_stored_outputs_belong_to_the_present_code(notebook):
    assert execution_problems(notebook) == []
    stamp = notebook.metadata.get(STAMP)
    assert stamp == code_hash(notebook), "the code changed after its outputs: make execute"


@for_each_notebook
def test_stored_outputs_are_clean(notebook):
    for cell in cells(notebook, "code"):
        text = str([dict(o) for o in cell.outputs])
        assert "Warning" not in text, f"a warning in the outputs of {cell.source[:60]!r}"
        path = PATH_OF_ONE_MACHINE.search(text)
        assert not path, f"{path[0]!r}, a path of one machine, in an output"


@for_each_notebook
def test_answers_are_folded_by_an_admonition(notebook):
    """What raw HTML folds has no message to translate, and a reader of Markdown alone loses it."""
    assert "<summary>" not in prose(notebook)


@for_each_notebook
def test_no_widget_is_stored(notebook):
    """Without a kernel it is dead, and a page that shows it asks other sites for scripts."""
    assert not [output for output in outputs(notebook) if WIDGET in output.get("data", {})]
    assert "widgets" not in notebook.metadata


@for_each_notebook
def test_figures_have_alt_text(notebook):
    for cell in cells(notebook, "code"):
        if any("image/png" in o.get("data", {}) for o in cell.outputs):
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt) > 30, f"no alt text on the figure of {cell.source[:60]!r}"


@for_each_notebook
def test_figures_have_two_dots_for_one_of_their_width(notebook):
    """Crisp on a dense screen, and no wider than on another."""
    for output in outputs(notebook):
        if png := output.get("data", {}).get("image/png"):
            dots = int.from_bytes(base64.b64decode(png)[16:20], "big")
            pixels = output.metadata.get("image/png", {}).get("width", dots)
            assert 1.9 < dots / pixels < 2.1, f"{dots} dots on {pixels} pixels"


@for_each_notebook
def test_papers_of_a_notebook_stand_in_the_bibliography(notebook):
    references = prose(notebook).rsplit("## References", 1)[1]
    entries = [line for line in references.splitlines() if line.startswith("- ")]
    assert entries
    for entry in entries:
        link = re.search(r"\]\((https?://[^)\s]+)\)", entry)
        assert link, f"no link: {entry}"
        name = re.sub(r"https?://(dx\.)?(doi\.org/)?", "", link[1]).rstrip("/")
        assert name.lower() in BIBLIOGRAPHY.lower(), f"not in book/references.bib: {link[1]}"


def uncited_entries(bibliography, *, text, code):
    """The keys of the entries that no page links or cites and no docstring names with its year."""
    for entry in re.split(r"^(?=@)", bibliography, flags=re.MULTILINE)[1:]:
        key = re.match(r"@\w+\{([^,\s]+),", entry)[1]
        links = re.findall(r"\b(?:doi|url|eprint)\s*=\s*\{([^}]*)\}", entry)
        marks = [re.sub(r"^https?://(www\.)?(doi\.org/)?", "", link).lower() for link in links]
        author = re.search(r"author\s*=\s*\{\{?(.*?)(?:,| and |\}|\n)", entry)[1]
        year = re.search(r"year\s*=\s*\{(\d+)\}", entry)[1]
        named = re.search(rf"\b{re.escape(author)}\b.{{0,40}}?{year}", code, re.DOTALL)
        if not (named or any(mark in text.lower() for mark in [key.lower(), *marks])):
            yield key


def test_each_entry_of_the_bibliography_is_cited():
    texts = [path.read_text(encoding="utf-8") for path in PAGES]
    texts += [prose(read(path)) for path in NOTEBOOKS]
    folders = ("utils", "tools", "benchmarks")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    assert list(uncited_entries(BIBLIOGRAPHY, text="\n".join(texts), code=code)) == []


def test_no_entry_of_the_bibliography_is_repeated():
    keys = re.findall(r"^@\w+\{([^,\s]+),", BIBLIOGRAPHY, re.MULTILINE)
    assert len(keys) > 300 and len(set(keys)) == len(keys)


def test_an_entry_that_nothing_cites_is_seen():
    entry = """@article{lee2020some,
  author = {Lee, Ann and Roe, Bo},
  year = {2020},
  url = {https://arxiv.org/abs/2001.00001},
}
"""
    assert list(uncited_entries(entry, text="", code="Lee and Roe (2021), after Lee, 1999.")) == [
        "lee2020some"
    ]
    for text, code in (
        ("as {cite}`lee2020some`", ""),
        ("[Lee](https://arxiv.org/abs/2001.00001)", ""),
        ("", "Lee and Roe (2020), eq. 1"),
    ):
        assert list(uncited_entries(entry, text=text, code=code)) == []


def test_a_notebook_opens_in_colab_from_the_books_address():
    slug = repository_address().removeprefix("https://github.com/")
    for path in NOTEBOOKS:
        badge = BADGE.format(slug=slug, name=path.name)
        assert badge in read(path).cells[0].source, f"the title cell needs the link {badge}"


@for_each_notebook
def test_each_notebook_stores_results_with_where_they_came_from(notebook):
    (results,) = stored_results(notebook)
    assert results["origin"] == "real", "the committed figures come from the real corpus"
    assert results["device"] and results["values"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_fresh_results_agree_with_the_stored_ones(path):
    executed = EXECUTED / path.name
    if not executed.exists():
        pytest.skip("no fresh run in executed/: `make notebooks` makes one")
    (stored,), (fresh,) = stored_results(read(path)), stored_results(read(executed))
    for key in ("corpus", "origin", "device"):
        if stored[key] != fresh[key]:
            pytest.skip(f"{key} {fresh[key]!r}, not {stored[key]!r}: only like is compared")
    assert stored["values"].keys() == fresh["values"].keys()
    for name, tolerance in stored["tolerances"].items():
        if tolerance is not None:
            old, new = stored["values"][name], fresh["values"][name]
            assert abs(new - old) <= tolerance * abs(old), f"{name}: {new:.4g}, stored {old:.4g}"


def test_the_configuration_is_one_address_and_no_execution():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert config["execute"]["execute_notebooks"] == "off"
    assert config["repository"]["url"] == repository_address()
