"""Does a process that makes many characters grow?

Usage: python benchmarks/soak.py [--runs 50] [--quality draft] [--set KEY=VALUE ...] [--out FOLDER] [--json out.json]

Makes characters one after the other in one process, each with other texts and another seed, and reads the resident size
after each (Linux, /proc). The first runs fill caches; growth counts from the fifth on. Exit code 1 where it is more
than 200 MB. Fifty draft runs take about an hour on two cores; `--set implicit.steps=3` and the like make them quick.
"""

import argparse
import gc
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from avatargen import generate

SHAPES = ("tall", "short and chubby", "a strong man", "an old woman", "slim")
LOOKS = ("a firefighter", "a knight in silver armour", "a nurse", "a man in a red coat and black boots", "a pirate")
MOTIONS = ("punching", "waving", "jumping", None)
WARM_UP, MOST_MB = 5, 200.0


def resident_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--quality", default="draft")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--out", type=Path, help="keep the runs here")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    sizes, seconds = [], []
    for number in range(asked.runs):
        folder = asked.out / f"{number:03d}" if asked.out else Path(tempfile.mkdtemp(prefix="soak"))
        begun = time.perf_counter()
        generate(
            SHAPES[number % len(SHAPES)],
            LOOKS[number % len(LOOKS)],
            MOTIONS[number % len(MOTIONS)],
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
    if asked.json:
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        ).stdout.strip()
        report = {"growth_mb": growth, "resident_mb": sizes, "seconds": seconds, "quality": asked.quality}
        report |= {"settings": asked.set, "machine": platform.processor() or platform.machine(), "commit": commit}
        asked.json.write_text(json.dumps(report, indent=1))
    return int(growth > MOST_MB)


if __name__ == "__main__":
    sys.exit(main())
