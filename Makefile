# What one types here. `make demo` and `make test` set up everything they need in .venv by themselves; no root, nothing outside.

PYTHON  ?=
SECONDS ?=
PORT    ?=
BROKER  ?=
TOPIC   ?= tapwire/v1/\#
SEED    ?= 1
FILE    ?= tapwire-$(shell date +%Y%m%d-%H%M%S).backup
MINUTES ?=
TAPS    ?= 16
WORKERS ?= 2
URL     ?=
CLUSTER ?=
IMAGE   ?= debian:trixie
COMMAND ?= .ci/run
DOCKER_OPTIONS ?= --privileged

VENV     := .venv
PY       := $(VENV)/bin/python
PIP      := $(PY) -m pip --disable-pip-version-check --no-input --quiet
VENDOR   := admin-api/src/tapwire_admin/console/vendor/.complete
FOLDER   ?= .pictures
PACKAGES := contracts core-service tap-node admin-api conformance
PYPROJECTS := $(PACKAGES:=/pyproject.toml)
CHECKED  := $(PACKAGES:=/src) conformance/examples demo tests
# some shells export HOST, the machine's name: only what was typed after `make` counts
DEMO_HOST := $(if $(filter command,$(origin HOST)),$(HOST))
# Ctrl-C ends the command with all that it began, and make's own line says so; Python and npm would each print a traceback.
# A session of its own keeps the terminal's Ctrl-C from it.
INTERRUPTIBLE := run() { setsid "$$@" & job=$$!; \
	trap 'exec 2> /dev/null; kill -TERM -$$job; wait $$job; trap - INT TERM; kill -INT $$$$' INT TERM; wait $$job; };
# exec: Ctrl-C then reaches make and the program, and make waits for the program
RUN      := PYTHONPATH=demo exec $(PY)

# what tests run or build beside Python's packages, by the names of Debian; a browser is Chromium or Chrome
TESTED_WITH     = ca-certificates curl git make mosquitto mosquitto-clients openssl rabbitmq-server $(MISSING_VENV)
INSTALLED_WITH  = gcc libc6-dev python3-dev swig systemd docker.io debootstrap iptables iproute2 \
	postgresql patroni python3-etcd etcd-server haproxy
# and docker-cli, where docker.io does not have it
MISSING_VENV    = $(if $(shell python3 -c 'import venv, ensurepip' 2>/dev/null && echo there),,python3-venv)
BROWSER         = $(shell command -v chromium google-chrome)
SUDO            = $(if $(filter-out 0,$(shell id -u)),sudo)

.PHONY: help install dist test-install test-debian system-packages demo demo-reset watch test test-long sim bench scale chaos poison soak lint console texts pictures audit docs backup schemas requirements clean
.DELETE_ON_ERROR:

# empty is unset: each of the tests' hundreds of programs would compile the five packages again, and pytest all tests
export PYTHONDONTWRITEBYTECODE :=

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

install: $(VENV)/.demo $(VENDOR) ## all programs into .venv/bin

demo: $(VENV)/.demo $(VENDOR) ## everything embedded: database, broker, core, admin API, simulated taps; SECONDS=n ends it by itself, PORT=n, HOST=0.0.0.0 for a tablet, BROKER=amqtt
	@$(RUN) -m tapwire_demo $(if $(SECONDS),'--seconds=$(SECONDS)') $(if $(PORT),'--port=$(PORT)') $(if $(DEMO_HOST),'--host=$(DEMO_HOST)') \
		$(if $(BROKER),--broker $(BROKER))

demo-reset: $(VENV)/.demo ## delete the demo's data, so that the next one starts anew
	@$(RUN) -m tapwire_demo.reset

watch: $(VENV)/.demo ## print what goes over the running demo's broker; TOPIC=filter
	@$(RUN) -m tapwire_demo.watch '$(TOPIC)'

test: lint $(VENDOR) ## the whole suite; WORKERS=n tests at a time
	$(PY) -m pytest -n $(WORKERS) --dist worksteal --timeout 240 --ignore tests/browser
	$(PY) -m pytest --timeout 240 tests/browser  # by themselves: a browser, and a demo that pours all the time, want the whole machine

test-long: lint ## slow tests, and more repetitions of those that repeat
	THOROUGH=1 $(PY) -m pytest -m "slow or thorough" --timeout 900

test-install: $(VENV)/.dev $(VENV)/.dist $(VENDOR) ## test the packages from a fresh checkout, the drivers of a Raspberry Pi, and as root the stack of compose and the units of systemd
	TMPDIR="$${TMPDIR:-/tmp}" $(PY) -m pytest -m install -n $(WORKERS) --dist loadfile --no-loadscope-reorder --timeout 900 \
		--durations 10 tests/deployment  # images want a disk

