# Chores. Every one is a thin call of `cargo xtask`; bare `make` lists them.

SHELL := /bin/bash
# A fresh clone on the same machine stays warm: nothing that is built lies in the checkout.
export OPENG2P_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/openg2p
export CARGO_TARGET_DIR ?= $(OPENG2P_CACHE)/target
# Where their installers put them, for shells that were not started anew since.
export PATH := $(PATH):$(HOME)/.cargo/bin:/usr/local/go/bin

XTASK = cargo xtask

.DEFAULT_GOAL := help
.PHONY: help try test soak kills bench-box bench-charts bench-plan soak-charts mutants lint unit slice fmt lock docs lab lab-list lab-down clean-cache needs needs-box

help: ## List the chores
	@echo 'make CHORE'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

try: needs-box ## From this machine to a box that pays (cold 30 to 40 min, warm 5 min); needs root
	@$(XTASK) try

test: needs-box ## Every check, with a real installation; its last line is `N passed, N failed`; needs root
	@$(XTASK) test

soak: needs ## The engine's tests in their long form: a million seeds, every kill (hours); ONLY=NAME runs a part
	@$(XTASK) soak $(ONLY)

kills: needs-box ## The engine killed on a throw-away host with systemd, KILLS=100 times; needs root
	@$(XTASK) kills --kills $(or $(KILLS),100) --seed $(or $(SEED),1)

bench-box: needs-box ## Install a box and print each figure beside its target; needs root
	@$(XTASK) bench-box

bench-plan: needs ## Plan 10,000 to 100,000 resources without any machine and print time, memory and the fit
	@$(XTASK) bench-plan

bench-charts: needs ## Measure charts beside Helm and kubectl: rendering and applying
	@$(XTASK) bench-charts

soak-charts: needs ## Random charts beside Helm and fuzz targets, for MINUTES=60
	@$(XTASK) soak-charts --minutes $(or $(MINUTES),60)

mutants: needs ## Change the code that plans, names and removes in 100 random ways; 90 must be caught (1 h)
	@$(XTASK) mutants

lint: needs ## Formatting and clippy
	@$(XTASK) test lint

unit: needs ## Formatting, clippy, tests, documentation, charts: no host
	@$(XTASK) test unit

slice: needs-box ## The installation on a throw-away host alone, with its checks; needs root
	@$(XTASK) test slice

fmt: needs ## Format all Rust
	@cargo fmt --all

lock: needs ## Bring bundle.lock up to date after a change of charts, images or what goes into them
	@$(XTASK) lock

docs: needs ## Documentation of all crates
	@cargo doc --workspace --no-deps

lab: needs-box ## Start a bare throw-away host named dev; needs root
	@$(XTASK) lab up

lab-list: needs ## List throw-away hosts
	@$(XTASK) lab list

lab-down: needs ## Remove the host of `make try`, or that of LAB=NAME; needs root
	@$(XTASK) lab down --name $(or $(LAB),try)

clean-cache: needs ## Tell what the caches hold; CLEAN=--yes removes it
	@$(XTASK) clean-cache $(CLEAN)

# cargo would be the first thing to be missed, in the words of a shell.
needs:
	@xtask/needs build

needs-box:
	@xtask/needs box
