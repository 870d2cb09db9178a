# make demo: set up .venv and open the explorer.  make test: set up and run the fast tests.
# TORCH=cpu make demo: with PyTorch's CPU build, 200 MB in place of several GB (also cu130 and the like).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUNS ?= runs/mini
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-sweep test-slow lint bench train-mini evidence notebooks slides course lab clean

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

# The records of finished runs, docs/results.md, the README's marked lines and the lessons that show them; MTKD_DATA as
# above.
evidence: $(VENV)/.all
	OMP_NUM_THREADS=1 $(BIN)/python -m mtkd.experiments.maintain.evidence $(RUNS)
	$(BIN)/python docs/build.py results
	OMP_NUM_THREADS=1 $(BIN)/python notebooks/build.py 05_distillation 06_baselines 07_ablations 09_findings 11_your_own_teachers 12_read_like_a_reviewer

# The course in JupyterLab, which would ask for news from the internet. In a container people are root.
lab: $(VENV)/.notebooks
	$(BIN)/jupyter labextension disable --level=sys_prefix @jupyterlab/apputils-extension:announcements 2>/dev/null
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) --ServerApp.root_dir=$(CURDIR) \
	  --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb

notebooks: $(VENV)/.all
	OMP_NUM_THREADS=1 $(BIN)/python notebooks/build.py $(NAMES)

# From the stored notebooks: slides, and copies for students and with solutions, in build/. They need no network.
slides course: $(VENV)/.notebooks
	$(BIN)/python notebooks/publish.py $@ $(NAMES)

define install
	$(PYTHON) -m venv $(VENV)
	$(if $(TORCH),$(BIN)/pip install -q -c constraints.txt --no-deps --index-url https://download.pytorch.org/whl/$(TORCH) torch)
	$(BIN)/pip install -q -c constraints.txt -e ".[$(1)]"
	touch $@
endef

$(VENV)/.app: pyproject.toml constraints.txt
	$(call install,app)

$(VENV)/.notebooks: pyproject.toml constraints.txt
	$(call install,notebooks)

$(VENV)/.all: pyproject.toml constraints.txt
	$(call install,all)
	touch $(VENV)/.app $(VENV)/.notebooks

clean:
	rm -rf $(VENV) build *.egg-info
