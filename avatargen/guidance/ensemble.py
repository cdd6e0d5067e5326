"""Several text-image models as one judge.

Features of the members are laid side by side, each scaled by the root of its weight: the cosine of two such vectors is
the weighted mean of the members' cosines, so every loss written for one model holds for the ensemble.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.core.errors import InputError
from avatargen.core.files import cache_key
from avatargen.guidance.losses import unit
from avatargen.guidance.model import Guidance, encode_prompt


@dataclass(frozen=True, eq=False)
class Ensemble:
    """A `Guidance` made of others; `shares` are positive and sum to one."""

    members: tuple[Guidance, ...]
    shares: tuple[float, ...]

    @property
    def name(self) -> str:
        """E.g. 'clip:ViT-B/32*0.7+embedded*0.3'."""
        return "+".join(f"{m.name}*{share:g}" for m, share in zip(self.members, self.shares, strict=True))

    @property
    def version(self) -> str:
        """Changes with any member and any share."""
        return cache_key(members=[(m.name, m.version) for m in self.members], shares=self.shares)[:24]

    @property
    def image_size(self) -> int:
        """That of the member which looks closest."""
        return max(m.image_size for m in self.members)

    @property
    def licence(self) -> str:
        """All members' terms."""
        return "; ".join(f"{m.name}: {m.licence}" for m in self.members)

    def encode_text(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Unit features: the members' side by side."""
        return self._joined([m.encode_text(texts) for m in self.members])

    def encode_image(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Unit features: the members' side by side; differentiable in the images."""
        return self._joined([m.encode_image(images) for m in self.members])

    def encode_prompt(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Unit features of pictures that stand for texts."""
        return self._joined([encode_prompt(m, images) for m in self.members])

    def _joined(self, features: Sequence[Tensor]) -> Tensor:
        return torch.cat([unit(f) * share**0.5 for f, share in zip(features, self.shares, strict=True)], dim=-1)


def parse_ensemble(model: str) -> tuple[tuple[str, float], ...]:
    """Names and shares of "A*2+B": the shares (1 where none is given) are brought to sum one.

    Raises:
        InputError: an empty name, or a weight that is no positive number.
    """
    members = []
    for part in model.split("+"):
        name, star, number = part.strip().partition("*")
        try:
            weight = float(number) if star else 1.0
        except ValueError:
            weight = -1.0
        if not name.strip() or not 0.0 < weight < float("inf"):
            raise InputError(
                f"guidance {model!r}: {part.strip()!r} is no model with a positive weight\n"
                f"  Write e.g. clip:ViT-B/32*0.7+embedded*0.3"
            )
        members.append((name.strip(), weight))
    total = sum(weight for _, weight in members)
    # The embedded model goes last: wordings suit the model that a name begins with, and it reads every wording.
    members.sort(key=lambda member: member[0].lower().startswith("embedded"))
    return tuple((name, weight / total) for name, weight in members)
