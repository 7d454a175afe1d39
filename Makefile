# Every target makes or reuses .venv itself; nothing else needs to be installed.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# Jobs share cores: one thread each, and waiting threads sleep.
RUN := PATH="$(CURDIR)/$(BIN):$$PATH" OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0
RULES := Snakefile $(wildcard rules/*.smk)
# A relative path that no reader takes for a number, whatever it is called: `nan`, `12` or `true`.
here = $(if $(filter /%,$(1)),$(1),./$(1))
# ASK=keys: whether a key of a representation tells the spread of the next step, and not its mean alone.
# A variable of the shell that happens to have this name asks nothing.
ifneq ($(origin ASK),command line)
ASK :=
else ifneq ($(or $(ASK),keys),keys)
$(error ASK=$(ASK) is unknown: write ASK=keys)
endif
asked = $(if $(ASK),'learned_keys={"representations": ["$(1)"]}')
# Folder of results that `make bundle` collects.
RESULTS ?= results/demo

# `make fault-test` breaks disks and jobs on purpose; it and the slow tests have targets of their own.
TEST := pytest -n 2 --dist loadfile -m "not slow" --ignore=tests/workflow/test_faults.py

.PHONY: demo arrays speech study cost doctor status bundle test test-slow verify mutants wide-net check lint format schema docs lock bench why recover audio fault-test slurm-test clean-demo help
help: ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# Versions and digests that the tests pass with, where they fit this Python and machine. torch follows.
$(VENV)/installed: pyproject.toml envs/lock.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
		--requirement envs/lock.txt && touch $(VENV)/locked \
		|| { rm -f $(VENV)/locked; echo "envs/lock.txt does not fit: the newest allowed versions are taken"; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

demo: $(VENV)/installed ## offline demo: results/demo/report.html in minutes
	$(RUN) snakemake --profile demo

arrays: $(VENV)/installed ## your own latents: make arrays FOLDER=latents TABLE=latents.csv RATE=12.5
	$(if $(FOLDER),$(foreach name,TABLE RATE,$(if $($(name)),,$(error $(name) is missing: make arrays FOLDER=latents TABLE=latents.csv RATE=12.5))))
	$(if $(FOLDER),@case "$(RATE)" in (*[!0-9.]*|*.*.*|.) \
		echo "RATE=$(RATE) is no number of frames per second; write it as 12.5" >&2; exit 2;; esac)
	$(RUN) snakemake --cores 2 --quiet host rules --configfile studies/arrays.yaml \
		$(if $(FOLDER)$(ASK),--config) $(if $(FOLDER),'path=$(call here,$(FOLDER))' \
			'table=$(call here,$(TABLE))' \
			'representations={"library": {"arrays": {"frame_rate_hz": $(RATE)}}}') \
		$(call asked,arrays)

speech: $(VENV)/installed ## your own speech, one folder for each speaker: make speech FOLDER=my_speech
	$(RUN) snakemake --cores 2 --quiet host rules \
		--configfile studies/arrays.yaml studies/audio_folder.yaml \
		$(if $(FOLDER)$(ASK),--config) \
			$(if $(FOLDER),'corpora={"speech": {"root": "$(call here,$(FOLDER))"}}') \
		$(call asked,mel_pca)

study: $(VENV)/installed ## your own configuration, read first: make study STUDY="mine.yaml" ARGS=-n
	$(BIN)/python -m engram_audio.config_files $(STUDY)
	$(RUN) snakemake --cores 2 --quiet host rules $(if $(STUDY),--configfile $(STUDY)) $(ARGS)

cost: $(VENV)/installed ## hours, memory and disk of a study before it runs (STUDY="mine.yaml", ARGS="--profile slurm")
	$(BIN)/python -m engram_audio.config_files $(STUDY)
	$(RUN) python -m engram_audio.cost $(if $(STUDY),--configfile $(STUDY)) $(ARGS)

doctor: $(VENV)/installed ## will this study run here, and on the cluster's nodes? (STUDY="mine.yaml")
	$(BIN)/python -m engram_audio.config_files $(STUDY)
	$(RUN) python -m engram_audio.doctor $(if $(STUDY),--configfile $(STUDY)) $(ARGS)

test: $(VENV)/installed ## all tests that take seconds and need neither GPU nor SLURM
	$(RUN) $(TEST)

test-slow: $(VENV)/installed ## the tests that take minutes (PART=gate, models, keys, generation, second or rest)
	$(RUN) pytest -n 2 --dist loadfile -m "slow and not slurm$(if $(PART), and $(PART))"

check: lint test ## format, lint, types, dead code, rules, spelling, tests

lint: $(VENV)/installed ## all of check but the tests
	$(BIN)/ruff format --check . && $(BIN)/ruff check .
	$(RUN) snakefmt --check $(RULES) && $(RUN) pyright
	$(RUN) python -m tests.dead_code
	$(BIN)/codespell README.md CHANGELOG.md CONTRIBUTING.md docs engram_audio rules tests
	$(RUN) snakemake --lint

format: $(VENV)/installed ## format code and rules
	$(BIN)/ruff check --fix-only . && $(BIN)/ruff format . && $(RUN) snakefmt $(RULES)

audio: $(VENV)/installed ## evaluators of decoded speech, weights inside: generation.audio scores with them
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
		--requirement envs/audio.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[audio]"

schema: $(VENV)/installed ## write workflow_config.schema.json from the models
	$(BIN)/python -m engram_audio.schema workflow_config.schema.json

docs: $(VENV)/installed ## write docs/data-dictionary.md and docs/glossary.md from the code
	$(BIN)/python -m engram_audio.data_dictionary docs/data-dictionary.md
	$(BIN)/python -m engram_audio.glossary_page docs/glossary.md

lock: $(VENV)/installed ## write envs/lock.txt: what is installed now, with digests
	$(BIN)/python envs/write_lock.py

verify: $(VENV)/installed ## recompute a finished study without its package (RESULTS=results/demo)
	$(RUN) python -m verify $(or $(RESULTS),results/demo)

mutants: $(VENV)/installed ## plant bugs, one at a time, and see which tests notice; write docs/trust.md
	$(RUN) python -m mutants --write docs/trust.md

wide-net: $(VENV)/installed ## mutmut: 200 drawn changes, 25 CPU minutes (ARGS="--only keys --sample 40")
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[wide]"
	$(RUN) python -m mutants.wide $(ARGS)

bench: $(VENV)/installed ## ratios against named baselines, minutes
	for script in latents structure training generation dag; do $(RUN) python "bench/$$script.py" || exit 1; done

why: $(VENV)/installed ## what would run again, and which value or module changed (ARGS="--profile demo")
	$(RUN) python -m engram_audio.reruns $(ARGS)

status: $(VENV)/installed ## what is done, running, failed and why (ARGS="--profile demo")
	$(RUN) python -m engram_audio.status $(ARGS)

bundle: $(VENV)/installed ## one archive for an issue or a paper (RESULTS=results/demo, PAGE=no leaves sounds out)
	$(RUN) python -m engram_audio.study_bundle $(RESULTS) build/$(notdir $(RESULTS))-bundle.zip \
		--logs $(patsubst results%,logs%,$(RESULTS)) $(if $(filter no,$(PAGE)),--without-page)

recover: $(VENV)/installed ## after a killed Snakemake: end its jobs, unlock the folder
	$(RUN) python -m engram_audio.cluster
	$(RUN) snakemake --unlock

fault-test: $(VENV)/installed ## break jobs, disks and files for real; write docs/faults.md
	rm -rf build/faults
	$(RUN) pytest tests/workflow/test_faults.py tests/workflow/test_slurm.py
	$(RUN) python -m tests.workflow.fault_table docs/faults.md

slurm-test: $(VENV)/installed ## the small study on a SLURM that is up
	$(RUN) pytest -m slurm tests/workflow/test_slurm.py

clean-demo: ## forget the demo's results
	rm -rf results/demo logs/demo benchmarks/demo data/demo_speech
