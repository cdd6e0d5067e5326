"""The common space of pictures and texts: blocks whose dot products mean something by themselves.

A feature vector is `[colors of each slot | traits | pose | text only | picture only]`. Both kinds have unit length,
pictures by what is left over in a coordinate that texts never use, so the cosine of a picture and a text is the
weighted mean of the similarities of just those things that the text names: what it does not name has gradient zero.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from avatargen.guidance.embedded.colors import COLOR_WIDTH, color_features, features_of_srgb, lab_from_srgb
from avatargen.guidance.embedded.dress import Paint
from avatargen.guidance.embedded.reader import Reading
from avatargen.guidance.embedded.slots import SLOT_ID, SLOTS, TRAITS

POSE_WIDTH = 64
_SHARES = {"colors": 0.60, "traits": 0.15, "pose": 0.25}
"""Largest squared length of each block of a picture; the rest makes up for what is not seen."""

_IMPORTANCE = {
    "hair": 0.9, "face": 0.9, "eyes": 0.4, "lips": 0.4, "beard": 0.6, "neck": 0.6, "shirt_front": 0.7, "belt": 0.6,
    "ankles": 0.7, "forearms": 0.9,
}  # fmt: skip
_VISIBLE = (0.0006, 0.003)
"""Share of the picture at which a slot starts to count, and counts fully."""

_NOTHING_SAID = 0.12
"""The coordinate that keeps a text without content, such as "a person", from having length zero."""

_SHADE = 8.0
"""Added to a pixel's lightness (0..100) to give its weight in the mean color of its slot."""

WIDTH = len(SLOTS) * COLOR_WIDTH + len(TRAITS) + POSE_WIDTH + 2


def importance() -> Float[Tensor, " slots"]:
    """Weight of each slot; squares sum to one."""
    weights = torch.tensor([_IMPORTANCE.get(name, 1.0) for name in SLOTS])
    return weights / weights.norm()


def slot_colors(
    images: Float[Tensor, "b 3 h w"], shares: Float[Tensor, "b slots h2 w2"]
) -> tuple[Float[Tensor, "b slots color"], Float[Tensor, "b slots"]]:
    """Mean color vector of each slot's pixels, and how far the slot is in view (0..1)."""
    if shares.shape[2:] != images.shape[2:]:
        shares = interpolate(shares, size=images.shape[2:], mode="bilinear", align_corners=False)
    flat = shares.flatten(2)
    mass = flat.sum(2)
    low, high = _VISIBLE
    seen = ((mass / flat.shape[2] - low) / (high - low)).clamp(0.0, 1.0)
    seen = seen * seen * (3.0 - 2.0 * seen)
    lab = lab_from_srgb(images.flatten(2).transpose(1, 2))
    # Lit pixels show the color, those in the shade little of it; black cloth is dark all over and loses nothing.
    lit = flat * (lab[..., 0].detach() + _SHADE)[:, None]
    weights = lit / lit.sum(2, keepdim=True).clamp_min(1e-6)
    return torch.bmm(weights, color_features(lab)), seen


class _Focus(torch.autograd.Function):
    """Passes the colors' gradient or that of traits and pose, whichever is stronger; the other becomes zero.

    A direction loss also pulls what a text does not name back to its base. For traits and pose that weak pull reaches
    the pixels as noise, which an optimiser with a step per parameter (Adam) would blow up into rainbow speckle.
    """

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,  # noqa: ARG004  torch's signature
        colors: Tensor,
        traits: Tensor,
        pose: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        return colors.view_as(colors), traits.view_as(traits), pose.view_as(pose)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ARG004
        colors, traits, pose = grad_outputs
        if float(colors.square().sum()) >= float(traits.square().sum() + pose.square().sum()):
            return colors, torch.zeros_like(traits), torch.zeros_like(pose)
        return torch.zeros_like(colors), traits, pose


def image_vector(
    colors: Float[Tensor, "b slots color"],
    seen: Float[Tensor, "b slots"],
    traits: Float[Tensor, "b traits"],
    pose: Float[Tensor, "b pose"],
) -> Float[Tensor, "b width"]:
    """Unit vectors of pictures."""
    weights = importance().to(colors)
    blocks = torch.cat(
        _Focus.apply(
            math.sqrt(_SHARES["colors"]) * (colors * (seen * weights)[..., None]).flatten(1),
            math.sqrt(_SHARES["traits"] / len(TRAITS)) * torch.tanh(0.5 * traits),
            math.sqrt(_SHARES["pose"]) * normalize(pose, dim=-1),
        ),
        dim=1,
    )
    rest = (1.0 - (blocks * blocks).sum(1, keepdim=True)).clamp_min(1e-6).sqrt()
    return torch.cat([blocks, torch.zeros_like(rest), rest], dim=1)


def text_vector(readings: Sequence[Reading], poses: Float[Tensor, "n pose"]) -> Float[Tensor, "n width"]:
    """Unit vectors of readings; `poses` are the action vectors of their texts, used where a text names an action."""
    weights = importance()
    rows = []
    for reading, pose in zip(readings, poses, strict=True):
        colors = torch.zeros(len(SLOTS), COLOR_WIDTH)
        for slot, (paint, firmness) in reading.colors.items():
            colors[SLOT_ID[slot]] = firmness * weights[SLOT_ID[slot]] * _paint_vector(paint)
        traits = torch.tensor([reading.traits.get(name, 0.0) for name in TRAITS])
        blocks = [
            _unit(colors.flatten()) * (1.0 if reading.colors else 0.0),
            # A text that names colors is about paint: its "tall" or "sitting" would only reach the pixels as noise.
            _unit(traits) * (0.0 if reading.colors else 1.0),
            _unit(pose) * (1.0 if reading.action and not reading.colors else 0.0),
        ]
        content = torch.cat(blocks)
        row = torch.cat([content, content.new_tensor([_NOTHING_SAID, 0.0])])
        rows.append(row / row.norm())
    return torch.stack(rows)


def _paint_vector(paint: Paint) -> Float[Tensor, " color"]:
    colors = torch.tensor([c for c, _ in paint]) / 255.0
    shares = torch.tensor([share for _, share in paint])
    return (features_of_srgb(colors) * shares[:, None]).sum(0)


def _unit(vector: Tensor) -> Tensor:
    length = vector.norm()
    return vector / length if length > 1e-9 else torch.zeros_like(vector)
