# Every target sets up .venv by itself, once; a second run installs nothing.
# Options:  PYTHON=python3.12   another interpreter
#           PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"   torch without CUDA
#           SELECTION=  with `make unit` and `make check`: the slow tests, too
#           LANGUAGES=en   with `make book`: the English site alone, without the Chinese one in zh/
#           ONLY=02-1   with `make execute` and `make notebooks`: only the notebooks whose name begins so

# the versions of Python that pyproject.toml names, the newest first
VERSIONS := $(shell sed -n 's/.*Python :: \(3\.[0-9]*\)".*/\1/p' pyproject.toml | sort -t . -k 2 -rn)
OLDEST := $(lastword $(VERSIONS))
NEWEST := $(firstword $(VERSIONS))
# succeeds in a Python of one of them
IS_TESTED := -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] not in sys.argv[1:])' $(VERSIONS)
# succeeds in a Python of one of them or a newer one (3.09 comes before 3.10)
IS_NEW_ENOUGH := -c 'import sys; sys.exit("%d.%02d" % sys.version_info[:2] < sys.argv[1])' $(OLDEST)
# a tested version, if there is one, else a newer one
PYTHON ?= $(shell for p in python3 $(addprefix python,$(VERSIONS)) python; do \
	$$p $(IS_TESTED) 2>/dev/null && { echo $$p; exit; }; done; \
	for p in python3 python; do $$p $(IS_NEW_ENOUGH) 2>/dev/null && { echo $$p; exit; }; done)
