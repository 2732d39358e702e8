# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of Sphinx for the documentation site, see tests/harness/site.py."""

project = "ranchhand.rancher"
author = "ranchhand contributors"
html_title = "ranchhand.rancher"
extensions = ["myst_parser", "sphinx_antsibull_ext"]
html_theme = "sphinx_ansible_theme"
html_show_sphinx = False
html_copy_source = False
pygments_style = "ansible"
# Headings of guides are the targets of links such as rotation.md#gates.
myst_heading_anchors = 4
