# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation as a site with search: the pages in docs/ and roles/, and a page for each module and plugin.

The pages are copied with their folders, so links between them are the same on GitHub and on the site. Links to anything
else in the repository become links to GitHub.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from . import environments
from .process import COLLECTIONS, LOCAL, ROOT, capture, environment, run

SITE = LOCAL / "site"
_PAGES = ("docs/**/*.md", "docs/**/*.svg", "docs/images/*", "roles/*/README.md", "*.md")
_SETTINGS = ROOT / "tests" / "site"
_LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?(?=\))")
_GITHUB = "https://github.com/ranchhand/ranchhand.rancher"


def build():
    """Build the site in .local/site/html. Returns the exit code, which is not 0 after a warning."""
    environments.link_collection()
    source = SITE / "source"
    shutil.rmtree(SITE, ignore_errors=True)
    _copy_pages(source)
    env = environment(environments.site_venv(), ANSIBLE_COLLECTIONS_PATH=COLLECTIONS)
    (source / "collections").mkdir()
    capture(
        ["antsibull-docs", "collection", "--use-current", "--no-indexes", "--squash-hierarchy",
         "--dest-dir", source / "collections", "ranchhand.rancher"],
        env, "Writing the pages of modules and plugins")
    return run(["sphinx-build", "-q", "-W", "--keep-going", "-b", "html", source, SITE / "html"], env, ROOT)


def _copy_pages(source):
    pages = {page for pattern in _PAGES for page in ROOT.glob(pattern)} - {ROOT / "README.md"}
    for page in sorted(pages):
        target = source / page.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        if page.suffix == ".md":
            target.write_text(_with_links(page, pages), encoding="utf-8")
        else:
            shutil.copyfile(page, target)
    for file in _SETTINGS.iterdir():
        shutil.copyfile(file, source / ("docs/examples.md" if file.name == "examples.md" else file.name))


def _with_links(page: Path, pages: set[Path]) -> str:
    """Return the text of a page in which links to files that are no pages lead to GitHub."""
    def link(match):
        target = (page.parent / match[1]).resolve()
        if target in pages or not target.is_relative_to(ROOT) or not target.exists():
            return match[0]
        kind = "tree" if target.is_dir() else "blob"
        return f"{_GITHUB}/{kind}/main/{target.relative_to(ROOT).as_posix()}"

    return _LINK.sub(link, page.read_text(encoding="utf-8"))
