"""How far are the hot parts from what this machine can do?

Usage: python benchmarks/limits.py [--repeats 5] [--json out.json]

First the ceilings, measured: copying a large array (memory bandwidth), a product of large matrices (arithmetic), reads
and copies of an array as large as the table of colors over and over (the caches' bandwidth), and bare rays against the
body (Embree). Then each hot part: what it has to do at least, counted below, over the processor seconds that it takes,
beside the ceiling that binds it. One thread.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from growth import Works
from record import save, told
from torch.utils.flop_counter import FlopCounterMode

from avatargen.export.video import draw_frame, figure_of
from avatargen.implicit.encoding import lookup
from avatargen.render.cameras import orbit
from avatargen.render.visibility import cast_rays

FLOAT = 4


def seconds_of(work, repeats: int) -> float:
    work()
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def ceilings(repeats: int, table: int) -> dict[str, float]:
    """GB/s copied in memory, GFLOP/s of a matrix product, GB/s read and copied of an array of `table` numbers."""
    source, goal = torch.rand(1 << 26), torch.empty(1 << 26)
    copy = 2 * FLOAT * source.numel() / seconds_of(lambda: goal.copy_(source), repeats)
    side = 1024
    left, right = torch.rand(side, side), torch.rand(side, side)
    product = 2 * side**3 / seconds_of(lambda: left @ right, repeats)
    small, other, times = torch.rand(table), torch.rand(table), 100

    def over_and_over(work):
        return lambda: [work() for _ in range(times)]

    reads = 2 * FLOAT * table * times / seconds_of(over_and_over(lambda: torch.dot(small, other)), repeats)
    copies = 2 * FLOAT * table * times / seconds_of(over_and_over(lambda: other.copy_(small)), repeats)
    return {
        "copy, GB/s": copy / 1e9,
        "matrix product, GFLOP/s": product / 1e9,
        "cached reads, GB/s": reads / 1e9,
        "cached copies, GB/s": copies / 1e9,
    }


def flops(work) -> float:
    """Multiplications and additions of convolutions and matrix products, forward and backward."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    works = Works()
    pyramid = works.field.color_pyramid
    top = ceilings(args.repeats, 6 * pyramid.rows)
    print(told())
    for name, value in top.items():
        print(f"ceiling: {name:<30} {value:8.1f}")
    found = {}

    def row(name: str, amount: float, unit: str, work, ceiling: float, binds: str) -> None:
        took = seconds_of(work, args.repeats)
        rate = amount / took
        found[name] = {
            "amount": amount,
            "unit": unit,
            "seconds": took,
            "rate": rate,
            "ceiling": ceiling,
            "binds": binds,
        }
        found[name]["share"] = rate / ceiling
        said = f"{amount:8.3f} {unit:<6} {1000 * took:8.1f} ms {rate:8.2f} /s of {ceiling:8.2f}"
        print(f"{name:<44}{said}  {rate / ceiling:6.1%}  {binds}", flush=True)

    judging = works.judging(4)
    arithmetic = top["matrix product, GFLOP/s"]
    row("guidance, 4 pictures, both ways", flops(judging) / 1e9, "GFLOP", judging, arithmetic, "arithmetic")

    # Posing: templates, blend shapes and weights are read once for the batch; each body writes blended vertices, reads
    # them, writes and reads 12 numbers of its blended transform a vertex, and writes the result.
    bodies, count = 64, len(works.body.template)
    once = count * 3 * (1 + works.body.num_betas) + count * 24
    moved = FLOAT * (once + bodies * count * (3 + 3 + 12 + 12 + 3)) / 1e9
    row("posing 64 bodies", moved, "GB", works.posing(bodies), top["copy, GB/s"], "memory")

    # Lookup of colors: a point reads 8 corners a level, each a row of the table, its index and its weight.
    draws = torch.Generator().manual_seed(0)
    surface = works.field.body.surface.vertices
    points = surface[torch.randint(len(surface), (60_000,), generator=draws)]
    rows, weights = pyramid.encode(points)
    table = torch.rand(pyramid.rows, 6, requires_grad=True)
    read = rows.numel() * (6 * FLOAT + FLOAT + FLOAT) / 1e9
    row(
        "colors of 60,000 points, looked up",
        read,
        "GB",
        lambda: lookup(table, rows, weights),
        top["cached reads, GB/s"],
        "cached reads",
    )
    upward = torch.ones(len(points), 6)
    # Backwards each row is read and written again.
    write = rows.numel() * (2 * 6 * FLOAT + FLOAT + FLOAT) / 1e9
    drawn = lookup(table, rows, weights)
    row(
        "their gradients, scattered back",
        write,
        "GB",
        lambda: drawn.backward(upward, retain_graph=True),
        top["cached copies, GB/s"],
        "cached reads and writes",
    )

    # A frame of film: one ray a pixel that may see the figure; the ceiling casts the same rays and does nothing else.
    body = works.mesh
    middle = torch.from_numpy(0.5 * (body.vertices.min(0) + body.vertices.max(0)))
    vertices = torch.from_numpy(body.vertices - np.array([0, body.vertices[:, 1].min(), 0], dtype=np.float32))
    film = orbit(0.0, 7.0, 4.2, middle, 26.0, 512)
    twice = orbit(0.0, 7.0, 4.2, middle, 26.0, 1024)
    faces = torch.from_numpy(body.faces)
    rays = 1024 * 1024 / 1e6
    bare = rays / seconds_of(lambda: cast_rays(vertices[None], faces, twice), args.repeats)
    figure = figure_of(body)
    row(
        "film frame 512, 4 rays a pixel",
        rays,
        "Mray",
        lambda: draw_frame(figure, vertices, film, 2),
        bare,
        "ray casting",
    )
    save(args.json, {"ceilings": top, "parts": found}, args)


if __name__ == "__main__":
    main()
