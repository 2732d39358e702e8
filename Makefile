# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Any Python 3 is sufficient: tests/run.py searches for a version that is new enough.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python3.14; do "$$name" -c pass 2>/dev/null && echo "$$name" && break; done)

.PHONY: help demo shell lint test environments docs soak bench artifact release clean needs-python

help:
	@echo "make demo          run a playbook that manages cloud credentials on a temporary Kubernetes API server"
	@echo "make demo KEEP=1   the same, and keep the API server running until you press Ctrl-C"
	@echo "make shell         open a shell with such an API server and an AWS, as docs/guides/first-rotation.md uses them"
	@echo "make lint          run ruff, mypy and the check of words (seconds)"
	@echo "make test          run all tests and checks (40 minutes on two cores)"
	@echo "make test FAST=1   run the most important tests (2 minutes)"
	@echo "make environments  run the unit tests, each module and each role with each ansible-core and its pre-release"
	@echo "make docs          build the documentation site in .local/site/html"
	@echo "make soak          pass 30,000 hostile inputs, interrupt rotations, run 16 playbooks at once (2 hours), write their figures"
	@echo "make bench         run the benchmarks (15 minutes) and write docs/performance.md"
	@echo "make artifact      build the artifact in .local/artifact; two builds of one commit are identical"
	@echo "make release VERSION=X.Y.Z  write version and changelog, commit, build; list what is left: tag, sign, publish"
	@echo "make clean         delete everything that was installed and built (.local)"

demo shell lint test environments docs soak bench artifact: needs-python
	@$(PYTHON) tests/run.py $@

release: needs-python
	@$(PYTHON) tests/run.py release "$(VERSION)"

needs-python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is required, and there is no python3 on PATH." >&2; exit 1; }

clean:
	rm -rf .local
