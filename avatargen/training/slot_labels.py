"""Which slot of the embedded guidance each face of a body belongs to."""

import numpy as np
from jaxtyping import Integer

from avatargen.body.model import BodyModel
from avatargen.core.parts import PARTS, SMPL_JOINTS
from avatargen.guidance.embedded.slots import SLOT_ID

_BY_PART: dict[str, str] = {
    "scalp": "hair",
    "face": "face",
    "left_eye": "eyes",
    "right_eye": "eyes",
    "lips": "lips",
    "left_brow": "eyes",
    "right_brow": "eyes",
    "neck": "neck",
    "upper_torso": "chest",
    "lower_torso": "belly",
    "pelvis": "pelvis",
    "upper_arm": "upper_arms",
    "forearm": "forearms",
    "hand": "hands",
    "thigh": "thighs",
    "shin": "shins",
    "foot": "feet",
}


def face_slots(body: BodyModel) -> Integer[np.ndarray, " f"]:
    """Slot id of each face, from its part and its place in the T-pose.

    Raises:
        ValueError: the body has no part labels.
    """
    if body.parts is None:
        raise ValueError(f"the {body.kind} body has no part labels; slots need them")
    vertices = body.template.double().cpu().numpy()
    faces = body.faces.cpu().numpy()
    parts = body.parts.cpu().numpy()
    joints = (body.joint_regressor.double() @ body.template.double()).cpu().numpy()
    joint = {name: joints[i] for i, name in enumerate(SMPL_JOINTS)}
    corners = vertices[faces]
    center = corners.mean(1)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True).clip(1e-12)
    lookup = np.array(
        [
            SLOT_ID[_BY_PART[name.removeprefix("left_").removeprefix("right_")]]
            if name not in _BY_PART
            else SLOT_ID[_BY_PART[name]]
            for name in PARTS
        ]
    )
    slots = lookup[parts]

    chest, belly = slots == SLOT_ID["chest"], slots == SLOT_ID["belly"]
    behind = normal[:, 2] < 0.0
    slots[(chest | belly) & behind] = SLOT_ID["back"]
    slots[chest & ~behind & (np.abs(center[:, 0]) < 0.045)] = SLOT_ID["shirt_front"]
    slots[belly & ~behind & (np.abs(center[:, 0]) < 0.045)] = SLOT_ID["belly"]

    waist = center[np.isin(parts, [PARTS.index("pelvis")])][:, 1].max()
    trunk = np.isin(parts, [PARTS.index("pelvis"), PARTS.index("lower_torso")])
    slots[trunk & (np.abs(center[:, 1] - (waist - 0.01)) < 0.03)] = SLOT_ID["belt"]

    knee, ankle = joint["left_knee"][1], joint["left_ankle"][1]
    slots[(slots == SLOT_ID["shins"]) & (center[:, 1] < ankle + 0.42 * (knee - ankle))] = SLOT_ID["ankles"]
    _beard(slots, parts, center)
    return slots


def _beard(slots: np.ndarray, parts: np.ndarray, center: np.ndarray) -> None:
    """The moustache, cheeks below it, jaw and chin: everything that a full beard covers."""
    lips = center[parts == PARTS.index("lips")]
    eyes = center[np.isin(parts, [PARTS.index("left_eye"), PARTS.index("right_eye")])]
    face = slots == SLOT_ID["face"]
    unit = np.abs(eyes[:, 0]).mean() * 2
    top = lips[:, 1].max() + 0.16 * unit
    # The edge rises towards the ears, as a beard's does; the ears themselves lie behind it.
    edge = top + 0.35 * np.abs(center[:, 0]) / unit * unit * 0.3
    ahead = center[:, 2] > eyes[:, 2].mean() - 1.45 * unit
    slots[face & ahead & (center[:, 1] < edge)] = SLOT_ID["beard"]
