"""The open body with few triangles: much faster to pose and to rasterise, labelled by the faces of the full one.

What is worn is carried in the same way, so a dressed body is several of them as one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import fast_simplification
import numpy as np
import torch
from jaxtyping import Float, Integer
from scipy.spatial import KDTree
from torch import Tensor

from avatargen.body.model import BodyModel
from avatargen.body.posing import joint_transforms, shape_body, skin

_NEIGHBOURS = 48
_TIGHT, _LOOSE = 0.004, 0.5
"""Reach among the nearest points: of what lies on the skin, as a share of the body's height per 1.7; and how much it
grows with the distance from it, so that a skirt follows both legs."""


@dataclass(frozen=True, eq=False)
class LightBody:
    """A simplified mesh that follows a full body's betas and joints."""

    body: BodyModel
    template: Float[Tensor, "v 3"]
    directions: Float[Tensor, "v 3 n"]
    weights: Float[Tensor, "v j"]
    faces: Integer[Tensor, "f 3"]
    original: Integer[Tensor, " f"]
    """The full body's nearest face."""

    def pose(
        self, betas: Float[Tensor, "1 n"], rotations: Float[Tensor, "1 j 3 3"]
    ) -> tuple[Float[Tensor, "v 3"], Float[Tensor, "j 3"]]:
        """Posed vertices and joints of one body."""
        _, rest = shape_body(self.body, betas)
        joints, transforms = joint_transforms(rest, rotations, self.body.parents)
        points = self.template + (self.directions @ betas[0])
        return skin(points, self.weights, transforms)[0], joints[0]


def lighten(body: BodyModel, faces: int = 6000) -> LightBody:
    """`body` with about `faces` triangles."""
    points, small = simplified(body.template.numpy(), body.faces.numpy(), faces)
    nearest = torch.from_numpy(KDTree(body.template.numpy()).query(points)[1])
    return LightBody(
        body=body,
        template=torch.from_numpy(points),
        directions=body.shape_directions[nearest],
        weights=body.weights[nearest],
        faces=torch.from_numpy(small),
        original=torch.from_numpy(_nearest_faces(body, points[small].mean(1), np.arange(len(body.faces)))),
    )


def carried(
    body: BodyModel,
    points: Float[np.ndarray, "v 3"],
    faces: Integer[np.ndarray, "f 3"],
    labels: Integer[np.ndarray, " k"],
    weights: Float[np.ndarray, "v j"] | None = None,
) -> LightBody:
    """Something worn around the template as it stands, carried along by the skin near to it.

    Args:
        body: the one that wears it.
        points: of the piece, around the template, metres.
        faces: its triangles.
        labels: numbers of the body's faces that it may count as; each of its own counts as the nearest.
        weights: of the joints, where the piece knows better than the skin beneath.
    """
    nearest, share = near(body.template.numpy().astype(np.float64), points)
    blend, rows = torch.from_numpy(share).float(), torch.from_numpy(nearest)
    follow = torch.einsum("nk,nkj->nj", blend, body.weights[rows]) if weights is None else torch.from_numpy(weights)
    return LightBody(
        body=body,
        template=torch.from_numpy(points).float(),
        directions=torch.einsum("nk,nkcb->ncb", blend, body.shape_directions[rows]),
        weights=follow.float(),
        faces=torch.from_numpy(faces),
        original=torch.from_numpy(_nearest_faces(body, points[faces].mean(1), labels)),
    )


def together(parts: Sequence[LightBody]) -> LightBody:
    """Several, all of one body, as one."""
    first = np.cumsum([0, *(len(part.template) for part in parts[:-1])]).tolist()
    return replace(
        parts[0],
        template=torch.cat([part.template for part in parts]),
        directions=torch.cat([part.directions for part in parts]),
        weights=torch.cat([part.weights for part in parts]),
        faces=torch.cat([part.faces + start for part, start in zip(parts, first, strict=True)]),
        original=torch.cat([part.original for part in parts]),
    )


def simplified(
    points: Float[np.ndarray, "v 3"], faces: Integer[np.ndarray, "f 3"], count: int
) -> tuple[Float[np.ndarray, "w 3"], Integer[np.ndarray, "g 3"]]:
    """A mesh with about `count` triangles, or the mesh itself where it has no more."""
    if len(faces) > count:
        points, faces = fast_simplification.simplify(
            np.ascontiguousarray(points, dtype=np.float64), faces.astype(np.int32), 1.0 - count / len(faces)
        )[:2]
    return np.ascontiguousarray(points, dtype=np.float32), np.ascontiguousarray(faces, dtype=np.int64)


def near(
    skin_points: Float[np.ndarray, "v 3"], points: Float[np.ndarray, "n 3"]
) -> tuple[Integer[np.ndarray, "n k"], Float[np.ndarray, "n k"]]:
    """The nearest points of a skin (in whatever unit), and how much each of them counts; rows sum to one."""
    distance, nearest = (np.asarray(found) for found in KDTree(skin_points).query(points, _NEIGHBOURS))
    reach = _TIGHT * np.ptp(skin_points[:, 1]) / 1.7 + _LOOSE * distance[:, :1]
    share = np.exp(-0.5 * ((distance - distance[:, :1]) / reach) ** 2)
    return nearest, share / share.sum(1, keepdims=True)


def _nearest_faces(body: BodyModel, points: np.ndarray, allowed: np.ndarray) -> Integer[np.ndarray, " n"]:
    center = body.template.numpy()[body.faces.numpy()[allowed]].mean(1)
    return allowed[KDTree(center).query(points)[1]].astype(np.int64)
