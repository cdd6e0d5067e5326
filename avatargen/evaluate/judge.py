"""What a text-image model says of an avatar: its score, and whether it picks the right text among many."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.body.rigged import pose_rigged
from avatargen.body.skeleton import a_pose
from avatargen.core.values import RiggedMesh
from avatargen.guidance.model import Guidance
from avatargen.guidance.prompts import TEXTURELESS, style_for
from avatargen.render.cameras import orbit
from avatargen.render.picture import draw_mesh, surface_of

_TIE = 1e-6
AZIMUTHS = (0.0, 45.0, 90.0, 180.0, 270.0, 315.0)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One model's view of one avatar, textured or as grey clay."""

    score: float
    """Mean cosine of the pictures and the text."""
    base: float
    """The same for the plain words "a person"."""
    rank: float
    """1 if every distractor fits the pictures less than the text itself; ties count half."""
    among: int
    confused_with: str
    """The best of the other texts."""


def photograph(avatar: RiggedMesh, size: int, textured: bool = True) -> Float[Tensor, "v 3 h w"]:
    """Pictures of the avatar in A-pose, from six sides, sRGB in 0..1."""
    mesh = avatar.mesh if textured else replace(avatar.mesh, texture=None, vertex_colors=None)
    points = torch.from_numpy(pose_rigged(avatar, a_pose()[None].numpy())[0])
    low, high = points.amin(0), points.amax(0)
    away = 1.15 * float((high - low).max()) / (2 * np.tan(np.radians(20.0)))
    cameras = orbit(torch.tensor(AZIMUTHS), 5.0, away, 0.5 * (low + high), 40.0, size)
    return draw_mesh(points, torch.from_numpy(mesh.faces).long(), cameras, surface_of(mesh)).image


@torch.no_grad()
def judge(avatar: RiggedMesh, text: str, others: Sequence[str], model: Guidance, textured: bool = True) -> Verdict:
    """The verdict of `model` on the avatar: cosines are averaged over the views before texts are compared.

    Clay is compared with texts in the wording of textureless pictures, so that colors have no say.
    """
    wording = "{}" if textured else TEXTURELESS[style_for(model.name)][0]
    features = model.encode_image(photograph(avatar, model.image_size, textured))
    distractors = [other for other in dict.fromkeys(others) if other != text]
    words = model.encode_text([wording.format(said) for said in (text, "a person", *distractors)])
    cosines = (features @ words.T).mean(0).cpu().numpy()
    rest = cosines[2:]
    return Verdict(
        score=round(float(cosines[0]), 4),
        base=round(float(cosines[1]), 4),
        rank=1 + float((rest > cosines[0] + _TIE).sum()) + 0.5 * float((np.abs(rest - cosines[0]) <= _TIE).sum()),
        among=len(distractors) + 1,
        confused_with=distractors[int(rest.argmax())] if distractors else "",
    )
