# make demo: set up .venv and open the explorer.  make test: set up and run the fast tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUNS ?= runs/mini
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-sweep test-slow lint bench train-mini evidence notebooks lab clean

demo: $(VENV)/.app
	$(BIN)/mtkd demo

# docs/contributing.md says what each of the three holds. Browser tests need chromium on the PATH; the benchmark images
# are found through MTKD_DATA, and the bundled examples serve where they are absent. A file's tests share one page and
# follow one another: they stay in one worker.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest
SIDE_BY_SIDE := -n 2 --dist loadfile

test: lint
	$(PYTEST) $(SIDE_BY_SIDE) -m "not sweep and not slow and not gpu"

test-sweep: $(VENV)/.all
	$(PYTEST) $(SIDE_BY_SIDE) -m "sweep and not slow and not gpu"

test-slow: $(VENV)/.all
	$(PYTEST) -m "slow and not gpu"

lint: $(VENV)/.all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.all
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/speed.py

# The mini zoo, trained from nothing by two processes side by side; goes on where it was interrupted. MTKD_DATA must
# hold train/BSDS400 and, for the cards, benchmarks/Set5 and Set14.
MINI := edsr_mini rcan_mini swinir_mini aggregator_mini edsr_tiny-scratch edsr_tiny-mtkd
MATRIX := OMP_NUM_THREADS=1 $(BIN)/mtkd matrix table3 aggregators --size mini --anew --out $(RUNS) \
	--only edsr,rcan,swinir,MT,scratch,mtkd

train-mini: $(VENV)/.all
	trap 'kill 0' INT; $(MATRIX) & other=$$!; $(MATRIX) && wait $$other
	$(BIN)/python -m mtkd.experiments.maintain.publish $(RUNS) mtkd/zoo/weights $(MINI)

# The records of finished runs, the tables made of them, and the README's copies; MTKD_DATA as above.
evidence: $(VENV)/.all
	OMP_NUM_THREADS=1 $(BIN)/python -m mtkd.experiments.maintain.evidence $(RUNS)

# The course in JupyterLab.
lab: $(VENV)/.notebooks
	$(BIN)/jupyter lab --LabApp.news_url=None --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate \
	  --ServerApp.root_dir=$(CURDIR) --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb

notebooks: $(VENV)/.all
	OMP_NUM_THREADS=1 $(BIN)/python notebooks/build.py $(NAMES)

$(VENV)/.app: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e ".[app]"
	touch $@

$(VENV)/.notebooks: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e ".[notebooks]"
	touch $@

$(VENV)/.all: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e ".[all]"
	touch $@ $(VENV)/.app $(VENV)/.notebooks

clean:
	rm -rf $(VENV) build *.egg-info
