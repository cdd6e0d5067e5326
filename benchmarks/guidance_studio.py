"""The figure that the guidance's benchmarks dress, paint and photograph, and outfits for it with their captions."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from avatargen.body.open_body import load_open_body
from avatargen.body.posing import pose_body
from avatargen.body.skeleton import a_pose
from avatargen.core.rng import stream
from avatargen.core.settings import ImplicitSettings
from avatargen.evaluate.colors import BASIC
from avatargen.guidance.embedded.slots import SLOTS
from avatargen.guidance.losses import direction_loss, similarity_loss
from avatargen.implicit.views import step_cameras, step_views
from avatargen.render.cameras import orbit, stack_cameras
from avatargen.render.picture import render_mesh
from avatargen.render.raster import mesh_edges
from avatargen.render.shading import random_light
from avatargen.shape.query import mannequin, stand
from avatargen.training.slot_labels import face_slots

TOPS = {
    "shirt": ("chest", "belly", "back", "upper_arms", "forearms"),
    "hoodie": ("chest", "belly", "back", "upper_arms", "forearms"),
    "t-shirt": ("chest", "belly", "back", "upper_arms"),
    "tank top": ("chest", "belly", "back"),
}
BOTTOMS = {
    "trousers": ("pelvis", "thighs", "shins", "ankles"),
    "shorts": ("pelvis", "thighs"),
    "skirt": ("pelvis", "thighs"),
}
FEET = {"shoes": ("feet",), "boots": ("feet", "ankles")}
EXTRA = {"gloves": ("hands",), "hat": ("hair",), "cape": ("back",), "belt": ("belt",)}
MEASURED = {
    "torso": ("chest", "shirt_front", "belly"), "arms": ("upper_arms", "forearms"), "legs": ("thighs", "shins"),
    "hands": ("hands",), "feet": ("feet",), "head": ("hair",), "back": ("back",), "hips": ("pelvis",),
}  # fmt: skip


_CHANGE_FLOOR = 0.1
"""Usual length of a change of features, as an avatar's fit damps the direction by it."""


class Studio:
    """The open body, standing, with what it takes to paint and photograph it."""

    def __init__(self) -> None:
        self.body = load_open_body()
        posed = pose_body(self.body, torch.zeros(1, self.body.num_betas), a_pose()[None])
        self.vertices = stand(posed.vertices)[0]
        self.joints = posed.joints[0] + (self.vertices - posed.vertices[0])[0]
        self.look = mannequin(self.body)
        self.edges = mesh_edges(self.body.faces)
        self.top = float(self.vertices[:, 1].max())
        slots = torch.from_numpy(face_slots(self.body).astype(np.int64))
        # A vertex belongs to a slot if all faces around it do: borders are nobody's.
        member = torch.zeros(len(self.vertices), len(SLOTS))
        total = torch.zeros(len(self.vertices))
        for corner in range(3):
            member.index_put_((self.body.faces[:, corner], slots), torch.ones(len(slots)), accumulate=True)
            total.index_add_(0, self.body.faces[:, corner], torch.ones(len(slots)))
        self.share = member / total.clamp_min(1)[:, None]
        self.inner = self.share > 0.999

        a, b, c = self.vertices[self.body.faces].unbind(1)
        face_area = torch.linalg.cross(b - a, c - a).norm(dim=-1) / 2
        self.area = torch.zeros(len(self.vertices))
        for corner in range(3):
            self.area.index_add_(0, self.body.faces[:, corner], face_area / 3)

    def of(self, slots: tuple[str, ...]) -> Tensor:
        return self.inner[:, [SLOTS.index(s) for s in slots]].any(1)

    def mean(self, values: Tensor, where: Tensor) -> Tensor:
        """Mean over a part's surface: toes and fingers have more vertices than a whole back."""
        return (values[where] * self.area[where, None]).sum(0) / self.area[where].sum()

    def dressed(self, wear: dict[str, tuple[int, int, int]]) -> Tensor:
        colors = self.look.clone()
        for slot, rgb in wear.items():
            share = self.share[:, SLOTS.index(slot), None]
            colors = colors + share * (torch.tensor(rgb) / 255 - colors)
        return colors

    def paint(
        self,
        guidance,
        caption: str,
        steps: int,
        seed: int,
        start: str = "look",
        settings: ImplicitSettings | None = None,
    ) -> Tensor:
        """Vertex colors after `steps` of Adam under the guidance, in the views of an avatar's fit, four a step.

        On the similarity alone; with `settings` also by the direction from the plain body and the pull to its colors,
        as an avatar's fit weighs them.
        """
        base = (self.look if start == "look" else torch.full_like(self.look, 0.6)).clamp(0.02, 0.98)
        logit = torch.logit(base).requires_grad_()
        optimizer = torch.optim.Adam([logit], lr=0.08)
        text, plain_text = guidance.encode_text([caption]), guidance.encode_text(["a person"])
        generator, twin = stream(seed, "paint"), torch.Generator()
        for step in range(steps):
            cameras = step_cameras(step_views(step, 4), self.joints, 128, generator)[1]
            backdrop = ("white", "black", "noise", "grey")[int(torch.randint(4, (1,), generator=generator))]
            how = {"background": backdrop, "light": random_light(generator, cameras), "edges": self.edges}
            twin.set_state(generator.get_state())  # both pictures have the same noise behind them
            image = render_mesh(
                self.vertices, self.body.faces, cameras, torch.sigmoid(logit), generator=generator, **how
            )
            seen = guidance.encode_image(image)
            loss = similarity_loss(seen, text)
            if settings is not None:
                with torch.no_grad():
                    before = render_mesh(self.vertices, self.body.faces, cameras, base, generator=twin, **how)
                    plain = guidance.encode_image(before)
                way = direction_loss(seen, plain, text, plain_text, floor=_CHANGE_FLOOR)
                held = (logit - torch.logit(base)).abs().mean()
                loss = settings.textured_weight * loss + settings.direction_weight * way + settings.plain_weight * held
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return torch.sigmoid(logit).detach()

    def sheet(self, colors: Tensor, caption: str, size: int = 192) -> Image.Image:
        views = stack_cameras(
            [
                orbit([20.0, 180.0], 0, 2.6, (0, self.top / 2, 0), 40, size),
                orbit([15.0], 0, 0.8, (0, self.top - 0.12, 0), 26, size),
            ]
        )
        shown = render_mesh(self.vertices, self.body.faces, views, colors, supersample=2, edges=self.edges)
        row = torch.cat(list(shown.permute(0, 2, 3, 1)), 1).clamp(0, 1)
        image = Image.new("RGB", (row.shape[1], size + 30), "white")
        image.paste(Image.fromarray((row.numpy() * 255).astype(np.uint8)), (0, 30))
        words, line, lines = caption.split(), "", []
        for word in words:
            if len(line) + len(word) > 92:
                lines, line = [*lines, line], ""
            line = f"{line} {word}".strip()
        ImageDraw.Draw(image).text((4, 2), "\n".join([*lines, line]), fill="black")
        return image


