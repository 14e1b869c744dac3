# `make run` starts the messenger, `make test` tests it, `make check` looks at the code without running it, `make install`
# prepares it for production.
# Each sets up .venv/ first, with whichever Python from 3.11 to 3.14 is found; the second time that takes no time.


# The requirements' digest is the stamp's name, so that nothing depends on times that a checkout changes.
digest = $(shell cat $(patsubst %,requirements/%.txt,$(1)) requirements/build.txt pyproject.toml $(wildcard $(2)) | cksum | tr -dc 0-9)
RUN_READY = .venv/ready/run-$(call digest,run)
DEV_READY = .venv/ready/dev-$(call digest,pip dev clients,tests/clients/package-lock.json)

# Each module is compiled once, not by each of the many processes that the tests start.
unexport PYTHONDONTWRITEBYTECODE

# How many tests run beside each other on two cores. More than half of their time is waiting, for processes and for time-outs.
WORKERS ?= 4

# How long `make explore` looks for faults.
MINUTES ?= 10

# Where `make install` puts the messenger.
TO ?= .

.PHONY: run install test check format explore bench diagram clean

run: $(RUN_READY)
	@exec .venv/bin/python -m config.main serve --local

# Sets up what `messenger` needs to run, and starts nothing. With TO=FOLDER in a copy there that needs this checkout no more.
install:
ifneq ($(abspath $(TO)),$(CURDIR))
	@sh requirements/lay.sh "$(abspath $(TO))"
	@umask 022 && $(MAKE) --no-print-directory -C "$(abspath $(TO))" install TO=.
	@cd "$(abspath $(TO))" && .venv/bin/python -m compileall -q domain application infrastructure interfaces config
else
	@$(MAKE) --no-print-directory $(RUN_READY)
	@echo "Installed: $$(.venv/bin/messenger --version) in $(CURDIR)/.venv/bin/messenger"
endif

# The dependency rule and mypy are tried beside the tests, which often wait for the processes that they start. The same hash
# seed in every run, whatever the environment, so that no verdict depends on the order of a set.
test: $(DEV_READY)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	@{ .venv/bin/lint-imports; rule=$$?; .venv/bin/mypy && exit $$rule; } > .venv/ready/checks.log 2>&1 & checks=$$!; \
	PYTHONHASHSEED=0 .venv/bin/pytest -n $(WORKERS) --dist loadscope; tests=$$?; \
	wait $$checks; checks=$$?; cat .venv/ready/checks.log; exit $$((tests | checks))

check: $(DEV_READY)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

format: $(DEV_READY)
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

# Properties, state machines, the simulated world and kills of a real messenger, with fresh seeds; stops at a finding,
# which `make test` tries again from then on.
explore: $(DEV_READY)
	.venv/bin/python -m tests.exploring --minutes $(MINUTES)

# Every benchmark that counts, briefly, beside the last run on this machine. `MESSENGER_TOOLS` names the folder of the tools in C.
bench: $(DEV_READY)
	.venv/bin/python -m tests.benchmarks.everything

diagram: $(DEV_READY)
	.venv/bin/python -m infrastructure.postgres.schema.diagram docs/database.md

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist

$(RUN_READY):
	@sh requirements/install.sh run $@

$(DEV_READY):
	@sh requirements/install.sh dev $@
