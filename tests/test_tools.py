"""What the site's generated pages are made of: tools/book_facts and the pieces around it."""

import nbformat
import pytest

from tools import book_facts as facts
from tools import book_parts, figures, leaner_pages
from tools.book_site import allowed, ours, table


def make_book(folder):
    """A book of one page and one notebook that checks one of its two formulas."""
    (folder / "book").mkdir()
    (folder / "notebooks").mkdir()
    (folder / "_toc.yml").write_text(
        "root: book/index\nparts:\n- caption: Chapters\n  chapters:\n"
        "  - file: book/a\n    sections:\n    - file: notebooks/b\n"
        "      sections:\n      - file: notebooks/c\n"
    )
    (folder / "book" / "a.md").write_text("# 1 A\n\n" + "word " * 398)
    v4 = nbformat.v4
    stream = v4.new_output("stream", text="✓ eq-one: 3 numbers agree, largest error 0.0e+00\n")
    shown = v4.new_output("display_data", metadata={facts.RESULTS: {"values": {"seconds": 90.0}}})
    cells = [
        v4.new_markdown_cell(
            "# 1.1 B\n\n$$\na = b\n$$ (eq-one)\n\n$$\nc\n$$\n\n$$\nd\n$$ (eq-two)"
        ),
        v4.new_code_cell("x = 1\n\n" * 40, outputs=[stream, shown]),
    ]
    nbformat.write(v4.new_notebook(cells=cells), folder / "notebooks" / "b.ipynb")


def test_contents_sizes_and_times(tmp_path):
    make_book(tmp_path)
    (chapter,) = facts.contents(tmp_path)
    assert chapter["file"] == "book/a" and chapter["sections"] == ["notebooks/b", "notebooks/c"]
    a, b = facts.page("book/a", tmp_path), facts.page("notebooks/b", tmp_path)
    assert (a.title, a.words, a.lines, a.running_seconds) == ("1 A", 401, 0, None)
    assert a.reading_minutes == pytest.approx(401 / 200)
    assert (b.title, b.lines, b.running_seconds) == ("1.1 B", 40, 90.0)
    with pytest.raises(ValueError, match="notebooks/c"):
        facts.page("notebooks/c", tmp_path)


def test_equations_with_and_without_a_check(tmp_path):
    make_book(tmp_path)
    one, two = facts.equations("notebooks/b", tmp_path)
    assert (one.label, one.name, one.formula) == ("eq-one", "one", "a = b")
    assert one.proof == "3 numbers agree, largest error 0.0e+00"
    assert (two.label, two.formula, two.proof) == ("eq-two", "d", None)


def test_benchmark_rows_join_seeds_and_leave_curves_out():
    content = {
        "LSTM, seed 0": {
            "loss": 2.0,
            "curve": [1] * 30,
            "test": {"bleu": 20},
            "provenance": {"a": 1},
        },
        "LSTM, seed 1": {"loss": 4.0, "test": {"bleu": 22}},
        "rows": [{"added": "rotary", "losses": [1.0, 3.0]}],
    }
    rows = facts.benchmark(content, ["loss", "test/bleu", "losses"])
    assert rows["LSTM"] == {"loss": [2.0, 4.0], "test/bleu": [20.0, 22.0]}
    assert rows["rows, rotary"] == {"losses": [1.0, 3.0]}
    assert facts.provenances(content) == [{"a": 1}]


def test_figures_in_words():
    assert facts.spread([2.0]) == "2" and facts.spread([7, 7]) == "7"
    assert facts.spread([2.0, 4.0]) == "3 ± 1.4 (2 runs)"
    assert [facts.number(x) for x in (1234567, 0.12345, 12.0)] == ["1,234,567", "0.1235", "12"]
    assert [facts.duration(s) for s in (90, 600, 9000)] == ["90 seconds", "10 minutes", "2 hours"]
    found = {"tolerances": {"a": None, "b": 0, "c": 0.05}}
    assert [allowed(found, n) for n in "abc"] == ["anything", "nothing", "5 %"]
    assert table(["x", "y"], [["a|b", "1"]])[1:] == ["| --- | ---: |", r"| a\|b | 1 |"]


def test_measured_figures_stand_beside_published_ones():
    (text,) = ours([{"benchmark": "translation", "row": "LSTM", "column": "test/greedy/bleu"}])
    assert text.startswith("[LSTM](#translation) 2")
    assert list(ours([{"page": "notebooks/none", "value": "*"}])) == []
    assert list(ours([{"benchmark": "none", "row": "", "column": ""}])) == []


def test_previews_are_cut_from_pages_without_their_links():
    html = (
        '<div class="math notranslate" id="equation-eq-a">\n<span class="eqno">(1)<a href="#">#</a>'
        "</span>\\[x\\]</div>"
        '<dt id="term-B">B<a href="#term-B">#</a></dt><dt id="term-7">乙<a href="#">#</a></dt>'
        '<dd><p>See <a class="x" href="#term-C">C</a>.</p>\n</dd>'
        '<div class="citation" id="id3" role="doc-biblioentry">\n<span class="label">[1]</span>\n'
        '<p>Ann. <a href="https://a.org">doi</a>.</p>\n</div>'
    )
    found = book_parts.extracts(html)
    assert found["equation-eq-a"] == '<div class="math">\\[x\\]</div>'
    assert found["term-B"] == found["term-7"] == "<p><strong>B · 乙</strong></p><p>See C.</p>"
    assert found["id3"] == "<p>Ann. doi.</p>"


def test_pages_are_mended_once():
    html = (
        '<script defer src="fontawesome.js"></script>'
        '<div id="s" class="bd-sidebar-primary bd-sidebar">'
        '<a class="current reference internal" href="x">2 X</a>'
        "<details open><summary><i></i></summary>"
    )
    better = leaner_pages.mended(html)
    assert "script" not in better and 'role="complementary"' in better
    assert '<summary aria-label="Sections of 2 X">' in better
    assert leaner_pages.mended(better) == better


def test_the_pictures_are_those_that_the_script_draws(tmp_path):
    figures.main(tmp_path)
    for path in tmp_path.glob("*.svg"):
        kept = figures.FOLDER / path.name
        same = kept.read_text(encoding="utf-8") == path.read_text(encoding="utf-8")
        assert same, f"{path.name} is out of date: python tools/figures.py"
