"""Spelling: neighbour, colour and centre, and recognize, in prose and in our own names.

Names and values of other libraries, such as ``color=`` of Matplotlib, stay as they are, and so do
titles of papers.
"""

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACEHOLDER = ("your-organisation", "owner")  # in the book's address
MODULES = [
    path
    for folder in ("utils", "benchmarks", "tools", "tests")
    for path in (ROOT / folder).rglob("*.py")
    if path != Path(__file__).resolve()
]
GUIDES = [ROOT / name for name in ("Makefile", "pyproject.toml", "README.md", "CONTRIBUTING.md")]
PAGES = [ROOT / "CHANGELOG.md", *(ROOT / "book").glob("*.md"), *(ROOT / ".github").rglob("*.md")]
NOTEBOOKS = list((ROOT / "notebooks").glob("*.ipynb"))
STEMS = """
    anonym apolog author capital categor character crystall custom digit discret emphas
    equal factor final formal general harmon ideal initial ital item linear local margin
    marginal material maxim memor minim modern modular neutral normal optim organ orthogonal
    orthonormal parallel parameter penal polar popular prior priorit quant random raster real recogn
    regular sequential serial special stabil standard summar symbol synchron synthes token util
    vector visual
""".split()
WITH_S = re.compile(
    rf"(?<![a-z])(?:un|re|de|pre)?(?:{'|'.join(STEMS)})is(?:e[sdr]?|ers|ing|able|ations?)(?![a-z])"
    r"|(?<![a-z])(?:anal|paral|catal)ys(?:ed|er|ers|ing)(?![a-z])",
    re.IGNORECASE,
)
AMERICAN = re.compile(
    r"(?<![a-z])(?:un)?(?:behavior|center|color|favor|honor(?!ar)|labor(?!at)|neighbor)"
    r"|(?<![a-z])(?:label|model|signal|travel)ed(?![a-z])",
    re.IGNORECASE,
)


def wrong_words(pattern: re.Pattern[str], text: str) -> list[str]:
    return [match[0] for match in pattern.finditer(text.replace(*PLACEHOLDER))]


def own_words(code: str) -> str:
    """Comments, docstrings and names of functions, arguments and variables; nothing in quotes."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    words = [token.string for token in tokens if token.type == tokenize.COMMENT]
    words += _docstrings_and_names(ast.parse(code))
    return re.sub(r'"[^"\n]*"', "", "\n".join(words))


def _docstrings_and_names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield str(node.value.value)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def own_prose(markdown: str) -> str:
    """Markdown without code, and without the text of links, which may be the title of a paper."""
    code = r"(?s:```.*?```)|`[^`\n]*`"
    return re.sub(rf"{code}|\[[^\]\n]*\](?=\()", "", markdown)


def cells_of(path: Path, cell_type: str) -> str:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == cell_type)


def python_of(path: Path) -> str:
    """The code of a module, or of a notebook without the lines that only IPython understands."""
    if path.suffix == ".ipynb":
        return re.sub(r"^\s*[%!].*$", "", cells_of(path, "code"), flags=re.MULTILINE)
    return path.read_text(encoding="utf-8")


def prose_of(path: Path) -> str:
    if path.suffix == ".ipynb":
        return own_prose(cells_of(path, "markdown"))
    return own_prose(path.read_text(encoding="utf-8"))


def test_recognize_and_its_like_have_a_z_in_code():
    for path in [*MODULES, *GUIDES]:
        found = wrong_words(WITH_S, path.read_text(encoding="utf-8"))
        assert not found, f"{path.relative_to(ROOT)} has {sorted(set(found))}"


def test_recognize_and_its_like_have_a_z_in_prose():
    for path in [*PAGES, *NOTEBOOKS]:
        found = wrong_words(WITH_S, prose_of(path))
        assert not found, f"{path.relative_to(ROOT)} has {sorted(set(found))}"


def test_names_and_comments_are_british():
    for path in [*MODULES, *NOTEBOOKS]:
        found = wrong_words(AMERICAN, own_words(python_of(path)))
        assert not found, f"{path.relative_to(ROOT)} has {sorted(set(found))}"


def test_prose_is_british():
    for path in [*GUIDES, *PAGES, *NOTEBOOKS]:
        found = wrong_words(AMERICAN, prose_of(path))
        assert not found, f"{path.relative_to(ROOT)} has {sorted(set(found))}"


def test_the_other_spelling_is_found():
    for word in "Recogniser re-normalised num_tokenised analysed".split():
        assert wrong_words(WITH_S, f"A {word} word"), word
    for word in "Unfavorable left_neighbor labeled centered".split():
        assert wrong_words(AMERICAN, f"A {word} word"), word


def test_only_names_of_ours_are_read_in_code():
    for code in ("center = 1", "def f(line_color): ...", '"""Its color."""', "x = 0  # centered"):
        assert wrong_words(AMERICAN, own_words(code)), code
    assert not wrong_words(AMERICAN, own_words('ax.text(x, y, text, color=colour, ha="center")'))
    assert not wrong_words(AMERICAN, own_prose("[Behavioral tests](https://…), `color` and so on"))


def test_words_that_have_one_spelling_are_not_found():
    text = "raise, otherwise, precise, exercise, synthesis, analysis, realistic"
    assert not wrong_words(WITH_S, text)
    text = "centre, central, favour, colour, labelled, laboratory, honorary, orthonormal"
    assert not wrong_words(AMERICAN, text)
