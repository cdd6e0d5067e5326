"""How fast are the rasteriser's parts and a video's frames, as multiples of the plain torch z-buffer?

Usage: python benchmarks/render.py [--size 256] [--views 4] [--repeats 5] [--json out.json]

Baseline: visibility by `z_buffer` (plain torch) of the open body in `--views` views of `--size` pixels, one thread.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
from record import save, told

from avatargen.body.open_body import load_open_body
from avatargen.core.values import Mesh
from avatargen.export.video import draw_frame, figure_of
from avatargen.render.cameras import orbit
from avatargen.render.picture import render_mesh
from avatargen.render.raster import antialias, mesh_edges, rasterize
from avatargen.render.visibility import cast_rays, z_buffer


def median_seconds(work, repeats):
    """CPU seconds of this thread: other programs on the machine do not count."""
    work()
    spent = []
    for _ in range(repeats):
        start = time.thread_time()
        work()
        spent.append(time.thread_time() - start)
    return statistics.median(spent)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    body = load_open_body()
    vertices = body.template - torch.tensor([0.0, float(body.template[:, 1].min()), 0.0])
    middle = 0.5 * (vertices.amin(0) + vertices.amax(0))
    cameras = orbit(torch.arange(args.views) * 360.0 / args.views, 5.0, 4.2, middle, 26.0, args.size)
    colors = (vertices - vertices.amin(0)) / (vertices.amax(0) - vertices.amin(0))
    edges = mesh_edges(body.faces)
    fragments = rasterize(vertices, body.faces, cameras)
    flat = torch.zeros(*fragments.face.shape, 4)
    figure = figure_of(Mesh(vertices=vertices.numpy(), faces=body.faces.numpy(), vertex_colors=colors.numpy()))
    film = orbit(0.0, 7.0, 4.2, middle, 26.0, 512)

    def forward():
        return render_mesh(vertices, body.faces, cameras, colors, edges=edges)

    def both_ways():
        moving, paint = vertices.clone().requires_grad_(), colors.clone().requires_grad_()
        render_mesh(moving, body.faces, cameras, paint, edges=edges).square().sum().backward()

    parts = {
        "z-buffer (baseline)": lambda: z_buffer(vertices[None], body.faces, cameras),
        "ray casting with tree": lambda: cast_rays(vertices[None], body.faces, cameras),
        "rasterize (rays + barycentrics)": lambda: rasterize(vertices, body.faces, cameras),
        "edges of the mesh": lambda: mesh_edges(body.faces),
        "antialias": lambda: antialias(flat, vertices, body.faces, cameras, fragments, edges),
        "picture, forward": forward,
        "picture, forward and backward": both_ways,
        "video frame 512, supersample 2": lambda: draw_frame(figure, vertices, film, 2),
    }
    seconds = {name: median_seconds(work, args.repeats) for name, work in parts.items()}
    base = seconds["z-buffer (baseline)"]
    print(f"{len(body.faces)} faces, {args.views} views of {args.size} x {args.size}, {told()}")
    for name, value in seconds.items():
        print(f"{name:34} {1000 * value:8.1f} ms  {value / base:6.2f} x baseline")
    ratios = {name: round(value / base, 3) for name, value in seconds.items()}
    save(args.json, {"baseline": "z-buffer (baseline)", "seconds": seconds, "ratio": ratios}, args)


if __name__ == "__main__":
    main()
