"""How much cheaper is our optimisation than AvatarCLIP's small configuration, in the same run on the same machine?

    python benchmarks/implicit_original.py [--size 112] [--repeats 3] [--race 300] [--json out.json]

The original is `confs/presets/avatarclip_small.conf`: its networks, 64 samples a ray, its ray budget, gradients by a
second pass; also with the cheaper gradients of one sweep. Steps are whole: cameras, pictures, embedded guidance,
gradients, update; guidance is also timed alone. It takes one picture a step, ours four, or one for comparison. At the
same size, and at the size that the budget of 7,000 rays gives it. `--race S` gives the original S CPU seconds (its
coarse body is free), then counts how long ours takes to the same score: mean cosine of body, back and upper body in
fixed views. CPU seconds of one thread; peak memory is that of the process so far, ours first.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from record import save, told

from avatargen.body.open_body import load_open_body
from avatargen.core.config import load_settings
from avatargen.core.progress import Silent
from avatargen.core.rng import stream
from avatargen.core.settings import GuidanceSettings, ImplicitSettings
from avatargen.guidance.load import load_guidance
from avatargen.guidance.views import named_view
from avatargen.implicit import fit, original
from avatargen.implicit.checkpoint import Progress
from avatargen.implicit.template import fit_template
from avatargen.implicit.words import encode_words
from avatargen.render.cameras import orbit, stack_cameras
from avatargen.render.picture import render_mesh

SMALL = Path("presets/avatarclip_small.conf")
CAPTION = "a person in a green hoodie and black shorts"
VIEWS = ("body", "back", "upper")


class Bench:
    """Both optimisations of the same body under the same guidance."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.guidance, self.body = load_guidance(GuidanceSettings(model="embedded")), load_open_body()
        self.betas = torch.zeros(self.body.num_betas)
        self.words = encode_words(CAPTION, self.guidance)

    def ours(self, sculpt: str = "auto", views: int = 4) -> fit.Scene:
        settings = replace(ImplicitSettings(), sculpt=sculpt, views=views, image_size=self.size)
        return fit.prepare(CAPTION, self.body, self.betas, self.guidance, settings)

    def theirs(self, template_steps: int) -> original.OriginalScene:
        small = load_settings(config=SMALL).implicit
        own = replace(small.original, template_steps=template_steps, template_warm_up=20)
        small = replace(small, original=own, image_size=self.size)
        scene = original.prepare_original(CAPTION, self.body, self.betas, self.guidance, small, 0)
        fit_template(scene.field, small, stream(0, "template"), Silent())
        return scene

    @torch.no_grad()
    def score(self, field) -> float:
        """Mean cosine of the figure, as its colors on the coarse body show it, with the text."""
        surface = field.body.surface
        views = [named_view(name, field.joints) for name in VIEWS]
        size = self.guidance.image_size
        cameras = stack_cameras(
            [orbit(v.azimuth_deg, v.elevation_deg, v.distance, v.target, v.fov_deg, size) for v in views]
        )
        images = render_mesh(surface.vertices, surface.faces, cameras, field.color(surface.vertices), background="grey")
        return float((self.guidance.encode_image(images) * self.words.rows(self.words.asked, VIEWS)).sum(1).mean())


def spent(work: Callable[[], object], repeats: int) -> float:
    work()
    seconds = []
    for _ in range(repeats):
        start = time.thread_time()
        work()
        seconds.append(time.thread_time() - start)
    return statistics.median(seconds)


def memory_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def whole_step(loss, scene, step: int) -> Callable[[], None]:
    """One step with guidance and update; the rate is so small that repetitions are alike."""
    optimizer = torch.optim.Adam(scene.field.learned.parameters(), lr=1e-8)

    def work() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(scene, step, stream(step, "bench"))[0].backward()
        optimizer.step()

    return work


def looking(bench: Bench, count: int, size: int) -> Callable[[], None]:
    """The guidance alone, on that many pictures."""

    def work() -> None:
        images = torch.rand(count, 3, size, size).requires_grad_()
        bench.guidance.encode_image(images).sum().backward()

    return work


