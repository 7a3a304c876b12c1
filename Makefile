# Every target sets up .venv by itself, once; a second run installs nothing.
# Options:  PYTHON=python3.12   another interpreter
#           PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"   torch without CUDA
#           ONLY=02-1   with `make execute` and `make notebooks`: only the notebooks whose name begins so

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10 python; do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& { echo $$p; break; }; done)
PIP_ARGS ?=
ONLY ?=
BIN := .venv/bin
READY := .venv/.ready
WHOLE := tests/book/test_book.py tests/book/test_site.py tests/book/test_launch.py
UNIT := $(filter-out $(WHOLE),$(wildcard tests/test_*.py tests/*/test_*.py tests/*/*/test_*.py))
DOCUMENTED := $(wildcard utils/*.py utils/*/*.py utils/*/*/*.py tools/*.py tools/*/*.py)
PYTEST := $(BIN)/python -m pytest
# two workers of one thread each: the same numbers on every run, and no thread waits for another
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: help book serve lab check test lint unit coverage notebooks execute constraints address clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

$(READY): requirements.txt constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.10, 3.11, 3.12 or 3.13 found. Install one," \
		"or name it: make book PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 10) <= v <= (3, 13) else \
		f"This book runs on Python 3.10 to 3.13; {sys.executable} is {v[0]}.{v[1]}. Try: make PYTHON=python3.12")'
	@echo "Installing into .venv (some minutes, once) ..."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -r requirements.txt -c constraints.txt
	@touch $@

book: $(READY)  ## build the website into _build/html from the executed notebooks
	$(BIN)/jupyter-book build . --path-output . -W -n --keep-going --quiet
	@echo "The book is ready: open _build/html/index.html, or run 'make serve'."

serve: book  ## build the website and serve it at http://localhost:8000
	$(BIN)/python -m http.server 8000 --bind 127.0.0.1 --directory _build/html

lab: $(READY)  ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab --notebook-dir=. notebooks

lint: $(READY)  ## check style, format, docstrings, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/numpydoc lint $(DOCUMENTED)
	$(PYTEST) -q tests/test_docstrings.py
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# a file stays with one worker, so that what its tests share, such as torchrun's runs, is made once
unit: $(READY)  ## test the library
	$(ONE_THREAD) $(PYTEST) -n 2 --dist loadfile -q $(UNIT)

coverage: $(READY)  ## test the library, and which of its lines and branches the tests run (slow)
	$(ONE_THREAD) $(PYTEST) -n 2 --dist loadfile -q --cov --cov-report term $(UNIT)

check: lint unit  ## the daily check: lint, unit tests, book checks (no notebook runs)
	$(PYTEST) -q tests/book/test_book.py

notebooks: $(READY)  ## run copies of the notebooks, in executed/
	rm -rf executed && mkdir executed && cp notebooks/$(ONLY)*.ipynb executed
	$(ONE_THREAD) $(PYTEST) --nbmake --overwrite --nbmake-timeout=600 --timeout=1800 -n 2 \
		--durations=0 -q executed

execute: notebooks  ## run the notebooks and keep their outputs in place
	$(BIN)/python -m tools.notebooks keep executed notebooks

test: lint unit notebooks book  ## everything: lint, units, notebooks, book, site, launching
	$(PYTEST) -q $(filter-out tests/book/test_site.py,$(WHOLE))
	$(PYTEST) -n 2 -q tests/book/test_site.py

constraints:  ## refresh the exact tested versions from requirements.txt
	$(PYTHON) -m venv _build/uv && _build/uv/bin/pip install --quiet uv
	_build/uv/bin/uv pip compile --universal --python-version 3.10 --no-annotate --no-header --upgrade \
		--quiet requirements.txt --output-file constraints.txt

address: $(READY)  ## move the book to another repository: make address URL=https://github.com/me/book
	$(BIN)/python -m tools.repository "$(URL)"

clean:  ## remove what was built (not .venv)
	rm -rf _build build *.egg-info executed
	rm -rf .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .coverage .coverage.*
