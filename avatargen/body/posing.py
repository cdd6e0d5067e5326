"""Shape, pose and skin a body: linear blend skinning after SMPL (Loper et al. 2015), as differentiable functions.

Everything is batched, keeps the dtype of the body and allocates nothing larger than `[b, v, 3, 4]`. Speed and memory
beside `smplx`: `benchmarks/body.py`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.body.model import BodyModel

_CHUNK = 100_000
"""Vertices that are skinned at once: their blended transforms, 5 MB, stay in the processor's cache."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Posed:
    """A body in a pose, metres, Y up."""

    vertices: Float[Tensor, "b v 3"]
    joints: Float[Tensor, "b j 3"]
    transforms: Float[Tensor, "b j 4 4"]
    """Map points of the shaped rest pose to where each joint carries them."""


def shape_body(body: BodyModel, betas: Float[Tensor, "b n"]) -> tuple[Float[Tensor, "b v 3"], Float[Tensor, "b j 3"]]:
    """T-posed vertices and joints (metres) of each row of `betas`.

    Fewer betas than the file has are allowed; the missing ones count as zero.

    Raises:
        ValueError: more betas than the body has.
    """
    count = betas.shape[1]
    if count > body.num_betas:
        raise ValueError(f"betas has {count} columns but the body has {body.num_betas} shape components")
    directions = body.shape_directions[..., :count].reshape(-1, count)
    vertices = torch.addmm(body.template.reshape(1, -1), betas, directions.T).reshape(len(betas), -1, 3)
    # Joints are linear in the betas, too: the regressor meets the few directions instead of a batch of bodies.
    slopes = (body.joint_regressor @ directions.reshape(len(body.template), -1)).reshape(-1, count)
    joints = torch.addmm((body.joint_regressor @ body.template).reshape(1, -1), betas, slopes.T)
    return vertices, joints.reshape(len(betas), -1, 3)


def pose_body(
    body: BodyModel,
    betas: Float[Tensor, "b n"],
    rotations: Float[Tensor, "b j 3 3"],
    translation: Float[Tensor, "b 3"] | None = None,
) -> Posed:
    """Shape, then pose.

    `rotations` are child in parent; the root turns about its own joint; `translation` is added last.
    Where the body has pose correctives they act before skinning, as in SMPL.
    """
    shaped, rest_joints = shape_body(body, betas)
    joints, transforms = joint_transforms(rest_joints, rotations, body.parents, translation)
    if body.pose_directions is not None and body.pose_vertices is not None:
        shaped = shaped.index_add(1, body.pose_vertices, _offsets(body.pose_directions, rotations))
    elif body.pose_directions is not None:
        shaped = shaped + _offsets(body.pose_directions, rotations)
    return Posed(vertices=skin(shaped, body.weights, transforms), joints=joints, transforms=transforms)


def pose_offsets(body: BodyModel, rotations: Float[Tensor, "b j 3 3"]) -> Float[Tensor, "b v 3"]:
    """What `body`'s pose correctives add to the shaped rest pose; zeros where it has none."""
    offsets = rotations.new_zeros((len(rotations), len(body.template), 3))
    if body.pose_directions is None:
        return offsets
    moved = _offsets(body.pose_directions, rotations)
    return moved if body.pose_vertices is None else offsets.index_copy(1, body.pose_vertices, moved)


def _offsets(directions: Float[Tensor, "c 3 p"], rotations: Float[Tensor, "b j 3 3"]) -> Float[Tensor, "b c 3"]:
    """Linear in the entries of `R - I` of all joints but the root (SMPL, equation 9)."""
    eye = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
    feature = (rotations[:, 1:] - eye).flatten(1)
    return (feature @ directions.flatten(0, 1).T).reshape(len(rotations), -1, 3)


