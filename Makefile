# SPDX-License-Identifier: Apache-2.0
# One verb per need; `make` alone lists them. The same words run in CI.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules --no-print-directory

SWIFT ?= swift
# An import that a target does not declare compiles silently without this.
STRICT := --explicit-target-dependency-import-check error
PACKAGES := libnghttp2-dev libssl-dev libhiredis-dev zlib1g-dev redis-server curl nghttp2-client \
	python3-venv pkg-config
SOURCES := Package.swift Sources Tests

# The binary that the tests in Python start; `make test PENSTOCK_BIN=…` tries another one.
export PENSTOCK_BIN ?= $(CURDIR)/.build/debug/penstock
# Where the release build is what counts: the same, unless another one was named.
RELEASE_BIN := $(strip $(if $(filter file,$(origin PENSTOCK_BIN)),\
	$(CURDIR)/.build/release/penstock,$(PENSTOCK_BIN)))
export PYTHONDONTWRITEBYTECODE := 1
# Prometheus' own checker of rules.
export PROMTOOL ?= $(or $(shell command -v promtool),$(CURDIR)/.build/promtool)
PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest -c Tests/python/pytest.ini --rootdir .
# Folders that other parts of the project bring; a verb that has nothing to do yet says so.
PYTHON_TESTS := $(wildcard Tests/DeployTests Tests/SystemTests)
BENCHMARKS := $(wildcard Tests/Benchmarks/run.sh)
ENGINES := $(wildcard Tests/EngineTests/run.sh)

# Of a test run: what fails, suites, and the sum; not the hundreds of lines about what passed.
BRIEF := awk '/^◇/ { skip = 1 } /^(✔|✘|↳)/ { skip = 0 } \
	skip || (/^✔ Test / && !/^✔ Test run with/) { next } { print; fflush() }'

.PHONY: help
help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: deps
deps: toolchain ## install the Debian packages that are missing (the only verb that may need root)
	@missing=""; \
	for package in $(PACKAGES); do \
		dpkg-query -W -f '$${db:Status-Status}\n' "$$package" 2>/dev/null | grep -qx installed \
			|| missing+=" $$package"; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" != 0 ]; then \
		echo "Packages are missing. Install them, then repeat:" >&2; \
		echo "  sudo apt-get install --no-install-recommends$$missing" >&2; \
		exit 1; \
	fi; \
	echo "deps: installing$$missing"; \
	install() { DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends \
		"$$@" >/dev/null; }; \
	install $$missing 2>/dev/null || { apt-get update -qq; install $$missing; }

# The operators' page is tested in a browser; all else does without, so it is no part of `deps`.
.PHONY: browser
browser: ## install Chromium, for the tests of the operators' page; without root they are skipped
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
		if [ "$$(id -u)" != 0 ]; then \
			echo "no chromium, so tests of the page are skipped: apt-get install chromium" >&2; \
			exit 0; \
		fi; \
		echo "browser: installing chromium"; \
		install() { DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends \
			"$$@" >/dev/null; }; \
		install chromium 2>/dev/null || { apt-get update -qq; install chromium; } \
			|| echo "no chromium can be had: tests of the page are skipped" >&2; }

.PHONY: toolchain
toolchain:
	@command -v $(SWIFT) >/dev/null || { \
		echo "No swift on PATH. Swift 6.3 or later: https://www.swift.org/install/linux/" >&2; \
		exit 1; }

.PHONY: build
build: deps ## build everything, debug
	@$(SWIFT) build $(STRICT)

.PHONY: release
release: deps ## build the optimised executable: .build/release/penstock
	@$(SWIFT) build $(STRICT) -c release --static-swift-stdlib --product penstock

.PHONY: run
run: release ## the demo: gateway, two simulated engine pools, three tenants, curl lines to try
	@exec .build/release/penstock demo

