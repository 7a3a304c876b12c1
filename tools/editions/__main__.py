"""Write an edition of the book: ``python -m tools.editions pdf`` or ``epub``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.editions.built_site import SITE, EditionError, read_site
from tools.editions.download_links import edition_path, link_editions
from tools.editions.epub import write_epub
from tools.editions.imprint import read_imprint
from tools.editions.pdf import write_pdf
from utils.console import make_output_safe

WRITERS = {"pdf": write_pdf, "epub": write_epub}


def main() -> None:
    """Write the edition that the command line names.

    Raises
    ------
    SystemExit
        With one line, if it cannot be made.
    """
    parser = argparse.ArgumentParser(prog="python -m tools.editions", description=__doc__)
    parser.add_argument("edition", choices=list(WRITERS))
    parser.add_argument("--site", type=Path, default=SITE, help="a built site, in any language")
    arguments = parser.parse_args()
    folder = arguments.site.resolve()
    try:
        site = read_site(folder)
        path = edition_path(folder, arguments.edition, language=site.language)
        imprint = read_imprint(site)
        WRITERS[arguments.edition](site, path, imprint)
    except EditionError as error:
        sys.exit(f"no {arguments.edition}: {error}")
    link_editions(folder, language=site.language)
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    make_output_safe()
    main()
