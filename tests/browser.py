"""A headless Chromium for tests and screenshots: the one that is installed (Debian: `apt-get install chromium`)."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def browser() -> Iterator:
    """A Playwright browser. Chromium's own sandbox is off, as it does not work for root; only own pages are opened."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield chromium
        finally:
            chromium.close()


def wait_for(page, function, arg=None):
    """Wait until a JavaScript function gives true, for ten seconds at most.

    Asked again from here: Playwright's own waiting evaluates strings in the page, which its policy forbids.
    """
    end = time.monotonic() + 10
    while not page.evaluate(function, arg):
        assert time.monotonic() < end, function
        page.wait_for_timeout(20)


def tables(page, section):
    """The visible tables of a section: a list of rows of texts, head first, per table."""
    return page.evaluate(
        """id => [...document.getElementById(id).closest("section").querySelectorAll("table")]
            .filter(table => table.checkVisibility())
            .map(table => [...table.rows].map(row => [...row.cells].map(cell => cell.innerText.trim())))""",
        section,
    )
