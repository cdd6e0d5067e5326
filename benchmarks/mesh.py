"""How far do an avatar's triangles stretch over the motion set, and how well do weights survive a finer copy?

Usage: python benchmarks/mesh.py [RUN ...] [--stride 3] [--json out.json] [--pictures FOLDER]

The motion set are motiongen's procedural actions. Without runs the open body itself is measured. Bars: no triangle's
area grows more than ten times (over the T-pose); weights carried to a copy with three times the triangles and back
differ by at most 0.02. Slivers below a square millimetre are counted, but told apart. `--pictures` draws the ten most
extreme poses of the set. Also what a surface costs: the body's distance field marched near the body, against dense
marching cubes (every point of the box, then scikit-image), at the same `--voxel`.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from record import save, told
from skimage.measure import marching_cubes

from avatargen.body.open_body import load_open_body
from avatargen.body.posing import pose_body
from avatargen.body.rigged import pose_rigged
from avatargen.body.skeleton import a_pose
from avatargen.core.files import load_tensors
from avatargen.core.runs import unpack_rigged
from avatargen.core.settings import ImplicitSettings
from avatargen.core.values import Mesh, RiggedMesh, Skeleton
from avatargen.export.video import draw_frame, figure_of
from avatargen.implicit.avatar import build_field
from avatargen.mesh.clean import face_areas
from avatargen.mesh.extract import axis_lines, extract_surface
from avatargen.mesh.rig import rig_to_body
from avatargen.render.cameras import orbit
from avatargen.render.studio import fitting_distance
from motiongen.procedural.actions import procedural_clips


def avatar_of(run):
    """The avatar that a run left, whatever has become of the rest of it."""
    tensors, metadata = load_tensors(run / ".work" / "avatar.safetensors")
    return unpack_rigged(tensors, json.loads(metadata["extra"]))


def body_avatar():
    body = load_open_body()
    joints = (body.joint_regressor @ body.template).numpy()
    lift = np.array([0.0, -float(body.template[:, 1].min()), 0.0])
    mesh = Mesh(vertices=(body.template.numpy() + lift).astype(np.float32), faces=body.faces.numpy())
    skeleton = Skeleton(names=body.joint_names, parents=body.parents, joints=joints + lift)
    return RiggedMesh(mesh=mesh, skeleton=skeleton, weights=body.weights.numpy())


def growth(avatar, rotations):
    """Largest growth of each face's area over the poses, and the pose of the worst [f], [f]."""
    rest = np.maximum(face_areas(avatar.mesh), 1e-12)
    worst, which = np.zeros(len(rest)), np.zeros(len(rest), dtype=int)
    for first in range(0, len(rotations), 16):
        for offset, points in enumerate(pose_rigged(avatar, rotations[first : first + 16])):
            now = face_areas(replace(avatar.mesh, vertices=points)) / rest
            which = np.where(now > worst, first + offset, which)
            worst = np.maximum(worst, now)
    return worst, which


def three_times_finer(mesh):
    """Each triangle in three, by its middle."""
    middle = mesh.vertices[mesh.faces].mean(1)
    new = len(mesh.vertices) + np.arange(len(mesh.faces))
    a, b, c = mesh.faces.T
    faces = np.concatenate([np.stack(f, 1) for f in ((a, b, new), (b, c, new), (c, a, new))])
    return Mesh(vertices=np.concatenate([mesh.vertices, middle]), faces=faces)


def weights_there_and_back():
    """Largest difference of the body's weights after the way to a three times finer copy and back."""
    body, betas = load_open_body(), torch.zeros(load_open_body().num_betas)
    posed = pose_body(body, betas[None], a_pose()[None]).vertices[0].numpy()
    fine = three_times_finer(Mesh(vertices=posed, faces=body.faces.numpy()))
    carried = rig_to_body(fine, body, betas, a_pose())
    finer = replace(
        body,
        weights=torch.from_numpy(carried.weights).float(),
        template=torch.from_numpy(carried.mesh.vertices).float(),
        faces=torch.from_numpy(fine.faces),
        shape_directions=torch.zeros(len(fine.vertices), 3, body.num_betas),
        joint_regressor=torch.zeros(24, len(fine.vertices)),
        parts=None,
        uvs=None,
        uv_faces=None,
    )
    # The finer body's joints cannot come from its vertices' regressor; its posed vertices are those of `fine`.
    own = np.zeros((24, len(fine.vertices)), dtype=np.float32)
    own[:, : len(posed)] = body.joint_regressor.numpy()
    lift = carried.skeleton.joints[0] - (body.joint_regressor @ body.template).numpy()[0]
    finer = replace(
        finer, joint_regressor=torch.from_numpy(own), template=finer.template - torch.from_numpy(lift).float()
    )
    back = rig_to_body(Mesh(vertices=posed, faces=body.faces.numpy()), finer, betas, a_pose())
    return float(np.abs(back.weights - body.weights.numpy()).max())


