"""Random crops and perspective: the same picture seen a little differently, so that no single pixel decides.

Both are one map of the plane, a homography drawn for each picture, and one bilinear look-up; differentiable in the
pictures. The same maps can be applied to a second batch, so that two pictures stay comparable.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def random_maps(
    count: int, crop: float, perspective: float, generator: torch.Generator
) -> Float[Tensor, "b 3 3"] | None:
    """A homography for each picture, from places in the result to places in the picture (both in -1..1).

    Args:
        count: pictures.
        crop: smallest share of the side that a crop keeps, 0..1; 1 keeps everything.
        perspective: how far corners move at most, in shares of the side; 0 leaves them.
        generator: not drawn from where nothing is to be done.

    Returns:
        None where nothing is to be done.
    """
    if crop >= 1.0 and perspective <= 0.0:
        return None
    draws = torch.rand(count, 11, generator=generator, device=generator.device).cpu()
    side = crop + (1.0 - crop) * draws[:, 0] if crop < 1.0 else torch.ones(count)
    middle = (2.0 * draws[:, 1:3] - 1.0) * (1.0 - side)[:, None]
    corners = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    moved = corners + 2.0 * perspective * (2.0 * draws[:, 3:].view(count, 4, 2) - 1.0)
    return homographies(corners, moved * side[:, None, None] + middle[:, None])


def homographies(start: Float[Tensor, "4 2"], end: Float[Tensor, "b 4 2"]) -> Float[Tensor, "b 3 3"]:
    """The projective maps of the plane that carry four points to four others."""
    count = len(end)
    x, y = start.double().T
    one, zero = torch.ones(4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    u, v = end.double().unbind(-1)
    rows_u = torch.stack([x, y, one, zero, zero, zero], dim=1).expand(count, 4, 6)
    rows_v = torch.stack([zero, zero, zero, x, y, one], dim=1).expand(count, 4, 6)
    rows_u = torch.cat([rows_u, -(u * x)[..., None], -(u * y)[..., None]], dim=2)
    rows_v = torch.cat([rows_v, -(v * x)[..., None], -(v * y)[..., None]], dim=2)
    solved = torch.linalg.solve(torch.cat([rows_u, rows_v], dim=1), torch.cat([u, v], dim=1)[..., None])[..., 0]
    return torch.cat([solved, torch.ones(count, 1, dtype=torch.float64)], dim=1).view(count, 3, 3).float()


def warp(images: Float[Tensor, "b 3 h w"], maps: Float[Tensor, "b 3 3"] | None) -> Float[Tensor, "b 3 h w"]:
    """The pictures under maps from `random_maps`; beyond a picture's border its border goes on."""
    if maps is None:
        return images
    height, width = images.shape[2:]
    y = (2.0 * torch.arange(height) + 1.0) / height - 1.0
    x = (2.0 * torch.arange(width) + 1.0) / width - 1.0
    place = torch.stack([x.expand(height, width), y[:, None].expand(height, width), torch.ones(height, width)], dim=-1)
    found = place.reshape(-1, 3) @ maps.transpose(1, 2)
    grid = (found[..., :2] / found[..., 2:]).view(len(images), height, width, 2).to(images)
    return torch.nn.functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
