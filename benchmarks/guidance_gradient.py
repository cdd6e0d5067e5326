"""Does a gradient paint, or does it fool? The same score with and without the slots' network in its gradient.

    python benchmarks/guidance_gradient.py --out report [--prompts 3] [--steps 60] [--buffers FOLDER]

The embedded guidance takes the places of the parts as fixed when a gradient is computed (`encode_image`). Beside it
stands the same score with the whole gradient, which also runs back through the network that finds the parts: what any
classifier's gradient is. With `--buffers` (the folder in which `avatargen train guidance` keeps its renders) there is a
third one: the whole gradient of a copy of the tower that was trained on adversarially for `--adversarial` steps
(projected gradient descent in L2, radius rising). From the plain body vertex colors alone are painted under each, with
the same cameras and lights. Writes `guidance_gradient.json` and a contact sheet: for each outfit and gradient how the
first gradient would change a picture, and the painted body.

On named parts: share of the first gradient (absolute values, a view from the front) on pixels of parts that the text
names. Roughness: share of that gradient's energy that a 3 x 3 mean takes away. Part colors, kept and speckle are those
of `guidance_ablation.py`; score is what the guidance gives the painted body, whichever gradient painted it.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from guidance_ablation import Judge
from guidance_studio import Studio, outfit, save_sheet
from PIL import Image
from record import save
from torch import Tensor
from torch.nn.functional import avg_pool2d

from avatargen.core.rng import numpy_stream, stream
from avatargen.evaluate.colors import BASIC
from avatargen.guidance.embedded.embedding import image_vector, slot_colors
from avatargen.guidance.embedded.image_tower import ImageTower, fit_size
from avatargen.guidance.embedded.model import EmbeddedGuidance, load_embedded
from avatargen.guidance.embedded.slots import SLOTS
from avatargen.render.cameras import orbit
from avatargen.render.picture import render_mesh
from avatargen.training.gbuffers import Buffers
from avatargen.training.pictures import Batch, Source
from avatargen.training.tower import slot_weights, tower_loss

PGD_STEPS = 2
RADIUS = 1.0


class WholeGradient:
    """The embedded guidance, its gradient running through the slots' network as well."""

    def __init__(self, guidance: EmbeddedGuidance) -> None:
        self._guidance = guidance
        self.encode_text = guidance.encode_text

    def encode_image(self, images: Tensor) -> Tensor:
        small = fit_size(images)
        shares, traits, pose = self._guidance.look(small)
        colors, seen = slot_colors(small, shares)
        return image_vector(colors, seen, traits, pose)


def adversarial(guidance: EmbeddedGuidance, folder: Path, steps: int, seed: int) -> EmbeddedGuidance:
    """`guidance`, its tower trained on for `steps` steps on pictures disturbed so that it errs most; in place."""
    body = np.load(folder / "train.npz", allow_pickle=False)
    asked = np.load(folder / "query_train.npz", allow_pickle=False)
    buffers = Buffers(**{key: body[key] for key in body.files})
    source = Source(buffers, asked["images"], asked["traits"], stream(seed, "bench/adversarial"))
    tower = guidance._tower.requires_grad_()
    optimizer = torch.optim.Adam(tower.parameters(), lr=3e-4)
    weights = slot_weights()
    for step in range(steps):
        batch = source.draw(8, 2)
        images = disturbed(tower, batch, weights, RADIUS * min(1.0, 1.5 * (step + 1) / steps))
        loss, values = tower_loss(tower, replace(batch, images=images), weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print(f"adversarial step {step}: " + "  ".join(f"{k} {v:.3f}" for k, v in values.items()), flush=True)
    tower.requires_grad_(False)
    return guidance


def disturbed(tower: ImageTower, batch: Batch, weights: Tensor, radius: float) -> Tensor:
    """The batch's pictures after a few steps against the tower, at most `radius` away (L2 of a picture in 0..1)."""
    away = torch.zeros_like(batch.images)
    for _ in range(PGD_STEPS):
        moving = (batch.images + away).requires_grad_()
        loss, _ = tower_loss(tower, replace(batch, images=moving), weights)
        (up,) = torch.autograd.grad(loss, [moving])
        away = away + radius / PGD_STEPS * 1.5 * up / length(up)
        away = away * (radius / length(away)).clamp(max=1.0)
    return (batch.images + away).clamp(0, 1)


def length(pictures: Tensor) -> Tensor:
    return pictures.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None, None]


