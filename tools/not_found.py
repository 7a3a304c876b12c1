"""A Sphinx extension: the page that GitHub Pages shows for an address that the site does not have.

GitHub Pages serves ``404.html`` of the root for all of them, at whatever depth. So the page needs
no other file, is in both languages, and a script completes its links; without it they lead from
the root alone.
"""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

NAME = "404.html"
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>No such page</title>
<style>
  :root { color-scheme: light dark; }
  body { max-width: 38rem; margin: 15vh auto; padding: 0 1rem; }
  body { font: 1.1rem/1.6 system-ui, sans-serif; }
</style>
</head>
<body>
<main>
<h1>No such page</h1>
<p>The book has no page at this address. Begin at its <a href="book/index.html">first page</a>, or
<a href="search.html">search</a> it.</p>
<section lang="zh-CN">
<h2>没有这个页面</h2>
<p>本书在这个地址没有页面。请从<a href="zh/book/index.html">中文首页</a>开始，或<a
href="zh/search.html">搜索</a>全书。</p>
</section>
</main>
<script>
  // A project of GitHub Pages lies in a folder; a site with a name of its own does not.
  const isProject = location.hostname.endsWith(".github.io");
  const root = isProject ? `/${location.pathname.split("/")[1]}/` : "/";
  if (location.protocol !== "file:") {
    for (const link of document.links) link.href = root + link.getAttribute("href");
  }
</script>
</body>
</html>
"""


def write_page(app: Sphinx, error: Exception | None) -> None:
    """Write the page into the root of a site in English, which all addresses share.

    Parameters
    ----------
    app
        The finished build.
    error
        What ended it early, if anything did.
    """
    if error is None and app.builder.name == "html" and app.config.language == "en":
        (Path(app.outdir) / NAME).write_text(PAGE, encoding="utf-8")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the step of the build."""
    app.connect("build-finished", write_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
