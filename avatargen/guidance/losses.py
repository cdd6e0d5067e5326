"""How far images are from texts, in feature space; every loss lies in 0..2 and is differentiable in the images.

All features are rows. Texts either pair with the images row by row (`[b, d]`) or are one row for all (`[1, d]`);
`mean_features` turns several wordings into one row.
"""

import torch
from jaxtyping import Float
from torch import Tensor

# Squared length below which a change counts as none: unit float32 rows differ by 1e-7 from rounding alone.
_NOTHING = 1e-12


def unit(vectors: Float[Tensor, "*b d"], floor: float = 0.0) -> Float[Tensor, "*b d"]:
    """Rows scaled to length one; a zero row stays zero and has gradient zero.

    Rows shorter than `floor` are divided by `floor` instead, so that their length (and gradient) stays bounded.
    """
    squared = (vectors * vectors).sum(-1, keepdim=True)
    nothing = squared <= _NOTHING
    length = torch.where(nothing, torch.ones_like(squared), squared).sqrt()
    if floor > 0:
        return vectors / torch.where(nothing, torch.full_like(length, floor), length.clamp_min(floor))
    return torch.where(nothing, torch.zeros_like(vectors), vectors / length)


def mean_features(features: Float[Tensor, "n d"]) -> Float[Tensor, "1 d"]:
    """One unit row that stands for several wordings of the same thing: their normalised mean."""
    return unit(unit(features).mean(0, keepdim=True))


def similarity_loss(
    image: Float[Tensor, "b d"],
    text: Float[Tensor, "#b d"],
    weights: Float[Tensor, " b"] | None = None,
) -> Float[Tensor, ""]:
    """One minus the cosine of image and text, averaged over the images (by `weights` where given)."""
    return _mean(1.0 - (unit(image) * unit(text)).sum(-1), weights)


def direction_loss(
    image: Float[Tensor, "b d"],
    base_image: Float[Tensor, "#b d"],
    text: Float[Tensor, "#b d"],
    base_text: Float[Tensor, "#b d"],
    weights: Float[Tensor, " b"] | None = None,
    floor: float = 0.0,
) -> Float[Tensor, ""]:
    """One minus the cosine between the image's change and the text's change (StyleGAN-NADA, arXiv:2108.00946).

    Features are brought to unit length before they are subtracted. Without `floor`, an image equal to its base
    costs one and has gradient zero: give a small `floor` (about the usual length of a change, 0.1) where an
    optimisation starts exactly at the base; the cosine is then damped by `|change| / floor`, which also keeps the
    gradient from growing as one over the change.
    """
    change = unit(unit(image) - unit(base_image), floor)
    asked = unit(unit(text) - unit(base_text))
    return _mean(1.0 - (change * asked).sum(-1), weights)


def negative_loss(image: Float[Tensor, "b d"], unwanted: Float[Tensor, "b n d"]) -> Float[Tensor, ""]:
    """Mean cosine of images and texts that they should not look like, zero where they are no nearer than at random."""
    return (unit(image)[:, None] * unit(unwanted)).sum(-1).clamp_min(0.0).mean()


def _mean(losses: Float[Tensor, " b"], weights: Float[Tensor, " b"] | None) -> Float[Tensor, ""]:
    if weights is None:
        return losses.mean()
    return (losses * weights).sum() / weights.sum().clamp_min(1e-12)
