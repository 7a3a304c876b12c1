"""Keep, check and build the Chinese edition: ``python -m tools.translation COMMAND``.

- ``catalogues``: bring all catalogues up to date with the English pages.
- ``check FILE ...``: say what is wrong with catalogues; without a file, with all that are
  translated.
- ``preview PAGE ...``: build a few pages in Chinese, in ``_build/preview``.
- ``build``: build the Chinese site, in ``_build/html/zh``; ``remove``: remove it.
- ``status``: count what is translated of each page.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.contents import page_names
from tools.translation import site
from tools.translation.catalogues import (
    FIRST_PAGE,
    catalogue_names,
    catalogue_path,
    messages_of,
    read_catalogue,
)
from utils.console import make_output_safe


def check(names: list[str]) -> int:
    """Print what is wrong with catalogues, and return 1 if anything is."""
    from tools.translation.checks import check_catalogue

    known = [catalogue_path(name) for name in catalogue_names()]
    paths = [Path(name).resolve() for name in names] or known
    for name, path in zip(names, paths, strict=False):
        if path not in known:
            print(f"{name!r} is no catalogue: expected a file such as {known[0]}")
            return 2
    problems = [problem for path in paths for problem in check_catalogue(path)]
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems in {len(paths)} catalogues")
    return int(bool(problems))


def status() -> int:
    """Print how many messages of each page are translated."""
    for name in catalogue_names():
        messages = list(messages_of(read_catalogue(catalogue_path(name))))
        done = sum(bool(message.string) and not message.fuzzy for message in messages)
        words = sum(len(str(message.id).split()) for message in messages if not message.string)
        print(f"{done:5} of {len(messages):5}  {words:6} words left  {name}")
    return 0


def update() -> int:
    """Bring all catalogues up to date."""
    from tools.translation.templates import update_catalogues

    update_catalogues()
    return 0


def preview(names: list[str]) -> int:
    """Build pages in Chinese, and print where the first of them lies; 2 for no page."""
    pages = [FIRST_PAGE, *page_names()]
    for name in names:
        if name not in pages:
            print(f"{name!r} is no page: expected one such as {pages[-1]}")
            return 2
    print(site.build_preview(names))
    return 0


def build() -> int:
    """Build the Chinese site; 1 if anything went wrong."""
    return int(bool(site.build_chinese_site()))


def remove() -> int:
    """Remove the Chinese site."""
    site.remove_chinese_site()
    return 0


def main(arguments: list[str]) -> int:
    """Do what the command line says.

    Parameters
    ----------
    arguments
        The command, and what it is about.

    Returns
    -------
    status : int
        0 if all went well.
    """
    command, *names = arguments or [""]
    with_names = {"check": check, "preview": preview if names else None}
    alone = {"catalogues": update, "status": status, "build": build, "remove": remove}
    if run := with_names.get(command):
        return run(names)
    if command in alone and not names:
        return alone[command]()
    print(__doc__)
    return 2


if __name__ == "__main__":
    make_output_safe()
    sys.exit(main(sys.argv[1:]))