def extraction(spacing):
    """Processor seconds of the surface, ours and dense, and how many faces each has."""
    body = load_open_body()
    field = build_field(body, torch.zeros(body.num_betas), ImplicitSettings())
    surface, bounds = field.body.surface, field.bounds.numpy().astype(np.float64)
    near = Mesh(vertices=surface.vertices.numpy(), faces=surface.faces.numpy())
    start = time.process_time()
    ours = extract_surface(field.sdf, bounds, spacing, near)
    middle = time.process_time()
    lines = [axis_lines(bounds[0, axis], bounds[1, axis], spacing, []) for axis in range(3)]
    points = torch.from_numpy(np.stack(np.meshgrid(*lines, indexing="ij"), -1).reshape(-1, 3).astype(np.float32))
    with torch.no_grad():
        values = torch.cat([field.sdf(part) for part in points.split(1 << 18)]).numpy()
    dense = marching_cubes(values.reshape([len(line) for line in lines]), level=0.0)
    end = time.process_time()
    return {
        "baseline": "dense marching cubes",
        "seconds": {"ours": middle - start, "dense": end - middle},
        "ratio": (middle - start) / (end - middle),
        "faces": {"ours": len(ours.faces), "dense": len(dense[1])},
        "points": len(points),
    }


def extremes(avatar, rotations, count=10):
    """The poses that stretch the surface most, no two within a second of each other."""
    rest = face_areas(avatar.mesh)
    score = np.array(
        [
            np.quantile(face_areas(replace(avatar.mesh, vertices=p))[rest > 1e-6] / rest[rest > 1e-6], 0.999)
            for first in range(0, len(rotations), 16)
            for p in pose_rigged(avatar, rotations[first : first + 16])
        ]
    )
    chosen = []
    for index in np.argsort(-score):
        if all(abs(int(index) - other) > 12 for other in chosen):
            chosen.append(int(index))
        if len(chosen) == count:
            break
    return chosen


def sheet(avatar, rotations, chosen, size=320):
    figure, frames = figure_of(avatar.mesh), []
    for points in pose_rigged(avatar, rotations[chosen]):
        points = torch.from_numpy(points - np.array([0, points[:, 1].min(), 0], dtype=np.float32))
        middle = 0.5 * (points.amin(0) + points.amax(0))
        away = fitting_distance(points, middle, 28.0, 7.0, 26.0)
        frames.append(draw_frame(figure, points, orbit(28.0, 7.0, away, middle, 26.0, size), 2))
    return np.concatenate([np.concatenate(frames[:5], axis=1), np.concatenate(frames[5:10], axis=1)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--stride", type=int, default=3)
    parser.add_argument("--voxel", type=float, default=8.0, help="millimetres, of the surface that is timed; 0: not")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--pictures", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    clips = procedural_clips(takes=1)
    rotations = np.concatenate([clip.motion.rotations[:: args.stride] for clip in clips]).astype(np.float32)
    names = [clip.motion.name for clip in clips for _ in clip.motion.rotations[:: args.stride]]
    carried = weights_there_and_back()
    print(f"weights to a three times finer copy and back: differ by at most {carried:.4f} (bar 0.02)")
    record = {"weights_there_and_back": carried, "poses": len(rotations), "avatars": {}}
    if args.voxel > 0:
        record["extraction"] = found = extraction(args.voxel / 1000)
        print(
            f"surface at {args.voxel:g} mm: {found['seconds']['ours']:.2f} s, dense {found['seconds']['dense']:.2f} s, "
            f"ratio {found['ratio']:.2f}; faces {found['faces']['ours']} and {found['faces']['dense']}; {told()}"
        )
    avatars = {run.name: avatar_of(run) for run in args.runs} or {"open body": body_avatar()}
    for name, avatar in avatars.items():
        worst, which = growth(avatar, rotations)
        solid = face_areas(avatar.mesh) > 1e-6
        most = int(np.where(solid, worst, 0).argmax())
        row = {
            "faces": len(worst),
            "largest_growth": float(worst[solid].max()),
            "action": names[which[most]],
            "beyond_ten": int((worst[solid] > 10).sum()),
            "largest_growth_of_slivers": float(worst[~solid].max(initial=0)),
            "slivers": int((~solid).sum()),
            "slivers_beyond_ten": int((worst[~solid] > 10).sum()),
        }
        record["avatars"][name] = row
        print(
            f"{name}: {len(rotations)} poses of {len(clips)} actions; " + ", ".join(f"{k} {v}" for k, v in row.items())
        )
        if args.pictures:
            args.pictures.mkdir(parents=True, exist_ok=True)
            picture = sheet(avatar, rotations, extremes(avatar, rotations))
            Image.fromarray(picture).save(args.pictures / f"{name.replace(' ', '_')}.png")
    save(args.json, record, args)


if __name__ == "__main__":
    main()
