"""What is said to the guidance about each kind of view, as features: words, pictures, and what is not wanted."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.core.files import digest_bytes
from avatargen.core.settings import PictureSettings
from avatargen.guidance.losses import mean_features, unit
from avatargen.guidance.model import Guidance, encode_prompt
from avatargen.guidance.prompts import VIEWS, read_templates, style_for, wordings

_PLAIN_TEXT = "a person"


@dataclass(frozen=True, kw_only=True, eq=False)
class Words:
    """Features of what is said to each kind of view."""

    asked: dict[str, Float[Tensor, "1 d"]]
    grey: dict[str, Float[Tensor, "1 d"]]
    """The same for pictures without color."""
    plain: dict[str, Float[Tensor, "1 d"]]
    """Of a person about whom nothing is said."""
    negative: dict[str, Float[Tensor, "n d"]]
    """Of what is not wanted; no rows where nothing is."""

    def rows(self, which: dict[str, Tensor], kinds: Sequence[str]) -> Float[Tensor, "b d"]:
        """One row for each view."""
        return torch.cat([which[kind] for kind in kinds])

    def digest(self) -> str:
        """Of what is asked, to four digits: pictures are part of a checkpoint's identity, as words are."""
        rows = torch.cat([self.asked[kind] for kind in sorted(self.asked)]).cpu()
        return digest_bytes((rows * 1e4).round().to(torch.int32).numpy().tobytes())


@dataclass(frozen=True, kw_only=True, eq=False)
class Pictures:
    """Image prompts: what the figure, and what its face, should look like."""

    figure: Float[Tensor, "1 3 h w"] | None = None
    """For every view that has no picture of its own."""
    face: Float[Tensor, "1 3 h w"] | None = None
    weight: float = 0.5
    """Share of a picture beside the words, 0..1; 1 where nothing was said."""

    def of(self, kind: str) -> Float[Tensor, "1 3 h w"] | None:
        """The picture for a kind of view."""
        return self.face if kind == "face" and self.face is not None else self.figure


@torch.no_grad()
def encode_words(
    description: str,
    guidance: Guidance,
    pictures: Pictures | None = None,
    settings: PictureSettings | None = None,
) -> Words:
    """Say the description, and the plain person, in the wording of each kind of view.

    Where a view has a picture, its features are mixed with those of the words.
    """
    settings = settings or PictureSettings()
    style = settings.wording
    if style == "auto":
        style = style_for(guidance.name).replace("plain", "paint")
    templates = read_templates(settings.templates)

    def features(text: str, kind: str, textureless: bool = False) -> Tensor:
        view = kind if settings.view_words else "body"
        lines = wordings(text, view, style, textureless=textureless, templates=templates)
        return mean_features(guidance.encode_text(lines))

    def asked(kind: str) -> Tensor:
        said, shown = features(description, kind), pictures.of(kind) if pictures is not None else None
        if pictures is None or shown is None:
            return said
        seen = encode_prompt(guidance, shown.to(said))
        return unit((1.0 - pictures.weight) * said + pictures.weight * unit(seen))

    wanted = {kind: asked(kind) for kind in VIEWS}
    return Words(
        asked=wanted,
        grey={kind: features(description, kind, textureless=True) for kind in VIEWS},
        plain={kind: features(_PLAIN_TEXT, kind) for kind in VIEWS},
        negative={
            kind: torch.cat([row[:0], *(features(text, kind) for text in settings.negative)])
            for kind, row in wanted.items()
        },
    )
