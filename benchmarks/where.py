"""Where does the time of a run go?

Usage: python benchmarks/where.py [--quality standard] [--set KEY=VALUE ...] [--top 25] [--json out.json]

Makes one character while a second thread looks a hundred times a second at what the first is doing. A look counts for
the stage (the function of `avatargen.pipeline` or `motiongen` that is open) and for the innermost function of ours on
the stack, whatever library it waits for. Looks need no instrumentation, so the run costs what it always costs. What
drawing threads do counts as waiting in the function that started them.
"""

import argparse
import collections
import sys
import tempfile
import threading
import time
from pathlib import Path

import torch
from record import save, told

import avatargen
from avatargen import generate

STAGES = (
    "load_tools",
    "coarse_shape",
    "sculpt",
    "finish_mesh",
    "refine",
    "generate_motion",
    "deliver",
    "short_report",
    "run_page",
)
ROOT = Path(avatargen.__file__).parents[1]
OURS = (str(ROOT / "avatargen"), str(ROOT / "motiongen"))


class Looker(threading.Thread):
    """Counts (stage, function) of the main thread until it is told to stop."""

    def __init__(self, every_s: float) -> None:
        super().__init__(daemon=True)
        self.every_s, self.counts, self.over = every_s, collections.Counter(), threading.Event()

    def run(self) -> None:
        main = threading.main_thread().ident
        while not self.over.wait(self.every_s):
            frame = sys._current_frames()[main]
            where, stage = None, "else"
            while frame is not None:
                code = frame.f_code
                if code.co_filename.startswith(OURS):
                    where = where or f"{Path(code.co_filename).relative_to(ROOT)} {code.co_name}"
                    if code.co_name in STAGES:
                        stage = code.co_name
                frame = frame.f_back
            if where is not None:
                self.counts[stage, where] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shape", default="tall")
    parser.add_argument("--appearance", default="Saitama")
    parser.add_argument("--motion", default="punching")
    parser.add_argument("--quality", default="standard")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--top", type=int, default=25)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    looker = Looker(0.01)
    with tempfile.TemporaryDirectory() as folder:
        looker.start()
        start = time.perf_counter()
        texts = (args.shape, args.appearance, args.motion)
        result = generate(*texts, quality=args.quality, out=Path(folder, "run"), overrides=args.set)
        seconds = time.perf_counter() - start
        looker.over.set()
        looker.join()
    whole = sum(looker.counts.values())
    stages = collections.Counter()
    for (stage, _), count in looker.counts.items():
        stages[stage] += count
    print(f"{args.quality}, {seconds:.0f} s, {whole} looks; {told()}")
    for stage, count in stages.most_common():
        print(f"{stage:<16} {count / whole:6.1%} {count / whole * seconds:7.1f} s")
    print()
    for (stage, where), count in looker.counts.most_common(args.top):
        print(f"{count / whole:6.1%} {count / whole * seconds:7.1f} s  {stage:<16} {where}")
    figures = {
        "seconds": result.seconds,
        "stages": {stage: count / whole for stage, count in stages.items()},
        "functions": [
            {"stage": stage, "function": where, "share": count / whole}
            for (stage, where), count in looker.counts.most_common(args.top)
        ],
    }
    save(args.json, figures, args)


if __name__ == "__main__":
    main()
