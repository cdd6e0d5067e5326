"""Normals of a sculpted surface without the facets of the body beneath it, for normal maps.

The distance to a body of triangles has their facets in its gradient, 3 cm wide on the back, which a decimated mesh with
smooth normals does not show and a normal map would bring back. Near the body its own part of the gradient is therefore
replaced by its smooth normal; what was sculpted onto it stays as it is.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from avatargen.implicit.avatar import AvatarField
from avatargen.implicit.sdf import tap_gradient, tap_points
from avatargen.render.shading import vertex_normals

_CHUNK = 1 << 17
_NEAR, _FAR = 0.008, 0.03
"""Metres from the body within which its facets are taken out, and beyond which they are rounded off by themselves."""
_AGREE = 0.3
"""Cosine between the body's two normals below which its closest point is not what made the distance."""


@torch.no_grad()
def smooth_slope(field: AvatarField, points: Float[Tensor, "n 3"], step: float = 0.0015) -> Float[Tensor, "n 3"]:
    """Unit normals at points of the surface; differences reach `step` metres."""
    surface = field.body.surface
    body_normals = vertex_normals(surface.vertices, surface.faces)
    parts = []
    for part in points.to(field.learned.growth.device).split(_CHUNK):
        taps = tap_points(part, step)
        own = tap_gradient(field.body.distance(taps), step)
        whole = tap_gradient(field.distance(taps), step)
        face, bary = field.body.near_faces(part)
        corners = surface.faces[face]
        smooth = normalize((body_normals[corners] * bary[..., None]).sum(1), dim=1)
        away = (part - (surface.vertices[corners] * bary[..., None]).sum(1)).norm(dim=1)
        share = ((_FAR - away) / (_FAR - _NEAR)).clamp(0, 1) * ((smooth * own).sum(1) > _AGREE)
        if field.outfit is not None:
            share = share * (1.0 - field.worn(part)[0])
        parts.append(normalize(whole + share[:, None] * (smooth - own), dim=1))
    return torch.cat(parts) if parts else points.new_zeros(0, 3)
