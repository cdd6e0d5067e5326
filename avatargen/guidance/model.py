"""The one face of every text-image model."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class Guidance(Protocol):
    """Says how well an image fits a text: the cosine of two feature vectors."""

    @property
    def name(self) -> str:
        """E.g. 'embedded' or 'clip:ViT-B/32'."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever features do; part of every cache key."""
        ...

    @property
    def image_size(self) -> int:
        """Side in pixels at which the model looks; rendering larger than this gains nothing."""
        ...

    @property
    def licence(self) -> str:
        """Under which terms its weights are used."""
        ...

    def encode_text(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Features of texts, unit length."""
        ...

    def encode_image(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Features of sRGB images in 0..1 of any size, unit length; differentiable in the images."""
        ...


@torch.no_grad()
def encode_prompt(guidance: Guidance, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
    """Features of pictures that stand for texts; a model may leave out of them what no text for a view would say."""
    own = getattr(guidance, "encode_prompt", None)
    return guidance.encode_image(images) if own is None else own(images)


@torch.no_grad()
def fit_above_usual(
    guidance: Guidance, pictures: Float[Tensor, "n d"], words: Float[Tensor, "m d"]
) -> Float[Tensor, "n m"]:
    """How much better features of pictures fit features of texts than an average picture does.

    The cosine, less that of the mean picture where the model knows it (`usual`): for comparing texts with each other.
    A text of dull colors is near to every picture, as a word that is common is near to every page. For one text it
    makes no difference, and none to any gradient.
    """
    usual = getattr(guidance, "usual", None)
    return (pictures if usual is None else pictures - usual) @ words.T
