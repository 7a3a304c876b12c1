"""What the site's generated pages are made of: facts about the book, and the pieces around them."""

import os
import re
import subprocess
import sys
from dataclasses import replace

import nbformat
import pytest

from tools import (
    benchmark_facts,
    book_facts,
    chinese_words,
    contents,
    corpora,
    directives,
    figures,
    library_page,
    page_parts,
    repository,
    results_page,
    theme_fixes,
)
from tools.editions.download_links import edition_path
from tools.notebooks import WIDGET, clean_notebook, code_hash, execution_problems, keep_executed
from utils.data.errors import DataError
from utils.notebook.cell_output import EQUATION_KEY
from utils.notebook.results import RESULTS_KEY


@pytest.fixture
def book(tmp_path):
    """A book of one page and one notebook that checks one of its two formulas."""
    (tmp_path / "book").mkdir()
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "_toc.yml").write_text(
        "root: book/index\nparts:\n- caption: Chapters\n  chapters:\n"
        "  - file: book/a\n    sections:\n    - file: notebooks/b\n"
        "      sections:\n      - file: notebooks/c\n"
    )
    (tmp_path / "book" / "a.md").write_text("# 1 A\n\n" + "word " * 398)
    v4 = nbformat.v4
    record = {"label": "eq-one", "sides": ["loops", "torch"], "values": 3, "error": 0.0}
    other = {"label": "eq-three", "sides": ["loops", "torch"], "values": 1, "error": 1e-12}
    check, stored = (
        v4.new_output("display_data", metadata={EQUATION_KEY: entry}) for entry in (record, other)
    )
    results = {RESULTS_KEY: {"values": {"seconds": 90.0}}}
    prose = (
        "# 1.1 B\n\n$$\na = b\n$$ (eq-one)\n\n$$\nc\n$$\n\n$$\nd\n$$ (eq-two)"
        "\n\n$$\ne\n$$ (eq-three)"
    )
    cells = [
        v4.new_markdown_cell(prose),
        v4.new_code_cell(
            "x = 1\n\n" * 40,
            outputs=[check, stored, v4.new_output("display_data", metadata=results)],
        ),
    ]
    nbformat.write(v4.new_notebook(cells=cells), tmp_path / "notebooks" / "b.ipynb")
    return tmp_path


def test_contents_sizes_and_times(book):
    (chapter,) = contents.read_chapters(book)
    assert chapter.name == "book/a" and chapter.sections == ["notebooks/b", "notebooks/c"]
    assert list(contents.page_names(book)) == ["book/a", "notebooks/b", "notebooks/c"]
    a, b = (book_facts.read_page(name, book) for name in ("book/a", "notebooks/b"))
    assert (a.title, a.words, a.code_lines, a.running_seconds) == ("1 A", 401, 0, None)
    assert a.reading_minutes == pytest.approx(401 / 200)
    assert (b.title, b.code_lines, b.running_seconds) == ("1.1 B", 40, 90.0)
    results = {"values": {"seconds": 90.0}}  # on a busy machine, and with several threads
    busy, parallel = (
        replace(b, results=results | {"processor_seconds": time}) for time in (40.0, 200.0)
    )
    assert (busy.running_seconds, parallel.running_seconds) == (40.0, 90.0)
    with pytest.raises(ValueError, match="notebooks/c"):
        book_facts.read_page("notebooks/c", book)


def test_words_and_lines_that_are_folded_are_not_counted(book):
    prose = (
        "Two words.\n\n:::{admonition} Answer\n:class: dropdown\nnot counted\n:::\n\n"
        "With $a + b = c$ five.\n\n```{note}\nthree words here\n```\n\n$$\na = b + c\n$$ (eq-x)\n"
    )
    assert book_facts.count_words(prose) == 2 + 3 + (1 + 3 + 1) + (10 + 1)
    path = book / "notebooks" / "b.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].metadata["tags"] = ["knobs", "hide-input"]
    nbformat.write(notebook, book / "notebooks" / "c.ipynb")
    book_facts.read_cells.cache_clear()
    assert book_facts.read_page("notebooks/c", book).code_lines == 0


