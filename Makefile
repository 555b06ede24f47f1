# Two commands do everything on a fresh machine with Python 3.11: make train, make test.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
UV := $(BIN)/uv
export MLFLOW_DISABLE_TELEMETRY = true
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help setup train test test-slow lint audit sbom format lock repro ui clean

help: ## Show what there is
	@grep -hE '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-16s %s\n", $$1, $$2}'

# An environment is current when its stamp is newer than the lock it came from.
.venv/.main: requirements/main.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements/uv.txt
	$(UV) pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements/main.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

.venv/.dev: .venv/.main requirements/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements/dev.txt
	touch $@

setup: .venv/.main ## Make .venv with everything the main job needs

# Extras, each with a lock on top of the others' pins; the slow tests use them all.
# torch is left out of the lock: there it would be the CUDA build, gigabytes of it.
# Stamps are kept, though only patterns name them.
.SECONDARY:
EXTRAS := $(wildcard requirements/extra-*.txt)
.venv/.extra-%: requirements/extra-%.txt .venv/.main
	$(if $(filter finetune,$*),$(BIN)/pip install --quiet torch==2.13.0)
	$(UV) pip install --quiet --python $(BIN)/python --compile-bytecode --no-deps --require-hashes -r $<
	touch $@

extra-%: .venv/.extra-% ## Add what an extra needs: make extra-finetune (torch, to train sentence encoders)
	@:

train: setup ## Train, test, export and log the default classifier on the corpus in the repository
	$(BIN)/python -m pipeline.train

test: .venv/.dev ## Run the test suite
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-slow: .venv/.dev $(EXTRAS:requirements/%.txt=.venv/.%) ## Run the slow tests, and those of the extras: servers, browser, encoders, end to end
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "slow or extra"

lint: .venv/.dev ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python requirements/check.py licences > /dev/null
	$(BIN)/python requirements/check.py audit

audit: .venv/.dev .venv/.extra-audit ## List the licences of what is installed, and known vulnerabilities of what is pinned
	$(BIN)/python requirements/check.py licences
	$(BIN)/python requirements/check.py audit

sbom: .venv/.dev .venv/.extra-audit ## Write dist/sbom.json, a list of all that a release is made of (CycloneDX)
	mkdir -p dist
	$(BIN)/cyclonedx-py requirements requirements/main.txt --pyproject pyproject.toml --output-reproducible -o dist/sbom.json

format: .venv/.dev ## Put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: .venv/.main ## Pin all dependencies anew, with hashes and without an index host
	$(UV) pip compile -q pyproject.toml $(COMPILE) -o requirements/main.txt
	$(UV) pip compile -q pyproject.toml --extra test --extra lint --extra encoder -c requirements/main.txt $(COMPILE) -o requirements/dev.txt
	for name in $(EXTRAS:requirements/extra-%.txt=%); do \
	  $(UV) pip compile -q pyproject.toml --extra $$name -c requirements/dev.txt $(COMPILE) $(NO_CUDA) -o requirements/extra-$$name.txt || exit 1; done
	$(UV) pip compile -q requirements/uv.in $(COMPILE) -o requirements/uv.txt
COMPILE := --generate-hashes --no-emit-index-url --universal --no-header
CUDA := torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cccl nvidia-cuda-cupti \
  nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-cusolver nvidia-cusparse \
  nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx
NO_CUDA := $(CUDA:%=--no-emit-package %)

repro: setup ## Run what changed, through DVC
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dvc repro

ui: setup ## Show what was logged in MLflow, scores as columns
	$(BIN)/python -m pipeline.ui

clean: ## Remove what the stages wrote, not the environment
	rm -rf data/interim models reports outputs mlartifacts mlflow.db
