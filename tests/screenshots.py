"""Screenshots of a report: `python -m tests.screenshots REPORT.html FOLDER`."""

import sys
from pathlib import Path

from tests.browser import browser

# name: colour scheme, width and height of the window, what is at its top
VIEWS = {
    "report_light": ("light", 1200, 900, "h1"),
    "report_dark": ("dark", 1200, 900, "#calibration"),
    "explorer_light": ("light", 1200, 900, "#explorer"),
    "explorer_phone": ("light", 390, 844, "#heading"),
}


def screenshots(report: str | Path, folder: str | Path) -> None:
    """Write a PNG of each view of `report` into `folder`."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    with browser() as chromium:
        for name, (scheme, width, height, top) in VIEWS.items():
            page = chromium.new_page(color_scheme=scheme, viewport={"width": width, "height": height})
            page.goto(Path(report).resolve().as_uri())
            page.locator(top).evaluate("element => element.scrollIntoView()")
            page.screenshot(path=Path(folder) / f"{name}.png")


if __name__ == "__main__":
    screenshots(*sys.argv[1:])