def test_equations_with_and_without_a_check(book):
    one, two, three = book_facts.read_equations("notebooks/b", book)
    assert (one.label, one.name, one.formula) == ("eq-one", "one", "a = b")
    assert one.check == "loops = torch, 3 numbers agree, largest error 0.0e+00"
    assert (two.label, two.formula, two.check) == ("eq-two", "d", None)
    assert three.check == "loops = torch, 1 number agrees, largest error 1.0e-12"


def test_benchmark_rows_join_seeds_and_leave_curves_out():
    first_seed = {"loss": 2.0, "curve": [1] * 30, "test": {"bleu": 20}, "provenance": {"a": 1}}
    content = {
        "LSTM, seed 0": first_seed,
        "LSTM, seed 1": {"loss": 4.0, "test": {"bleu": 22}},
        "steps": [{"added": "rotary", "losses": [1.0, 3.0]}],
    }
    rows = benchmark_facts.benchmark_rows(content, ["loss", "test/bleu", "losses"])
    assert rows["LSTM"] == {"loss": [2.0, 4.0], "test/bleu": [20.0, 22.0]}
    assert rows["steps, rotary"] == {"losses": [1.0, 3.0]}
    assert benchmark_facts.collect_provenances(content) == [{"a": 1}]


def test_runs_stored_seed_by_seed_are_counted_and_named_by_their_readers():
    rows = [{"part": part, "provenance": {"seeds": [0]}} for part in ("grid", "grid", "trials")]
    content = {"rows": rows}
    assert benchmark_facts.seed_row_counts(content) == {"grid": 2, "trials": 1}
    runs = benchmark_facts.collect_provenances(content)
    assert runs == [{"seeds": [0]}] * 3
    text = " ".join(results_page.benchmark_origin("attention", runs))
    assert text.startswith("Read in [4.2](") and "Seeds 0;" in text


def test_figures_in_words():
    format_values, format_number = benchmark_facts.format_values, benchmark_facts.format_number
    assert format_values([2.0]) == "2" and format_values([7, 7]) == "7"
    assert format_values([2.0, 4.0]) == "3 ± 1.4 (2 runs)"
    assert [format_number(x) for x in (1234567, 0.12345, 12.0)] == ["1,234,567", "0.1235", "12"]
    durations = [book_facts.format_duration(seconds) for seconds in (90, 600, 9000)]
    assert durations == ["90 seconds", "10 minutes", "2 hours"]
    results = {"tolerances": {"a": None, "b": 0, "c": 0.05}}
    tolerances = [results_page.format_tolerance(results, name) for name in "abc"]
    assert tolerances == ["anything", "nothing", "5 %"]
    assert directives.table(["x", "y"], [["a|b", "1"]])[1:] == ["| --- | ---: |", r"| a\|b | 1 |"]


def test_measured_figures_stand_beside_published_ones():
    reference = {"benchmark": "translation", "row": "LSTM", "column": "test/greedy/bleu"}
    (text,) = results_page.measured_results([reference])
    assert text.startswith("[LSTM, 1,380 steps](#translation) 2")
    missing_page = {"page": "notebooks/none", "value": "*"}
    assert list(results_page.measured_results([missing_page])) == []
    missing_benchmark = {"benchmark": "none", "row": "", "column": ""}
    assert list(results_page.measured_results([missing_benchmark])) == []


def test_the_list_of_equations_names_modules_of_every_package():
    modules = page_parts.modules_by_label()
    assert modules["eq-scaling-law"] == ["utils/studies/scaling_law.py"]
    several = modules["eq-handover"]
    assert several == sorted(several) and "utils/models/encoder_decoder.py" in several[:-1]
    equation = book_facts.Equation("eq-handover", "notebooks/x", "a", "3 numbers agree")
    links = "".join(page_parts.equation_links(equation, modules))
    assert links.count("/blob/main/utils/models/") == len(several) and "check-eq-handover" in links


