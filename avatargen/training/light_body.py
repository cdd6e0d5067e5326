"""The open body with few triangles: much faster to pose and to rasterise, labelled by the faces of the full one."""

from dataclasses import dataclass

import fast_simplification
import numpy as np
import torch
from jaxtyping import Float, Integer
from scipy.spatial import KDTree
from torch import Tensor

from avatargen.body.model import BodyModel
from avatargen.body.posing import joint_transforms, shape_body, skin


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
    vertices, triangles = body.template.numpy(), body.faces.numpy()
    made = fast_simplification.simplify(
        vertices.astype(np.float64), triangles.astype(np.int32), 1.0 - faces / len(triangles)
    )
    points, small = made[0], made[1]
    nearest = torch.from_numpy(KDTree(vertices).query(points)[1])
    center = points[small].mean(1)
    original = KDTree(vertices[triangles].mean(1)).query(center)[1]
    return LightBody(
        body=body,
        template=torch.from_numpy(np.ascontiguousarray(points, dtype=np.float32)),
        directions=body.shape_directions[nearest],
        weights=body.weights[nearest],
        faces=torch.from_numpy(np.ascontiguousarray(small, dtype=np.int64)),
        original=torch.from_numpy(original.astype(np.int64)),
    )