def steps(bench: Bench, repeats: int, rows: dict[str, float]) -> None:
    size = bench.size
    rows["guidance alone, 4 pictures, seconds"] = spent(looking(bench, 4, size), repeats)
    rows["guidance alone, 2 pictures, seconds"] = spent(looking(bench, 2, size), repeats)
    for label, sculpt in (("default", "auto"), ("every picture sculpts", "on")):
        for views in (4, 1):
            scene = bench.ours(sculpt, views)
            # Every other step also looks at grey pictures; four steps see as many kinds of views.
            taken = [spent(whole_step(fit.step_loss, scene, step), repeats) for step in range(2 if views == 4 else 4)]
            rows[f"ours, {label}: step of {views}, seconds"] = statistics.mean(taken)
    rows["peak memory of ours, GB"] = memory_gb()
    scene = bench.theirs(60)
    for label, side, way in (
        ("same size, one sweep", size, "sweep"), ("same size", size, "twice"), ("its own size", 0, "twice"),
    ):  # fmt: skip
        scene.field.learned.gradient = way
        # Three views of the body for one of the face, as it takes them; medians of draws that differ.
        sized = replace(scene, settings=replace(scene.settings, image_size=side))
        kinds = [spent(whole_step(original.original_loss, sized, step), max(1, repeats // 2)) for step in (0, 1, 3)]
        cost = (1.5 * kinds[0] + 1.5 * kinds[1] + kinds[2]) / 4.0
        rows[f"original, {label}: step of 1, seconds"] = cost
        rows[f"peak memory with the original, {label}, GB"] = memory_gb()
        for name in ("default", "every picture sculpts"):
            for views in (4, 1):
                ours = rows[f"ours, {name}: step of {views}, seconds"]
                rows[f"original / ours ({name}), {label}, our step of {views}"] = cost / ours


def race(bench: Bench, seconds: float, rows: dict[str, float], template_steps: int) -> None:
    scene = bench.theirs(template_steps)
    scene = replace(scene, settings=replace(scene.settings, original=replace(scene.settings.original, warm_up=20)))
    optimizer = torch.optim.Adam(scene.field.learned.parameters(), lr=scene.settings.original.rate)
    generator, used, count = stream(0, "race"), 0.0, 0
    rows["race: original, score at the start"] = bench.score(scene.field)
    while used < seconds:
        start = time.process_time()
        optimizer.zero_grad(set_to_none=True)
        original.original_loss(scene, count, generator)[0].backward()
        optimizer.step()
        used, count = used + time.process_time() - start, count + 1
    goal = bench.score(scene.field)
    rows["race: original, score at the end"], rows["race: original, CPU seconds"] = goal, used
    rows["race: original, steps"] = float(count)
    mine = bench.ours()
    progress = Progress(learned=mine.field.learned, optimizer=fit._optimizer(mine), generator=stream(0, "implicit.fit"))
    rows["race: ours, score at the start"] = bench.score(mine.field)
    used = 0.0
    while bench.score(mine.field) < goal and progress.step < mine.settings.steps:
        start = time.process_time()
        fit._set_rates(mine, progress, progress.step / mine.settings.steps)
        fit._step(mine, progress)
        progress.step += 1
        used += time.process_time() - start
    rows["race: ours, score"], rows["race: ours, CPU seconds"] = bench.score(mine.field), used
    rows["race: ours, steps"] = float(progress.step)
    rows["race: original / ours"] = rows["race: original, CPU seconds"] / max(used, 1e-9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--race", type=float, default=0.0, help="CPU seconds that the original gets")
    parser.add_argument("--template-steps", type=int, default=1500, help="the original's, before the race")
    parser.add_argument("--only-race", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows: dict[str, float] = {}
    bench = Bench(args.size)
    if not args.only_race:
        steps(bench, args.repeats, rows)
    if args.race:
        race(bench, args.race, rows, args.template_steps)
    print(f"{args.size} pixels, guidance {bench.guidance.version}, {told()}")
    for name, value in rows.items():
        print(f"{name:<70} {value:10.3f}")
    save(args.json, rows, args)


if __name__ == "__main__":
    main()
