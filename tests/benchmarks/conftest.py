"""Benchmarks are scripts beside each other: their folder is on the path, as it is when one of them is started."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
