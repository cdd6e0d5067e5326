"""How long does each file of a finished run take, on how many cores?

Usage: python benchmarks/export.py RUN [--frames 90] [--cores 2] [--formats glb,obj,...] [--no-films] [--json out.json]

Baseline: trimesh writes the still mesh as OBJ. Every format of `avatargen export` once, then a film of `--frames`
frames at 1280 x 720 and the condition maps of one frame. Bar: the film in at most 60 s on two cores. A machine that
does other work at the same time is told by its load.
"""

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import trimesh
from record import save, told

from avatargen.convert import FORMATS, Wish, convert_run
from avatargen.core.errors import AvatarGenError
from avatargen.core.finished import read_finished
from avatargen.core.progress import Silent
from avatargen.core.settings import ConditionSettings, VideoSettings
from avatargen.export.conditions import condition_maps
from avatargen.export.video import motion_video
from avatargen.pipeline import animated

BAR_S = 60.0
BASELINE = "trimesh, still OBJ"


def timed(work):
    """Wall and processor seconds; children (Blender, ffmpeg) count."""
    before, start = os.times(), time.perf_counter()
    result = work()
    after = os.times()
    spent = sum(after[:4]) - sum(before[:4])
    return result, round(time.perf_counter() - start, 2), round(spent, 2)


def looped(motion, frames):
    """The motion with exactly `frames` frames, forth and back as often as it takes."""
    count = len(motion.rotations)
    there_and_back = np.concatenate([np.arange(count), np.arange(count - 2, 0, -1)])
    rows = np.resize(there_and_back, frames)
    return replace(motion, rotations=motion.rotations[rows], root_position=motion.root_position[rows], contacts=None)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--frames", type=int, default=90)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--formats", default=",".join(kind for kind in FORMATS if kind != "mp4"))
    parser.add_argument("--no-films", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.cores])
    torch.set_num_threads(1)
    finished = read_finished(args.run)
    mesh = finished.avatar.mesh
    record = {
        "faces": len(mesh.faces),
        "texture": 0 if mesh.texture is None else mesh.texture.shape[0],
        "frames": 0 if finished.motion is None else len(finished.motion.rotations),
        "baseline": BASELINE,
        "exports": {},
    }
    print(f"{record['faces']} faces, texture {record['texture']}, {record['frames']} frames, {told()}")
    print(f"{'what':<26}{'seconds':>9}{'processor':>11}{'x base':>9}{'megabytes':>11}")

    def note(what, wall, spent, size):
        figures = {"seconds": wall, "processor_seconds": spent, "megabytes": round(size / 1e6, 2)}
        record["exports"][what] = figures
        base = record["exports"][BASELINE]["processor_seconds"]
        figures["ratio"] = round(spent / max(base, 0.01), 2)
        print(f"{what:<26}{wall:>9.2f}{spent:>11.2f}{figures['ratio']:>9.1f}{size / 1e6:>11.2f}", flush=True)

    still = trimesh.Trimesh(
        mesh.vertices, mesh.faces, process=False, visual=trimesh.visual.TextureVisuals(uv=mesh.vertices[:, :2])
    )
    data, wall, spent = timed(lambda: still.export(file_type="obj"))
    note(BASELINE, wall, spent, len(data))

    with tempfile.TemporaryDirectory() as folder:
        for kind in args.formats.split(","):
            try:
                files, wall, spent = timed(lambda kind=kind: convert_run(args.run, Wish(formats=(kind,)), folder))
            except AvatarGenError as error:
                print(f"{kind:<26}left out: {str(error).splitlines()[0]}")
                continue
            note(kind, wall, spent, sum(path.stat().st_size for path in files))
        if finished.motion is not None and not args.no_films:
            motion = looped(animated(finished.motion, finished.avatar), args.frames)
            path = Path(folder, "film.mp4")
            _, wall, spent = timed(lambda: motion_video(finished.avatar, motion, path, VideoSettings()))
            note(f"film, {args.frames} at 720p", wall, spent, path.stat().st_size)
            verdict = "within" if wall <= BAR_S else "over"
            print(f"  {verdict} the bar of {BAR_S:.0f} s")
            maps, sizes = Path(folder, "controls"), ConditionSettings(write=True, views=4)
            still = replace(motion, rotations=motion.rotations[:1], root_position=motion.root_position[:1])
            _, wall, spent = timed(lambda: condition_maps(finished.avatar, still, maps, sizes, Silent()))
            note("condition maps, 4 of 512", wall, spent, sum(p.stat().st_size for p in maps.rglob("*") if p.is_file()))
    save(args.json, record, args)


if __name__ == "__main__":
    main()
