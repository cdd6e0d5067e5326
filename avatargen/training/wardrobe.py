"""What the bodies of the training pictures wear: clothes and hair as geometry, dressed at random.

Two sources: the loose pieces that our own tailor cuts for avatars (skirts, robes, capes, hats, hair, beards), and,
if a folder with them is given, MakeHuman's clothes and hair (`avatargen.training.hm08`). Every face of a piece counts
as a face of the body beneath, so that labels and painting know nothing of clothes: hair and hats are scalp, a cape is
the back that it hangs from.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Integer
from skimage.measure import marching_cubes

from avatargen.body.model import BodyModel
from avatargen.body.open_body import load_open_body
from avatargen.body.posing import joint_transforms, pose_body, shape_body, unskin
from avatargen.body.skeleton import a_pose
from avatargen.guidance.embedded.slots import SLOT_ID, SLOTS
from avatargen.implicit.figure import Figure, figure_of
from avatargen.implicit.tailor import tailor
from avatargen.implicit.worn import Piece
from avatargen.training.hm08 import base_mesh, onto_template, read_pieces
from avatargen.training.light_body import LightBody, carried, lighten, simplified, together
from avatargen.training.slot_labels import face_slots

_FACES = 2400
"""Of each piece, at most."""
_HEAD = ("hair", "face", "eyes", "lips", "beard")
_COUNTS_AS: Mapping[str, tuple[str, ...]] = {
    "suit": tuple(slot for slot in SLOTS if slot not in (*_HEAD, "hands", "feet")),
    "shoes": ("feet", "ankles"),
    "hair": ("hair",),
    "hat": ("hair",),
    "beard": ("beard",),
    "cape": ("back",),
    "skirt": ("belt", "pelvis", "thighs", "shins", "ankles"),
    "sleeves": ("forearms",),
}
"""The slots that a piece of each kind covers, as the lexicon's garments do."""
_HATS = (
    "pointed", "top", "bowler", "cowboy", "straw", "cap", "toque", "beret", "close", "turban", "bubble", "crown",
    "hood", "helmet", "brimmed helmet", "closed helmet",
)  # fmt: skip
_HOLD_OUT = 5
"""One piece in so many of each kind is kept for judging."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Wardrobe:
    """The bare body, and what it can put on, by kind."""

    bare: LightBody
    pieces: Mapping[str, tuple[LightBody, ...]]

    def dress(self, generator: np.random.Generator) -> LightBody:
        """The body in a random choice of pieces that are worn together."""
        chosen = [self.bare]

        def wear(kind: str, probability: float) -> bool:
            on = bool(self.pieces.get(kind)) and generator.random() < probability
            if on:
                chosen.append(self.pieces[kind][int(generator.integers(len(self.pieces[kind])))])
            return on

        if wear("skirt", 0.4):
            wear("sleeves", 0.35)
        else:
            wear("suit", 0.7)
        wear("shoes", 0.5)
        wear("cape", 0.2)
        wear("hair", 0.65)
        wear("hat", 0.35)
        wear("beard", 0.25)
        return together(chosen)

    def apart(self) -> tuple["Wardrobe", "Wardrobe"]:
        """Most of the pieces, and the few of each kind that are kept for judging."""
        kept = {kind: tuple(row[_HOLD_OUT - 1 :: _HOLD_OUT]) for kind, row in self.pieces.items()}
        most = {kind: tuple(p for p in row if p not in kept[kind]) for kind, row in self.pieces.items()}
        return Wardrobe(bare=self.bare, pieces=most), Wardrobe(bare=self.bare, pieces=kept)


def fill_wardrobe(garments: Path | None = None, body: BodyModel | None = None) -> Wardrobe:
    """Our own pieces, and those of the folder `garments`; a minute on a core.

    Raises:
        MissingAssetError: there are no pieces in the folder.
        MissingExtraError: the base mesh that they hang on is not installed.
        BrokenFileError: a file is not what it should be.
    """
    body = body or load_open_body()
    slots = face_slots(body)
    found: dict[str, list[LightBody]] = {}
    for kind, piece in _own(body, slots):
        found.setdefault(kind, []).append(piece)
    if garments is not None:
        base = base_mesh()
        for hung in read_pieces(garments, base):
            kind = _kind(hung.name, garments)
            points, faces = simplified(onto_template(hung, base, body), hung.faces, _FACES)
            found.setdefault(kind, []).append(carried(body, points, faces, _labels(slots, kind)))
    return Wardrobe(bare=lighten(body), pieces={kind: tuple(row) for kind, row in found.items()})


def _kind(name: str, garments: Path) -> str:
    """What a piece of MakeHuman's is, by its name and the folder that holds it."""
    if (garments / "hair" / name).is_dir():
        return "hair"
    return "hat" if "fedora" in name or "hat" in name else "shoes" if "shoe" in name else "suit"