test-debian: ## run COMMAND (.ci/run) as root in a container of IMAGE that has nothing, on what is committed here; needs docker
	git archive HEAD | docker run --rm --interactive $(DOCKER_OPTIONS) --volume /tmp --env CI=true --env DEBIAN_FRONTEND=noninteractive \
		'$(IMAGE)' sh -euc ' \
		mkdir /tmp/tapwire; cd /tmp/tapwire; tar -x; \
		apt-get update -qq; apt-get install -qq --no-install-recommends ca-certificates git make > /dev/null; \
		git init --quiet; git add --all; \
		make system-packages INSTALL=1; $(COMMAND)'

system-packages: ## install what the tests use from Debian or Ubuntu, as root or by sudo; INSTALL=1 adds what `make test-install` uses
	@$(SUDO) apt-get update -qq
	@$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $(TESTED_WITH) \
		$(if $(INSTALL),$(INSTALLED_WITH) $$(apt-cache pkgnames docker-cli)) $(if $(BROWSER),,chromium) > /dev/null

audit: $(VENV)/.dev ## look up known faults of the pinned packages
	@$(PY) requirements/audit.py services node demo dev

docs: $(VENV)/.dev $(VENDOR) ## build the documentation into site/, which needs no network to be read
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict

dist: $(VENV)/.dist $(VENDOR) ## the five packages into dist/, with checksums, a bill of materials (CycloneDX) and all licences; URL=address of the repository
	@TAPWIRE_PROJECT_URL='$(URL)' $(VENV)/dist-tools/bin/python requirements/dist.py dist

backup: $(VENV)/.demo ## copy the database of TAPWIRE_DATABASE_URL into FILE, while everything runs
	@$(RUN) -m tapwire_core backup $(FILE)

sim: $(VENV)/.demo ## tell the story of one simulated day at a venue where everything goes wrong; SEED=n
	@$(RUN) -m tests.simulation $(SEED)

bench: $(VENV)/.bench $(VENDOR) ## measure speed beside the limit of this machine, ten minutes; DURATION=s each, STEADY=s on end, ROWS=n of history, DOCS=1 for docs/performance.md, ONLY=screen, limits, workers or least
	@PYTHONPATH=demo $(PY) -m tests.bench $(if $(ONLY),--only $(ONLY)) $(if $(DURATION),--seconds $(DURATION)) $(if $(STEADY),--steady $(STEADY)) $(if $(ROWS),--rows $(ROWS)) $(if $(DOCS),--docs)

scale: $(VENV)/.bench $(VENDOR) ## measure thousands of taps at once, and millions of pours; TAPS=n, POURS=n, SECONDS=s of each load, ONLY=taps or history, HISTORY=folder keeps the pours, DOCS=1
	@PYTHONPATH=demo $(PY) -m tests.scale $(if $(filter command,$(origin TAPS)),--taps $(TAPS)) $(if $(POURS),--pours $(POURS)) \
		$(if $(SECONDS),--seconds $(SECONDS)) $(if $(ONLY),--only $(ONLY)) $(if $(HISTORY),--folder $(HISTORY)) $(if $(DOCS),--docs)

chaos: $(VENV)/.demo $(VENDOR) ## break a whole bar of real processes, and let an auditor judge it; MINUTES=n, SEED=n, TAPS=n, CLUSTER=1 for one without a single machine
	@$(RUN) -m tests.chaos $(if $(CLUSTER),--cluster) $(if $(MINUTES),'--minutes=$(MINUTES)') --seed $(SEED) --taps $(TAPS)

poison: $(VENV)/.demo $(VENDOR) ## measure how others are served beside a device that floods nonsense; SECONDS=n for each case
	@$(RUN) -m tests.chaos.poison $(if $(SECONDS),'--seconds=$(SECONDS)')

soak: $(VENV)/.demo $(VENDOR) ## mixed load for an hour, and the memory of each process at its beginning and end; MINUTES=n, SEED=n, TAPS=n
	@$(RUN) -m tests.chaos.soak $(if $(MINUTES),'--minutes=$(MINUTES)') --seed $(SEED) --taps $(TAPS)

lint: $(VENV)/.dev ## style, types, and the import law
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy $(CHECKED)
	$(VENV)/bin/lint-imports

console: $(VENDOR) ## fetch the third-party assets of the console from npm

texts: $(VENV)/.dev ## collect the console's texts into its catalogues; then translate what is new
	@$(PY) -m tapwire_admin.console.translations

pictures: $(VENV)/.dev $(VENDOR) ## let the running demo have an evening, and take a picture of every page and dialog, in each theme, language and width; FOLDER=, or README
	@$(RUN) -m tests.browser.pictures $(FOLDER)

