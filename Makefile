# Everything runs in .venv, which the first target that needs it makes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
READY := $(VENV)/.ready
VERSIONS := --constraint constraints.txt

.PHONY: help venv demo leafy-spurge test test-lowest torture check docs bench gpu-check gpu-packages clean

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

venv: $(READY) ## Make .venv with the pinned versions of constraints.txt

# Compiled at once: where Python is told to keep no bytecode, each process would compile thousands of files anew.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python $(VERSIONS) --editable '.[dev]'
	touch $(READY)

demo: $(READY) ## Run everything on a simulated site, offline (a few minutes)
	$(BIN)/spurgekit demo --overwrite

# A step that is done is not done again, nor is the map, which goes on where it was stopped.
SPURGE := surveys/leafy-spurge
SPURGE_SOURCE := mpg-ranch/leafy_spurge
SPURGE_TRAIN := --backbone mobilenetv2_050
SPURGE_MAP := --cell 0.5

leafy-spurge: $(SPURGE)/maps/leafy-spurge/summary.json ## Map the 150 ha of the Leafy Spurge Dataset: 14 GB from the Hub, 14 hours of two cores

$(SPURGE)/maps/leafy-spurge/summary.json: $(SPURGE)/orthomosaic/orthomosaic.vrt $(SPURGE)/models/spurge/model.json
	$(BIN)/spurgekit map $< --model $(SPURGE)/models/spurge --out $(SPURGE)/maps/leafy-spurge $(SPURGE_MAP)

$(SPURGE)/models/spurge/model.json: $(SPURGE)/dataset/dataset.json
	$(BIN)/spurgekit train $(SPURGE)/dataset --out $(SPURGE)/models/spurge $(SPURGE_TRAIN)

$(SPURGE)/dataset/dataset.json: | $(READY)
	$(BIN)/spurgekit dataset fetch $(SPURGE_SOURCE) --out $(SPURGE)/dataset

$(SPURGE)/orthomosaic/orthomosaic.vrt: | $(READY)
	$(BIN)/spurgekit dataset fetch $(SPURGE_SOURCE) --orthomosaic --out $(SPURGE)/orthomosaic

test: $(READY) ## Run the tests, on up to four cores (a process on each takes up to 3.5 GB)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

test-lowest: ## Run the tests with the lowest versions that pyproject.toml allows, in .venv-lowest
	$(MAKE) VENV=.venv-lowest VERSIONS='--resolution lowest-direct' test

torture: $(READY) ## Give every reader forty times as many damaged files as the tests do; kill commands, fill disks (hours)
	SPURGEKIT_TORTURE=40 $(BIN)/python -m pytest tests/torture

check: $(READY) ## Lint, check formatting, types, floors and docstrings; build the documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.docstrings
	$(MAKE) --no-print-directory docs

docs: $(READY) ## Build the documentation into site/; what is missing or broken is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(READY) ## Measure speed and memory, as ratios, and how well plots are found (hours)
	$(BIN)/python -m tests.benchmarks.bench_tile
	$(BIN)/python -m tests.benchmarks.bench_map
	$(BIN)/python -m tests.benchmarks.bench_memory
	$(BIN)/python -m tests.benchmarks.bench_detect
	$(BIN)/python -m tests.benchmarks.bench_lattice
	$(BIN)/python -m tests.benchmarks.bench_frames
	$(BIN)/python -m tests.benchmarks.bench_markers
	$(BIN)/python -m tests.benchmarks.bench_dataset
	$(BIN)/python -m tests.benchmarks.bench_review
	$(BIN)/python -m tests.benchmarks.bench_features
	$(BIN)/python -m tests.benchmarks.bench_finetune
	$(BIN)/python -m tests.benchmarks.bench_check
	$(BIN)/python -m tests.benchmarks.bench_diffusion --tiny --minutes 1

gpu-check: $(READY) ## Test and measure on a GPU within 8 minutes, into gpu-check/; without one the same at tiny sizes
	$(BIN)/python -m tests.benchmarks.gpu_check $(GPU_CHECK)

# For gpu-check on a machine that has PyTorch and no network: what it lacks, for its Python and its system.
GPU_PYTHON := 3.12
GPU_PLATFORMS := manylinux_2_28_x86_64 manylinux_2_27_x86_64 manylinux_2_17_x86_64 manylinux2014_x86_64 manylinux1_x86_64
GPU_PACKAGES := affine annotated-types cachetools click click-plugins cligj deflate diffusers filelock geopandas \
	peft pydantic pydantic-core pyogrio pyproj rasterio shapely timm typing-inspection

gpu-packages: $(READY) ## Collect what gpu-check needs besides PyTorch and its like, into build/gpu-packages.tar.xz
	rm -rf build/gpu-packages build/gpu-packages.tar.xz
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target build/gpu-packages --no-deps --no-compile \
		--only-binary :all: --implementation cp --python-version $(GPU_PYTHON) $(GPU_PLATFORMS:%=--platform %) \
		$(VERSIONS) $(GPU_PACKAGES)
	XZ_OPT=-9 tar --create --xz --directory build/gpu-packages --file build/gpu-packages.tar.xz .
	du -h build/gpu-packages.tar.xz

clean: ## Remove the environments, the documentation and what the demo and gpu-check made
	rm -rf .venv .venv-lowest site build gpu-check spurgekit-demo