.PHONY: test
test: deps lint test-swift ## everything that CI runs
	@# Tests in Python wait as much as they work: the fuzz targets are compiled meanwhile.
	@SWIFT="$(SWIFT)" nice -n 19 bash Tests/Fuzz/run.sh --build >.build/test-fuzz.log 2>&1 & \
	compiler=$$!; \
	$(MAKE) test-python || { kill $$compiler 2>/dev/null; exit 1; }; \
	wait $$compiler || { cat .build/test-fuzz.log; exit 1; }
	@$(MAKE) test-fuzz
	@echo "All tests passed:"
	@tail -n 1 .build/test-swift.log
	@tail -n 1 .build/test-python.log

.PHONY: test-swift
test-swift: deps ## the tests in Swift; one suite: make test-swift FILTER=WireTests
	@echo "swift build --build-tests"
	@$(SWIFT) build --build-tests $(STRICT) --quiet
	@echo "swift test"
	@$(SWIFT) test --skip-build --parallel --disable-xctest $(if $(FILTER),--filter $(FILTER)) \
		2>&1 | tee .build/test-swift.log | $(BRIEF)

.PHONY: test-python
test-python: deps browser .venv/.made .build/promtool
test-python: ## the tests in Python, against .build/debug/penstock
	@echo "pytest $(PYTHON_TESTS)"
	@$(PYTEST) $(PYTHON_TESTS) 2>&1 | tee .build/test-python.log

.PHONY: test-langchain
test-langchain: deps .venv/langchain/.made ## LangChain's chat classes (not in CI: many packages)
	@$(PYTEST) Tests/SystemTests/test_langchain.py

.PHONY: soak
soak: release .venv/.made ## load at full size, some 25 minutes; N=requests, TRACE=file.csv.gz
	@PENSTOCK_SOAK=1 PENSTOCK_BIN="$(CURDIR)/.build/release/penstock" N=$(N) TRACE=$(TRACE) \
		$(PYTEST) -n 0 -s --timeout 7200 $(wildcard Tests/SystemTests/test_load_*.py)

.PHONY: test-fuzz
test-fuzz: deps ## every parser, some seconds each
	@echo "Tests/Fuzz/run.sh 4"
	@SWIFT="$(SWIFT)" bash Tests/Fuzz/run.sh 4

.PHONY: test-asan
test-asan: deps ## the tests in Swift under the address sanitizer
	@$(SWIFT) test --sanitize=address --scratch-path .build-asan --disable-xctest 2>&1 | $(BRIEF)

.PHONY: test-tsan
test-tsan: deps ## the tests in Swift under the thread sanitizer
	@$(SWIFT) test --sanitize=thread --scratch-path .build-tsan --disable-xctest 2>&1 | $(BRIEF)

.PHONY: test-engines
test-engines: release .venv/.made ## the gateway before a real vLLM and llama.cpp (not in CI)
	@$(if $(ENGINES),PENSTOCK_BIN="$(RELEASE_BIN)" bash $(ENGINES), \
		echo "no Tests/EngineTests/run.sh here" >&2; exit 1)

.PHONY: fuzz
fuzz: deps ## fuzz every parser, 10 minutes each; FOR=3600 an hour
	@SWIFT="$(SWIFT)" bash Tests/Fuzz/run.sh $(or $(FOR),600)

.PHONY: bench
bench: release ## measure the release build
	@$(if $(BENCHMARKS),bash $(BENCHMARKS),echo "no Tests/Benchmarks/run.sh here" >&2; exit 1)

.PHONY: attacks
attacks: release ## what attacks do to a client that behaves: docs/attacks.md; SECONDS_EACH=30
	@mkdir -p .build/bench
	@$(or $(CC),cc) -O2 -Wall -Wextra -o .build/bench/bench Tests/Benchmarks/bench.c
	@python3 Tests/Benchmarks/attacks.py --bench .build/bench/bench --penstock "$(RELEASE_BIN)" \
		--seconds $(or $(SECONDS_EACH),30) --write docs/attacks.md

