# `make bench`: every benchmark in its quick form, about 20 minutes on two cores; see benchmarks/bench.py.
.PHONY: bench test
PYTHON ?= .venv/bin/python

bench:
	$(PYTHON) benchmarks/bench.py --out bench

test:
	$(PYTHON) -m pytest
