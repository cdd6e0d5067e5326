"""Where does the time of a run go?

Usage: python benchmarks/where.py [--quality standard] [--set KEY=VALUE ...] [--top 25] [--json out.json]

Makes one character while a second thread looks a hundred times a second at what the first is doing. The processor time
of all threads and ended children since the look before counts for the stage (the function of `avatargen.pipeline` or
`motiongen` that is open) and for the innermost function of ours on the stack, whatever library it waits for. Looks need
no instrumentation, so the run costs what it always costs, and other work on the machine does not count. What drawing
threads do counts for the function that waits for them; what ffmpeg does, for the one that sees it end.
"""

import argparse
import collections
import sys
import tempfile
import threading
import time
from pathlib import Path

import torch
from record import processor_seconds, save, told

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
    """Adds up processor seconds by (stage, function) of the main thread until it is told to stop."""

    def __init__(self, every_s: float) -> None:
        super().__init__(daemon=True)
        self.every_s, self.over = every_s, threading.Event()
        self.spent: collections.Counter[tuple[str, str]] = collections.Counter()

    def run(self) -> None:
        main, before = threading.main_thread().ident, processor_seconds()
        while not self.over.wait(self.every_s):
            now = processor_seconds()
            frame = sys._current_frames()[main]
            where, stage = None, "else"
            while frame is not None:
                code = frame.f_code
                if code.co_filename.startswith(OURS):
                    where = where or f"{Path(code.co_filename).relative_to(ROOT)} {code.co_name}"
                    if code.co_name in STAGES:
                        stage = code.co_name
                frame = frame.f_back
            self.spent[stage, where or "libraries"] += now - before
            before = now


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
    whole = sum(looker.spent.values())
    stages = collections.Counter()
    for (stage, _), spent in looker.spent.items():
        stages[stage] += spent
    most = looker.spent.most_common(args.top)
    print(f"{args.quality}: {whole:.0f} processor seconds in {seconds:.0f} s; {told()}")
    for stage, spent in stages.most_common():
        print(f"{stage:<16} {spent / whole:6.1%} {spent:7.1f} s")
    print()
    for (stage, where), spent in most:
        print(f"{spent / whole:6.1%} {spent:7.1f} s  {stage:<16} {where}")
    figures = {
        "seconds": result.seconds,
        "processor_seconds": whole,
        "stages": {stage: spent / whole for stage, spent in stages.items()},
        "functions": [{"stage": stage, "function": where, "share": spent / whole} for (stage, where), spent in most],
    }
    save(args.json, figures, args)


if __name__ == "__main__":
    main()