def test_the_page_of_the_library_lists_public_names_with_their_lines(tmp_path):
    (tmp_path / "utils").mkdir()
    path = tmp_path / "utils" / "small.py"
    path.write_text(
        '"""Small things.\n\nMore."""\nimport re\nfrom typing import TypeVar\n\nT = TypeVar("T")\n'
        "SIZES: dict[str, int] = {}\nPAD, _hidden = 0, 1\n\n"
        "def make(x: T) -> T:\n    y = x\n    return y\n"
        "\nclass Thing:\n    size = 1\n\nEND = re.compile('x')\nEND = None\n"
    )
    module = library_page.read_module(path, tmp_path)
    assert (module.path, module.purpose) == ("utils/small.py", "Small things.")
    assert list(module.lines.items()) == [
        ("SIZES", 8),
        ("PAD", 9),
        ("make", 11),
        ("Thing", 15),
        ("END", 18),
    ]
    address = f"{repository.repository_address()}/blob/main/utils/small.py"
    assert library_page.source_link(module) == f"[`small`]({address})"
    assert library_page.name_links(module).startswith(f"[`SIZES`]({address}#L8), [`PAD`](")


def test_every_module_of_the_library_is_on_its_page():
    lines = list(library_page.LibraryList.markdown(None))
    headings = [line.removeprefix("### ") for line in lines if line.startswith("### ")]
    assert headings[:3] == ["`utils`", "`utils.command`", "`utils.data`"]
    for path in sorted(library_page.LIBRARY.rglob("[!_]*.py")):
        (row,) = [x for x in lines if f"/{path.relative_to(library_page.ROOT)})" in x]
        assert row.count("|") == 4 and row.split(" | ")[1].endswith((".", "``."))


