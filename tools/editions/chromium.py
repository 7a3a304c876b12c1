"""The browser that sets the editions: Chromium, without a window and without a network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tools.editions.built_site import EditionError

if TYPE_CHECKING:
    from playwright.sync_api import Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
MINUTES = 15  # for one step


def find_chromium() -> str | None:
    """Return the path of Chromium on this machine; None if there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def opened(path: Path) -> Iterator[Page]:
    """Open a file in Chromium, and wait until its formulas are set.

    Parameters
    ----------
    path
        A page in HTML.

    Yields
    ------
    page : Page
        The page, for as long as the context lasts.

    Raises
    ------
    EditionError
        If there is no Chromium, or a formula cannot be set.
    """
    chromium = find_chromium()
    if chromium is None:
        raise EditionError(f"no Chromium on this machine, looked for {', '.join(NAMES)}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=OPTIONS)
        page = browser.new_page(color_scheme="light", viewport={"width": 800, "height": 1100})
        page.set_default_timeout(60_000 * MINUTES)
        page.goto(path.as_uri(), wait_until="load")
        page.wait_for_function("() => !window.MathJax || MathJax.startup.promise.then(() => true)")
        wrong = page.locator("mjx-merror").all_inner_texts()
        if wrong:
            raise EditionError(f"{len(wrong)} formulas cannot be set, the first: {wrong[0]}")
        yield page
        browser.close()
