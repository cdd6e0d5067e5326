"""Runs that are killed: a process of its own, so that nothing of it is left in the tests' process.

`python victim.py ROOT PLAN...` makes a whole run into ROOT/reference, then one run into ROOT/NAME for each PLAN, which
is NAME:KIND:MOMENT. The run is started and ended with SIGKILL: KIND `event` after that share of all its events (steps
of stages, writes and renames of files; several MOMENTs with commas between them, each resumes the run), KIND `time`
after that share of a whole run's time, a little earlier where the run has ended by then. KIND `stage` presses Ctrl-C
once at the start of the stage that MOMENT names. Then the run is resumed to its end. Prints a line of JSON: how often
each run was killed, and what runs that were stopped left undone.
"""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import torch

import avatargen.implicit.avatar as implicit
from avatargen import generate
from avatargen.core import files
from avatargen.core.stopping import listening

SMALL = (
    *("shape.codebook_size=8", "shape.refine_steps=1", "implicit.steps=6", "implicit.checkpoint_every=1"),
    *("implicit.views=1", "implicit.image_size=32", "implicit.supersample=1", "implicit.distance_mm=16"),
    *("implicit.detail_mm=12", "implicit.encoding=hash", "implicit.hash_log2=10", "mesh.voxel_mm=18"),
    *("mesh.head_mm=14", "mesh.hand_mm=14", "mesh.faces=3000", "mesh.texture_size=64"),
    *("motion.codebook_entries=16", "motion.shortlist=2", "motion.starts=2", "motion.steps=4", "motion.seconds=1"),
    *("video.width=48", "video.height=48", "video.supersample=1", "video.turntable_seconds=0.1"),
    *("video.preview_width=120", "refine.steps=3", "refine.views=1", "refine.image_size=32"),
    "refine.checkpoint_every=1",
)


class Events:
    """Counts what happens and ends the process after so many events; a reporter."""

    def __init__(self, last: int | None = None, stop: str | None = None) -> None:
        self.count, self.last, self.stop = 0, last, stop

    def happen(self, *_: object, **__: object) -> None:
        self.count += 1
        if self.last is not None and self.count > self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def start(self, stage: str, total: int) -> None:
        self.happen()
        if stage == self.stop:
            signal.raise_signal(signal.SIGINT)

    step = finish = note = happen


def remember_fields(folder: Path) -> None:
    """The body's distance field takes most of a small run: keep it on the disk, as nothing that is tested here."""
    made = implicit.body_field

    def body_field(*asked: object, **named: object) -> object:
        path = folder / "field.pt"
        if not path.exists():
            files.write_whole(path, b"")
            torch.save(made(*asked, **named), path)
        return torch.load(path, weights_only=False)  # noqa: TID251  written above

    implicit.body_field = body_field


def run(folder: Path, events: Events) -> None:
    sync, replace = os.fsync, Path.replace
    os.fsync = lambda handle: (events.happen(), sync(handle))[1]
    Path.replace = lambda self, target: (events.happen(), replace(self, target), events.happen())[1]
    texts = {"shape": "tall", "appearance": "a man in a red coat", "motion": "waving"}
    given = {"quality": "draft", "guidance": "embedded", "device": "cpu", "overrides": SMALL}
    with listening("stopping"):
        generate(**texts, **given, out=folder, resume=True, reporter=events)


def child(folder: Path, after: float | None = None, **limit: object) -> tuple[bool, int]:
    """Run in a child; whether it was killed, and how many events it saw."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            events = Events(**limit)
            run(folder, events)
            os.write(writing, str(events.count).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    if after is not None:
        time.sleep(after)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    with os.fdopen(reading) as told:
        count = int(told.read() or 0)
    if os.WIFSIGNALED(status):
        return True, count
    if os.WEXITSTATUS(status):
        raise SystemExit("a run failed by itself")
    return False, count


def seconds(folder: Path) -> float:
    """How long a run takes that finds what others left; nothing of it stays."""
    begun = time.perf_counter()
    child(folder)
    took = time.perf_counter() - begun
    shutil.rmtree(folder)
    return took


def killed_after(folder: Path, after: float) -> bool:
    """Kill a run `after` seconds; on a machine that has become faster it may have ended: again, earlier."""
    for _ in range(20):
        if child(folder, after=after)[0]:
            return True
        shutil.rmtree(folder)
        after *= 0.9
    return False


def main() -> None:
    root = Path(sys.argv[1])
    remember_fields(root)
    _, total = child(root / "reference")
    took = seconds(root / "timed") if any(":time:" in plan for plan in sys.argv[2:]) else 0.0
    kills, undone = {}, {}
    limits = {
        "event": lambda moment: {"last": int(float(moment) * total)},
        "stage": lambda moment: {"stop": moment},
    }
    for plan in sys.argv[2:]:
        name, kind, moments = plan.split(":")
        if kind == "time":
            kills[name] = int(killed_after(root / name, float(moments) * took))
        else:
            kills[name] = sum(child(root / name, **limits[kind](moment))[0] for moment in moments.split(","))
        if kind == "stage":
            undone[name] = json.loads((root / name / "run.json").read_text())["left_undone"]
            shutil.copytree(root / name, root / f"{name}-stopped")
        child(root / name)
    print(json.dumps({"events": total, "seconds": took, "kills": kills, "undone": undone}))


if __name__ == "__main__":
    # As a terminal has it: a job in the background of a script ignores Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
