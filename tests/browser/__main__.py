# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the screenshots of docs/report.md again, and measure size and load time of the page of 2,000 credentials.

    python -m browser
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.model import build
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.page import to_html

from support.fleets import NOW, fleet

from .chromium import Chromium

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
RUNBOOKS = "https://github.com/ranchhand/ranchhand.rancher/blob/main/docs/runbooks"


def main():
    browser = Chromium()
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "report.html"
            file.write_bytes(to_html(build(fleet(60), NOW, RUNBOOKS)).encode())
            for scheme in ("light", "dark"):
                browser.scheme(scheme)
                browser.open(file)
                browser.screenshot(IMAGES / f"report-{scheme}.png", 1560 if scheme == "light" else 800)
            browser.scheme("light")
            browser.open(file)
            browser.js("document.querySelector('#uses details details').open = true")
            browser.js("document.getElementById('uses-title').parentElement.scrollIntoView()")
            browser.screenshot(IMAGES / "report-uses.png", 480)
            browser.open(file)
            browser.screenshot(IMAGES / "report-narrow.png", 900, width=390)
            browser.print_media()
            browser.open(file)
            browser.screenshot(IMAGES / "report-print.png", 640, width=1020)  # A4 in landscape
            browser.scheme("light")

            file.write_bytes(to_html(build(fleet(2000), NOW, RUNBOOKS)).encode())
            ready = []
            for _run in range(5):
                browser.open(file)
                ready.append(int(browser.js("return document.documentElement.dataset.ready")))
            size = file.stat().st_size / 1e6
            print(f"2,000 credentials: {size:.1f} MB, usable after {statistics.median(ready)} ms (of 5: {ready})")
    finally:
        browser.close()


if __name__ == "__main__":
    main()
