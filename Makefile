# Needs make, Python >= 3.11 with venv, and a C++20 compiler; everything else goes into .venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet -c ci/constraints.txt
CORE   := CMakeLists.txt pyproject.toml $(shell find cpp cuda -name '*.[ch]pp' -o -name '*.cu')
# _cuda for the devices of this machine, if it has any; and what plays a device in the tests.
DEVICE := $(if $(wildcard /dev/nvidia0),AUTO,OFF)
BUILD  := --config-settings=cmake.define.NC1FAST_SHIM=ON --config-settings=cmake.define.NC1FAST_CUDA=$(DEVICE) \
  --config-settings=cmake.define.CMAKE_CUDA_ARCHITECTURES=native

.PHONY: help install test test-fast test-tools coverage adversary fuzz study scalars bench bench-micro bench-gpu cuda docs lint sanitize sanitize-address sanitize-thread aarch64 cross wheels wheel-cuda clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/installed ## .venv with the package (editable) and what it, its tests and benchmarks need

# A worker for each core, which BLAS is to leave to it; one with nothing left to do takes tests from the others.
PYTEST := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal

test: $(VENV)/installed ## all tests but those of tools; ARGS="-k name" selects
	$(PYTEST) -m 'not tools' $(ARGS)

test-fast: $(VENV)/installed ## those for daily work: no slow ones either
	$(PYTEST) -m 'not slow and not tools' $(ARGS)

test-tools: $(VENV)/installed ## those that need compilers, emulators or other programs; they skip what is not there
	$(PYTEST) -m tools $(ARGS)

coverage: $(VENV)/installed ## branch coverage of all tests in out/coverage (HTML, JSON), and the total in percent
	mkdir -p out/coverage
	COVERAGE_FILE=out/coverage/data $(PYTEST) --cov --cov-report=html:out/coverage/html \
	  --cov-report=json:out/coverage/coverage.json $(ARGS)
	COVERAGE_FILE=out/coverage/data $(BIN)/python -m coverage report --format=total

adversary: $(VENV)/installed ## 100,000 random problems against the error bound, in out/adversary-0.txt; goes on where it ended
	$(BIN)/python -m tests.adversary $(ARGS)

fuzz: $(VENV)/installed ## damaged and hostile files for what is parsed here, a minute each; ARGS="idx sums --minutes 60", what is wrong in out/fuzz
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 NC1FAST_NUM_THREADS=1 $(BIN)/python -m tests.fuzz $(ARGS)

study: $(VENV)/installed ## the published study on its quick grid: table, figures and report in out/study
	$(BIN)/nc1fast study paper --preset quick --out out/study --restart

bench: $(VENV)/installed ## timings beside the alternatives, printed and written as JSON
	$(BIN)/python -m bench $(ARGS)

bench-micro: $(VENV)/installed ## every stage of a call, kept by commit; ARGS="-k pass --benchmark-compare" against the last one kept
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest bench/micro -p no:xdist -p no:cacheprovider --benchmark-only \
	  --benchmark-timer=time.process_time --benchmark-autosave --benchmark-columns=min,median,rounds $(ARGS)

bench-gpu: $(VENV)/installed ## the same on the GPU at hand, for which the build was made
	$(BIN)/python -m bench.bench_gpu $(ARGS)

scalars: $(VENV)/installed ## every float32 argument of the elementary functions, held to cpp/README.md; minutes
	$(BIN)/python ci/scalar_functions.py $(ARGS)

cuda: ## the CUDA kernels for every architecture, held to cuda/limits.txt; needs nvcc, no device
	$(PYTHON) ci/cuda_limits.py $(ARGS)

docs: $(VENV)/docs/installed ## the site in build/docs/html: pages, reference, and examples, of which only those run that have changed
	$(VENV)/docs/bin/python -m sphinx -b html -W --keep-going -q -c docs/site -d build/docs/doctrees . build/docs/html
	$(VENV)/docs/bin/python docs/site/check_links.py build/docs/html

lint: $(VENV)/linters ## format, types and static checks; changes nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest nc1fast._core
	find cpp cuda -name '*.[ch]pp' -o -name '*.cu' -o -name '*.h' | xargs $(BIN)/clang-format --dry-run -Werror
	$(BIN)/clang-tidy --quiet -p $$(ls -dt build/cp*/ | head -1) --extra-arg=-Wno-unknown-warning-option \
	  $$(find cpp cuda -name '*.cpp' ! -path '*/shim/*')

