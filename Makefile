# `make bench`: every benchmark in its quick form, about 20 minutes on two cores; see benchmarks/bench.py.
# `make gallery`: the 24 characters of benchmarks/gallery.csv by the default command, measured, and docs/gallery.md; about
# an hour. What is finished is not made again.
.PHONY: bench gallery test
PYTHON ?= .venv/bin/python
GALLERY ?= outputs/gallery

bench:
	$(PYTHON) benchmarks/bench.py --out bench

# A row that fails is on the page as such.
gallery:
	-$(PYTHON) -m avatargen batch benchmarks/gallery.csv --out $(GALLERY)
	$(PYTHON) -m avatargen evaluate $$(dirname $(GALLERY)/*/run.json) --out $(GALLERY)-evaluation
	$(PYTHON) benchmarks/gallery.py $(GALLERY) --evaluation $(GALLERY)-evaluation/evaluation.json \
		--made-at $$(git rev-parse --short HEAD)

test:
	$(PYTHON) -m pytest
