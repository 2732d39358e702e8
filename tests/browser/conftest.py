# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures: a Chromium and pages of reports."""

from __future__ import annotations

import pytest
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.model import build
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.page import to_html

from support.fleets import NOW

from .chromium import Chromium

RUNBOOKS = "https://runbooks.example/docs"


@pytest.fixture(scope="session")
def _chromium():
    browser = Chromium()
    yield browser
    browser.close()


@pytest.fixture
def chromium(_chromium):
    """A browser window of usual size with the light color scheme."""
    _chromium.driver.set_window_size(1360, 900)
    _chromium.scheme("light")
    return _chromium


@pytest.fixture
def page(chromium, tmp_path):
    """Return a function that opens the page of a fleet and returns its model."""
    def open_page(ranchers):
        model = build(ranchers, NOW, RUNBOOKS)
        file = tmp_path / "report.html"
        file.write_bytes(to_html(model).encode())
        chromium.open(file)
        return model
    return open_page
