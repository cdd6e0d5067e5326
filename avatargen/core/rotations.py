"""Rotations, with roma inside: matrices act on column vectors; quaternions are `xyzw`, as in roma and glTF."""

import roma
import torch
from jaxtyping import Float
from torch import Tensor


def matrix_from_axis_angle(axis_angle: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation matrices of rotation vectors (radians)."""
    return roma.rotvec_to_rotmat(axis_angle)


def axis_angle_from_matrix(matrix: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3"]:
    """Rotation vectors with angles in [0, pi]."""
    return roma.rotmat_to_rotvec(matrix)


def quat_from_matrix(matrix: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 4"]:
    """Unit quaternions `xyzw`."""
    return roma.rotmat_to_unitquat(matrix)


def matrix_from_quat(quat: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation matrices of unit quaternions `xyzw`."""
    return roma.unitquat_to_rotmat(quat)


def matrix_from_6d(sixd: Float[Tensor, "*b 6"]) -> Float[Tensor, "*b 3 3"]:
    """Gram-Schmidt on two column vectors (Zhou et al., arXiv:1812.07035); `sixd` = first column, then second column."""
    first, second = sixd[..., :3], sixd[..., 3:]
    x = torch.nn.functional.normalize(first, dim=-1)
    y = torch.nn.functional.normalize(second - (x * second).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack((x, y, torch.linalg.cross(x, y)), dim=-1)


def sixd_from_matrix(matrix: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 6"]:
    """First column, then second column."""
    return torch.cat((matrix[..., 0], matrix[..., 1]), dim=-1)


def angle_between(a: Float[Tensor, "*b 3 3"], b: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b"]:
    """Geodesic distance in radians."""
    return roma.rotmat_geodesic_distance(a, b)
