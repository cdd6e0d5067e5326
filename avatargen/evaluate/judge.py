"""What a judge says of an avatar: its score, and whether it picks the right text among many.

`judge` asks a text-image model. `judge_colors` asks none: it compares the colors that parts of the mesh have with those
that each text gives them. It is blind to shape, and takes the words apart by the rules that the embedded guidance uses,
but nothing that was trained, and nothing that guided, looks for it.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.body.model import BodyModel
from avatargen.body.rigged import pose_rigged
from avatargen.body.skeleton import a_pose
from avatargen.core.values import RiggedMesh, Shape
from avatargen.evaluate.colors import asked_colors, color_distance, slot_colors
from avatargen.guidance.model import Guidance, fit_above_usual
from avatargen.guidance.prompts import TEXTURELESS, style_for
from avatargen.render.cameras import orbit
from avatargen.render.picture import draw_mesh, surface_of

_TIE = 1e-6
_HALF = 30.0
"""Units of Lab at which a color counts half: about as far as neighbouring basic colors are apart."""
AZIMUTHS = (0.0, 45.0, 90.0, 180.0, 270.0, 315.0)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One judge's view of one avatar, textured or as grey clay."""

    score: float
    """Mean cosine of the pictures and the text; of `judge_colors`, how well the named colors are met, 0 to 1."""
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


def look_distance(avatars: Sequence[RiggedMesh], size: int = 128) -> float:
    """Mean difference of color, 0..1 a channel, over all pairs of avatars and those pixels where either of them is."""
    pictures = [photograph(avatar, size) for avatar in avatars]
    apart = []
    for one, two in itertools.combinations(pictures, 2):
        there = ((one < 1) | (two < 1)).any(1)
        apart.append(float((one - two).abs().mean(1)[there].mean()) if there.any() else 0.0)
    return round(float(np.mean(apart)), 4)


@torch.no_grad()
def judge(avatar: RiggedMesh, text: str, others: Sequence[str], model: Guidance, textured: bool = True) -> Verdict:
    """The verdict of `model` on the avatar: cosines are averaged over the views before texts are compared.

    Texts are compared by how much better they fit than they fit the usual picture, where the model knows that.

    Clay is compared with texts in the wording of textureless pictures, so that colors have no say.
    """
    wording = "{}" if textured else TEXTURELESS[style_for(model.name)][0]
    features = model.encode_image(photograph(avatar, model.image_size, textured))
    distractors = _distractors(text, others)
    words = model.encode_text([wording.format(said) for said in (text, "a person", *distractors)])
    cosines = (features @ words.T).mean(0).cpu().numpy()
    fit = fit_above_usual(model, features, words).mean(0).cpu().numpy()
    return _verdict(float(cosines[0]), float(cosines[1]), float(fit[0]), fit[2:], distractors)


def judge_colors(
    avatar: RiggedMesh, text: str, others: Sequence[str], shape: Shape, body: BodyModel, *, outfit: bool = True
) -> Verdict | None:
    """The verdict of measured colors; None where the text names none, or the body does not name its parts.

    A part whose color is d units of Lab off counts 2^-(d/30)^2. The score is the mean of the named parts; texts are
    compared by the sum of what each part counts above a half, so that who names much and is right goes before who
    names little.
    """
    if body.parts is None or not asked_colors(text, outfit):
        return None
    got = slot_colors(avatar.mesh, shape, body)

    def counts(said: str) -> Float[np.ndarray, " n"]:
        asked = [(got[slot], color) for slot, color in asked_colors(said, outfit).items() if slot in got]
        apart = np.array([color_distance(mean, color[None])[0] for mean, color in asked])
        return np.exp2(-((apart / _HALF) ** 2))

    own, distractors = counts(text), _distractors(text, others)
    rest = np.array([(counts(other) - 0.5).sum() for other in distractors])
    return _verdict(float(own.mean()) if len(own) else 0.0, 0.0, float((own - 0.5).sum()), rest, distractors)


def _distractors(text: str, others: Sequence[str]) -> list[str]:
    return [other for other in dict.fromkeys(others) if other != text]


def _verdict(score: float, base: float, fit: float, rest: np.ndarray, distractors: Sequence[str]) -> Verdict:
    return Verdict(
        score=round(score, 4),
        base=round(base, 4),
        rank=1 + float((rest > fit + _TIE).sum()) + 0.5 * float((np.abs(rest - fit) <= _TIE).sum()),
        among=len(distractors) + 1,
        confused_with=distractors[int(rest.argmax())] if distractors else "",
    )
