"""Pinhole cameras in batches: where they stand, where points land in their images, which ray a pixel looks along.

A camera looks down its own -Z with +Y up (OpenGL). Pixel coordinates are x to the right and y down, in
pixels; the centre of the upper left pixel is (0.5, 0.5). Depth is the distance along the viewing axis.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Number = float | int | Sequence[float | int] | Tensor


@dataclass(frozen=True, eq=False)
class Cameras:
    """A batch of pinhole cameras with square pixels and one image size."""

    world_from_camera: Float[Tensor, "b 4 4"]
    fov_y: Float[Tensor, " b"]
    """Full vertical opening angle in radians."""
    height: int
    width: int

    def __post_init__(self) -> None:
        if len(self.fov_y) != len(self.world_from_camera):
            raise ValueError(f"{len(self.world_from_camera)} camera poses but {len(self.fov_y)} opening angles")
        if self.height < 1 or self.width < 1:
            raise ValueError(f"an image needs at least one pixel, not {self.height} x {self.width}")

    def __len__(self) -> int:
        return len(self.world_from_camera)

    @property
    def positions(self) -> Float[Tensor, "b 3"]:
        """Where the cameras stand, in the world."""
        return self.world_from_camera[:, :3, 3]

    @property
    def focal(self) -> Float[Tensor, " b"]:
        """Focal length in pixels."""
        return 0.5 * self.height / torch.tan(0.5 * self.fov_y)

    @property
    def camera_from_world(self) -> Float[Tensor, "b 4 4"]:
        """Inverse of `world_from_camera`, which must be rigid."""
        rotation = self.world_from_camera[:, :3, :3].transpose(1, 2)
        moved = -(rotation @ self.world_from_camera[:, :3, 3:])
        last = self.world_from_camera[:, 3:]
        return torch.cat([torch.cat([rotation, moved], dim=2), last], dim=1)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Cameras":
        """The same cameras on another device or in another precision."""
        return Cameras(
            self.world_from_camera.to(device=device, dtype=dtype),
            self.fov_y.to(device=device, dtype=dtype),
            self.height,
            self.width,
        )

    def resized(self, factor: float | int) -> "Cameras":
        """The same views with `factor` times as many pixels along each side."""
        return Cameras(
            self.world_from_camera, self.fov_y, max(1, round(self.height * factor)), max(1, round(self.width * factor))
        )

    def __getitem__(self, index: int | slice) -> "Cameras":
        """Some of the cameras; an int gives a batch of one."""
        if isinstance(index, int):
            index = slice(index, index + 1 or None)
        return Cameras(self.world_from_camera[index], self.fov_y[index], self.height, self.width)


def stack_cameras(cameras: Sequence[Cameras]) -> Cameras:
    """One batch of cameras that share an image size."""
    sizes = {(c.height, c.width) for c in cameras}
    if len(sizes) != 1:
        raise ValueError(f"cameras of one batch must share an image size, not {sorted(sizes)}")
    (height, width) = sizes.pop()
    poses = torch.cat([c.world_from_camera for c in cameras])
    return Cameras(poses, torch.cat([c.fov_y for c in cameras]), height, width)


def look_at(
    eye: Float[Tensor, "b 3"], target: Float[Tensor, "b 3"], up: Float[Tensor, "b 3"] | None = None
) -> Float[Tensor, "b 4 4"]:
    """`world_from_camera` of cameras at `eye` that look at `target`; `up` is +Y unless given.

    Where the view is parallel to `up`, +Z takes the place of `up`.
    """
    if up is None:
        up = eye.new_tensor([0.0, 1.0, 0.0]).expand_as(eye)
    backward = torch.nn.functional.normalize(eye - target, dim=-1)
    right = torch.linalg.cross(up, backward)
    # Straight from above or below there is no unique "up": take the character's front.
    spare = torch.linalg.cross(eye.new_tensor([0.0, 0.0, 1.0]).expand_as(backward), backward)
    right = torch.where(right.norm(dim=-1, keepdim=True) > 1e-5, right, spare)
    right = torch.nn.functional.normalize(right, dim=-1)
    rotation = torch.stack([right, torch.linalg.cross(backward, right), backward], dim=-1)
    top = torch.cat([rotation, eye[..., None]], dim=-1)
    last = eye.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(len(eye), 1, 4)
    return torch.cat([top, last], dim=1)


def orbit(
    azimuth_deg: Number,
    elevation_deg: Number = 0.0,
    distance: Number = 3.0,
    target: Sequence[float | int] | Tensor = (0.0, 0.0, 0.0),
    fov_deg: Number = 40.0,
    size: int | tuple[int, int] = 256,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Cameras:
    """Cameras on spheres around `target`; arguments broadcast to one batch.

    Azimuth 0 sees a character's front, +90 its left side, 180 its back; positive elevation looks down on it.

    Args:
        azimuth_deg: number or [b], degrees, as are the other angles.
        elevation_deg: number or [b].
        distance: number or [b], metres.
        target: [3] or [b, 3], metres.
        fov_deg: full vertical opening angle; number or [b].
        size: pixels along each side, or (height, width).
        device: default: where a tensor among the arguments is, else the CPU.
        dtype: floating point type of the result.
    """
    given = (azimuth_deg, elevation_deg, distance, target, fov_deg)
    if device is None:
        device = next((value.device for value in given if isinstance(value, Tensor)), torch.device("cpu"))

    def tensor(value: Number) -> Tensor:
        if isinstance(value, Tensor):
            return value.to(device=device, dtype=dtype)
        return torch.tensor(value, device=device, dtype=dtype)

    center = tensor(target).reshape(-1, 3)
    numbers = [tensor(v).reshape(-1) for v in (azimuth_deg, elevation_deg, distance, fov_deg)]
    count = max(len(center), *(len(n) for n in numbers))
    azimuth, elevation, radius, fov = (n.expand(count) for n in numbers)
    azimuth, elevation = azimuth * (math.pi / 180), elevation * (math.pi / 180)
    across = torch.cos(elevation)
    offset = torch.stack([across * torch.sin(azimuth), torch.sin(elevation), across * torch.cos(azimuth)], dim=-1)
    center = center.expand(count, 3)
    height, width = (size, size) if isinstance(size, int) else size
    return Cameras(look_at(center + radius[:, None] * offset, center), fov * (math.pi / 180), height, width)


def to_camera(points: Float[Tensor, "n 3"] | Float[Tensor, "b n 3"], cameras: Cameras) -> Float[Tensor, "cameras n 3"]:
    """World points in the frame of each camera."""
    transform = cameras.camera_from_world.to(points.dtype)
    batch = points if points.ndim == 3 else points[None]
    return batch @ transform[:, :3, :3].transpose(1, 2) + transform[:, None, :3, 3]


def project(points: Float[Tensor, "n 3"] | Float[Tensor, "b n 3"], cameras: Cameras) -> Float[Tensor, "cameras n 3"]:
    """Pixel x, pixel y and depth of world points; differentiable in both arguments.

    Depth is negative for points behind a camera; their x and y mean nothing.
    """
    local = to_camera(points, cameras)
    depth = -local[..., 2]
    safe = torch.where(depth.abs() < 1e-9, torch.full_like(depth, 1e-9), depth)
    scale = cameras.focal.to(points.dtype)[:, None] / safe
    return torch.stack(
        [0.5 * cameras.width + scale * local[..., 0], 0.5 * cameras.height - scale * local[..., 1], depth], dim=-1
    )


def rays(cameras: Cameras) -> tuple[Float[Tensor, "b h w 3"], Float[Tensor, "b h w 3"]]:
    """Origin and unit direction, in the world, of the ray through each pixel's centre."""
    pose = cameras.world_from_camera
    like = {"device": pose.device, "dtype": pose.dtype}
    x = torch.arange(cameras.width, **like) + (0.5 - 0.5 * cameras.width)
    y = (0.5 * cameras.height - 0.5) - torch.arange(cameras.height, **like)
    focal = cameras.focal[:, None, None]
    shape = (len(cameras), cameras.height, cameras.width)
    local = torch.stack(
        [(x[None, None] / focal).expand(shape), (y[None, :, None] / focal).expand(shape), -torch.ones(shape, **like)],
        dim=-1,
    )
    directions = torch.einsum("bij,bhwj->bhwi", pose[:, :3, :3], torch.nn.functional.normalize(local, dim=-1))
    return cameras.positions[:, None, None].expand(*shape, 3), directions
