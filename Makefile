# Every target is complete by itself: it sets up what it needs first, and repeating that is fast.
PYTHON ?= python3
RUN := .venv/bin/python

.PHONY: run test setup bench check

run: setup
	@$(RUN) app.py

setup:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Install Python 3.11 or newer, or name one: make run PYTHON=/path/to/python" >&2; exit 2; }
	@$(PYTHON) engine/install.py
	@$(RUN) app.py setup

test: setup
	@$(PYTHON) engine/install.py --browser
	@$(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

bench: setup
	@$(RUN) -m tests.bench

check: setup
	@$(RUN) -m ruff format --check .
	@$(RUN) -m ruff check .
	@$(RUN) -m mypy
