"""One face for every skinned body: SMPL's file conventions as frozen tensors."""

from dataclasses import dataclass

from jaxtyping import Float, Integer
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class BodyModel:
    """A parametric body: T-pose template, metres, Y up, facing +Z, left is +X. The origin is the file's own.

    `posed = LBS(template + shape_directions . betas [+ pose_directions . (R - I)], joints, R)`,
    after SMPL (Loper et al. 2015).
    """

    kind: str
    """open | smpl | smplx"""
    version: str
    """Digest of the file it came from."""
    licence: str
    template: Float[Tensor, "v 3"]
    shape_directions: Float[Tensor, "v 3 n"]
    """Offset per unit of each beta; betas are standard normal over the population."""
    pose_directions: Float[Tensor, "c 3 p"] | None
    """Offset per entry of (R - I) of the non-root joints, row-major; None where the body has no correctives."""
    joint_regressor: Float[Tensor, "j v"]
    weights: Float[Tensor, "v j"]
    parents: tuple[int, ...]
    joint_names: tuple[str, ...]
    faces: Integer[Tensor, "f 3"]
    uvs: Float[Tensor, "t 2"] | None = None
    uv_faces: Integer[Tensor, "f 3"] | None = None
    parts: Integer[Tensor, " f"] | None = None
    """Part id of each face (avatargen.core.parts.PARTS); None where unknown."""
    pose_vertices: Integer[Tensor, " c"] | None = None
    """The vertices that the rows of `pose_directions` move; None where there is one for each vertex."""

    @property
    def num_betas(self) -> int:
        """How many shape components the file has."""
        return self.shape_directions.shape[2]

    def to(self, device: str) -> "BodyModel":
        """The same body with its tensors on `device`."""
        from dataclasses import fields, replace

        moved = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v.to(device) for k, v in moved.items() if isinstance(v, Tensor)})
