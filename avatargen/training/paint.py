"""Buffers to pictures: random outfits, unfinished paint, lights and backdrops, all vectorised over a batch.

The pictures need not be pretty; they must cover what an optimisation can show the network, so that it finds the parts
by the body's form and not by their colors.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from avatargen.guidance.embedded.slots import SLOT_ID, SLOTS

SKIN_TONES: tuple[tuple[float, float, float], ...] = (
    (0.96, 0.82, 0.73),
    (0.91, 0.74, 0.64),
    (0.84, 0.64, 0.53),
    (0.72, 0.52, 0.40),
    (0.55, 0.38, 0.28),
    (0.38, 0.25, 0.18),
)
_BASICS = (
    (0.8, 0.05, 0.05), (0.05, 0.15, 0.75), (0.05, 0.5, 0.1), (0.95, 0.85, 0.1), (0.95, 0.5, 0.05), (0.45, 0.1, 0.6),
    (0.95, 0.5, 0.7), (0.4, 0.22, 0.1), (0.03, 0.03, 0.03), (0.97, 0.97, 0.97), (0.5, 0.5, 0.5), (0.05, 0.07, 0.3),
    (0.1, 0.6, 0.6), (0.85, 0.75, 0.55), (0.45, 0.03, 0.1), (0.8, 0.65, 0.2), (0.75, 0.75, 0.78), (0.35, 0.37, 0.12),
)  # fmt: skip
_SKIN_SLOTS = [SLOT_ID[n] for n in SLOTS]


@dataclass(frozen=True, eq=False)
class Canvas:
    """A batch of views to paint."""

    slot: Integer[Tensor, "b h w"]
    """Slot of each pixel; `BACKGROUND` where nothing is seen."""
    normal: Float[Tensor, "b h w 3"]
    """Camera frame."""
    place: Float[Tensor, "b h w 3"]
    """T-pose position in metres, for patterns that stick to the body."""
    base: Float[Tensor, "b h w 3"]
    """The body's plain look, sRGB."""


