# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Any Python 3 will do: tests/run.py looks for one that is new enough.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python3.14; do "$$name" -c pass 2>/dev/null && echo "$$name" && break; done)

.PHONY: help demo shell test soak bench clean needs-python

help:
	@echo "make demo          an Ansible playbook works with cloud credentials on a real Kubernetes API server"
	@echo "make demo KEEP=1   the same; the API server stays until Ctrl-C, to look around"
	@echo "make shell         a shell with such an API server and an AWS to practise on, as docs/guides/rotation.md does"
	@echo "make test          all tests and checks"
	@echo "make test FAST=1   what matters most, in under two minutes"
	@echo "make soak          rotations are killed in all ways, in about half an hour; writes docs/rotation-proof.md"
	@echo "make bench         how fast it is, against others, in about fifteen minutes; writes docs/performance.md"
	@echo "make clean         remove all that was installed and built (.local)"

demo shell test soak bench: needs-python
	@$(PYTHON) tests/run.py $@

needs-python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and there is no python3 on PATH." >&2; exit 1; }

clean:
	rm -rf .local
