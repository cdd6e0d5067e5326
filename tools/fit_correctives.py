"""Fit the open body's pose correctives (SMPL's `posedirs`) to Anny's posing, and measure what they change.

    pip install "avatargen[train]"
    python tools/fit_correctives.py --body avatargen/body/data/open_body.npz [--out open_body.npz]

With `--out` the correctives are fitted again and all other arrays kept as they are; without, those of the file are
measured. `tools/bake_open_body.py` calls `fit_correctives` as its last step. Two minutes on one core. What is fitted
to what, and what came of it: docs/models/body.md.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import anny
import numpy as np
import torch
from open_body_people import COLLAR_LIFT_DEG, rest_bodies, sample_phenotypes
from open_body_rig import (
    JOINT,
    MIRROR_JOINT,
    from_t_pose,
    joints_from_heads,
    part_of_bones,
    smooth,
    t_pose_rotations,
    to_t_pose,
)
from scipy.spatial.transform import Rotation

from avatargen.body.posing import joint_transforms, skin, unskin
from avatargen.core.files import load_tensors, write_whole
from avatargen.core.npz import encode_npz, read_npz
from avatargen.core.parts import SMPL_JOINTS, SMPL_PARENTS
from avatargen.core.rotations import matrix_from_axis_angle
from motiongen.pose_prior import DATA, full_pose, load_open_prior

STEP = 2.0**-13
"""Metres that the correctives are rounded to: 0.12 mm, exact in half precision."""
RIGID = ("pelvis", "wrist", "hand", "ankle", "foot", "head")
"""Joints without correctives: hands, feet and faces stay as rigid as the weights make them."""
ROUND = {"elbow": 1.0, "knee": 0.8}
"""How far the target at a hinge lies from Anny's linear blending (0) to her dual quaternions (1), which keep volume."""
RIDGE = 0.01
"""Less fits closer, but grows without need outside the fitted poses."""
PEOPLE = 10
HELD_OUT_PEOPLE = np.array(  # gender, age, muscle, weight, height, proportions
    [
        [0.5, 0.7, 0.5, 0.6, 0.4, 0.5],
        [0.0, 0.7, 0.9, 0.7, 0.5, 0.5],
        [1.0, 0.7, 0.4, 0.5, 0.4, 0.5],
        [0.0, 0.9, 0.5, 1.3, 0.4, 0.5],
        [1.0, 0.6, 0.3, 0.2, 0.3, 0.5],
    ]
)
HELD_OUT_POSES = 50
SWEEPS: dict[str, tuple[tuple[tuple[float, float, float], float, float], ...]] = {
    "left_elbow": (((0, -1, 0), 0, 145),),
    "left_knee": (((1, 0, 0), 0, 145),),
    "left_hip": (((-1, 0, 0), -30, 110), ((0, 0, 1), -20, 45)),
    "left_shoulder": (((0, 0, 1), -80, 70), ((0, -1, 0), -30, 110)),
    "left_collar": (((0, 0, 1), -10, 25), ((0, -1, 0), -20, 20)),
    "spine1": (((1, 0, 0), -15, 35), ((0, 1, 0), -25, 25), ((0, 0, 1), -20, 20)),
    "spine2": (((1, 0, 0), -15, 35), ((0, 1, 0), -25, 25), ((0, 0, 1), -20, 20)),
    "spine3": (((1, 0, 0), -15, 35), ((0, 1, 0), -25, 25), ((0, 0, 1), -20, 20)),
    "neck": (((1, 0, 0), -30, 30), ((0, 1, 0), -40, 40), ((0, 0, 1), -25, 25)),
}
"""Turns of one joint about an axis, from and to degrees. The right side follows by symmetry."""
FLIP = np.array([-1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Person:
    """One of Anny's people, as our body holds it and as Anny does; float64, Y up, metres."""

    flat: torch.Tensor
    """T-posed vertices [v, 3]."""
    joints: torch.Tensor
    """T-posed joints [24, 3]."""
    world: np.ndarray
    """World rotations [24, 3, 3] from Anny's rest pose into the T-pose."""
    to_flat: torch.Tensor
    """The same turns about our joints [24, 4, 4]."""
    rest: torch.Tensor
    """Anny's rest vertices [v, 3]."""


@dataclass(frozen=True, eq=False)
class Rig:
    """What both bodies need to be posed: weights [v, 24] of ours and of Anny's bones, summed by our joints."""

    ours: torch.Tensor
    annys: torch.Tensor
    part: np.ndarray
    """Our joint of each bone."""
    keep: np.ndarray
    """Our vertices among Anny's: all but the tongue."""


def make_rig(model: anny.Anny, body: Mapping[str, np.ndarray]) -> Rig:
    """The rigs of `model` and of the open body's arrays."""
    base = model.base_mesh_vertex_indices.numpy()
    part = part_of_bones(list(model.bone_labels), [int(p) for p in model.bone_parents])
    annys = np.zeros((len(base), len(SMPL_JOINTS)))
    np.add.at(
        annys,
        (np.arange(len(base))[:, None], part[model.vertex_bone_indices.numpy()]),
        model.vertex_bone_weights.numpy(),
    )
    keep = np.flatnonzero(~((base >= 13_380) & (base < 13_606)))
    ours = torch.from_numpy(body["weights"].astype(np.float64))
    return Rig(ours=ours, annys=torch.from_numpy(annys[keep]), part=part, keep=keep)


def meet(model: anny.Anny, phenotypes: np.ndarray, rig: Rig, body: Mapping[str, np.ndarray]) -> list[Person]:
    """The people of `phenotypes` [b, 6], T-posed in the way of the bake."""
    regressor, weights = body["J_regressor"].astype(np.float64), rig.ours.numpy()
    vertices, heads = rest_bodies(model, phenotypes)
    vertices = vertices[:, rig.keep]
    index = {name: i for i, name in enumerate(model.bone_labels)}
    joints = joints_from_heads(heads, index)
    world = t_pose_rotations(heads, joints, index, COLLAR_LIFT_DEG)
    flat, flat_joints = to_t_pose(vertices, joints, world, weights)
    joints = from_t_pose(np.einsum("jv,bvc->bjc", regressor, flat), flat_joints, world)
    flat, flat_joints = to_t_pose(vertices, joints, world, weights)
    to_flat = np.tile(np.eye(4), (*world.shape[:2], 1, 1))
    to_flat[..., :3, :3] = world
    to_flat[..., :3, 3] = flat_joints - np.einsum("bjxy,bjy->bjx", world, joints)
    return [
        Person(torch.from_numpy(f), torch.from_numpy(j), w, torch.from_numpy(t), torch.from_numpy(v))
        for f, j, w, t, v in zip(flat, flat_joints, world, to_flat, vertices, strict=True)
    ]


def dual_quaternion_skin(points: torch.Tensor, weights: torch.Tensor, transforms: torch.Tensor) -> torch.Tensor:
    """`skin` by blended dual quaternions (Kavan et al. 2008): points [v, 3], transforms [b, 24, 4, 4]."""
    turn, shift = transforms[..., :3, :3], transforms[..., :3, 3]
    flat = Rotation.from_matrix(turn.reshape(-1, 3, 3).numpy()).as_quat()
    real = torch.from_numpy(flat).reshape(*turn.shape[:-2], 4)
    for joint, parent in enumerate(SMPL_PARENTS):  # of q and -q the one nearer to the parent's
        if parent >= 0:
            real[:, joint] *= torch.where((real[:, joint] * real[:, parent]).sum(-1, keepdim=True) < 0, -1.0, 1.0)
    xyz, w = real[..., :3], real[..., 3:]
    dual = 0.5 * torch.cat((w * shift + torch.linalg.cross(shift, xyz), -(shift * xyz).sum(-1, keepdim=True)), dim=-1)
    real, dual = weights @ real, weights @ dual
    length = real.norm(dim=-1, keepdim=True)
    (xyz, w), (dual_xyz, dual_w) = (torch.split(q / length, (3, 1), dim=-1) for q in (real, dual))
    turned = points + 2 * torch.linalg.cross(xyz, torch.linalg.cross(xyz, points.expand_as(xyz)) + w * points)
    return turned + 2 * (w * dual_xyz - dual_w * xyz + torch.linalg.cross(xyz, dual_xyz))


def codebook_poses(held_out: bool, count: int) -> torch.Tensor:
    """Rotations [count, 24, 3, 3] spread over the shipped pose codebook; the fifty held out are never fitted."""
    latents = load_tensors(DATA / "pose_codebook.safetensors")[0]["latents"].float()
    kept = torch.zeros(len(latents), dtype=torch.bool)
    kept[torch.linspace(0, len(latents) - 1, HELD_OUT_POSES).long()] = True
    chosen = latents[kept if held_out else ~kept]
    spread = chosen[torch.linspace(0, len(chosen) - 1, count).long()]
    with torch.no_grad():
        return full_pose(load_open_prior().decode(spread)).double()


def sweep_poses(count: int) -> torch.Tensor:
    """Rotations [n, 24, 3, 3] of single joints over their ranges, in `count` steps each."""
    poses = []
    for name, turns in SWEEPS.items():
        for axis, low, high in turns:
            angles = torch.deg2rad(torch.linspace(low, high, count, dtype=torch.float64))
            pose = torch.eye(3, dtype=torch.float64).repeat(count, len(SMPL_JOINTS), 1, 1)
            pose[:, JOINT[name]] = matrix_from_axis_angle(angles[:, None] * torch.tensor(axis, dtype=torch.float64))
            poses.append(pose)
    return torch.cat(poses)


def neighbourhoods(rig: Rig, faces: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """How far each joint's correctives reach [v, 24], 0..1: where its turning bends the skin, and a little around."""
    below = np.eye(len(SMPL_JOINTS))
    for joint, parent in reversed(list(enumerate(SMPL_PARENTS))):
        if parent >= 0:
            below[:, parent] += below[:, joint]
    bends = np.zeros((len(rig.ours), len(SMPL_JOINTS)))
    for weights in (rig.ours.numpy(), rig.annys.numpy()):
        share = weights @ below  # of a vertex that the joint carries along; it bends the skin where that is not 0 or 1
        bends = np.maximum(bends, 4 * share * (1 - share))
    bends[:, [JOINT[name] for name in SMPL_JOINTS if name.endswith(RIGID)]] = 0
    edges = np.concatenate((faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]))
    edges = np.concatenate((edges, edges[:, ::-1]))
    for _ in range(2):
        wider = bends.copy()
        np.maximum.at(wider, edges[:, 0], bends[edges[:, 1]])
        bends = wider
    t = np.clip(smooth(np.clip(bends / 0.25, 0, 1), faces, steps=4), 0, 1)
    reach = t * t * (3 - 2 * t)
    reach[reach < 0.02] = 0
    return np.maximum(reach, reach[mirror][:, MIRROR_JOINT])


def targets(people: list[Person], poses: torch.Tensor, rig: Rig) -> Iterator[tuple[torch.Tensor, ...]]:
    """Features [b, 207] and the offsets [b, v, 3] that make our rest pose hit Anny's linear and dual skinning.

    Anny's weights and skinning, but about our joints: correctives are to learn how her skin bends, not where her
    bones lie, which they could only follow by tearing hands and feet off the skeleton.
    """
    for person in people:
        for batch in poses.split(50):
            joints = person.joints.expand(len(batch), -1, -1)
            _, transforms = joint_transforms(joints, batch, SMPL_PARENTS)
            from_rest = transforms @ person.to_flat
            linear = skin(person.rest, rig.annys, from_rest)
            dual = dual_quaternion_skin(person.rest, rig.annys, from_rest)
            features = (batch[:, 1:] - torch.eye(3, dtype=batch.dtype)).flatten(1)
            yield features, *(unskin(points, rig.ours, transforms) - person.flat for points in (linear, dual))


def _mirrored_features() -> tuple[np.ndarray, np.ndarray]:
    """Where each feature of a pose stands in its mirror image, and with what sign."""
    order, sign = np.arange(207).reshape(23, 3, 3), np.broadcast_to(FLIP[:, None] * FLIP, (23, 3, 3))
    return order[MIRROR_JOINT[1:] - 1].reshape(-1), sign.reshape(-1)


def fit_correctives(model: anny.Anny, body: Mapping[str, np.ndarray]) -> np.ndarray:
    """`posedirs` [v, 3, 207] of the open body's arrays: a ridge fit, each joint in its neighbourhood, symmetric."""
    rig, faces, mirror = make_rig(model, body), body["f"].astype(np.int64), body["mirror"].astype(np.int64)
    people = meet(model, sample_phenotypes(model, PEOPLE, np.random.default_rng(7)), rig, body)
    reach = neighbourhoods(rig, faces, mirror)
    hinge = np.zeros((len(reach), 1))
    for name, share in ROUND.items():
        hinge[:, 0] += share * reach[:, [JOINT[f"{side}_{name}"] for side in ("left", "right")]].max(1)

    square, product, count = np.zeros((207, 207)), np.zeros((207, len(reach), 3)), 0
    poses = torch.cat((codebook_poses(held_out=False, count=160), sweep_poses(12)))
    for features, linear, dual in targets(people, poses, rig):
        wanted = linear + torch.from_numpy(hinge) * (dual - linear)
        square += (features.T @ features).numpy()
        product += (features.T @ wanted.flatten(1)).reshape(207, -1, 3).numpy()
        count += len(features)
    order, sign = _mirrored_features()  # as if every pose had been mirrored, too
    square = (square + sign[:, None] * square[order][:, order] * sign) / (2 * count)
    product = (product + sign[:, None, None] * product[order][:, mirror] * FLIP) / (2 * count)

    out = np.zeros((207, len(reach), 3))
    for vertex, row in enumerate(reach[:, 1:]):
        columns = np.flatnonzero(np.repeat(row > 0, 9))
        if len(columns):
            share = np.repeat(row, 9)[columns]
            system = square[np.ix_(columns, columns)] + np.diag(RIDGE / np.maximum(share, 0.05))
            out[columns, vertex] = share[:, None] * np.linalg.solve(system, product[columns, vertex])
    out = smooth(out.transpose(1, 2, 0).reshape(len(reach), -1), faces, steps=1).reshape(-1, 3, 207)
    out = 0.5 * (out + sign * out[mirror][..., order] * FLIP[:, None])
    return (np.round(out / STEP) * STEP + 0.0).astype(np.float16)


def pose_anny(model: anny.Anny, phenotypes: np.ndarray, person: Person, rig: Rig, turn: torch.Tensor) -> torch.Tensor:
    """Anny herself [v, 3], her bones turned like the world rotations `turn` [24, 3, 3] of our joints."""
    z_up = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    about = z_up @ (turn.numpy() @ person.world)[rig.part] @ z_up.T
    given = torch.from_numpy(phenotypes[None])
    with torch.no_grad():
        rest = model(phenotype_kwargs=given)["rest_bone_poses"][0].numpy()
        pose = np.tile(np.eye(4), (1, len(rest), 1, 1))
        pose[0, :, :3, :3], pose[0, 0, :3, 3] = about @ rest[:, :3, :3], rest[0, :3, 3]
        out = model(
            pose_parameters=torch.from_numpy(pose), phenotype_kwargs=given, pose_parameterization="world-orient"
        )
    return out["vertices"][0][rig.keep].double() @ torch.from_numpy(z_up)


def measure(model: anny.Anny, body: Mapping[str, np.ndarray]) -> None:
    """Print the mean distances on people and poses that the fit has not seen, without and with the correctives."""
    rig, poses = make_rig(model, body), codebook_poses(held_out=True, count=HELD_OUT_POSES)
    directions = torch.from_numpy(body["posedirs"].astype(np.float64))
    people = meet(model, HELD_OUT_PEOPLE, rig, body)
    each = HELD_OUT_POSES // len(people)
    rows: dict[str, list[np.ndarray]] = {"Anny": [], "Anny about our joints": []}
    for number, person in enumerate(people):
        for pose in poses[number * each : (number + 1) * each, None]:
            _, transforms = joint_transforms(person.joints[None], pose, SMPL_PARENTS)
            offsets = ((pose[:, 1:] - torch.eye(3)).flatten(1) @ directions.flatten(0, 1).T).reshape(-1, 3)
            ours = [skin(person.flat + share * offsets, rig.ours, transforms)[0] for share in (0.0, 1.0)]
            theirs = pose_anny(model, HELD_OUT_PEOPLE[number], person, rig, transforms[0, :, :3, :3])
            same_joints = skin(person.rest, rig.annys, transforms @ person.to_flat)[0]
            rows["Anny"].append(np.stack([_apart_mm(o - o.mean(0), theirs - theirs.mean(0)) for o in ours]))
            rows["Anny about our joints"].append(np.stack([_apart_mm(o, same_joints) for o in ours]))
    nearest = rig.ours.numpy().argmax(1)
    for name, found in rows.items():
        values = np.stack(found)
        mean, worst = values.mean((0, 2)), values.mean(2).max(0)
        high = np.percentile(values, 95, axis=2).mean(0)
        print(f"to {name}: without and with correctives, mm: mean {mean.round(2)}, worst pose {worst.round(2)}")
        print(f"  95th percentile of vertices {high.round(2)}")
        for joint, label in enumerate(SMPL_JOINTS):
            print(f"  {label:15s} {values[:, :, nearest == joint].mean((0, 2)).round(2)}")


def _apart_mm(a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
    return 1000 * (a - b).norm(dim=1).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--body", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = anny.Anny(rig="anny", topology="anny", skinning_method="lbs", extrapolate_phenotypes=True)
    body = read_npz(args.body)
    if args.out:
        body["posedirs"] = fit_correctives(model, body)
        data = encode_npz(body)
        write_whole(args.out, data)
        print(f"{args.out}: {len(data) / 1e6:.2f} MB")
    measure(model, body)


if __name__ == "__main__":
    main()
