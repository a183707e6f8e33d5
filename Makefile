# Waypost: `make up` runs an installation on this machine, `make help` lists the rest.

MAKEFLAGS += --no-print-directory
VENV := .venv
PYTHON := $(VENV)/bin/python
QUICK := $(wildcard tests/mailserver/mime tests/mailserver/mailbox_formats tests/mailserver/imap/wire tests/mailserver/smtp/wire \
    tests/mailserver/pop3/wire tests/mailserver/dsn tests/mailserver/outbound/wire tests/mailserver/test_admission.py \
    tests/mailserver/outbound/test_schedule.py tests/mailserver/outbound/test_decisions.py \
    tests/mailserver/outbound/test_shaping.py tests/mailserver/test_scram.py tests/mailserver/test_srs.py \
    tests/mailserver/test_config.py tests/mailserver/test_settings.py tests/mailserver/test_sasl.py \
    tests/storage/test_schema*.py tests/storage/schema tests/tenants/test_addresses.py tests/tenants/test_quota.py \
    tests/tenants/test_locality.py tests/deploy/test_certificates.py tests/deploy/test_demo.py \
    tests/deploy/test_installation.py tests/deploy/test_supervision.py)

SPEAKS_SQL := tests/storage tests/tenants tests/mailserver/services
OLDEST_POSTGRES := /usr/lib/postgresql/15/bin

.DEFAULT_GOAL := help
.PHONY: help up down reset check test tools bench soak

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: $(VENV)/installed ## start Postgres, S3, Redis and every role here, with demo mail; Ctrl-C stops (WAYPOST_VAR, WAYPOST_PORT_BASE)
	@exec $(PYTHON) -m deploy.local up

down: $(VENV)/installed ## stop what `make up` started
	@exec $(PYTHON) -m deploy.local down

reset: $(VENV)/installed ## delete the data of `make up`; asks first (YES=1 does not)
	@exec $(PYTHON) -m deploy.local reset

check: $(VENV)/installed-dev ## format, lint, types, imports, pure tests and the schema: about a minute
	@$(VENV)/bin/ruff format --check --quiet .
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/mypy --strict --no-error-summary
	@$(VENV)/bin/lint-imports --no-logo >$(VENV)/imports.txt || { cat $(VENV)/imports.txt; exit 1; }
	@$(PYTHON) -m pytest -n 2 --dist loadfile $(QUICK)

test: $(VENV)/installed-dev $(VENV)/bin/minio ## every test; a missing program names `make tools`
	@deploy/tools.sh --check
	@$(PYTHON) -m pytest -n 2 --dist loadfile
	@echo "The same for what speaks SQL, on the oldest PostgreSQL that we support:"
	@WAYPOST_POSTGRES_PROGRAMS=$(OLDEST_POSTGRES) $(PYTHON) -m pytest -n 2 --dist loadfile $(SPEAKS_SQL)

tools: ## install the Debian packages that tests use; asks first unless CI=true
	@deploy/tools.sh

bench: $(VENV)/installed-dev ## the benchmarks and the table of docs/performance.md
	@deploy/tools.sh --check
	@exec $(PYTHON) -m tests.bench

soak: $(VENV)/installed-dev $(VENV)/bin/minio ## the fault, load and property tests at full size
	@deploy/tools.sh --check
	@WAYPOST_SOAK=1 $(PYTHON) -m pytest -n 2 --dist loadfile

$(VENV)/bin/minio: deploy/minio/go.mod deploy/minio/go.sum deploy/minio/build.sh $(VENV)/installed-dev
	@deploy/minio/build.sh $@
	@touch $@

$(VENV)/installed: requirements.txt deploy/local/venv.sh
	@deploy/local/venv.sh $(VENV) requirements.txt
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt
	@deploy/local/venv.sh $(VENV) requirements-dev.txt
	@touch $@