.PHONY: order
order: release ## write deploy/symbols.order, by which hot functions are linked together (valgrind)
	@mkdir -p .build/bench
	@"$${CC:-cc}" -O2 -o .build/bench/bench Tests/Benchmarks/bench.c
	@python3 Tests/Benchmarks/order.py --bench .build/bench/bench --penstock "$(RELEASE_BIN)" \
		--write deploy/symbols.order

.PHONY: estimates
estimates: ## how far token estimates are off, cross-validated; SAMPLES="counted.jsonl.gz [more …]"
	@[ -n "$(SAMPLES)" ] || { echo "SAMPLES= names counted texts: Tests/Estimates/fit.py" >&2; \
		exit 1; }
	@python3 Tests/Estimates/fit.py check $(SAMPLES)

.PHONY: screenshots
screenshots: build browser .venv/.made ## take the pictures of the operators' page: docs/images
	@$(PYTHON) Tests/SystemTests/take_screenshots.py --penstock "$(PENSTOCK_BIN)" docs/images

.PHONY: simulate
simulate: release ## the admission core in virtual time; ARGS="--fixture B" chooses what
	@.build/release/penstock simulate $(or $(ARGS),--fixture A)

.PHONY: format
format: toolchain ## format the Swift sources in place
	@$(SWIFT) format format --in-place --parallel --recursive $(SOURCES)

.PHONY: lint
lint: toolchain ## check the format, changing nothing
	@echo "swift format lint"
	@$(SWIFT) format lint --strict --parallel --recursive $(SOURCES)

.PHONY: cover
cover: deps ## line coverage of Sources by the tests in Swift
	@$(SWIFT) test --enable-code-coverage --scratch-path .build-cover --disable-xctest \
		2>&1 | $(BRIEF)
	@tools="$$(dirname "$$(readlink -f "$$(command -v $(SWIFT))")")"; \
	products="$$($(SWIFT) build --scratch-path .build-cover --show-bin-path)"; \
	"$$tools/llvm-cov" report "$$products/penstockPackageTests.xctest" \
		-instr-profile "$$products/codecov/default.profdata" \
		-ignore-filename-regex '(^|/)(Tests|checkouts|\.build[^/]*)/'

.PHONY: docs
docs: deps ## write the pages under docs/ that come from the code
	@PENSTOCK_UPDATE=1 $(SWIFT) test --disable-xctest --filter ConfigurationTests \
		2>&1 | $(BRIEF)

.PHONY: image
image: ## build the container image; IMAGE=name:tag, ENGINE=docker or podman
	@$(or $(ENGINE),docker) build -f deploy/Containerfile -t $(or $(IMAGE),penstock:dev) .

.PHONY: clean
clean: ## remove what was built, the Python environment included
	@rm -rf .build .build-* .venv

# Made again when the requirements change.
.venv/.made: Tests/python/requirements.txt Tests/python/oldest.txt | deps
	@echo "python3 -m venv .venv"
	@rm -rf .venv
	@python3 -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@.venv/bin/pip install --quiet --disable-pip-version-check --no-warn-conflicts \
		--target .venv/oldest --requirement Tests/python/oldest.txt
	@touch $@

# Apart from the others: it is some forty packages for one file of tests.
.venv/langchain/.made: Tests/python/langchain.txt .venv/.made
	@rm -rf .venv/langchain
	@.venv/bin/pip install --quiet --disable-pip-version-check --no-warn-conflicts \
		--target .venv/langchain --requirement $<
	@touch $@

# Out of Debian's package, which is not installed: that would start a server. Where it cannot be
# had, the tests that need it are skipped.
.build/promtool: | deps
	@mkdir -p .build/deb
	@[ "$(PROMTOOL)" != "$(CURDIR)/$@" ] || { echo "apt-get download prometheus"; \
		(cd .build/deb && apt-get download -qq prometheus 2>/dev/null \
			&& dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xO ./usr/bin/promtool >promtool \
			&& chmod +x promtool && mv promtool ../promtool) \
		|| echo "no promtool: its tests are skipped" >&2; }
	@rm -rf .build/deb