def first_gradient(studio: Studio, guidance, caption: str, named: tuple[str, ...]) -> tuple[Tensor, float, float]:
    """The score's gradient in a front view of the plain body [3, h, w], its share on `named` parts, its roughness."""
    camera = orbit([15.0], 0, 2.6, (0, studio.top / 2, 0), 40, 128)
    picture = render_mesh(studio.vertices, studio.body.faces, camera, studio.look, edges=studio.edges)
    picture = picture.detach().requires_grad_()
    (guidance.encode_image(picture) * guidance.encode_text([caption])).sum().backward()
    gradient = picture.grad[0]
    share = studio.share[:, [SLOTS.index(s) for s in named]].sum(1, keepdim=True).expand(-1, 3).contiguous()
    mask = render_mesh(studio.vertices, studio.body.faces, camera, share, background="black", edges=studio.edges)[0]
    smooth = avg_pool2d(gradient[None], 3, stride=1, padding=1)[0]
    on = float((gradient.abs() * mask).sum() / gradient.abs().sum())
    return gradient, on, float((gradient - smooth).square().sum() / gradient.square().sum())


def row(studio: Studio, gradient: Tensor, colors: Tensor, caption: str) -> Image.Image:
    """The gradient as a picture (grey: no change) beside the painted body."""
    sheet = studio.sheet(colors, caption)
    strong = gradient.abs().flatten().quantile(0.995).clamp_min(1e-12)
    shown = (0.5 + 0.5 * gradient / strong).clamp(0, 1).permute(1, 2, 0)
    side = sheet.height - 30
    pixels = Image.fromarray((shown.numpy() * 255).astype(np.uint8)).resize((side, side), Image.Resampling.NEAREST)
    page = Image.new("RGB", (side + sheet.width, sheet.height), "white")
    page.paste(pixels, (0, 30))
    page.paste(sheet, (side, 0))
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--prompts", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--buffers", type=Path, help="renders to train on, for the third kind")
    parser.add_argument("--adversarial", type=int, default=80, help="steps of that training")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    guidance = load_embedded()
    judge = Judge(guidance)
    studio = judge.studio
    kinds = {"parts taken as fixed": guidance, "whole gradient": WholeGradient(guidance)}
    if args.buffers:
        tuned = adversarial(load_embedded(), args.buffers, args.adversarial, args.seed)
        kinds["whole gradient, adversarial"] = WholeGradient(tuned)
    draws = numpy_stream(args.seed, "bench/gradient")
    outfits = [outfit(draws, list(BASIC), 0.5) for _ in range(args.prompts)]
    found: dict[str, list] = {name: [] for name in kinds}
    sheets = []
    for number, (caption, wear, worn) in enumerate(outfits):
        for name, kind in kinds.items():
            gradient, on, rough = first_gradient(studio, kind, caption, tuple(wear))
            colors = studio.paint(kind, caption, args.steps, args.seed + number)
            right, total, kept = judge.parts(colors, worn)
            score = seen_score(studio, guidance, caption, colors)
            found[name].append((on, rough, right, total, kept, judge.speckle(colors), score))
            sheets.append(row(studio, gradient, colors, f"{name}: {caption}"))
    rows = {}
    for name, values in found.items():
        on, rough, right, total, kept, speckle, score = np.asarray(values).T
        rows[name] = {
            "gradient on named parts": float(on.mean()), "roughness": float(rough.mean()),
            "part colors": float(right.sum() / total.sum()), "kept": float(kept.mean()),
            "speckle": float(speckle.mean()), "score": float(score.mean()),
        }  # fmt: skip
        print(f"{name:24}" + "  ".join(f"{key} {value:.3f}" for key, value in rows[name].items()), flush=True)
    save_sheet(sheets, args.out / "guidance_gradient.png", 1)
    outcome = {"version": guidance.version, "prompts": [o[0] for o in outfits], "rows": rows}
    save(args.out / "guidance_gradient.json", outcome, args)


@torch.no_grad()
def seen_score(studio: Studio, guidance: EmbeddedGuidance, caption: str, colors: Tensor) -> float:
    """Mean cosine of the painted body with the text, from four sides."""
    cameras = orbit([20.0, 110.0, 200.0, 290.0], 5.0, 2.8, (0, studio.top / 2, 0), 40, 128)
    images = render_mesh(studio.vertices, studio.body.faces, cameras, colors, background="grey", edges=studio.edges)
    return float((guidance.encode_image(images) @ guidance.encode_text([caption]).T).mean())


if __name__ == "__main__":
    main()