schemas: $(VENV)/.demo ## regenerate contracts/schema, broker-config/acl and docs/tap-node-phases.md from the code
	$(PY) -m tapwire_contracts
	$(PY) -m tapwire_node.phase_page

clean: ## delete .venv, caches and builds; the demo's data stay
	rm -rf $(VENV) node_modules $(dir $(VENDOR)) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist

# --- the environment -------------------------------------------------------------------------------------------------------------

# .venv knows its own absolute place: made anew when the checkout was moved or copied, or when its Python has gone
$(shell if [ -e $(VENV)/.place ]; then \
	[ "$$(cat $(VENV)/.place)" = "$$(pwd -P)" ] && $(PY) -c '' 2>/dev/null || rm -rf $(VENV); fi)

$(VENV)/.place:
	@found=; for python in $(or $(if $(PYTHON),'$(PYTHON)'),python3 python3.14 python3.13 python3.12 python3.11); do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && found=$$python && break; \
	done; \
	if [ -z "$$found" ]; then \
		echo 'Tapwire needs Python 3.11 or newer: install it, or say where it is with make PYTHON=/path/to/python3' >&2; exit 1; \
	fi; \
	if ! "$$found" -c 'import venv, ensurepip' 2>/dev/null; then \
		echo "$$found lacks venv: install it (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$("$$found" --version), once"; \
	$(INTERRUPTIBLE) run "$$found" -m venv $(VENV)
	@pwd -P > $@

$(VENV)/.demo: requirements/demo.txt $(PYPROJECTS) $(VENV)/.place
	$(call install,requirements/demo.txt)
	@touch $@

$(VENV)/.dev: requirements/dev.txt requirements/emulator.txt $(PYPROJECTS) $(VENV)/.place
	$(call install,requirements/dev.txt)
	@$(INTERRUPTIBLE) run $(PIP) install --no-deps --require-hashes -r requirements/emulator.txt
	@touch $(VENV)/.demo $@

$(VENV)/.bench: requirements/bench.txt $(VENV)/.dev
	@$(INTERRUPTIBLE) run $(PIP) install --require-hashes -r $<
	@touch $@

# apart from the programs: what it needs must not differ from what they are tested with
$(VENV)/.dist: requirements/dist.txt $(VENV)/.place
	@$(PY) -m venv $(VENV)/dist-tools
	@$(VENV)/dist-tools/bin/python -m pip --disable-pip-version-check --no-input --quiet install --require-hashes -r $<
	@touch $@

define install
	@echo "Installing $(1)"
	@$(INTERRUPTIBLE) run $(PIP) install --require-hashes -r $(1)
	@$(INTERRUPTIBLE) run $(PIP) install --no-deps --no-build-isolation $(PACKAGES:%=-e %)
endef

# --- the console's libraries ----------------------------------------------------------------------------------------------------

NPM = $(or $(shell command -v npm),$(VENV)/bin/npm)

CONSOLE_FILES := $(shell find admin-api/src/tapwire_admin/console -name '*.py' -o -name '*.html')

node_modules/.complete: package-lock.json $(VENV)/.demo
	@command -v npm >/dev/null || [ -x $(VENV)/bin/npm ] || \
		{ echo 'Installing npm into $(VENV)'; $(INTERRUPTIBLE) run $(PIP) install --require-hashes -r requirements/npm.txt; }
	@echo 'Fetching the libraries of the console'
	@export PATH="$$PATH:$$(pwd)/$(VENV)/bin"; $(INTERRUPTIBLE) run $(NPM) ci --loglevel=error --ignore-scripts > /dev/null
	@touch $@

# these files name the icons
$(VENDOR): node_modules/.complete $(CONSOLE_FILES)
	@$(PY) -m tapwire_admin.console.libraries
	@touch $@

# --- the pinned files ------------------------------------------------------------------------------------------------------------

COMPILE := $(PY) -m uv --quiet pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	$(foreach package,contracts core node admin conformance,--no-emit-package tapwire-$(package))

requirements: $(VENV)/.place ## pin again what .venv holds; UPGRADE=1 takes the newest that fit
	@$(PIP) install uv
	$(COMPILE) $(if $(UPGRADE),--upgrade) requirements/dev.in -o requirements/dev.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --no-deps requirements/emulator.in -o requirements/emulator.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) requirements/npm.in -o requirements/npm.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --no-emit-package rpi-gpio -c requirements/dev.txt requirements/pi.in -o requirements/pi.txt
	for part in demo services node build bench dist; do \
		$(COMPILE) $(if $(UPGRADE),--upgrade) -c requirements/dev.txt requirements/$$part.in -o requirements/$$part.txt || exit 1; \
	done