def joint_transforms(
    rest_joints: Float[Tensor, "b j 3"],
    rotations: Float[Tensor, "b j 3 3"],
    parents: tuple[int, ...],
    translation: Float[Tensor, "b 3"] | None = None,
) -> tuple[Float[Tensor, "b j 3"], Float[Tensor, "b j 4 4"]]:
    """Forward kinematics: posed joints, and the transforms from the rest pose to the posed one."""
    world_rotations = [rotations[:, 0]]
    posed = [rest_joints[:, 0]]
    for joint, parent in enumerate(parents[1:], start=1):
        bone = (rest_joints[:, joint] - rest_joints[:, parent]).unsqueeze(-1)
        posed.append(posed[parent] + (world_rotations[parent] @ bone).squeeze(-1))
        world_rotations.append(world_rotations[parent] @ rotations[:, joint])
    turn = torch.stack(world_rotations, dim=1)
    joints = torch.stack(posed, dim=1)
    if translation is not None:
        joints = joints + translation.unsqueeze(1)
    shift = joints - (turn @ rest_joints.unsqueeze(-1)).squeeze(-1)
    top = torch.cat((turn, shift.unsqueeze(-1)), dim=-1)
    last = torch.tensor((0.0, 0.0, 0.0, 1.0), dtype=top.dtype, device=top.device).expand(*top.shape[:2], 1, 4)
    return joints, torch.cat((top, last), dim=-2)


def blend_transforms(weights: Float[Tensor, "v j"], transforms: Float[Tensor, "b j 4 4"]) -> Float[Tensor, "b v 3 4"]:
    """The weighted mean of the joints' transforms at each point."""
    batch, joints = transforms.shape[:2]
    rows = transforms[:, :, :3].reshape(batch, joints, 12)
    return torch.matmul(weights, rows).reshape(batch, len(weights), 3, 4)


def skin(
    points: Float[Tensor, "v 3"] | Float[Tensor, "b v 3"],
    weights: Float[Tensor, "v j"],
    transforms: Float[Tensor, "b j 4 4"],
) -> Float[Tensor, "b v 3"]:
    """Carry rest-pose points along (linear blend skinning)."""
    batch, joints = transforms.shape[:2]
    rows = transforms[:, :, :3].permute(0, 2, 3, 1).reshape(batch, 12, joints)
    planes = (points if points.ndim == 3 else points.unsqueeze(0)).transpose(1, 2).contiguous().expand(batch, -1, -1)
    chunk = max(1, _CHUNK // max(1, len(weights)))
    return torch.cat([_skin(p, weights, r) for p, r in zip(planes.split(chunk), rows.split(chunk), strict=True)])


def _skin(
    planes: Float[Tensor, "b 3 v"], weights: Float[Tensor, "v j"], rows: Float[Tensor, "b 12 j"]
) -> Float[Tensor, "b v 3"]:
    """`skin` with one plane per coordinate: multiplying whole planes is faster than a small matrix at each vertex."""
    blended = (rows.flatten(0, 1) @ weights.T).reshape(len(rows), 3, 4, len(weights))
    column_x, column_y, column_z, shift = blended.unbind(2)
    x, y, z = planes.unsqueeze(1).unbind(2)
    moved = torch.addcmul(torch.addcmul(torch.addcmul(shift, column_x, x), column_y, y), column_z, z)
    return moved.transpose(1, 2)


def unskin(
    points: Float[Tensor, "v 3"] | Float[Tensor, "b v 3"],
    weights: Float[Tensor, "v j"],
    transforms: Float[Tensor, "b j 4 4"],
) -> Float[Tensor, "b v 3"]:
    """Bring posed points back to the rest pose: the exact inverse of `skin` for the same weights and transforms.

    Exact wherever the blended matrix is invertible, which fails only between joints turned 180 degrees apart.
    """
    blended = blend_transforms(weights, transforms)
    points = points if points.ndim == 3 else points.unsqueeze(0)
    moved = points - blended[..., 3]
    x, y, z = blended[..., 0], blended[..., 1], blended[..., 2]  # columns; Cramer's rule beats a general solver here
    yz, zx, xy = torch.linalg.cross(y, z), torch.linalg.cross(z, x), torch.linalg.cross(x, y)
    determinant = (x * yz).sum(-1, keepdim=True)
    return torch.stack(((moved * yz).sum(-1), (moved * zx).sum(-1), (moved * xy).sum(-1)), dim=-1) / determinant