def _labels(slots: Integer[np.ndarray, " f"], kind: str) -> Integer[np.ndarray, " k"]:
    return np.flatnonzero(np.isin(slots, [SLOT_ID[name] for name in _COUNTS_AS[kind]]))


def _own(body: BodyModel, slots: Integer[np.ndarray, " f"]) -> Iterator[tuple[str, LightBody]]:
    """The tailor's pieces, cut on the A-posed template and brought back to its T-pose."""
    rotations, betas = a_pose()[None].float(), torch.zeros(1, body.num_betas)
    posed = pose_body(body, betas, rotations)
    parts = cast("torch.Tensor", body.parts)  # its slots would not be known without them
    figure = figure_of(posed.vertices[0].numpy(), body.faces.numpy(), parts.numpy(), posed.joints[0].numpy())
    _, transforms = joint_transforms(shape_body(body, betas)[1], rotations, body.parents)
    for piece in _patterns():
        made = _marched(piece, figure)
        if made is None:
            continue
        points, faces, weights = made
        rest = unskin(torch.from_numpy(points), torch.from_numpy(weights), transforms.double())[0].numpy()
        labels = slots if piece.kind != "skirt" or piece.length > 0.6 else np.where(_low(slots), -1, slots)
        yield piece.kind, carried(body, rest, faces, _labels(labels, piece.kind), weights)


def _low(slots: Integer[np.ndarray, " f"]) -> np.ndarray:
    """Below the knee: no skirt but a long one counts as that."""
    return np.isin(slots, [SLOT_ID["shins"], SLOT_ID["ankles"]])


def _marched(piece: Piece, figure: Figure) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The piece as a mesh on the posed figure: points, outward faces, joint weights."""
    outfit = tailor([piece], figure)
    if outfit is None:
        return None
    volume = outfit.sewn[0].volume
    values = volume.values.view(volume.grid.shape).numpy()
    points, faces, _, _ = marching_cubes(values, 0.0, spacing=(volume.grid.spacing,) * 3)
    points, faces = simplified(points + np.array(volume.grid.origin), faces, _FACES)
    points = points.astype(np.float64)
    return points, faces, outfit.weights(points, np.zeros(len(points), dtype=np.int64))


def _patterns() -> Iterator[Piece]:
    """One of everything that the tailor cuts, skirts and hair in several lengths."""
    for length, flare in ((0.28, 0.1), (0.3, 0.3), (0.5, 0.06), (0.5, 0.16), (0.6, 0.1), (0.75, 0.08), (0.95, 0.12)):
        yield Piece(kind="skirt", style="skirt", length=length, flare=flare)
    yield Piece(kind="skirt", style="gown", length=0.97, flare=0.25)
    yield Piece(kind="sleeves", style="wide")
    for length in (0.45, 0.65, 0.85, 0.95):
        yield Piece(kind="cape", style="cape", length=length)
    for style in _HATS:
        yield Piece(kind="hat", style=style)
    for style in ("short", "curly", "spiky", "afro", "mohawk", "bun", "buns"):
        yield Piece(kind="hair", style=style, length=0.0)
    for style in ("short", "curly", "ponytail", "pigtails"):
        yield Piece(kind="hair", style=style, length=0.4)
        yield Piece(kind="hair", style=style, length=0.8)
    for style, length in (("full", 0.15), ("full", 0.4), ("full", 0.9), ("chin", 0.2), ("moustache", 0.2)):
        yield Piece(kind="beard", style=style, length=length)
