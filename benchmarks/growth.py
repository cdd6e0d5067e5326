"""How do time and memory grow with the size of what is asked for?

Usage: python benchmarks/growth.py [--only frames,faces] [--quick] [--repeats 3] [--plot growth.png] [--json out.json]

For each quantity the same work at rising sizes: processor seconds of one thread (the median of `--repeats`), and by how
much the largest resident size rises while the work is done again (Linux, /proc): what it needs for itself, without what
it keeps. Each size has a copy of the process of its own.
The exponent p of "cost ~ size^p" is fitted by least squares to the logarithms of the upper half of the sizes (three at
least), where fixed costs weigh least: 1 is linear. `--quick` leaves out the last row, which makes whole characters, and
the largest size of each other. `--draw FILE` plots an earlier JSON instead of measuring.
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
import torch
from implicit import camera, step
from matplotlib import pyplot
from record import processor_seconds, save, told

from avatargen import generate
from avatargen.body.open_body import load_open_body
from avatargen.body.posing import pose_body, shape_body
from avatargen.body.skeleton import a_pose
from avatargen.core.memory import release_memory
from avatargen.core.settings import ImplicitSettings, MeshSettings, VideoSettings
from avatargen.core.values import Mesh
from avatargen.export.video import posed_video
from avatargen.guidance.embedded.model import load_embedded
from avatargen.guidance.losses import similarity_loss
from avatargen.guidance.views import named_view
from avatargen.implicit.avatar import build_field
from avatargen.mesh.clean import decimate, mend
from avatargen.mesh.rig import rig_to_body
from avatargen.mesh.texture import bake, unfold
from avatargen.render.cameras import orbit

SIZES = {
    "picture size, pixels a side": (56, 80, 112, 160, 224),
    "samples a ray": (8, 16, 32, 64),
    "pictures a step": (1, 2, 4, 8),
    "pictures to the guidance": (1, 2, 4, 8, 16),
    "bodies posed at once": (1, 4, 16, 64, 256),
    "faces of the mesh rigged": (5_000, 10_000, 20_000, 40_000),
    "faces of the mesh unfolded": (5_000, 10_000, 20_000, 40_000),
    "texture size, pixels a side": (256, 512, 1024, 2048),
    "frames of a film, 360 x 360": (8, 16, 32, 64),
    "characters, tiny": (1, 2, 4),
}
COLUMNS = 3
TINY = (
    "shape.codebook_size=24",
    "shape.refine_steps=2",
    "implicit.steps=3",
    "implicit.views=2",
    "implicit.image_size=48",
    "mesh.voxel_mm=9",
    "mesh.faces=12000",
    "mesh.texture_size=256",
    "motion.codebook_entries=32",
    "motion.shortlist=4",
    "motion.starts=3",
    "motion.steps=4",
    "video.width=96",
    "video.height=96",
    "video.supersample=1",
    "video.turntable_seconds=0.2",
)


class Works:
    """Builds the work of each quantity at a size; everything that does not grow is made once."""

    def __init__(self) -> None:
        self.body = load_open_body()
        self.betas = torch.zeros(self.body.num_betas)
        self.settings = replace(ImplicitSettings(), sculpt="on")
        self.field = build_field(self.body, self.betas, self.settings)
        self.hull = self.field.body.hull(0.01)
        self.guidance = load_embedded()
        shaped = shape_body(self.body, self.betas[None])[0][0]
        self.mesh = Mesh(vertices=shaped.numpy().astype(np.float32), faces=self.body.faces.numpy())

    def drawing(self, size: int = 112, samples: int = 16, pictures: int = 1):
        cameras = camera(self.field, "upper", size)
        if pictures > 1:
            view = named_view("upper", self.field.joints)
            around = torch.arange(pictures) * 360.0 / pictures
            cameras = orbit(around, view.elevation_deg, view.distance, view.target, view.fov_deg, size)
        return step(self.field, cameras, hull=self.hull, samples=samples, color_samples=4)

    def judging(self, pictures: int):
        text = self.guidance.encode_text(["a person in a red shirt"])
        images = torch.rand(pictures, 3, 128, 128, generator=torch.Generator().manual_seed(0), requires_grad=True)
        return lambda: similarity_loss(self.guidance.encode_image(images), text).backward()

    def posing(self, bodies: int):
        draws = torch.Generator().manual_seed(0)
        betas = torch.randn(bodies, self.body.num_betas, generator=draws)
        rotations = a_pose()[None].expand(bodies, -1, -1, -1)
        return lambda: pose_body(self.body, betas, rotations)

    def with_faces(self, faces: int) -> Mesh:
        """The body in A-pose with so many faces."""
        posed = pose_body(self.body, self.betas[None], a_pose()[None]).vertices[0].numpy().astype(np.float32)
        fine = mend(Mesh(vertices=posed, faces=self.body.faces.numpy()))
        while len(fine.faces) < faces:
            fine = _split(fine)
        return decimate(fine, faces)

    def rigging(self, faces: int):
        mesh = self.with_faces(faces)
        return lambda: rig_to_body(mesh, self.body, self.betas, a_pose())

    def unfolding(self, faces: int):
        mesh = self.with_faces(faces)
        return lambda: unfold(mesh, MeshSettings())

    def baking(self, size: int):
        settings = replace(MeshSettings(), texture_size=size)
        unfolded = unfold(self.with_faces(20_000), settings)
        return lambda: bake(unfolded, lambda points: points.abs().clamp(0, 1), settings)

    def filming(self, frames: int):
        posed = np.repeat(self.mesh.vertices[None], frames, axis=0)
        settings = replace(VideoSettings(), width=360, height=360)

        def work():
            with tempfile.TemporaryDirectory() as folder:
                posed_video(self.mesh, posed, 30, Path(folder, "film.mp4"), settings)

        return work

    def characters(self, count: int):
        def work():
            for seed in range(count):
                with tempfile.TemporaryDirectory() as folder:
                    look = ("a nurse", "a knight", "a pirate", "a firefighter")[seed % 4]
                    generate("tall", look, "waving", quality="draft", seed=seed, out=folder, overrides=TINY)

        return work


def _split(mesh: Mesh) -> Mesh:
    """Every face in four."""
    import trimesh

    fine = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).subdivide()
    return Mesh(vertices=np.asarray(fine.vertices, dtype=np.float32), faces=np.asarray(fine.faces, dtype=np.int64))


def status_mb(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def measured(make, repeats: int) -> tuple[float, float]:
    """Median processor seconds and the rise of the resident size in megabytes, in a copy of this process of its own."""
    pipe, end = multiprocessing.get_context("fork").Pipe(duplex=False)

    def child() -> None:
        work, seconds = make(), []
        if repeats > 1:
            work()  # fills caches and loads code
        release_memory()
        Path("/proc/self/clear_refs").write_text("5")  # forget the largest size so far
        before = status_mb("VmRSS")
        for turn in range(repeats):
            start = processor_seconds()
            work()
            seconds.append(processor_seconds() - start)
            if turn == 0:
                grown = status_mb("VmHWM") - before
        end.send((statistics.median(seconds), grown))

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    end.close()
    try:
        return pipe.recv()
    finally:
        process.join()


def exponent(sizes, costs) -> float:
    half = max(3, (len(sizes) + 1) // 2)
    x, y = np.log(sizes[-half:]), np.log(np.maximum(costs[-half:], 1e-6))
    return float(np.polyfit(x, y, 1)[0])


def plot(found: dict, path: Path) -> None:
    """One panel a quantity: how many times the cost of the smallest size, in time and memory; dotted is linear."""
    rows = -(-len(found) // COLUMNS)
    figure, axes = pyplot.subplots(rows, COLUMNS, figsize=(2.9 * COLUMNS, 2.6 * rows), squeeze=False)
    for axis in axes.flat[len(found) :]:
        axis.axis("off")
    for axis, (name, row) in zip(axes.flat, found.items(), strict=False):
        sizes = np.array(row["sizes"], dtype=float)
        axis.loglog(sizes, sizes / sizes[0], ":", color="grey", linewidth=1)
        for key, kind, unit, mark in (("seconds", "time", "s", "o-"), ("megabytes", "memory", "MB", "s--")):
            costs = np.maximum(row[key], 1e-4)
            said = f"{_short(costs[0])} to {_short(costs[-1])} {unit}, n^{row[f'{kind} exponent']:.2f}"
            axis.loglog(sizes, costs / costs[0], mark, markersize=4, linewidth=1.3, label=said)
        axis.set_title(name, fontsize=9)
        axis.legend(fontsize=7, loc="upper left", frameon=False)
        top = max(axis.get_ylim()[1], sizes[-1] / sizes[0])
        axis.set_ylim(0.7, top**1.35)  # room for the legend
        axis.set_xticks(row["sizes"], [_short(size) for size in row["sizes"]], fontsize=7)
        ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200) if tick <= top]
        axis.set_yticks(ticks, [f"x {tick}" for tick in ticks], fontsize=7)
        axis.minorticks_off()
    figure.tight_layout()
    figure.savefig(path, dpi=85)


def _short(value: float) -> str:
    """At most four characters or so."""
    return f"{value / 1000:g}k" if value >= 5000 else f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="quantities that contain one of these words, by commas")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--draw", type=Path, help="plot this earlier JSON and measure nothing")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.draw:
        plot(json.loads(args.draw.read_text())["figures"], args.plot or args.draw.with_suffix(".png"))
        return
    torch.set_num_threads(1)
    works = Works()
    makers = {
        "picture size, pixels a side": lambda n: works.drawing(size=n),
        "samples a ray": lambda n: works.drawing(samples=n),
        "pictures a step": lambda n: works.drawing(pictures=n),
        "pictures to the guidance": works.judging,
        "bodies posed at once": works.posing,
        "faces of the mesh rigged": works.rigging,
        "faces of the mesh unfolded": works.unfolding,
        "texture size, pixels a side": works.baking,
        "frames of a film, 360 x 360": works.filming,
        "characters, tiny": works.characters,
    }
    wanted = [word for word in args.only.split(",") if word]
    names = [name for name in SIZES if not wanted or any(word in name for word in wanted)]
    if args.quick and not wanted:
        names = [name for name in names if "characters" not in name]
    found = {}
    print(told())
    for name in names:
        sizes = SIZES[name][: -1 if args.quick else None]
        turns = 1 if "characters" in name else args.repeats
        costs = [measured(lambda make=makers[name], size=size: make(size), turns) for size in sizes]
        seconds, grown = ([cost[i] for cost in costs] for i in (0, 1))
        found[name] = {"sizes": sizes, "seconds": seconds, "megabytes": grown}
        found[name] |= {"time exponent": exponent(sizes, seconds), "memory exponent": exponent(sizes, grown)}
        print(f"{name}: time ~ n^{found[name]['time exponent']:.2f}, memory ~ n^{found[name]['memory exponent']:.2f}")
        for size, cost, more in zip(sizes, seconds, grown, strict=True):
            print(f"  {size:>7,} {cost:9.3f} s {more:8.1f} MB", flush=True)
        save(args.json, found, args)  # after each, so that an interruption costs one
    if args.plot:
        plot(found, args.plot)


if __name__ == "__main__":
    main()