def outfit(
    generator: np.random.Generator, names: list[str], extras: float = 0.5
) -> tuple[str, dict[str, tuple[int, int, int]], dict]:
    """Caption, slot colors, and garment -> color name, of a random outfit whose garments differ in color."""
    pieces = [(TOPS, str(generator.choice(list(TOPS)))), (BOTTOMS, str(generator.choice(list(BOTTOMS))))]
    pieces.append((FEET, str(generator.choice(list(FEET)))))
    if generator.random() < extras:
        pieces.append((EXTRA, str(generator.choice(list(EXTRA)))))
    colors = generator.choice(names, len(pieces), replace=False)
    wear: dict[str, tuple[int, int, int]] = {}
    worn = {}
    for (table, name), color in zip(pieces, colors, strict=True):
        worn[name] = str(color)
        slots = table[name] + (("shirt_front",) if table is TOPS else ())
        for slot in slots:
            wear[slot] = BASIC[str(color)]
    return caption_of(worn), wear, worn


def caption_of(worn: dict[str, str]) -> str:
    plural = set(BOTTOMS) - {"skirt"} | set(FEET) | {"gloves"}
    parts = [f"{c} {g}" if g in plural else f"a{'n' if c[0] in 'aeiou' else ''} {c} {g}" for g, c in worn.items()]
    return "a person in " + (", ".join(parts[:-1]) + f" and {parts[-1]}" if len(parts) > 1 else parts[0])


def one_view(studio: Studio, colors: Tensor, generator: torch.Generator) -> Tensor:
    r = torch.rand(2, generator=generator).tolist()
    camera = orbit(120 * r[0] - 60, 16 * r[1] - 4, 2.8, (0, studio.top / 2, 0), 40, 128)
    return render_mesh(
        studio.vertices, studio.body.faces, camera, colors, light=random_light(generator, camera), generator=generator,
        background=("white", "grey", "black")[int(3 * r[0]) % 3], edges=studio.edges,
    )  # fmt: skip


def save_sheet(images: list[Image.Image], path: Path, columns: int = 3) -> None:
    width, height = images[0].size
    page = Image.new("RGB", (columns * width, -(-len(images) // columns) * height), "white")
    for i, image in enumerate(images):
        page.paste(image, (i % columns * width, i // columns * height))
    page.save(path)
