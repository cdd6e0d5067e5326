"""Tailor's measures of a T-posed body: heights from joints and vertices, girths from slices of the mesh."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Integer
from scipy.spatial import ConvexHull
from torch import Tensor

from avatargen.body.model import BodyModel
from avatargen.body.posing import shape_body
from avatargen.core.parts import SMPL_JOINTS

MEASURES: tuple[str, ...] = (
    "height",
    "chest_girth",
    "waist_girth",
    "hip_girth",
    "thigh_girth",
    "upper_arm_girth",
    "neck_girth",
    "head_height",
    "shoulder_width",
    "arm_length",
    "leg_length",
    "volume",
)
"""Names in the order of `measure_many`'s columns; metres, and cubic metres for the volume."""

DENSITY_KG_M3 = 1010.0
"""Of a living body with air in its lungs: at 70 kg, tissue of 1,053 kg/m3 (a fifth of it fat, by Siri's equation,
1961) and the 2.4 litres of air that rest in the lungs after breathing out make 1,013."""

_TRUNK = ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar", "left_hip", "right_hip", "neck")


def measure(body: BodyModel, betas: Float[Tensor, " n"]) -> dict[str, float]:
    """The measures of one body in metres (volume in cubic metres); betas as `shape_body` takes them."""
    with torch.no_grad():
        vertices, joints = shape_body(body, betas.unsqueeze(0))
    names, table = measure_many(
        vertices.double().cpu().numpy(), body.faces.cpu().numpy(), body.weights.cpu().numpy(), joints.cpu().numpy()
    )
    return {name: float(value) for name, value in zip(names, table[0], strict=True)}


def measure_many(
    vertices: Float[np.ndarray, "b v 3"],
    faces: Integer[np.ndarray, "f 3"],
    weights: Float[np.ndarray, "v 24"],
    joints: Float[np.ndarray, "b 24 3"],
) -> tuple[Sequence[str], Float[np.ndarray, "b m"]]:
    """The measures of T-posed bodies that share one mesh.

    Chest: the widest of slices between the armpits and the lowest ribs; waist: the narrowest between ribs and pelvis
    joint; hips: the widest from the pelvis joint down to the hip joints. Girths are those of the slice's convex
    hull, as a tape lies.
    """
    index = {name: i for i, name in enumerate(SMPL_JOINTS)}
    trunk = faces[(weights[:, [index[n] for n in _TRUNK]].sum(1) > 0.5)[faces].all(1)]
    arm = faces[(weights[:, index["left_shoulder"]] + weights[:, index["left_elbow"]] > 0.5)[faces].all(1)]
    leg = faces[(weights[:, index["left_hip"]] + weights[:, index["left_knee"]] > 0.5)[faces].all(1)]
    neck = faces[(weights[:, [index["neck"], index["head"]]].sum(1) > 0.5)[faces].all(1)]
    rows = []
    for v, j in zip(vertices, joints, strict=True):
        at = {name: j[i].tolist() for name, i in index.items()}
        low, high = float(v[:, 1].min()), float(v[:, 1].max())
        pelvis, hip, ribs = at["pelvis"][1], at["left_hip"][1], at["spine2"][1]
        armpit = at["left_shoulder"][1] - 0.35 * (at["left_shoulder"][1] - ribs)
        knee, shoulder, elbow = at["left_knee"][1], at["left_shoulder"][0], at["left_elbow"][0]
        rows.append(
            (
                high - low,
                max(_girth(v, trunk, 1, level) for level in np.linspace(ribs, armpit, 6).tolist()),
                min(_girth(v, trunk, 1, level) for level in np.linspace(pelvis, ribs, 8).tolist()),
                max(_girth(v, trunk, 1, level) for level in np.linspace(hip - 0.06, pelvis, 7).tolist()),
                _girth(v, leg, 1, hip + 0.3 * (knee - hip)),
                _girth(v, arm, 0, shoulder + 0.55 * (elbow - shoulder)),
                min(_girth(v, neck, 1, level) for level in np.linspace(at["neck"][1], at["head"][1], 4).tolist()),
                high - at["head"][1],
                at["left_shoulder"][0] - at["right_shoulder"][0],
                at["left_wrist"][0] - at["left_shoulder"][0],
                hip - low,
                _volume(v, faces),
            )
        )
    return MEASURES, np.array(rows, dtype=np.float64)


def _girth(vertices: np.ndarray, faces: np.ndarray, axis: int, level: float) -> float:
    """Length of the convex hull of the mesh's cut with the plane `axis` = `level`; 0 where they do not meet."""
    height = vertices[:, axis] - level
    above = height[faces] > 0
    cut = faces[above.any(1) & ~above.all(1)]
    edges = np.concatenate((cut[:, [0, 1]], cut[:, [1, 2]], cut[:, [2, 0]]))
    edges = edges[(height[edges[:, 0]] > 0) != (height[edges[:, 1]] > 0)]
    if len(edges) < 3:
        return 0.0
    a, b = edges.T
    t = height[a] / (height[a] - height[b])
    points = vertices[a] + t[:, None] * (vertices[b] - vertices[a])
    flat = np.delete(points, axis, axis=1)
    return float(ConvexHull(flat).area)  # of a planar hull, SciPy calls its perimeter the area


def _volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Signed volume by the divergence theorem."""
    a, b, c = vertices[faces].transpose(1, 0, 2)
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)
