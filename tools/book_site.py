"""Sphinx directives whose content is made when the site is built, from `tools.book_facts`.

{scoreboard}, {benchmarks} and {published} make the results page.
Each writes Markdown and lets MyST read it, so that links and formulas work as everywhere.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from tools import book_facts as facts

RESULTS = facts.ROOT / "book" / "results"
PUBLISHED = facts.ROOT / "book" / "published.json"


def link(name: str, text: str) -> str:
    """A Markdown link from a page in book/ to another page."""
    return f"[{text}](../{facts.source(name).relative_to(facts.ROOT).as_posix()})"


def table(header: list[str], rows: list[list[str]], rule: str = "---:") -> list[str]:
    """A Markdown table; the columns after the first stand to the right, as figures do."""
    lines = [header, ["---"] + [rule] * (len(header) - 1), *rows]
    return ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in lines]


def all_pages() -> Iterator[str]:
    for chapter in facts.contents():
        yield from (chapter["file"], *chapter["sections"])


@lru_cache(maxsize=256)
def last_commit(path: Path) -> str | None:
    """The commit that wrote the file last; None without git or with a history that is cut off."""

    def git(*words: str) -> str:
        run = subprocess.run(["git", *words], cwd=path.parent, capture_output=True, text=True)
        return run.stdout.strip()

    try:
        cut = git("rev-parse", "--is-shallow-repository") != "false"
        return None if cut else git("log", "-1", "--format=%h", "--", path.name) or None
    except OSError:
        return None


class Generated(SphinxDirective):
    """A directive that gives Markdown lines and names the files that they come from."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True

    def files(self) -> list[Path]:
        return [facts.source(name) for name in all_pages()]

    def markdown(self) -> Iterator[str]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        facts.cells.cache_clear()  # a long-lived build sees files that have changed
        for path in [*self.files(), facts.ROOT / "_toc.yml"]:
            self.env.note_dependency(str(path))
        self.env.note_reread()  # the list of files may grow
        holder = nodes.Element()
        lines = StringList(list(self.markdown()), self.env.doc2path(self.env.docname))
        self.state.nested_parse(lines, self.content_offset, holder, match_titles=True)
        return holder.children


class Scoreboard(Generated):
    """What every notebook stored, section by section."""

    def markdown(self):
        for page in map(facts.page, all_pages()):
            if not page.results:
                continue
            found, commit = page.results, last_commit(facts.source(page.name))
            yield from (f"### {page.title}", "")
            yield f"{link(page.name, 'The section')} on {found['corpus']} ({found['origin']}),"
            yield f"{found['device']} ({found['machine']}), seed {found['seed']}, Python"
            written = f", commit {commit}" if commit else ""
            yield f"{found['python']}, torch {found['torch']}, {found['date']}{written}."
            yield ""
            values = found["values"].items()
            rows = [[k.replace("_", " "), facts.number(v), allowed(found, k)] for k, v in values]
            yield from (*table(["figure", "value", "a fresh run may differ by"], rows), "")


def allowed(found: dict, name: str) -> str:
    """A stored tolerance in words."""
    tolerance = found["tolerances"].get(name)
    if tolerance is None:
        return "anything"
    return f"{100 * tolerance:g} %" if tolerance else "nothing"


class Benchmarks(Generated):
    """What every benchmark left, in the columns that the directive's content names."""

    def files(self):
        return [*super().files(), *RESULTS.glob("*.json")]

    def markdown(self):
        chosen = yaml.safe_load("\n".join(self.content)) or {}
        for path in sorted(RESULTS.glob("*.json")):
            content = facts.read(path)
            columns = chosen.get(path.stem) or sorted(
                {str(p[-1]) for p, _ in facts.samples(content)}
            )
            rows = facts.benchmark(content, columns[:8])
            yield from (f"### {path.stem.replace('_', ' ').capitalize()}", "")
            yield from origin(path.stem, facts.provenances(content))
            found = [c for c in columns[:8] if any(c in row for row in rows.values())]
            cells = [
                [name.replace("_", " "), *(facts.spread(row[c]) if c in row else "" for c in found)]
                for name, row in rows.items()
            ]
            header = ["run", *(c.replace("/", " ").replace("_", " ") for c in found)]
            yield from (*table(header, cells), "")


def origin(name: str, runs: list[dict]) -> Iterator[str]:
    """A sentence each: who reads the file, and where it comes from."""
    call = re.compile(rf"""stored\(["']{name}["']\)""")
    readers = [
        n for n in all_pages() if any(call.search(c.source) for c in facts.cells(facts.source(n)))
    ]
    if readers:
        yield "Read in " + ", ".join(link(n, facts.page(n).title.split()[0]) for n in readers) + "."

    def every(key: str) -> str:
        return ", ".join(
            sorted({str(run[key])[: 7 if key == "commit" else None] for run in runs if key in run})
        )

    seeds = sorted({seed for run in runs for seed in run.get("seeds", [])})
    total = sum(run.get("seconds", 0) for run in runs)
    yield f"Seeds {', '.join(map(str, seeds))}; {every('origin')} data; {every('machine')},"
    yield f"{every('cores')} cores, threads {every('threads')}; Python {every('python')}, torch"
    yield f"{every('torch')}; {facts.duration(total)} in all; {every('date')};"
    yield f"commits {every('commit')}."
    commands = {re.sub(r" /\S+", "", run["command"]) for run in runs if "command" in run}
    yield from ("", *(f"- `{command}`" for command in sorted(commands)), "")


class Published(Generated):
    """Published figures beside what this book measured under the same name."""

    def files(self):
        return [*super().files(), *RESULTS.glob("*.json"), PUBLISHED]

    def markdown(self):
        entries = facts.read(PUBLISHED)
        for task in dict.fromkeys(entry["task"] for entry in entries):
            own = [entry for entry in entries if entry["task"] == task]
            yield from (f"### {task}", "", f"Published under: {own[0]['how']}.", "")
            rows = [
                [e["model"], e["value"], e["source"], "; ".join(ours(e["ours"])) or "—"]
                for e in own
            ]
            yield from (*table(["model", "published", "by", "this book"], rows, "---"), "")


def ours(places: list[dict]) -> Iterator[str]:
    """Each measured figure as text with a link; nothing for what is not measured yet."""
    for place in places:
        if "page" in place and place["page"] in all_pages():
            values = (facts.page(place["page"]).results or {"values": {}})["values"]
            for name, value in values.items():
                if fnmatch(name, place["value"]):
                    yield f"{link(place['page'], name.replace('_', ' '))} {facts.number(value)}"
        elif "benchmark" in place and (path := RESULTS / f"{place['benchmark']}.json").exists():
            content = facts.read(path)
            row = facts.benchmark(content, [place["column"]]).get(place["row"])
            if row:
                name = place["row"].split(", ")[-1]
                yield f"[{name}](#{path.stem}) {facts.spread(row[place['column']])}"


def setup(app) -> dict:
    app.add_directive("scoreboard", Scoreboard)
    app.add_directive("benchmarks", Benchmarks)
    app.add_directive("published", Published)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