sanitize: sanitize-address sanitize-thread ## a short selection of tests under ASan + UBSan, then under TSan

# The package is built once more beside the normal one. `python -S` leaves the editable install out of sight.
sanitize-address sanitize-thread: sanitize-%: $(VENV)/installed
	SKBUILD_BUILD_DIR=build/$* $(PIP) --no-build-isolation --no-deps --upgrade --target build/$*/site \
	  --config-settings=install.strip=false --config-settings=cmake.define.NC1FAST_OPTIMIZATION=-O1 \
	  --config-settings=cmake.define.NC1FAST_SHIM=ON --config-settings=cmake.define.NC1FAST_CUDA=OFF \
	  --config-settings=cmake.define.CMAKE_CXX_FLAGS="$(SANITIZE_$*) -fno-omit-frame-pointer -g1" .
	for isa in baseline best; do \
	  env $$([ $$isa = best ] || echo NC1FAST_ISA=$$isa) $(RUNTIME_$*) \
	  LD_PRELOAD="$$(for lib in $(PRELOAD_$*); do printf '%s ' $$($${CXX:-g++} -print-file-name=$$lib); done)" \
	  PYTHONPATH=build/$*/site:$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))') \
	  $(BIN)/python -S -m pytest -p no:cacheprovider --capture=sys tests/test_sanitize.py tests/test_threads.py || exit 1; \
	done

aarch64: $(VENV)/installed ## tests of the core on an emulated aarch64 (ci/aarch64.sh says what that needs)
	ci/aarch64.sh build/aarch64 tests/test_core.py tests/test_golden.py tests/test_products.py tests/test_zero_rows.py

cross: ## the core for macOS, Windows and musl; its check, where it runs here (ci/cross.sh)
	ci/cross.sh build/wheels $(ARGS)

wheels: ## wheels of Linux for every Python, in build/wheels/dist, then their tests in clean environments
	ci/wheels.sh build/wheels $(ARGS)
	ci/test_wheels.sh build/wheels

wheel-cuda: ## nc1fast-cuda13, the module for CUDA devices as a wheel of its own, in build/cuda/dist; needs nvcc 13, no device
	ci/wheel_cuda.sh build/cuda $(ARGS)

SANITIZE_address := -fsanitize=address,undefined -fno-sanitize-recover=undefined
PRELOAD_address  := libasan.so libubsan.so libstdc++.so
RUNTIME_address  := ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1
SANITIZE_thread  := -fsanitize=thread
PRELOAD_thread   := libtsan.so
# NumPy's BLAS is not instrumented: what its own threads hand each other would be reported as races.
RUNTIME_thread   := TSAN_OPTIONS=halt_on_error=1:suppressions=$(CURDIR)/ci/thread_sanitizer.txt OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 BLIS_NUM_THREADS=1

clean: ## removes what was built; keeps .venv
	rm -rf build dist out docs/api docs/gallery docs/guide

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("nc1fast needs Python >= 3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/tools: ci/constraints.txt | $(BIN)/python
	$(PIP) 'pip>=23' 'scikit-build-core>=0.11' 'pybind11>=3.0' 'cmake>=3.25' ninja 'numpy>=2.0'
	@touch $@

# Run again when a C++ file has changed: ninja then rebuilds only what that file reaches.
$(VENV)/installed: $(VENV)/tools $(CORE)
	$(PIP) --no-build-isolation $(BUILD) --editable '.[study,test,bench]'
	@touch $@

$(VENV)/linters: $(VENV)/installed
	$(PIP) --no-build-isolation $(BUILD) --editable '.[lint]'
	@touch $@

# Sphinx and what it brings, in an environment of its own on top of .venv: tests and users do not depend on them.
$(VENV)/docs/installed: $(VENV)/installed ci/constraints.txt pyproject.toml
	$(BIN)/python -m venv $(VENV)/docs
	$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
	  > $$($(VENV)/docs/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/nc1fast.pth
	$(VENV)/docs/bin/python -m pip install --quiet -c ci/constraints.txt $$($(BIN)/python docs/site/requirements.py)
	@touch $@
