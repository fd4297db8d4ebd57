# Written for make 3.81 and sh, which is what macOS has. Paths are relative: the repository may lie anywhere.

# Python that makes .venv; by default the first of these that is new enough.
PYTHON ?=
# Options for the lab, e.g. make lab LAB="--no-browser --port 8899"
LAB ?=
# Files of tests that run at a time, each on one core.
WORKERS ?= 2
# Lessons for `make seeds`, e.g. make seeds LESSONS="01 02"; by default all.
LESSONS ?=

NEWEST_FIRST = python3.13 python3.12 python3.11 python3
PY = .venv/bin/python
PYTEST = OMP_NUM_THREADS=1 $(PY) -m pytest -n $(WORKERS) --dist loadfile
STAMP = .venv/.set-up
EXTRAS = .venv/.set-up-extras

.PHONY: help lab test lint unit notebooks seeds gpu site pictures

help:  ## list these targets
	@sed -n 's/^\([a-z]*\):.*  ## /make \1	/p' Makefile

lab: $(STAMP)  ## set up once, then open the course in JupyterLab
	@$(PY) -m medlab lab $(LAB)

test: lint unit notebooks  ## set up once, then check style, code and every lesson

lint: $(STAMP)  ## style of code and notebooks, types of the library
	@echo "== ruff check" && $(PY) -m ruff check .
	@echo "== ruff format" && $(PY) -m ruff format --check .
	@echo "== nbstripout" && $(PY) -m nbstripout --verify --keep-id notebooks/*.ipynb data/checkpoints/*.ipynb
	@echo "== codespell" && $(PY) -m codespell_lib
	@echo "== mypy" && $(PY) -m mypy

unit: $(EXTRAS)  ## unit tests
	@echo "== pytest tests" && $(PYTEST) tests

notebooks: $(STAMP)  ## every cell of every lesson
	@echo "== pytest notebooks"
	@$(PYTEST) --nbval-lax --nbval-current-env --nbval-cell-timeout=600 notebooks

seeds: $(STAMP)  ## every lesson with the seeds 0 to 4 (hours), or some: make seeds LESSONS="01 02"
	@$(PY) tests/seeds.py $(LESSONS)

gpu: $(STAMP)  ## nine minutes on an NVIDIA GPU: same bits? how fast? writes data/results/gpu.json
	@$(PY) tests/benchmarks/prove_gpu.py --out data/results/gpu.json

site: $(EXTRAS)  ## the course as web pages in build/site/html, every lesson executed (needs npm)
	@echo "== scripts" && $(PY) docs/tools/scripts.py
	@echo "== sphinx (a lesson runs only if it or the library has changed; all of them take some minutes)"
	@$(PY) -m sphinx -W --keep-going -c docs/tools -d build/site/read . build/site/html

pictures: $(STAMP)  ## the pictures of README and site
	@$(PY) docs/tools/pictures.py

# For the site, the classroom and the tests of both (about 150 MB). Not for the lab: nbgrader would add its menu there.
$(EXTRAS): $(STAMP)
	@echo "== adding what the site and the classroom need"
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[site,classroom,backbone]' -c constraints.txt
	@touch $(EXTRAS)

# The stamp holds the folder it was made for: a moved or copied repository is set up anew, and so is one whose
# Python has gone.
ifneq ($(shell [ -x $(PY) ] && cat $(STAMP) 2>/dev/null),$(shell pwd -P))
.PHONY: $(STAMP)
endif

$(STAMP): pyproject.toml constraints.txt
	@set -e; \
	if [ ! -x $(PY) ] || { [ -f $(STAMP) ] && [ "$$(cat $(STAMP))" != "$$(pwd -P)" ]; }; then \
		python=; seen=; probe='import sys; print(".".join(map(str, sys.version_info[:3])))'; \
		for name in $(if $(PYTHON),"$(PYTHON)",$(NEWEST_FIRST)); do \
			version=$$("$$name" -c "$$probe" 2>/dev/null) || continue; \
			if ! "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then seen="$$seen $$name is $$version;"; \
			elif ! "$$name" -c 'import ensurepip, venv' 2>/dev/null; then \
				seen="$$seen $$name is $$version, but without venv (Debian, Ubuntu: install python3-venv);"; \
			else python=$$name; break; fi; \
		done; \
		if [ -z "$$python" ]; then \
			echo "medlab needs Python 3.11 or newer. Found:$${seen:- none of $(or $(PYTHON),$(NEWEST_FIRST)).}"; \
			echo "Install one, or name it: make lab PYTHON=/path/to/python3"; exit 1; \
		fi; \
		echo "== setting up .venv with Python $$version (some minutes, about 6 GB with CUDA on Linux)"; \
		"$$python" -m venv --clear .venv; \
	else echo "== bringing .venv up to date"; fi; \
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[test]' -c constraints.txt; \
	pwd -P > $(STAMP)
