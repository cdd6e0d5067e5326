"""The values that travel between stages: frozen, checked once, plain NumPy.

Frame everywhere: metres, right-handed, Y up, the character faces +Z, its left is +X. Colors are
sRGB; float colors lie in 0..1. Rotations are child-in-parent 3x3 matrices acting on column vectors.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Integer, UInt8


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True, kw_only=True, eq=False)
class Mesh:
    """A triangle mesh, optionally with UVs and texture, or with vertex colors.

    `uv_faces` indexes `uvs` per face corner (as OBJ does), so a seam needs no doubled vertex.
    UV origin is the lower left corner of the texture image (v up), as in OBJ and Blender.
    """

    vertices: Float[np.ndarray, "v 3"]
    faces: Integer[np.ndarray, "f 3"]
    """Counter-clockwise seen from outside."""
    uvs: Float[np.ndarray, "t 2"] | None = None
    uv_faces: Integer[np.ndarray, "f 3"] | None = None
    texture: UInt8[np.ndarray, "h w 3"] | None = None
    """sRGB base color; row 0 is the top of the image."""
    normal_map: UInt8[np.ndarray, "nh nw 3"] | None = None
    """Normals in tangent space (x along u, y along v up, z outward), -1..1 stored as 0..255; row 0 is the top."""
    occlusion: UInt8[np.ndarray, "oh ow"] | None = None
    """How much of the sky each texel sees, 255 in the open, linear; row 0 is the top."""
    vertex_colors: Float[np.ndarray, "v 3"] | None = None

    def __post_init__(self) -> None:
        _check(bool(np.isfinite(self.vertices).all()), "vertices must be finite")
        if len(self.faces):
            low, high = int(self.faces.min()), int(self.faces.max())
            _check(low >= 0 and high < len(self.vertices), f"faces name vertices {low}..{high} of {len(self.vertices)}")
        _check((self.uvs is None) == (self.uv_faces is None), "uvs and uv_faces come together")
        if self.uv_faces is not None:
            _check(self.uv_faces.shape == self.faces.shape, "uv_faces needs one row per face")
        _check(self.uvs is not None or (self.normal_map is None and self.occlusion is None), "baked maps need uvs")
        if self.vertex_colors is not None:
            _check(self.vertex_colors.shape == self.vertices.shape, "vertex_colors needs one row per vertex")


@dataclass(frozen=True, kw_only=True, eq=False)
class Skeleton:
    """Joints of a rest pose; parents come before children, the root's parent is -1.

    All joint frames of the rest pose have identity orientation, so a rest pose is joint positions alone.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    joints: Float[np.ndarray, "j 3"]
    """World positions in the rest pose."""

    def __post_init__(self) -> None:
        _check(len(self.names) == len(self.parents) == len(self.joints), "names, parents and joints differ in length")
        _check(all(p < i for i, p in enumerate(self.parents)), "parents must come before children")


@dataclass(frozen=True, kw_only=True, eq=False)
class RiggedMesh:
    """A mesh in its rest pose (T-pose, lowest point at y = 0) with a skeleton and linear-blend weights."""

    mesh: Mesh
    skeleton: Skeleton
    weights: Float[np.ndarray, "v j"]
    """At most four non-zero per vertex; each row sums to one."""

    def __post_init__(self) -> None:
        _check(self.weights.shape == (len(self.mesh.vertices), len(self.skeleton.names)), "weights must be v x j")
        _check(bool(np.allclose(self.weights.sum(1), 1.0, atol=1e-4)), "weights of a vertex must sum to one")


@dataclass(frozen=True, kw_only=True, eq=False)
class Motion:
    """A body moving in time, independent of any one body's proportions.

    The floor is y = 0. `root_position` is where the root joint (pelvis) is in the world; to put the
    motion on another body, scale it by that body's rest pelvis height over `rest_root_height`.
    """

    rotations: Float[np.ndarray, "t j 3 3"]
    """Child-in-parent; the root's is its orientation in the world."""
    root_position: Float[np.ndarray, "t 3"]
    rest_root_height: float
    """Height of the pelvis joint over the soles, in metres, when the body this motion was made for stands in T-pose."""
    joint_names: tuple[str, ...]
    fps: float
    name: str = "motion"
    contacts: Float[np.ndarray, "t 2"] | None = None
    """Left and right foot on the ground: 0..1."""

    def __post_init__(self) -> None:
        frames, joints = self.rotations.shape[:2]
        _check(frames > 0, "a motion needs at least one frame")
        _check(len(self.joint_names) == joints, f"joint_names has {len(self.joint_names)} entries, rotations {joints}")
        _check(len(self.root_position) == frames, "root_position needs one row per frame")
        finite = np.isfinite(self.rotations).all() and np.isfinite(self.root_position).all()
        _check(bool(finite), "motion must be finite")
        _check(0 < self.fps <= 1000 and self.rest_root_height > 0, "fps and rest_root_height must be positive")


@dataclass(frozen=True, kw_only=True, eq=False)
class Shape:
    """A coarse body that a text was turned into."""

    betas: Float[np.ndarray, " b"]
    body: str
    """Kind and version of the body model, e.g. 'open-1a2b3c4d'."""
    score: float | None = None
    """Direction score of the guidance, -1..1; None for the neutral body."""
    candidates: tuple["Shape", ...] = ()
    measures: dict[str, float] = field(default_factory=dict)
    """Height and girths in metres, by name."""
