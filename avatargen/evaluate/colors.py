"""Does each part that the text gives a color have that color on the finished mesh?

Nothing here looks at a picture through a model: colors are read off the texture, and parts off the body underneath.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Integer

from avatargen.body.model import BodyModel
from avatargen.body.posing import shape_body
from avatargen.core.values import Mesh, RiggedMesh, Shape
from avatargen.guidance.embedded.colors import lab_from_srgb
from avatargen.guidance.embedded.reader import read
from avatargen.guidance.embedded.slots import SLOTS
from avatargen.implicit.worn import tight_text
from avatargen.mesh.clean import face_areas, vertex_normals
from avatargen.mesh.nearest import Surface, nearest_facing
from avatargen.training.slot_labels import face_slots

BASIC: dict[str, tuple[int, int, int]] = {
    "red": (204, 20, 20), "orange": (240, 120, 16), "yellow": (245, 215, 20), "green": (20, 140, 45),
    "blue": (25, 70, 205), "purple": (115, 25, 160), "pink": (240, 115, 170), "brown": (110, 65, 32),
    "black": (16, 16, 18), "white": (245, 245, 245), "grey": (128, 128, 128),
}  # fmt: skip
"""The eleven basic color terms (Berlin and Kay, 1969) as sRGB."""

_JUDGED = (
    "hair", "chest", "belly", "back", "pelvis", "upper_arms", "forearms", "hands", "thighs", "shins", "feet",
)  # fmt: skip
"""Slots large enough to be told by eye; small ones (belt, lips) are not counted."""
_TIGHT = 0.025
"""Metres from the skin beyond which something hangs free."""
_NEAR = 18.0
"""Distance in Lab within which the asked color itself counts as met, whatever basic color is nearest."""


@dataclass(frozen=True, kw_only=True)
class PartColor:
    """A part that a text gives a color, and what it has."""

    part: str
    asked: str
    got: str
    right: bool


def nearest_basic(rgb: Float[np.ndarray, "3"]) -> str:
    """The basic color nearest in CIE Lab to an sRGB color in 0..1."""
    return list(BASIC)[int(color_distance(rgb, np.array(list(BASIC.values())) / 255.0).argmin())]


def part_colors(
    text: str, avatar: RiggedMesh, shape: Shape, body: BodyModel, *, outfit: bool = True
) -> list[PartColor]:
    """Every judged part that `text` gives one color, with the color it has on average; empty where none is named.

    A part is right if its mean color is nearest to the same basic color as the asked one, or is within 18 units of it
    in Lab (beige is as near to white as to brown). Patterns of several colors are not judged, nor is what hangs free of
    the body, which (with `outfit`) does not count among what the text asks of the body either.
    """
    asked = asked_colors(text, outfit)
    if body.parts is None or not asked:
        return []
    found = []
    for slot, mean in slot_colors(avatar.mesh, shape, body).items():
        if slot not in asked:
            continue
        name, got = nearest_basic(asked[slot]), nearest_basic(mean)
        right = name == got or float(color_distance(mean, asked[slot][None])[0]) < _NEAR
        found.append(PartColor(part=slot, asked=name, got=got, right=right))
    return found


@lru_cache(maxsize=2048)
def asked_colors(text: str, outfit: bool = True) -> Mapping[str, Float[np.ndarray, "3"]]:
    """Judged slot -> the one sRGB color in 0..1 that `text` gives it; with `outfit` not what hangs free."""
    colors = read(tight_text(text) if outfit else text).colors
    one = {slot: paint[0][0] for slot, (paint, _) in colors.items() if len(paint) == 1}
    return {slot: np.array(one[slot], dtype=np.float64) / 255.0 for slot in _JUDGED if slot in one}


def slot_colors(mesh: Mesh, shape: Shape, body: BodyModel) -> dict[str, Float[np.ndarray, "3"]]:
    """Mean sRGB in 0..1, by area, of what lies on each judged slot of a body that names its parts."""
    slots, colors, area = _slots_of(mesh, shape, body), face_colors(mesh), face_areas(mesh)
    found = {}
    for slot in _JUDGED:
        there = slots == SLOTS.index(slot)
        if there.any():
            found[slot] = np.average(colors[there], axis=0, weights=area[there])
    return found


def face_colors(mesh: Mesh) -> Float[np.ndarray, "f 3"]:
    """SRGB in the middle of each face, 0..1; mid-grey where the mesh has neither texture nor colors."""
    if mesh.texture is not None and mesh.uvs is not None and mesh.uv_faces is not None:
        height, width = mesh.texture.shape[:2]
        middle = mesh.uvs[mesh.uv_faces].mean(1)
        column = np.clip((middle[:, 0] * width).astype(int), 0, width - 1)
        row = np.clip(((1.0 - middle[:, 1]) * height).astype(int), 0, height - 1)
        return mesh.texture[row, column].astype(np.float64) / 255.0
    if mesh.vertex_colors is not None:
        return mesh.vertex_colors[mesh.faces].mean(1).astype(np.float64)
    return np.full((len(mesh.faces), 3), 0.5)


def _slots_of(mesh: Mesh, shape: Shape, body: BodyModel) -> Integer[np.ndarray, " f"]:
    """The slot of the place on the body's skin that lies under each face, -1 far from it; both in T-pose on y = 0."""
    with torch.no_grad():
        shaped, _ = shape_body(body, torch.from_numpy(np.asarray(shape.betas, dtype=np.float32))[None])
    points = shaped[0].cpu().numpy().astype(np.float64)
    points[:, 1] -= points[:, 1].min()
    skin = Mesh(vertices=points, faces=body.faces.cpu().numpy())
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-20)
    surface = Surface(vertices=points, normals=vertex_normals(skin), faces=skin.faces)
    found = nearest_facing(corners.mean(1), normals, surface)
    return np.where(found.distance < _TIGHT, face_slots(body)[found.face], -1)


def color_distance(rgb: Float[np.ndarray, "3"], table: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """In CIE Lab, of one sRGB color in 0..1 to each of `table`."""
    lab = lab_from_srgb(torch.from_numpy(np.concatenate([np.asarray(rgb)[None], table]))).numpy()
    return np.linalg.norm(lab[1:] - lab[0], axis=1)