def test_the_first_program_of_the_library_runs(offline, capsys):
    text = (library_page.ROOT / "book" / "library.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert "steps=500" in code
    exec(code.replace("steps=500", "steps=2"), {})
    assert "STAND-IN" in capsys.readouterr().out


def test_previews_are_cut_from_pages_without_their_links():
    html = (
        '<div class="math notranslate" id="equation-eq-a">\n<span class="eqno">(1)<a href="#">#</a>'
        "</span>\\[x\\]</div>"
        '<dt id="term-B">B<a href="#term-B">#</a></dt><dt id="term-7">乙<a href="#">#</a></dt>'
        '<dd><p>See <a class="x" href="#term-C">C</a>.</p>\n</dd>'
        '<div class="citation" id="id3" role="doc-biblioentry">\n<span class="label">[1]</span>\n'
        '<p>Ann. <a href="https://a.org">doi</a>.</p>\n</div>'
    )
    previews = page_parts.previews_in(html)
    assert previews["equation-eq-a"] == '<div class="math">\\[x\\]</div>'
    assert previews["term-B"] == previews["term-7"] == "<p><strong>B · 乙</strong></p><p>See C.</p>"
    assert previews["id3"] == "<p>Ann. doi.</p>"


@pytest.mark.parametrize(
    "html, marked",
    [
        ("a (语言模型) b", "a (<zh>语言模型</zh>) b"),
        ("编码器-解码器，注意力。", "<zh>编码器-解码器，注意力</zh>。"),
        ("<b>词</b> 元", "<b><zh>词</zh></b> <zh>元</zh>"),
        ("<p>語言</p>", '<p><span lang="zh-Hant">語言</span></p>'),
        ('<a title="词 > 元" href="#词">x</a>', '<a title="词 > 元" href="#词">x</a>'),
        ("<script>词</script><title>词</title>", "<script>词</script><title>词</title>"),
        ("<svg><text>词</text></svg>", "<svg><text>词</text></svg>"),
        (
            r'<span class="math x">\(\text{词}\)</span>',
            r'<span class="math x">\(\text{词}\)</span>',
        ),
        ('<p class="mathjax_process">词</p>', '<p class="mathjax_process"><zh>词</zh></p>'),
        ("Ä ⟨x⟩ 1，2", "Ä ⟨x⟩ 1，2"),
    ],
)
def test_chinese_words_are_marked_once(html, marked):
    marked = marked.replace("<zh>", '<span lang="zh-Hans">').replace("</zh>", "</span>")
    assert chinese_words.mark_chinese(html) == marked
    assert chinese_words.mark_chinese(marked) == marked
    assert chinese_words.without_marks(marked) == html


def test_pages_are_mended_once():
    html = (
        '<script defer src="fontawesome.js"></script>'
        '<div id="s" class="bd-sidebar-primary bd-sidebar">'
        '<a class="current reference internal" href="x">2 X</a>'
        "<details open><summary><i></i></summary>"
    )
    fixed = theme_fixes.fix_page(html)
    assert "script" not in fixed and 'role="complementary"' in fixed
    assert '<summary aria-label="Sections of 2 X">' in fixed
    assert theme_fixes.fix_page(fixed) == fixed


def test_a_kept_notebook_has_its_stamp_and_nothing_of_one_run_alone(book):
    notebook = nbformat.read(book / "notebooks" / "b.ipynb", as_version=4)
    assert execution_problems(notebook) == ["was not executed once from top to bottom"]
    cell = notebook.cells[1]
    cell.execution_count = 1
    cell.metadata["execution"] = {"iopub.execute_input": "now"}
    cell.outputs.append(nbformat.v4.new_output("display_data", {WIDGET: {}}))
    assert execution_problems(notebook) == []
    cleaned = clean_notebook(notebook)
    assert cleaned.metadata["executed_code_sha256"] == code_hash(notebook)
    assert "execution" not in cleaned.cells[1].metadata
    assert [WIDGET in output.get("data", {}) for output in cleaned.cells[1].outputs] == [False] * 3


def test_a_notebook_that_was_edited_while_it_ran_is_not_overwritten(book, tmp_path):
    committed = book / "notebooks" / "b.ipynb"
    notebook = nbformat.read(committed, as_version=4)
    notebook.cells[1].execution_count = 1
    executed = tmp_path / "executed"
    executed.mkdir()
    nbformat.write(notebook, executed / "b.ipynb")
    keep_executed(executed, committed.parent)
    kept = committed.read_text(encoding="utf-8")
    edited = nbformat.read(committed, as_version=4)
    edited.cells[0].source += "\n\nAn edit."
    nbformat.write(edited, committed)
    with pytest.raises(SystemExit, match=r"b\.ipynb was edited while it ran"):
        keep_executed(executed, committed.parent)
    assert "An edit." in committed.read_text(encoding="utf-8") and "An edit." not in kept


def test_a_folder_without_notebooks_is_not_kept_in_silence(book, tmp_path):
    with pytest.raises(SystemExit, match=r"no notebooks in .*nowhere: nothing is kept"):
        keep_executed(tmp_path / "nowhere", book / "notebooks")


@pytest.mark.parametrize("tool", ["corpora", "diagrams", "figures"])
def test_a_tool_without_arguments_does_nothing_for_one(tool, tmp_path):
    command = [sys.executable, "-m", f"tools.{tool}", "nowhere"]
    environment = {**os.environ, "PYTHONPATH": str(contents.ROOT)}
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 2 and f"usage: python -m tools.{tool}" in run.stderr
    assert not list(tmp_path.iterdir())


def test_the_pictures_are_those_that_the_script_draws(tmp_path):
    figures.main(tmp_path)
    for path in tmp_path.glob("*.svg"):
        committed = (figures.FOLDER / path.name).read_text(encoding="utf-8")
        is_current = committed == path.read_text(encoding="utf-8")
        assert is_current, f"{path.name} is out of date: python -m tools.figures"


def test_the_files_of_all_corpora_are_found_and_checked(mirror, monkeypatch, capsys):
    folders = {name: mirror(name, {"a.txt": b"text"}) for name in ("one", "two")}
    monkeypatch.setattr(corpora, "registry", lambda: folders)
    corpora.check_corpora()
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{name} {folder / 'a.txt'}" for name, folder in folders.items()]
    (folders["two"] / "a.txt").write_bytes(b"other")
    with pytest.raises(DataError, match="two"):
        corpora.check_corpora()


def test_an_edition_is_named_by_its_language_whatever_the_folder(tmp_path):
    names = {code: edition_path(tmp_path, "pdf", language=code).name for code in ("en", "zh_CN")}
    assert names == {"en": "llm-foundations-book.pdf", "zh_CN": "llm-foundations-book-zh.pdf"}
    path = edition_path(tmp_path / "zh", "epub", language="en")
    assert path.relative_to(tmp_path).as_posix() == "zh/editions/llm-foundations-book.epub"
