"""What does a whole run cost, and what comes out?

Usage: python benchmarks/end_to_end.py [--quality draft,standard] [--twice] [--out FOLDER] [--json out.json]

The command of the README, once for each quality, as its user would start it: in a process of its own. Seconds and peak
memory of each stage, and the run's own check of its result. The first quality is the baseline of the ratios. `--twice`
runs the first once more with the same seed and compares every file. `--out` keeps the first run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import save, told

# Hold timings, or pictures of them.
NOT_COMPARED = {"run.json", "report.html"}


def make(texts: list[str], quality: str, folder: Path) -> tuple[dict, float]:
    start = time.perf_counter()
    words = [sys.executable, "-m", "avatargen", *texts, "--quality", quality, "--out", str(folder)]
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=dict(os.environ))
    return json.loads((folder / "run.json").read_text()), time.perf_counter() - start


def differing(one: Path, other: Path) -> list[str]:
    names = {path.name for folder in (one, other) for path in folder.iterdir() if path.is_file()} - NOT_COMPARED
    same = {name for name in names if (one / name).is_file() and (other / name).is_file()}
    return sorted(
        name for name in names if name not in same or (one / name).read_bytes() != (other / name).read_bytes()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shape", default="tall")
    parser.add_argument("--appearance", default="Saitama")
    parser.add_argument("--motion", default="punching")
    parser.add_argument("--quality", default="draft,standard")
    parser.add_argument("--twice", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    texts = ["--shape", args.shape, "--appearance", args.appearance, "--motion", args.motion]
    figures: dict[str, dict] = {}
    print(told())
    with tempfile.TemporaryDirectory() as scratch:
        first = args.out or Path(scratch, "first")
        for number, quality in enumerate(args.quality.split(",")):
            record, wall = make(texts, quality, Path(scratch, quality) if number else first)
            checked = record["evaluation"]
            parts = checked["part_colors"] or []
            told_colors = f"{sum(p['right'] for p in parts)} of {len(parts)}"
            figures[quality] = {
                "seconds": record["seconds"] | {"with the start of Python": round(wall, 1)},
                "peak memory after, MB": record["peak_memory_mb_after"],
                "named parts with their color": told_colors,
                "mesh": checked["mesh"],
                "motion": checked["motion"],
            }
            base = next(iter(figures.values()))["seconds"]["total"]
            spent = "  ".join(f"{stage} {value:.0f}" for stage, value in record["seconds"].items())
            print(f"{quality}: {spent} s ({record['seconds']['total'] / base:.2f} x {args.quality.split(',')[0]})")
            print(f"  peak {record['peak_memory_mb'] / 1000:.1f} GB; colors {told_colors}")
        if args.twice:
            quality = args.quality.split(",")[0]
            make(texts, quality, Path(scratch, "again"))
            unlike = differing(first, Path(scratch, "again"))
            figures["files that differ with the same seed"] = {"names": unlike}
            print(f"same seed again: {'every file is the same' if not unlike else 'differ: ' + ', '.join(unlike)}")
    save(args.json, figures, args)


if __name__ == "__main__":
    main()
