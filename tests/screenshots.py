"""Screenshots of a report: `python -m tests.screenshots REPORT.html FOLDER`."""

import sys
from pathlib import Path

from tests.browser import browser

TURN = ".turn.selected"  # the one that the report holds for worth a look, as nothing else is asked for
# name: colour scheme, width and height of the window, what is at its top
VIEWS = {
    "report_light": ("light", 1200, 900, "h1"),
    "report_dark": ("dark", 1200, 900, "#calibration"),
    "explorer_light": ("light", 1200, 1235, "#heading"),
    "explorer_phone": ("light", 390, 844, TURN),
}


def screenshots(report: str | Path, folder: str | Path) -> None:
    """Write a PNG of each view of `report` into `folder`, with a turn opened and its case figure, `case_figure.png`."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    with browser() as chromium:
        for name, (scheme, width, height, top) in VIEWS.items():
            page = chromium.new_page(color_scheme=scheme, viewport={"width": width, "height": height})
            page.goto(Path(report).resolve().as_uri())
            page.locator(TURN).wait_for(state="attached")
            page.locator(top).evaluate("element => element.scrollIntoView()")
            page.wait_for_timeout(200)  # until what came into view is drawn
            page.screenshot(path=Path(folder) / f"{name}.png")
        page.set_viewport_size({"width": 1200, "height": 1150})
        page.click(f"{TURN} [data-do=case]")
        page.wait_for_timeout(200)
        page.locator(".case-figure").screenshot(path=Path(folder) / "case_figure.png")


if __name__ == "__main__":
    screenshots(*sys.argv[1:])