PIP_ARGS ?=
ONLY ?=
LANGUAGES ?= en zh
ifneq ($(filter-out en zh,$(LANGUAGES))$(filter-out $(filter en,$(LANGUAGES)),en),)
$(error LANGUAGES is "$(LANGUAGES)": expected "en" or "en zh")
endif
# executed/ONLY is removed before it is filled: no path, no second word, no leading dot
ifneq ($(ONLY),$(filter-out .%,$(notdir $(firstword $(ONLY)))))
$(error ONLY is "$(ONLY)": expected the beginning of a notebook's name, such as 02-1)
endif
# two commands with different notebooks may run at once
EXECUTED := executed$(addprefix /,$(ONLY))
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
INSTALL ?= $(BIN)/python -m pip install --quiet $(PIP_ARGS) -r requirements.txt -c constraints.txt
UV := _build/uv/bin/uv
DOCSTRINGS := tests/test_docstrings.py
WHOLE := tests/book/test_book.py tests/book/test_site.py tests/book/test_translated_site.py \
	tests/book/test_editions.py tests/book/test_launch.py
UNIT := $(filter-out $(DOCSTRINGS) $(WHOLE),$(wildcard tests/test_*.py tests/*/test_*.py tests/*/*/test_*.py))
DOCUMENTED := $(shell find utils tools benchmarks -name '*.py')
PYTEST := $(BIN)/python -m pytest
BUILT := _build/html
SITES := $(BUILT) $(if $(filter zh,$(LANGUAGES)),$(BUILT)/zh)
BUILD := LLM_BOOK_LANGUAGES="$(LANGUAGES)"
CODE := utils tools benchmarks tests
# the daily check leaves out the tests that are marked as slow; `make test` runs all
SELECTION ?= -m "not slow"
test: SELECTION :=
# two workers of one thread each: the same numbers on every run, and no thread waits for another
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: help install book catalogues pdf epub serve lab check test lint format unit coverage oldest notebooks execute corpora \
	constraints address clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

$(READY): requirements.txt requirements-library.txt constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python $(OLDEST) or newer found. Install one," \
		"or name it: make book PYTHON=/path/to/python$(NEWEST)"; exit 1; }
	@$(PYTHON) $(IS_NEW_ENOUGH) || { echo "This book needs Python $(OLDEST) or newer; $(PYTHON) is" \
		"`$(PYTHON) --version`. Try: make PYTHON=python$(NEWEST)"; exit 1; }
	@$(PYTHON) $(IS_TESTED) || echo "This book is tested on Python $(OLDEST) to $(NEWEST), not on" \
		"`$(PYTHON) --version`, which $(PYTHON) is."
	@echo "Installing into $(VENV) (some minutes, once) ..."
	$(PYTHON) -m venv $(VENV)
	$(INSTALL)
	@touch $@

install: $(READY)  ## set up .venv, which all other targets do as well

book: $(READY)  ## build the website into _build/html from the executed notebooks
	$(BUILD) $(BIN)/jupyter-book build . --path-output . -W -n --keep-going --quiet
	$(BUILD) $(BIN)/python -m tools.translation $(if $(filter zh,$(LANGUAGES)),build,remove)
	@echo "The book is ready: open _build/html/index.html, or run 'make serve'."

catalogues: $(READY)  ## bring the catalogues of the Chinese edition up to date with the pages
	$(BIN)/python -m tools.translation catalogues
	$(BIN)/python -m tools.translation status

pdf: book  ## make the whole book as a PDF, which the site then offers (needs Chromium)
	for site in $(SITES); do $(BIN)/python -m tools.editions pdf --site $$site || exit 1; done

epub: book  ## make the whole book as an EPUB, which the site then offers (needs Chromium)
	for site in $(SITES); do $(BIN)/python -m tools.editions epub --site $$site || exit 1; done

serve: book  ## build the website and serve it at http://localhost:8000
	$(BIN)/python -m http.server 8000 --bind 127.0.0.1 --directory _build/html

lab: $(READY)  ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab --notebook-dir=. notebooks

lint: $(READY)  ## check style, format, docstrings, types, the direction of imports, and workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/numpydoc lint $(DOCUMENTED)
	$(PYTEST) -q $(DOCSTRINGS)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/zizmor --quiet --offline --strict-collection .github

format: $(READY)  ## write code and imports in the form that lint asks for; not notebooks
	$(BIN)/ruff check --quiet --select I --fix $(CODE)
	$(BIN)/ruff format $(CODE)

# a file stays with one worker, so that what its tests share, such as torchrun's runs, is made once
unit: $(READY)  ## test the library, without its slow tests
	$(ONE_THREAD) $(PYTEST) -n 2 --dist loadfile -q $(SELECTION) $(UNIT)

coverage: $(READY)  ## measure which lines and branches of the library all its tests run (slow)
	$(ONE_THREAD) $(PYTEST) -n 2 --dist loadfile -q --cov --cov-report term $(UNIT)

# in an environment of its own, as constraints.txt does not hold here
oldest: $(UV)  ## test the library on the oldest versions that requirements.txt allows (slow)
	$(MAKE) unit SELECTION= VENV=_build/oldest INSTALL="$(UV) pip install --quiet --python _build/oldest/bin/python \
		--resolution lowest-direct --torch-backend cpu -r requirements.txt"

check: lint unit  ## the daily check: lint, unit tests but the slow ones, book checks
	$(PYTEST) -q tests/book/test_book.py

notebooks: $(READY)  ## run copies of the notebooks, in executed/
	rm -rf $(EXECUTED) && mkdir -p $(EXECUTED) && cp notebooks/$(ONLY)*.ipynb $(EXECUTED)
	$(ONE_THREAD) $(PYTEST) --nbmake --overwrite --nbmake-timeout=600 --timeout=1800 -n 2 \
		--durations=0 -q $(EXECUTED)

execute: notebooks  ## run the notebooks and keep their outputs in place
	$(BIN)/python -m tools.notebooks keep $(EXECUTED) notebooks

test: lint unit notebooks book  ## everything: lint, all unit tests, notebooks, book, site, launching
	$(ONE_THREAD) $(PYTEST) -n 2 --dist loadfile -q $(filter-out tests/book/test_site.py,$(WHOLE))
	$(PYTEST) -n 2 -q tests/book/test_site.py
	$(if $(filter zh,$(LANGUAGES)),LLM_BOOK_SITE=$(BUILT)/zh $(PYTEST) -q tests/book/test_editions.py)
	$(if $(filter zh,$(LANGUAGES)),LLM_BOOK_SITE=$(BUILT)/zh $(PYTEST) -n 2 -q tests/book/test_site.py)

corpora: $(READY)  ## download all corpora, and check their files
	$(BIN)/python -m tools.corpora

$(UV):
	$(PYTHON) -m venv _build/uv && _build/uv/bin/pip install --quiet 'uv>=0.9,<1'

constraints: $(UV)  ## refresh the exact tested versions from requirements.txt
	$(UV) pip compile --universal --python-version $(OLDEST) --no-annotate --no-header \
		--upgrade --quiet requirements.txt --output-file constraints.txt

address: $(READY)  ## move the book to another repository: make address URL=https://github.com/me/book
	$(BIN)/python -m tools.repository "$(URL)"

clean:  ## remove what was built (not .venv)
	rm -rf _build build dist *.egg-info executed
	rm -rf .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .coverage .coverage.*
