"""All benchmarks in their quick form, one after the other; about 20 minutes on two cores.

Usage: python benchmarks/bench.py [--out bench] [--only body,mesh] [--data set.npz]

Makes one draft character first and measures on it. Tables go to the terminal and to OUT/NAME.log, figures to
OUT/NAME.json, each with machine, commit and versions; what each benchmark took itself to OUT/bench.json. `--data` (see
docs/motion_data.md) lets the motion benchmark compare with the training clips; without it the codebook stands in. Exit
code 1 if one failed; the others are run all the same.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from record import processor_seconds, save

HERE = Path(__file__).parent
RUN = "<run>"
QUICK: dict[str, tuple[str, ...]] = {
    "end_to_end": ("--quality", "draft", "--out", RUN),
    "body": ("--batch", "32", "--repeats", "5"),
    "render": ("--repeats", "3"),
    "shape_text": ("--only", "person"),
    "implicit": ("--repeats", "3", "--fit", "5"),
    "implicit_original": ("--repeats", "1", "--size", "56"),
    "mesh": (RUN, "--stride", "6"),
    "export": (RUN, "--frames", "30"),
    "open_words": (),
    "guidance_embedded": ("--checks", "speed,retrieval,shape,words"),
    "guidance_ablation": ("--prompts", "1", "--steps", "20", "--size", "64"),
    "guidance_gradient": ("--prompts", "1", "--steps", "15"),
    "motion": ("--texts", "6", "--seed-texts", "2", "--seeds", "2", "--original", "1", "--original-steps", "60"),
    "growth": ("--quick", "--repeats", "1"),
    "limits": ("--repeats", "3"),
    "where": ("--quality", "draft"),
    "soak": ("--runs", "6", "--set", "implicit.steps=3", "--set", "motion.steps=4", "--set", "mesh.voxel_mm=9"),
}
MINUTES = 20.0
TAKES_DATA = {"motion"}
FOLDERS = {"guidance_embedded", "guidance_ablation", "guidance_gradient"}
"""Write their figures into a folder of their own."""


def command(name: str, run: Path, out: Path, data: Path | None) -> list[str]:
    words = [str(run) if word == RUN else word for word in QUICK[name]]
    where = ["--out", str(out / name)] if name in FOLDERS else ["--json", str(out / f"{name}.json")]
    more = ["--data", str(data)] if name in TAKES_DATA and data else []
    return [sys.executable, str(HERE / f"{name}.py"), *words, *where, *more]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("bench"))
    parser.add_argument("--only", default="", help="these alone, by commas")
    parser.add_argument("--data", type=Path, help="motion set, for the motion benchmark")
    asked = parser.parse_args()
    wanted = [name for name in asked.only.split(",") if name] or list(QUICK)
    unknown = sorted(set(wanted) - set(QUICK))
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(QUICK)}")
    asked.out.mkdir(parents=True, exist_ok=True)
    run, failed, start = asked.out / "run", [], time.perf_counter()
    took: dict[str, dict[str, float]] = {}
    for name in wanted:
        print(f"== {name}", flush=True)
        begun, used = time.perf_counter(), processor_seconds()
        with (asked.out / f"{name}.log").open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                command(name, run, asked.out, asked.data),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            for line in process.stdout or ():
                print(line, end="", flush=True)
                log.write(line)
        failed += [name] * (process.wait() != 0)
        took[name] = {"seconds": time.perf_counter() - begun, "processor_seconds": processor_seconds() - used}
        print("   {seconds:.0f} s, {processor_seconds:.0f} of the processor\n".format(**took[name]), flush=True)
        save(asked.out / "bench.json", {"took": took, "failed": failed}, asked)
    minutes = (time.perf_counter() - start) / 60
    print(f"{minutes:.1f} minutes ({MINUTES:.0f} are meant); figures in {asked.out}/")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
