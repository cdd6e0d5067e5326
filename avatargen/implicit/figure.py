"""The measures of a posed body that clothes and hats are cut by; metres, y up, front +z, left +x."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree

from avatargen.core.parts import PARTS, SMPL_JOINTS

_INDEX = {name: index for index, name in enumerate(SMPL_JOINTS)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Figure:
    """Where things are on one posed body."""

    vertices: Float[np.ndarray, "v 3"]
    joints: Float[np.ndarray, "24 3"]
    scalp: Float[np.ndarray, "n 3"]
    """Points spread over the scalp."""
    scalp_edge: Float[np.ndarray, " n"]
    """How far each of them is from the hairline."""
    face: Float[np.ndarray, "k 3"]
    """Points spread over the face, without eyes and lips."""
    lips: Float[np.ndarray, "3"]
    brows: Float[np.ndarray, "3"]
    eyes: Float[np.ndarray, "3"]
    """Middles of these."""
    crown: float
    """Height of the top of the head."""
    chin: Float[np.ndarray, "3"]
    trunk: Float[np.ndarray, "m 3"]
    """Vertices of neck, torso, pelvis and legs."""

    def joint(self, name: str) -> Float[np.ndarray, "3"]:
        """Place of a joint."""
        return self.joints[_INDEX[name]]

    @property
    def head(self) -> float:
        """Height of the head from chin to crown: the unit of all that is worn on it."""
        return self.crown - float(self.chin[1])

    def head_ring(self, height: float) -> tuple[float, float, float]:
        """Half width, half depth and the middle's z of the head at a height."""
        near = np.concatenate([self.scalp, self.face])
        near = near[np.abs(near[:, 1] - height) < 0.012 + 0.02 * self.head]
        low, high = near.min(0), near.max(0)
        return float(np.abs(near[:, 0]).max()), float(high[2] - low[2]) / 2, float(high[2] + low[2]) / 2

    def rear(self, heights: Float[np.ndarray, " n"], width: float) -> Float[np.ndarray, " n"]:
        """The rearmost z of the trunk and head at each height, within `width` of the middle."""
        points = np.concatenate([self.trunk, self.scalp])
        points = points[np.abs(points[:, 0]) < width]
        return np.array([_extreme(points, y, 2, np.min, 0.0) for y in heights])


def _extreme(points: np.ndarray, height: float, axis: int, pick, default: float) -> float:  # noqa: ANN001
    reach = 0.015
    while reach < 0.2:
        near = points[np.abs(points[:, 1] - height) < reach]
        if len(near):
            return float(pick(near[:, axis]))
        reach *= 2
    return default


def figure_of(
    vertices: Float[np.ndarray, "v 3"],
    faces: Float[np.ndarray, "f 3"] | np.ndarray,
    parts: np.ndarray,
    joints: Float[np.ndarray, "j 3"],
) -> Figure:
    """Measure a posed body whose faces have part labels."""

    def there(*names: str) -> np.ndarray:
        wanted = [
            index for index, name in enumerate(PARTS) if name.removeprefix("left_").removeprefix("right_") in names
        ]
        return np.isin(parts, wanted)

    def spread(chosen: np.ndarray) -> np.ndarray:
        corners = vertices[faces[chosen]]
        inner = np.einsum("kc,fcd->fkd", _INNER, corners).reshape(-1, 3)
        return np.concatenate([vertices[np.unique(faces[chosen])], inner])

    scalp, face = spread(there("scalp")), spread(there("face", "brow"))
    bare = KDTree(spread(there("face", "brow", "neck", "eye")))
    lips, brows, eyes = (vertices[np.unique(faces[there(name)])] for name in ("lips", "brow", "eye"))
    middle = face[np.abs(face[:, 0]) < 0.01]
    low = middle[middle[:, 1] < lips[:, 1].min()]
    # The chin is where the profile below the lips is farthest down and forward.
    chin = low[np.argmax(low[:, 2] - low[:, 1])]
    trunk = vertices[np.unique(faces[there("neck", "upper_torso", "lower_torso", "pelvis", "thigh", "shin")])]
    return Figure(
        vertices=vertices,
        joints=joints,
        scalp=scalp,
        scalp_edge=bare.query(scalp)[0],
        face=face,
        lips=np.array([0.0, lips[:, 1].mean(), lips[:, 2].max()]),
        brows=np.array([0.0, brows[:, 1].mean(), brows[:, 2].max()]),
        eyes=np.array([0.0, eyes[:, 1].mean(), eyes[:, 2].max()]),
        crown=float(scalp[:, 1].max()),
        chin=np.array([0.0, chin[1], chin[2]]),
        trunk=trunk,
    )


_INNER = np.array([[1, 1, 1], [4, 1, 1], [1, 4, 1], [1, 1, 4]]) / np.array([[3], [6], [6], [6]])
