# Written for make 3.81 and sh, which is what macOS has. Paths are relative: the repository may lie anywhere.

# Python that makes .venv; by default the first of these that is new enough.
PYTHON ?=
# Options for the lab, e.g. make lab LAB="--no-browser --port 8899"
LAB ?=
# PyTorch's builds for processors alone, a third of the disk on Linux: make lab TORCH=cpu
TORCH ?=
TORCH_CPU = https://download.pytorch.org/whl/cpu
# Files of tests that run at a time, each on one core.
WORKERS ?= 2
# Lessons for `make seeds` and `make slides`, e.g. make seeds LESSONS="01 02"; by default all.
LESSONS ?=

NEWEST_FIRST = python3.13 python3.12 python3.11 python3
PY = .venv/bin/python
PYTEST = OMP_NUM_THREADS=1 $(PY) -m pytest -n $(WORKERS) --dist loadfile
STAMP = .venv/.set-up
EXTRAS = .venv/.set-up-extras
PIP = $(PY) -m pip install --quiet --disable-pip-version-check

.PHONY: help lab test lint unit notebooks seeds gpu bench site slides pictures pins hub colab conda

help:  ## list these targets
	@sed -n 's/^\([a-z]*\):.*  ## /make \1	/p' Makefile

lab: $(STAMP)  ## set up once, then open the course in JupyterLab
	@$(PY) -m medlab lab $(LAB)

test: lint unit notebooks  ## set up once, then check style, code and every lesson

lint: $(EXTRAS)  ## style of code and notebooks, types of the library
	@echo "== ruff check" && $(PY) -m ruff check .
	@echo "== ruff format" && $(PY) -m ruff format --check .
	@echo "== nbstripout" && $(PY) -m nbstripout --verify --keep-id notebooks/*.ipynb data/checkpoints/*.ipynb
	@echo "== codespell" && $(PY) -m codespell_lib
	@echo "== mypy" && $(PY) -m mypy

unit: $(EXTRAS)  ## unit tests
	@echo "== pytest tests" && $(PYTEST) tests

notebooks: $(EXTRAS)  ## every cell of every lesson
	@echo "== pytest notebooks"
	@$(PYTEST) --nbval-lax --nbval-current-env --nbval-cell-timeout=600 notebooks

seeds: $(STAMP)  ## every lesson with the seeds 0 to 4 (hours), or some: make seeds LESSONS="01 02"
	@$(PY) tests/seeds.py $(LESSONS)

gpu: $(STAMP)  ## nine minutes on an NVIDIA GPU: same bits? how fast? writes data/results/gpu.json
	@$(PY) tests/benchmarks/prove_gpu.py --out data/results/gpu.json

bench: $(STAMP)  ## a few minutes: how fast this computer is, beside the loops of others and its own peak
	@$(PY) tests/benchmarks/bench.py

site: $(EXTRAS)  ## the course as web pages in build/site/html, every lesson executed (needs npm)
	@echo "== scripts" && $(PY) docs/tools/scripts.py
	@echo "== sphinx (a lesson runs only if it or the library has changed; all of them take some minutes)"
	@$(PY) -m sphinx -W --keep-going -c docs/tools -d build/site/read . build/site/html

slides: $(STAMP)  ## some slides of each lesson in build/slides, every lesson executed, or some: make slides LESSONS="03 07"
	@$(PY) docs/tools/slides.py $(LESSONS)

pictures: $(STAMP)  ## the pictures of README and site
	@$(PY) docs/tools/pictures.py

pins: $(STAMP)  ## write constraints.txt anew: pins that are there stay, missing ones are added (empty it for new versions)
	@$(PIP) uv
	@$(PY) -m uv pip compile --quiet pyproject.toml --universal --all-extras --python-version 3.11 --no-annotate \
		--custom-compile-command "make pins" -o constraints.txt

hub: $(EXTRAS)  ## a JupyterHub on this computer, with two students and the instructor guide's settings (needs npm)
	@$(PIP) -e '.[hub]' -c constraints.txt
	@npm install --silent --prefix build/hub configurable-http-proxy@5
	@$(PYTEST) -s tests/classroom/test_hub.py

colab: $(EXTRAS)  ## the lessons' widgets with the older Jupyter packages of Colab, put into build/colab
	@$(PIP) --upgrade --no-deps --target build/colab ipython==7.34.0 ipykernel==6.17.1 ipywidgets==7.7.1 \
		backcall==0.2.0 pickleshare==0.7.5 decorator==4.4.2 ipython-genutils==0.2.0 nest-asyncio==1.6.0
	@$(PYTEST) tests/course/test_colab.py

conda: $(EXTRAS)  ## can conda install environment.yml today, on each platform? asks conda-forge, installs nothing
	@$(PY) tests/support/solve_environment.py

# What the tests, the site and the classroom need (about 400 MB). Not for the lab: nbgrader would add its menu there.
$(EXTRAS): $(STAMP)
	@echo "== adding what tests, site and classroom need"
	@$(PIP) -e '.[test,site,classroom,backbone]' -c constraints.txt || { $(FAILED); }
	@touch $(EXTRAS)

# After what pip said.
FAILED = echo "== not everything is installed; why, is said above. If no package server was reached (pip then finds no matching"; \
	echo "   distribution, or times out), see to the network and call the same command again: it goes on from here;"; \
	echo "   where only PyTorch's own server is out of reach, call it without TORCH=cpu."; \
	if $(PY) -c 'import jupyterlab, medlab, torch' 2>/dev/null; then \
	echo "   To work with what was installed before: .venv/bin/medlab lab"; fi; exit 1

# The stamp holds the folder it was made for: a moved or copied repository is set up anew, and so is one whose
# Python has gone.
ifneq ($(filter-out cpu,$(TORCH)),)
$(error TORCH is $(TORCH); it may be cpu, or be left out)
endif
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
		echo "== setting up .venv with Python $$version (some minutes; on Linux about 6 GB, with TORCH=cpu about 2)"; \
		"$$python" -m venv --clear .venv; \
	else \
		echo "== bringing .venv up to date"; \
		$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip >/dev/null; \
	fi; \
	if [ "$(TORCH)" = cpu ] || ls -d .venv/lib/python3*/site-packages/torch-*+cpu.dist-info >/dev/null 2>&1; then \
		$(PIP) --no-deps --index-url $(TORCH_CPU) torch torchvision -c constraints.txt || { $(FAILED); }; \
	fi; \
	$(PIP) -e . -c constraints.txt || { $(FAILED); }; \
	pwd -P > $(STAMP)
