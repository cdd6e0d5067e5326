"""What does each part of how guidance is applied bring? A fixed set of outfits, one switch at a time.

    python benchmarks/guidance_ablation.py --out report [--guidance embedded] [--prompts 2] [--steps 30] [--size 96]

Writes `guidance_ablation.json` and a contact sheet, one row per switch. Score: mean cosine of the finished figure with
the text, as the guiding model sees it in five fixed views under an even light, whatever the switch. Part colors: share
of named garments whose mean color is nearest to its own of 11. Kept: unnamed vertices within 20 % of the body's own
look. Speckle: mean difference of color along the mesh's edges. The defaults are a quick form; figures that single out
small effects take --prompts 10 --steps 100 --size 0, and another seed to see the noise.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from guidance_studio import BOTTOMS, EXTRA, FEET, TOPS, Studio, outfit, save_sheet
from record import save

from avatargen.core.config import apply_tree
from avatargen.core.rng import numpy_stream
from avatargen.core.settings import GuidanceSettings, ImplicitSettings, PictureSettings
from avatargen.evaluate.colors import BASIC, nearest_basic
from avatargen.guidance.embedded.slots import SLOTS
from avatargen.guidance.load import load_guidance
from avatargen.guidance.views import named_view
from avatargen.implicit import avatar
from avatargen.implicit.fit import fit_avatar
from avatargen.implicit.words import encode_words
from avatargen.render.cameras import orbit, stack_cameras
from avatargen.render.picture import render_mesh
from avatargen.render.shading import Light

SWITCHES: dict[str, dict] = {
    "as it is": {},
    "one view per step": {"views": 1},
    "whole figures alone": {"pictures": {"kinds": ["body", "back"]}},
    "same words for all views": {"pictures": {"view_words": False}},
    "wording of renders": {"pictures": {"wording": "render"}},
    "no direction loss": {"direction_weight": 0.0},
    "no pull to the own look": {"plain_weight": 0.0},
    "no smoothness": {"smooth_weight": 0.0},
    "white background alone": {"pictures": {"backgrounds": ["white"]}},
    "no light": {"pictures": {"light": "none"}},
    "harsh light": {"pictures": {"light": "harsh"}},
    "no grey pictures": {"textureless_every": 0},
    "with crops": {"pictures": {"crop": 0.7}},
    "with perspective": {"pictures": {"perspective": 0.1}},
    "with a negative text": {"pictures": {"negative": ["a person in a grey shirt and grey trousers"]}},
}
VIEWS = (("body", 0.0), ("body", 40.0), ("back", 180.0), ("upper", 0.0), ("face", 0.0))


class Judge:
    """Measures a finished figure; the same for all switches."""

    def __init__(self, guidance) -> None:
        self.guidance, self.studio = guidance, Studio()

    def score(self, field, colors, caption) -> float:
        surface, size = field.body.surface, self.guidance.image_size
        views = [named_view(name, field.joints, turn) for name, turn in VIEWS]
        cameras = stack_cameras(
            [orbit(v.azimuth_deg, v.elevation_deg, v.distance, v.target, v.fov_deg, size) for v in views]
        )
        even = Light(
            cameras.world_from_camera[:, :3, 2], torch.full((len(views),), 0.8), torch.full((len(views),), 0.2)
        )
        images = render_mesh(surface.vertices, surface.faces, cameras, colors, background="grey", light=even)
        words = encode_words(caption, self.guidance, settings=PictureSettings())
        with torch.no_grad():
            seen = self.guidance.encode_image(images)
        return float((seen * words.rows(words.asked, [name for name, _ in VIEWS])).sum(1).mean())

    def parts(self, colors, worn) -> tuple[int, int, float]:
        tables, done, right, total = {**TOPS, **BOTTOMS, **FEET, **EXTRA}, set(), 0, 0
        for garment, color in reversed(worn.items()):
            slots = tuple(s for s in tables[garment] if s not in done)
            done |= set(slots)
            if slots:
                right += nearest_basic(colors[self.studio.of(slots)].mean(0)) == color
                total += 1
        free = self.studio.of(tuple(s for s in SLOTS if s not in {*done, "shirt_front", "belt"}))
        kept = (colors - self.studio.look)[free].abs().amax(1) < 0.2
        return right, total, float(kept.float().mean())

    def speckle(self, colors) -> float:
        ends = self.studio.edges.ends
        return float((colors[ends[:, 0]] - colors[ends[:, 1]]).abs().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--guidance", default="embedded")
    parser.add_argument("--guidance-weights", default="")
    parser.add_argument("--prompts", type=int, default=2)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--size", type=int, default=96, help="side of the pictures; 0: what the guidance looks at")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--switches", nargs="*", help="some of them by name; default: all")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    guidance = load_guidance(GuidanceSettings(model=args.guidance, weights=args.guidance_weights))
    judge = Judge(guidance)
    draws = numpy_stream(args.seed, "bench/ablation")
    outfits = [outfit(draws, list(BASIC), 0.5) for _ in range(args.prompts)]
    plain = replace(
        ImplicitSettings(), steps=args.steps, image_size=args.size, distance_mm=8.0, detail_mm=4.0, checkpoint_every=0
    )
    # All figures have the same body: its distances are worked out once.
    known = avatar.posed_field(judge.studio.body, torch.zeros(judge.studio.body.num_betas), plain)
    avatar.posed_field = lambda *_: known
    body, betas = judge.studio.body, torch.zeros(judge.studio.body.num_betas)
    rows, sheets = {}, []
    for name in args.switches or SWITCHES:
        settings = apply_tree(plain, SWITCHES[name], name)
        found, start = [], time.process_time()
        for number, (caption, _, worn) in enumerate(outfits):
            field = fit_avatar(caption, body, betas, guidance, settings, args.seed + number)
            colors = field.color(field.body.surface.vertices)
            right, total, kept = judge.parts(colors, worn)
            found.append((judge.score(field, colors, caption), right, total, kept, judge.speckle(colors)))
            sheets.append(judge.studio.sheet(colors, f"{name}: {caption}"))
        score, right, total, kept, speckle = np.asarray(found).T
        rows[name] = {
            "score": float(score.mean()),
            "part colors": float(right.sum() / total.sum()),
            "kept": float(kept.mean()),
            "speckle": float(speckle.mean()),
            "CPU seconds per fit": (time.process_time() - start) / len(outfits),
        }
        # The baseline is the first row: everything as it is.
        rows[name]["x first"] = rows[name]["CPU seconds per fit"] / next(iter(rows.values()))["CPU seconds per fit"]
        print(f"{name:28}" + "  ".join(f"{key} {value:.3f}" for key, value in rows[name].items()), flush=True)
        save_sheet(sheets, args.out / "guidance_ablation.png", len(outfits))
        outcome = {"guidance": guidance.name, "version": guidance.version, "prompts": [o[0] for o in outfits]}
        save(args.out / "guidance_ablation.json", outcome | {"rows": rows}, args)


if __name__ == "__main__":
    main()
