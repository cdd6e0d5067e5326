"""The small network that finds a person's parts in a picture and reads body traits and joints off it.

A U-shaped convolutional net of about a million weights at 128 x 128 pixels: per-pixel slot logits at 64 x 64, and from
the coarsest level plus the slots' places and extents, standardised traits and joint positions.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu

from avatargen.guidance.embedded.slots import BACKGROUND, TRAITS

IMAGE_SIZE = 128
JOINTS = 23
"""SMPL's joints but the pelvis, which is the origin."""

_MOMENTS = 6


class _Mix(nn.Module):
    """Depthwise 5 x 5, then two pointwise layers, added to the input (inverted bottleneck)."""

    def __init__(self, width: int, grow: int = 2) -> None:
        super().__init__()
        self.spread = nn.Conv2d(width, width, 5, padding=2, groups=width, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.open = nn.Conv2d(width, grow * width, 1)
        self.close = nn.Conv2d(grow * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.close(relu(self.open(self.norm(self.spread(x)))))


def _down(inside: int, outside: int, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, stride=2, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(),
    )


class ImageTower(nn.Module):
    """Pictures at 128 x 128 to slot logits, traits and joints."""

    def __init__(self, widths: tuple[int, int, int, int] = (16, 40, 96, 160)) -> None:
        super().__init__()
        fine, low, middle, deep = widths
        self.stem = _down(3, fine, 5)
        self.to_32 = _down(fine, low)
        self.at_32 = nn.Sequential(_Mix(low), _Mix(low))
        self.to_16 = _down(low, middle)
        self.at_16 = nn.Sequential(_Mix(middle), _Mix(middle), _Mix(middle))
        self.to_8 = _down(middle, deep)
        self.at_8 = nn.Sequential(*(_Mix(deep) for _ in range(4)))
        self.scene = nn.Linear(deep, deep)
        self.up_16 = nn.Conv2d(deep, middle, 1)
        self.join_16 = _Mix(middle)
        self.up_32 = nn.Conv2d(middle, low, 1)
        self.join_32 = nn.Sequential(_Mix(low), _Mix(low))
        self.up_64 = nn.Conv2d(low, 32, 1)
        self.side_64 = nn.Conv2d(fine, 32, 1)
        self.join_64 = _Mix(32)
        self.logits = nn.Conv2d(32, BACKGROUND + 1, 1)
        self.squeeze = nn.Conv2d(deep, 24, 1)
        self.read = nn.Sequential(
            nn.Linear(24 * 64 + deep + (BACKGROUND + 1) * _MOMENTS, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU()
        )
        self.traits = nn.Linear(256, len(TRAITS))
        self.joints = nn.Linear(256, JOINTS * 3)

    def forward(
        self, images: Float[Tensor, "b 3 128 128"]
    ) -> tuple[Float[Tensor, "b slots 64 64"], Float[Tensor, "b traits"], Float[Tensor, "b 23 3"]]:
        """Slot logits (background last), traits in standard deviations, joints about the pelvis in metres.

        Joints are those of the average body, Y up, the trunk facing +Z.
        """
        logits, state = self.see(images)
        return logits, self.traits(state), self.joints(state).reshape(-1, JOINTS, 3)

    def see(
        self, images: Float[Tensor, "b 3 128 128"]
    ) -> tuple[Float[Tensor, "b slots 64 64"], Float[Tensor, "b 256"]]:
        """Slot logits, and a summary of the whole picture."""
        fine = self.stem(2.0 * images - 1.0)
        low = self.at_32(self.to_32(fine))
        middle = self.at_16(self.to_16(low))
        deep = self.at_8(self.to_8(middle))
        pooled = deep.mean((2, 3))
        deep = deep + self.scene(pooled)[:, :, None, None]
        x = self.join_16(middle + _twice(self.up_16(deep)))
        x = self.join_32(low + _twice(self.up_32(x)))
        x = self.join_64(relu(self.side_64(fine) + _twice(self.up_64(x))))
        logits = self.logits(x)
        seen = torch.cat([self.squeeze(deep).flatten(1), pooled, moments(logits.softmax(1)).flatten(1)], dim=1)
        return logits, self.read(seen)


class JointReader(nn.Module):
    """Where the joints are, from where the slots are: a second look that corrects the tower's first guess.

    It sees no colors, only the maps of the slots, so it needs few pictures to learn from.
    """

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Sequential(_down(BACKGROUND + 1, 32), _down(32, 64), _down(64, 96), nn.Conv2d(96, 40, 1))
        self.layers = nn.Sequential(
            nn.Linear(40 * 64 + 256 + JOINTS * 3, 320),
            nn.ReLU(),
            nn.Linear(320, 256),
            nn.ReLU(),
            nn.Linear(256, JOINTS * 3),
        )

    def forward(
        self, logits: Float[Tensor, "b slots 64 64"], state: Float[Tensor, "b 256"], guess: Float[Tensor, "b 23 3"]
    ) -> Float[Tensor, "b 23 3"]:
        """Joints in the tower's frame, metres."""
        seen = torch.cat([self.maps(logits.softmax(1)).flatten(1), state, guess.flatten(1)], dim=1)
        return guess + self.layers(seen).reshape(-1, JOINTS, 3)


def _twice(x: Tensor) -> Tensor:
    return interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def moments(shares: Float[Tensor, "b s h w"]) -> Float[Tensor, "b s 6"]:
    """Share of the picture, centre and spread of each map: (root of mass, x, y, sx, sy, sxy), coordinates in -1..1."""
    height, width = shares.shape[2:]
    y = torch.linspace(-1, 1, height, dtype=shares.dtype, device=shares.device)[:, None]
    x = torch.linspace(-1, 1, width, dtype=shares.dtype, device=shares.device)[None]
    mass = shares.sum((2, 3))
    scale = 1.0 / (mass + 1.0)
    mean_x, mean_y = (shares * x).sum((2, 3)) * scale, (shares * y).sum((2, 3)) * scale
    xx = (shares * x * x).sum((2, 3)) * scale - mean_x**2
    yy = (shares * y * y).sum((2, 3)) * scale - mean_y**2
    xy = (shares * x * y).sum((2, 3)) * scale - mean_x * mean_y
    share = (mass / (height * width)).clamp_min(1e-6).sqrt()
    return torch.stack([share, mean_x, mean_y, xx.clamp_min(1e-6).sqrt(), yy.clamp_min(1e-6).sqrt(), 4 * xy], dim=-1)


def fit_size(images: Float[Tensor, "b 3 h w"], size: int = IMAGE_SIZE) -> Float[Tensor, "b 3 size size"]:
    """Square pictures of `size` pixels: averaged down where larger, interpolated where smaller."""
    height, width = images.shape[2:]
    if (height, width) == (size, size):
        return images
    if height % size == 0 and width % size == 0:
        return avg_pool2d(images, (height // size, width // size))
    return interpolate(images, size=(size, size), mode="bilinear", align_corners=False, antialias=True)


def channels_last(tower: ImageTower) -> ImageTower:
    """The same network with its kernels laid out as CPUs like them (a third faster)."""
    for parameter in tower.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return tower
