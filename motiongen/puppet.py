"""A light copy of the body for looking at poses: fewer triangles, the same skin weights and colors."""

from collections.abc import Sequence
from dataclasses import dataclass

import fast_simplification
import numpy as np
import torch
from jaxtyping import Float, Integer
from scipy.spatial import KDTree
from torch import Tensor

from avatargen.body.look import base_colors
from avatargen.body.model import BodyModel
from avatargen.body.posing import joint_transforms, shape_body, skin
from avatargen.render.cameras import orbit
from avatargen.render.picture import render_mesh

FRONT_VIEWS = (-60.0, -30.0, 0.0, 30.0, 60.0)
"""The original's five azimuths, measured from the character's front."""
_DISTANCE = 4.4
_FIELD_OF_VIEW = 28.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Puppet:
    """A neutral body in T-pose with its soles at y = 0."""

    points: Float[Tensor, "v 3"]
    faces: Integer[Tensor, "f 3"]
    weights: Float[Tensor, "v j"]
    colors: Float[Tensor, "v 3"]
    joints: Float[Tensor, "j 3"]
    parents: tuple[int, ...]
    version: str
    """Of the body and of how it was simplified; part of cache keys."""

    @property
    def pelvis_height(self) -> float:
        """Of the pelvis joint over the soles, in metres."""
        return float(self.joints[0, 1])

    def pose(self, rotations: Float[Tensor, "b j 3 3"], root: Float[Tensor, "b 3"] | None = None) -> Tensor:
        """Posed points [b, v, 3]; `root` is where the pelvis joint is (metres), by default where it rests."""
        joints = self.joints.expand(len(rotations), -1, -1)
        shift = None if root is None else root - self.joints[0]
        _, transforms = joint_transforms(joints, rotations, self.parents, shift)
        return skin(self.points, self.weights, transforms)


def make_puppet(body: BodyModel, betas: Float[Tensor, " n"] | None = None, faces: int = 5000) -> Puppet:
    """Simplify `body` (shaped by `betas`) to about `faces` triangles."""
    shape = torch.zeros(1, body.num_betas) if betas is None else betas[None]
    vertices, joints = shape_body(body, shape.to(body.template))
    vertices, joints = vertices[0].cpu(), joints[0].cpu()
    # Some bodies carry hands beyond SMPL's 24 joints; those follow their parents through the weights they have.
    points, triangles = vertices.numpy(), body.faces.cpu().numpy().astype(np.int32)
    if len(triangles) > faces:
        share = 1.0 - faces / len(triangles)
        points, triangles = fast_simplification.simplify(points, triangles, share)[:2]  # pyright: ignore[reportArgumentType]
    nearest = torch.from_numpy(KDTree(vertices.numpy()).query(points)[1])
    floor = torch.tensor([0.0, float(vertices[:, 1].min()), 0.0])
    return Puppet(
        points=torch.from_numpy(np.ascontiguousarray(points, dtype=np.float32)) - floor,
        faces=torch.from_numpy(np.ascontiguousarray(triangles, dtype=np.int64)),
        weights=body.weights.cpu().float()[nearest],
        colors=base_colors(body).cpu().float()[nearest],
        joints=joints.float() - floor,
        parents=body.parents,
        version=f"{body.kind}-{body.version}-{faces}-2",
    )


def pictures(
    puppet: Puppet,
    rotations: Float[Tensor, "b j 3 3"],
    azimuths_deg: Sequence[float],
    size: int,
    elevation_deg: float = 5.0,
) -> Float[Tensor, "n 3 size size"]:
    """Pictures of poses, pose by pose and view by view (n = b * views); differentiable in the rotations.

    Cameras look at the middle of each posed body and stay at one distance, so that sitting looks smaller than
    standing.
    """
    vertices = puppet.pose(rotations)
    # The body is brought to the camera, not the camera to the body, so that gradients know of it.
    vertices = vertices - 0.5 * (vertices.amin(1, keepdim=True) + vertices.amax(1, keepdim=True))
    views = len(azimuths_deg)
    azimuths = torch.tensor(list(azimuths_deg)).repeat(len(vertices))
    cameras = orbit(azimuths, elevation_deg, _DISTANCE, (0.0, 0.0, 0.0), _FIELD_OF_VIEW, size)
    return render_mesh(vertices.repeat_interleave(views, 0), puppet.faces, cameras, puppet.colors)
