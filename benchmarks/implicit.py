"""What does a step of the implicit avatar cost, against plain sampling of the whole box in the same run?

Usage: python benchmarks/implicit.py [--size 112] [--samples 16] [--repeats 5] [--fit 20] [--eikonal 100] [--original]
       [--json o.json]

A step draws one upper-body view (or, "full", the whole figure) and runs backwards through colors, outlines and normals
to everything that is learned; the guidance is left out. Baseline: 64 samples spread evenly over the field's box, a ray
for every pixel that meets it. CPU seconds of one thread. Peak memory is that of the process so far.
`--original` adds whole steps against AvatarCLIP's small configuration (`implicit_original.py`, which also races them).
"""

import argparse
import resource
import statistics
import time
from dataclasses import replace
from pathlib import Path

import torch
from record import save, told

from avatargen.body.open_body import load_open_body
from avatargen.core.settings import ImplicitSettings
from avatargen.core.values import Mesh
from avatargen.guidance.embedded.model import load_embedded
from avatargen.guidance.views import named_view
from avatargen.implicit.avatar import build_field
from avatargen.implicit.distance import surface_samples
from avatargen.implicit.draw import draw, draw_body
from avatargen.implicit.fit import fit_avatar
from avatargen.mesh.clean import component_count, decimate, is_closed
from avatargen.mesh.extract import extract_surface
from avatargen.render.cameras import orbit


class Warm:
    """A stand-in for guidance: wants the middle of every picture yellow, textured or not."""

    name, version, image_size, licence = "warm", "1", 112, "none"

    def encode_text(self, texts):
        return torch.nn.functional.normalize(torch.tensor([[0.45, 0.3, -0.45]]), dim=-1).repeat(len(texts), 1)

    def encode_image(self, images):
        size = images.shape[-1]
        part = images[:, :, size // 4 : size // 2, size // 3 : -size // 3]
        return torch.nn.functional.normalize(part.mean((2, 3)) - 0.5, dim=-1)


def spent(work, repeats):
    work()
    seconds = []
    for _ in range(repeats):
        start = time.thread_time()
        work()
        seconds.append(time.thread_time() - start)
    return statistics.median(seconds)


def memory_gb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def camera(field, name, size):
    view = named_view(name, field.joints)
    return orbit(view.azimuth_deg, view.elevation_deg, view.distance, view.target, view.fov_deg, size)


def step(field, cameras, **how):
    def work():
        drawing = draw_body(field, cameras) if how.get("flat") else draw(field, cameras, **how)
        loss = drawing.style.sum() + drawing.base.sum() + drawing.opacity.sum()
        (loss + (drawing.gradient.square().sum(-1) - 1.0).square().sum()).backward()

    return work


def around_surface(field, count=20000):
    """Places all over the surface that the field has, every square centimetre alike, and unit normal draws for them."""
    mesh = surface_of(field, 0.004)
    points, _ = surface_samples(torch.from_numpy(mesh.vertices)[torch.from_numpy(mesh.faces).long()].float(), 0.006)
    draws = torch.Generator().manual_seed(0)
    return points[torch.randint(len(points), (count,), generator=draws)], torch.randn(count, 3, generator=draws)


def eikonal_errors(field, when, rows):
    """Mean deviation of the gradient's length from one, off the surface by a normal draw along each axis.

    Exact: of the field itself. Else by finite differences, as normals are taken, which also count what they smooth.
    What hangs free is a minimum of solids of its own and is left out.
    """
    field = replace(field, outfit=None)
    points, draws = around_surface(field)
    for name, exact, spread in EIKONAL:
        with torch.no_grad():
            length = replace(field, exact=exact).gradient(points + spread * draws).norm(dim=-1)
        rows[f"eikonal error, {name}, {when}"] = float((length - 1.0).abs().mean())


EIKONAL = (("3 mm", True, 0.003), ("6 mm", True, 0.006), ("3 mm, finite differences of 6 mm", False, 0.003))
TEXT = "a man in a yellow jumpsuit with red boots"


def surface_of(field, spacing):
    surface = field.body.surface
    mesh = Mesh(vertices=surface.vertices.numpy(), faces=surface.faces.numpy())
    return extract_surface(field.sdf, field.bounds.numpy(), spacing, mesh)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--fit", type=int, default=20)
    parser.add_argument("--eikonal", type=int, default=0, help="steps of fits whose eikonal error is measured")
    parser.add_argument("--original", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    settings = replace(ImplicitSettings(), sculpt="on", samples=args.samples)
    body = load_open_body()
    betas = torch.zeros(body.num_betas)
    rows = {}

    start = time.process_time()
    field = build_field(body, betas, settings)
    rows["setup, seconds"] = time.process_time() - start
    rows["peak memory after setup, GB"] = memory_gb()
    hull = field.body.hull(0.01)
    for name, view in (("step, upper body", "upper"), ("step, full figure", "body")):
        band = {"hull": hull, "samples": args.samples, "color_samples": settings.color_samples}
        rows[f"{name}, seconds"] = spent(step(field, camera(field, view, args.size), **band), args.repeats)
        plain = {"hull": None, "samples": 64}
        rows[f"{name}, plain sampling, seconds"] = spent(step(field, camera(field, view, args.size), **plain), 1)
        ratio = rows[f"{name}, plain sampling, seconds"] / rows[f"{name}, seconds"]
        rows[f"{name}, times faster than plain sampling"] = ratio
    flat = replace(field, sculpted=False)
    view = camera(field, "upper", args.size * settings.supersample)
    rows["step, colors alone, twice the size, seconds"] = spent(step(flat, view, flat=True), args.repeats)
    rows["rows of the color table, band"] = float(field.color_pyramid.rows)
    for encoding in ("hash", "planes"):
        other = build_field(body, betas, replace(settings, encoding=encoding))
        rows[f"step, upper body, {encoding}, seconds"] = spent(
            step(other, camera(other, "upper", args.size), **band), args.repeats
        )
        rows[f"rows of the color table, {encoding}"] = float(other.color_pyramid.rows)
    del other
    eikonal_errors(field, "step 0", rows)
    start = time.process_time()
    fitted = fit_avatar("anything", body, betas, Warm(), replace(settings, steps=args.fit), 0)
    rows["fit with setup, seconds per step"] = (time.process_time() - start) / args.fit
    rows["peak memory after the fit, GB"] = memory_gb()
    spacing = float((fitted.bounds[1] - fitted.bounds[0]).max()) / 512
    start = time.process_time()
    raw = surface_of(fitted, spacing)
    rows["extraction at 512 cells, seconds"] = time.process_time() - start
    small = decimate(raw, 20000)
    rows["faces after cleaning"] = float(len(small.faces))
    rows["closed, one piece"] = float(is_closed(small) and component_count(small) == 1)
    rows["peak memory, GB"] = memory_gb()
    if args.eikonal:
        for sculpt in ("auto", "on"):
            told_so = replace(settings, sculpt=sculpt, steps=args.eikonal)
            avatar = fit_avatar(TEXT, body, betas, load_embedded(), told_so, 0)
            when = f"{args.eikonal} steps, {'every picture sculpts' if sculpt == 'on' else 'as it is'}"
            eikonal_errors(avatar, when, rows)
            eikonal_errors(replace(avatar, relief=None), f"{when}, without relief", rows)
    if args.original:
        from implicit_original import Bench, steps

        steps(Bench(args.size), args.repeats, rows)

    print(f"{args.size} pixels, {args.samples} samples, {told()}")
    for name, value in rows.items():
        print(f"{name:<70} {value:10.3f}")
    save(args.json, rows, args)


if __name__ == "__main__":
    main()
