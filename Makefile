# Everything that is done with this repository. Each target sets up what it needs.
PAPERS = sample
MORE =
FAMILY = auto
LEVEL = group
OUT =
ARGS =
STEPS =
PART = patch
PY = .venv/bin/python

.PHONY: help setup run test docs bench lab readme bump clean

help: ## this list
	@awk -F ': .*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

setup: ## build .venv with everything, once and again when its inputs change (PYTHON=python3.12 to choose)
	@PYTHON="$(PYTHON)" sh tools/setup.sh

run: ## the main job, table to report, in a fresh folder (PAPERS=papers.xlsx FAMILY=linear LEVEL=category OUT=folder ARGS='--seed 7')
	@PYTHON="$(PYTHON)" sh tools/setup.sh run
	@out="$(OUT)"; \
	if [ -z "$$out" ]; then \
		name=$$(basename "$(PAPERS)"); name=$${name%%.*}; name=$${name:-papers}; out="runs/$$name"; n=2; \
		while [ -e "$$out" ] || [ -e "$$out.partial" ]; do out="runs/$$name-$$n"; n=$$((n + 1)); done; \
	fi; \
	mkdir -p "$$(dirname "$$out")" && \
	set -- run "$(PAPERS)" --out "$$out" --family "$(FAMILY)" --level "$(LEVEL)" $(ARGS); \
	echo "arxiv-nbclf $$*" >&2; exec .venv/bin/arxiv-nbclf "$$@"

test: setup ## every check (STEPS='ruff mypy' for some of them)
	@$(PY) tools/check.py $(STEPS)

docs: setup ## the site, into _docs: by Quarto where it is on the PATH, otherwise by pandoc
	@if command -v quarto >/dev/null; then \
		$(PY) tools/make_site.py --prepare && PATH="$(CURDIR)/.venv/bin:$$PATH" nbdev_docs && $(PY) tools/try_model.py _docs/try \
			&& echo "site: open file://$(CURDIR)/_docs/index.html"; \
	else \
		$(PY) tools/make_site.py; \
	fi

bench: setup ## every benchmark, one JSON line each; those of two tables where MORE names another (PAPERS=papers.xlsx MORE=more.parquet)
	@set -e; for script in benchmarks/[a-z]*.py; do \
		case "$$script" in \
			*/category_level.py | */known_words.py | */labelling.py | */packaged_model.py) \
				if [ -n "$(MORE)" ]; then $(PY) "$$script" "$(PAPERS)" "$(MORE)"; fi ;; \
			*/stream_training.py) if [ -n "$(MORE)" ]; then $(PY) "$$script" "$(MORE)"; fi ;; \
			*) $(PY) "$$script" "$(PAPERS)" ;; \
		esac; \
	done

lab: setup ## JupyterLab on the notebooks, which cleans them as it saves; your home folder is left alone (ARGS='--no-browser --port 8899')
	@sh tools/lab.sh $(ARGS)

readme: setup ## README.md from nbs/index.ipynb
	@$(PY) tools/readme.py

bump: setup ## raise the version everywhere, and date the changelog (PART=major, minor or patch)
	@$(PY) tools/bump.py "$(PART)"

clean: ## remove what builds and checks leave; .venv and runs stay
	rm -rf build dist _docs _proc .pytest_cache .mypy_cache .ruff_cache
	find . -name .venv -prune -o -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +
