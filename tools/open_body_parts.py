"""Part labels for the faces of the open body: from skinning weights, geometry and MakeHuman's UV masks."""

from pathlib import Path

import numpy as np
from PIL import Image

from avatargen.core.parts import PART_ID, SMPL_JOINTS

JOINT = {name: index for index, name in enumerate(SMPL_JOINTS)}


def mask_at(folder: Path, name: str, uv: np.ndarray) -> np.ndarray:
    """Values 0..1 of one of MakeHuman's masks at `uv` (v up)."""
    with Image.open(folder / f"mpfb_{name}.jpg") as image:
        pixels = np.asarray(image.convert("L"), dtype=np.float64) / 255
    rows = np.clip(((1 - uv[:, 1]) * pixels.shape[0]).astype(int), 0, pixels.shape[0] - 1)
    columns = np.clip((uv[:, 0] * pixels.shape[1]).astype(int), 0, pixels.shape[1] - 1)
    return pixels[rows, columns]


MASKS = ("lips", "ears", "eyelids", "fingernails", "toenails", "inside-mouth")
"""MakeHuman's masks that ship with the body, as values per vertex."""


def vertex_masks(quads: np.ndarray, corner_uv: np.ndarray, mirror: np.ndarray, folder: Path) -> np.ndarray:
    """Values 0..1 [v, m] of `MASKS`; `corner_uv` [q * 4, 2] belongs to the corners of `quads` [q, 4]."""
    count = quads.max() + 1
    uses = np.bincount(quads.reshape(-1), minlength=count)
    out = np.zeros((count, len(MASKS)))
    for column, name in enumerate(MASKS):
        np.add.at(out[:, column], quads.reshape(-1), mask_at(folder, name, corner_uv))
    out /= uses[:, None]
    return 0.5 * (out + out[mirror])


def label_quads(
    vertices: np.ndarray,
    quads: np.ndarray,
    weights: np.ndarray,
    joints: np.ndarray,
    eye_sides: np.ndarray,
    masks: np.ndarray,
) -> np.ndarray:
    """Part ids [q] of quads [q, 4]; `masks` [v, m] are those of `MASKS`, `eye_sides` [v] is +1, -1 or 0."""
    center = vertices[quads].mean(1)
    weight = weights[quads].mean(1)
    x, y, _ = center.T
    side = np.where(x > 0, "left", "right")
    names = np.full(len(quads), "upper_torso", dtype=object)

    limbs = {}
    for limb, joint_names in {
        "trunk": ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar"),
        "neck": ("neck",),
        "head": ("head",),
        "upper_arm": ("left_shoulder", "right_shoulder"),
        "forearm": ("left_elbow", "right_elbow"),
        "hand": ("left_wrist", "right_wrist", "left_hand", "right_hand"),
        "thigh": ("left_hip", "right_hip"),
        "shin": ("left_knee", "right_knee"),
        "foot": ("left_ankle", "right_ankle", "left_foot", "right_foot"),
    }.items():
        limbs[limb] = weight[:, [JOINT[n] for n in joint_names]].sum(1)
    best = np.array(list(limbs))[np.argmax(np.stack(list(limbs.values()), 1), axis=1)]
    for limb in ("upper_arm", "forearm", "hand", "thigh", "shin", "foot"):
        here = best == limb
        names[here] = [f"{s}_{limb}" for s in side[here]]

    trunk = best == "trunk"
    waist = joints[JOINT["spine1"], 1] + 0.02
    ribs = joints[JOINT["spine2"], 1] - 0.01
    names[trunk & (y < ribs)] = "lower_torso"
    names[trunk & (y < waist - 0.07)] = "pelvis"

    head = (best == "head") | (best == "neck")
    names[head] = "face"
    eyes = vertices[eye_sides > 0].mean(0)
    face_of(names, head, center, eyes, masks[quads].mean(1))
    eye = eye_sides[quads[:, 0]]
    names[eye > 0] = "left_eye"
    names[eye < 0] = "right_eye"
    return np.array([PART_ID[n] for n in names], dtype=np.uint8)


def face_of(names: np.ndarray, head: np.ndarray, center: np.ndarray, left_eye: np.ndarray, masks: np.ndarray) -> None:
    """Split the head into scalp, face, brows, lips and neck; lengths in units of the distance between the eyes."""
    unit = 2 * left_eye[0]
    x, y, z = np.abs(center[:, 0]) / unit, (center[:, 1] - left_eye[1]) / unit, (center[:, 2] - left_eye[2]) / unit
    ears = masks[:, MASKS.index("ears")] > 0.5
    below_chin = y < -1.75 + 0.62 * np.clip(-z, 0, 3.0)
    names[head & below_chin & ~ears] = "neck"
    # The hairline: over the forehead, down before the ear, then behind it to the nape.
    front = y > 1.12 - 0.18 * x
    temple = (z < -0.62 - 0.55 * np.clip(0.9 - y, 0, 1.0)) & (y > 0.1)
    back = (z < -1.55) & (y > -1.05)
    names[head & (front | temple | back) & ~ears] = "scalp"
    # The same arch as in `avatargen.body.look`, a little wider: one to two rows of quads.
    across = x - 0.5
    t = np.clip((across + 0.29) / 0.70, 0, 1)
    arch = 0.255 + 0.10 * np.sin(np.pi * (0.18 + 0.62 * t)) - 0.05 * t
    near = np.abs(y - arch) < 0.062 * (1 - 0.55 * t) + 0.012
    brow = head & near & (across > -0.29) & (across < 0.41) & (z > -0.5)
    names[brow] = np.where(center[brow, 0] > 0, "left_brow", "right_brow")
    lips = head & (masks[:, MASKS.index("lips")] > 0.5)
    names[lips] = "lips"