class Painter:
    """Draws random paint from a generator of its own."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def _uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=self._generator)

    def _chance(self, count: int, probability: float) -> Tensor:
        return torch.rand(count, generator=self._generator) < probability

    def _integers(self, high: int, *shape: int) -> Tensor:
        return torch.randint(high, shape, generator=self._generator)

    def _colors(self, *shape: int) -> Float[Tensor, "..."]:
        """Basic colors with a jitter, half of the time; any color otherwise."""
        basics = torch.tensor(_BASICS)[self._integers(len(_BASICS), *shape)]
        basics = basics + 0.06 * torch.randn(*shape, 3, generator=self._generator)
        return torch.where(self._uniform(*shape, 1) < 0.65, basics, self._uniform(*shape, 3)).clamp(0, 1)

    def outfits(self, count: int) -> Float[Tensor, "b slots 3"]:
        """A color for each slot: clothes that make sense, one color all over, or every slot for itself."""
        colors = torch.tensor(SKIN_TONES)[self._integers(len(SKIN_TONES), count)][:, None].repeat(1, len(SLOTS), 1)
        colors = (colors + 0.04 * torch.randn(count, 1, 3, generator=self._generator)).clamp(0, 1)

        def wear(names: tuple[str, ...], probability: float) -> None:
            on = self._chance(count, probability)
            ids = torch.tensor([SLOT_ID[n] for n in names])
            chosen = torch.where(on[:, None, None], self._colors(count)[:, None], colors[:, ids])
            colors[:, ids] = chosen

        wear(("hair", "eyes"), 0.75)
        wear(("beard",), 0.25)
        wear(("lips",), 0.5)
        wear(("eyes",), 0.5)
        wear(("chest", "shirt_front", "belly", "back", "belt", "pelvis", "upper_arms"), 0.8)
        wear(("forearms",), 0.3)
        wear(("upper_arms", "forearms"), 0.35)
        wear(("shirt_front",), 0.3)
        wear(("belly",), 0.1)
        wear(("back",), 0.25)
        wear(("pelvis", "thighs"), 0.75)
        wear(("pelvis", "thighs", "shins", "ankles"), 0.5)
        wear(("belt",), 0.3)
        wear(("hands",), 0.3)
        wear(("feet",), 0.7)
        wear(("feet", "ankles"), 0.35)
        wear(("neck",), 0.15)
        wear(("face", "beard"), 0.08)
        mixed = self._chance(count, 0.25)
        colors[mixed] = self._colors(int(mixed.sum()), len(SLOTS))
        plain = self._chance(count, 0.14)
        colors[plain] = self._colors(int(plain.sum()), 1).expand(-1, len(SLOTS), -1)
        grey = self._chance(count, 0.14)
        colors[grey] = self._uniform(int(grey.sum()), 1, 1, low=0.5, high=0.95).expand(-1, len(SLOTS), 3)
        return colors

    def paint(self, canvas: Canvas) -> Float[Tensor, "b 3 h w"]:
        """Pictures, sRGB in 0..1."""
        count, height, width = canvas.slot.shape
        palette = torch.cat([self.outfits(count), torch.zeros(count, 1, 3)], dim=1)
        flat = canvas.slot.reshape(count, -1)
        albedo = palette.gather(1, flat[..., None].expand(-1, -1, 3)).reshape(count, height, width, 3)
        # An optimisation starts from the plain look and leaves parts of it.
        share = torch.where(self._chance(count, 0.5)[:, None], torch.ones(1), self._uniform(count, len(SLOTS) + 1))
        share = torch.where(self._chance(count, 0.12)[:, None], torch.zeros(1), share)
        share = share.gather(1, flat).reshape(count, height, width, 1)
        albedo = canvas.base + share * (albedo - canvas.base)
        # Half of the pictures stay clean: what a finished avatar looks like, and easier to learn from.
        clean = self._chance(count, 0.5)[:, None, None, None]
        albedo = torch.where(clean, albedo, self._patterns(canvas, albedo))
        image = self._light(canvas, albedo)
        seen = (canvas.slot < len(SLOTS))[..., None]
        image = torch.where(seen, image, self._backdrop(count, height)).permute(0, 3, 1, 2).clamp(0, 1)
        return torch.where(clean, self._soften(image), self._spoil(image))

    def _patterns(self, canvas: Canvas, albedo: Tensor) -> Tensor:
        """Stripes, blotches and speckle in the body's own coordinates."""
        count = len(albedo)
        direction = torch.randn(count, 3, 3, generator=self._generator) * self._uniform(count, 1, 3, low=5.0, high=60.0)
        wave = torch.sin(
            torch.einsum("bhwc,bck->bhwk", canvas.place, direction) + self._uniform(count, 1, 1, 3, high=6.3)
        )
        strength = self._uniform(count, 1, 1, 1, high=0.5) * self._chance(count, 0.45)[:, None, None, None]
        tint = self._uniform(count, 1, 1, 3, low=-1.0, high=1.0)
        striped = (wave[..., :1] > 0).to(albedo.dtype) * strength * tint
        blotched = strength * wave * self._uniform(count, 1, 1, 3, high=0.7)
        albedo = albedo + torch.where(self._chance(count, 0.4)[:, None, None, None], striped, blotched)
        speckle = torch.randn(albedo.shape, generator=self._generator)
        return albedo + speckle * (
            self._uniform(count, 1, 1, 1, high=0.25) * self._chance(count, 0.35)[:, None, None, None]
        )

    def _light(self, canvas: Canvas, albedo: Tensor) -> Tensor:
        count = len(albedo)
        angles = self._uniform(count, 2, low=-1.1, high=1.1)
        direction = torch.stack(
            [torch.sin(angles[:, 0]), torch.sin(angles[:, 1]), torch.cos(angles[:, 0]) * torch.cos(angles[:, 1])], dim=1
        )
        direction = direction / direction.norm(dim=1, keepdim=True)
        facing = torch.einsum("bhwc,bc->bhw", canvas.normal, direction).clamp_min(0)[..., None]
        ambient = self._uniform(count, 1, 1, 1, low=0.1, high=0.85)
        return albedo.clamp(0, 1) * (ambient + (self._uniform(count, 1, 1, 1, low=0.8, high=1.15) - ambient) * facing)

    def _backdrop(self, count: int, size: int) -> Float[Tensor, "b h w 3"]:
        """White, black, grey, one color, gradient, noise or checkers."""
        kind = self._uniform(count, 1, 1, 1)
        plain = self._uniform(count, 1, 1, 3)
        grey = self._uniform(count, 1, 1, 1).expand(count, 1, 1, 3)
        plain = torch.where(kind < 0.5, grey, plain)
        plain = torch.where(kind < 0.35, torch.zeros(1), plain)
        plain = torch.where(kind < 0.22, torch.ones(1), plain)
        ramp = torch.linspace(0, 1, size)[None, :, None, None]
        other = self._uniform(count, 1, 1, 3)
        out = torch.where(kind > 0.88, plain + ramp * (other - plain), plain).expand(count, size, size, 3)
        cells = size // int(2 ** self._integers(5, 1).item() * 2)
        rough = self._uniform(count, 3, max(cells, 2), max(cells, 2))
        rough = interpolate(rough, size=(size, size), mode="bilinear" if self._chance(1, 0.5) else "nearest")
        noise = rough.permute(0, 2, 3, 1)
        board = (torch.arange(size) // max(size // 8, 1)) % 2
        checks = (board[:, None] ^ board[None]).to(torch.float32)[None, ..., None]
        checks = plain + checks * (other - plain)
        out = torch.where((kind > 0.62) & (kind < 0.75), noise, out)
        return torch.where((kind >= 0.75) & (kind < 0.82), checks, out)

    def _soften(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Buffers have hard edges; renders have not."""
        soft = avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False)
        return image + self._uniform(len(image), 1, 1, 1, high=0.8) * (soft - image)

    def _spoil(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Soft edges for all; for some blur, low resolution, noise, contrast."""
        count, _, height, width = image.shape
        image = self._soften(image)
        factor = 2 if self._chance(1, 0.7) else 4
        low = interpolate(avg_pool2d(image, factor), size=(height, width), mode="bilinear", align_corners=False)
        image = torch.where(self._chance(count, 0.15)[:, None, None, None], low, image)
        noise = torch.randn(image.shape, generator=self._generator)
        image = image + noise * (
            self._uniform(count, 1, 1, 1, high=0.08) * self._chance(count, 0.4)[:, None, None, None]
        )
        contrast = self._uniform(count, 1, 1, 1, low=0.75, high=1.15)
        return ((image - 0.5) * contrast + 0.5 + self._uniform(count, 1, 1, 1, low=-0.06, high=0.06)).clamp(0, 1)


def zoom_index(generator: torch.Generator, count: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rows, columns [b, size] and validity [b, size, size] of random small zooms and shifts."""
    scale = torch.exp(torch.empty(count, 1).uniform_(math.log(0.8), math.log(1.3), generator=generator))
    shift = torch.empty(2, count, 1).uniform_(-0.1, 0.1, generator=generator) * size
    grid = (torch.arange(size) + 0.5 - size / 2)[None]
    rows = torch.floor(grid * scale + shift[0] + size / 2).long()
    columns = torch.floor(grid * scale + shift[1] + size / 2).long()
    inside = ((rows >= 0) & (rows < size))[:, :, None] & ((columns >= 0) & (columns < size))[:, None]
    return rows.clamp(0, size - 1), columns.clamp(0, size - 1), inside
