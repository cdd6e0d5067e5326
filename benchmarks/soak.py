"""Does a process that makes many characters grow?

Usage: python benchmarks/soak.py [--runs N] [--quality draft] [--set KEY=VALUE ...] [--texts CSV] [--out DIR] [--json F]

Makes characters one after the other in one process, each with other texts and another seed, and reads the resident size
after each (Linux, /proc). The first runs fill caches; growth counts from the fifth on. Exit code 1 where it is more
than 200 MB. Fifty draft runs take about two hours of one core; `--set implicit.steps=3` and the like make them quick.
`--texts FILE` (columns kind, text; kinds shape, appearance, name, motion) makes the file's characters instead: its
appearances and then its names, each with the next of its shapes and motions; with `--out` they are there to look at.
"""

import argparse
import csv
import gc
import shutil
import sys
import tempfile
import time
from pathlib import Path

from record import save

from avatargen import generate

SHAPES = ("tall", "short and chubby", "a strong man", "an old woman", "slim")
LOOKS = ("a firefighter", "a knight in silver armour", "a nurse", "a man in a red coat and black boots", "a pirate")
MOTIONS = ("punching", "waving", "jumping", None)
WARM_UP, MOST_MB = 5, 200.0


def texts_of(path: Path | None) -> tuple[tuple, tuple, tuple]:
    if path is None:
        return SHAPES, LOOKS, MOTIONS
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kinds = {kind: tuple(row["text"] for row in rows if row["kind"] == kind) for kind in {row["kind"] for row in rows}}
    looks = kinds.get("appearance", ()) + kinds.get("name", ())
    return kinds.get("shape") or SHAPES, looks or LOOKS, kinds.get("motion") or MOTIONS


def resident_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--quality", default="draft")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--texts", type=Path, help="a CSV of texts to make")
    parser.add_argument("--out", type=Path, help="keep the runs here")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    shapes, looks, motions = texts_of(asked.texts)
    sizes, seconds = [], []
    for number in range(asked.runs):
        folder = asked.out / f"{number:03d}" if asked.out else Path(tempfile.mkdtemp(prefix="soak"))
        begun = time.perf_counter()
        generate(
            shapes[number % len(shapes)],
            looks[number % len(looks)],
            motions[number % len(motions)],
            quality=asked.quality,
            seed=number,
            out=folder,
            overrides=asked.set,
        )
        seconds.append(time.perf_counter() - begun)
        if asked.out is None:
            shutil.rmtree(folder)
        gc.collect()
        sizes.append(resident_mb())
        print(f"run {number + 1:3d}: {seconds[-1]:6.1f} s, {sizes[-1]:7.0f} MB", flush=True)
    start = sizes[min(WARM_UP, len(sizes)) - 1]
    growth = max(sizes[min(WARM_UP, len(sizes)) - 1 :]) - start
    print(f"grew by {growth:.0f} MB over {max(0, len(sizes) - WARM_UP)} runs after the first {WARM_UP}")
    save(asked.json, {"growth_mb": growth, "resident_mb": sizes, "seconds": seconds}, asked)
    return int(growth > MOST_MB)


if __name__ == "__main__":
    sys.exit(main())
