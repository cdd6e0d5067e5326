# ruff: noqa: C901
"""Foreign skeletons as BVH text: other names, rest poses, axes, units and numbers of spine joints."""

import numpy as np

# name, parent, offset in metres in a T-pose facing +Z with Y up; ends follow from leaves
MIXAMO = [
    ("Hips", None, (0, 0.95, 0)),
    ("Spine", "Hips", (0, 0.1, -0.01)),
    ("Spine1", "Spine", (0, 0.12, 0.01)),
    ("Spine2", "Spine1", (0, 0.13, 0.0)),
    ("Neck", "Spine2", (0, 0.15, 0.0)),
    ("Head", "Neck", (0, 0.1, 0.03)),
    *[
        row
        for side, s in (("Left", 1), ("Right", -1))
        for row in (
            (f"{side}Shoulder", "Spine2", (0.06 * s, 0.1, 0)),
            (f"{side}Arm", f"{side}Shoulder", (0.12 * s, 0, 0)),
            (f"{side}ForeArm", f"{side}Arm", (0.28 * s, 0, 0)),
            (f"{side}Hand", f"{side}ForeArm", (0.26 * s, 0, 0)),
            (f"{side}UpLeg", "Hips", (0.09 * s, -0.06, 0)),
            (f"{side}Leg", f"{side}UpLeg", (0, -0.42, 0)),
            (f"{side}Foot", f"{side}Leg", (0, -0.4, 0)),
            (f"{side}ToeBase", f"{side}Foot", (0, -0.07, 0.14)),
        )
    ],
]

SMPL_NAMES = {
    "Hips": "Pelvis", "Spine": "Spine1", "Spine1": "Spine2", "Spine2": "Spine3", "Neck": "Neck", "Head": "Head",
    **{
        f"{side}{a}": f"{letter}_{b}"
        for side, letter in (("Left", "L"), ("Right", "R"))
        for a, b in (("Shoulder", "Collar"), ("Arm", "Shoulder"), ("ForeArm", "Elbow"), ("Hand", "Wrist"),
                     ("UpLeg", "Hip"), ("Leg", "Knee"), ("Foot", "Ankle"), ("ToeBase", "Foot"))
    },
}  # fmt: skip

UNREAL_NAMES = {
    "Hips": "pelvis", "Neck": "neck_01", "Head": "head",
    "Spine": "spine_01", "Spine1": "spine_02", "Spine2": "spine_03",
    **{
        f"{side}{a}": f"{b}_{letter}"
        for side, letter in (("Left", "l"), ("Right", "r"))
        for a, b in (
            ("Shoulder", "clavicle"), ("Arm", "upperarm"), ("ForeArm", "lowerarm"), ("Hand", "hand"),
            ("UpLeg", "thigh"), ("Leg", "calf"), ("Foot", "foot"), ("ToeBase", "ball"),
        )
    },
}  # fmt: skip

BLENDER_NAMES = {
    "Hips": "hips", "Spine": "spine", "Spine1": "spine.001", "Spine2": "chest", "Neck": "neck", "Head": "head",
    **{
        f"{side}{a}": f"{b}.{letter}"
        for side, letter in (("Left", "L"), ("Right", "R"))
        for a, b in (("Shoulder", "shoulder"), ("Arm", "upper_arm"), ("ForeArm", "forearm"), ("Hand", "hand"),
                     ("UpLeg", "thigh"), ("Leg", "shin"), ("Foot", "foot"), ("ToeBase", "toe"))
    },
}  # fmt: skip


def turn(axis, degrees):
    """Rotation matrix about x (0), y (1) or z (2)."""
    a, i, j = np.radians(degrees), (axis + 1) % 3, (axis + 2) % 3
    m = np.eye(3)
    m[i, i] = m[j, j] = np.cos(a)
    m[j, i], m[i, j] = np.sin(a), -np.sin(a)
    return m


def write(joints, frames, root, rest=None, world=None, unit=1.0, names=None, fps=30):
    """BVH of `frames` (list of {name: matrix in parent, relative to the T-pose}) on a skeleton whose zero pose differs.

    `rest` gives world rotations {name: R} that take the T-pose's bone frames to those of the file's zero pose; a
    joint not named takes its parent's. `world` turns everything (the file's axes). Angles are written ZYX.
    """
    rest, world, names = rest or {}, np.eye(3) if world is None else world, names or {}
    parent = {n: p for n, p, _ in joints}
    base = {}
    for n, p, _ in joints:
        base[n] = rest[n] if n in rest else (base[p] if p else np.eye(3))
    lines = ["HIERARCHY"]

    def emit(name, depth):
        pad = "  " * depth
        offset = np.array(next(o for n, _, o in joints if n == name), dtype=float)
        o = world @ (base[parent[name]] @ offset if parent[name] else offset * 0) * unit
        lines.append(f"{pad}{'JOINT' if depth else 'ROOT'} {names.get(name, name)}\n{pad}{{")
        lines.append(f"{pad}  OFFSET {o[0]:.8f} {o[1]:.8f} {o[2]:.8f}")
        place = "" if depth else "Xposition Yposition Zposition "
        lines.append(f"{pad}  CHANNELS {3 if depth else 6} {place}Zrotation Yrotation Xrotation")
        children = [n for n, p, _ in joints if p == name]
        for child in children:
            emit(child, depth + 1)
        if not children:
            tip = world @ base[name] @ np.array((0, 0, 0.07) if "Toe" in name else (0, 0.01, 0)) * unit
            lines.append(
                f"{pad}  End Site\n{pad}  {{\n{pad}    OFFSET {tip[0]:.8f} {tip[1]:.8f} {tip[2]:.8f}\n{pad}  }}"
            )
        lines.append(f"{pad}}}")

    emit(joints[0][0], 0)
    lines += ["MOTION", f"Frames: {len(frames)}", f"Frame Time: {1 / fps:.8f}"]
    order = []

    def visit(name):
        order.append(name)
        for n, p, _ in joints:
            if p == name:
                visit(n)

    visit(joints[0][0])
    for frame, place in zip(frames, root, strict=True):
        g = {}
        for n, p, _ in joints:
            local = frame.get(n, np.eye(3))
            g[n] = (g[p] if p else np.eye(3)) @ local
        # In the file a joint's world rotation takes the zero pose's frame to the posed one.
        f = {n: world @ g[n] @ base[n].T @ world.T for n in g}
        row = list(world @ np.array(place) * unit)
        for n in order:
            m = (f[parent[n]].T if parent[n] else np.eye(3)) @ f[n]
            y = np.arcsin(np.clip(-m[2, 0], -1, 1))
            row += [*np.degrees([np.arctan2(m[1, 0], m[0, 0]), y, np.arctan2(m[2, 1], m[2, 2])])]
        lines.append(" ".join(f"{v:.8f}" for v in row))
    return "\n".join(lines) + "\n"
