"""Skin weights for a sculpted surface, borrowed from the body beneath it, and the way back to the T-pose.

Every vertex takes the weights of the closest place of the posed body that faces the same way and lies on the limb
that the vertices around agree on. Far from the body (hair, skirt, cape) the weights come along the surface from where
it touches the body, and where two limbs have grown together they pass gradually from one to the other.
"""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.linalg import splu
from scipy.spatial import KDTree
from torch import Tensor

from avatargen.body.model import BodyModel
from avatargen.body.posing import pose_body, pose_offsets, shape_body, unskin
from avatargen.core.values import Mesh, RiggedMesh, Skeleton
from avatargen.mesh.flips import calm_faces
from avatargen.mesh.nearest import Nearest, Surface, nearest_facing
from avatargen.mesh.stretch import calm_weights, trial_poses
from avatargen.render.shading import vertex_normals

Worn = Callable[[Float[np.ndarray, "v 3"]], tuple[Float[np.ndarray, "v j"], Float[np.ndarray, " v"]]]
"""Points to weights of SMPL's joints, and how far (0..1) these count instead of the body's."""

LIMB_ROOTS = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
"""Joints that begin a limb; every joint below belongs to it, all others to the trunk (limb 0)."""

NEAR, FAR = 0.015, 0.06
"""Metres from the body within which a vertex keeps the weights it found, and beyond which it hardly insists."""

ON_BODY = 0.001
"""Metres from the body below which a vertex is the body's own and is never evened out."""

THE_BODY_S = 1e-4
"""Metres from the body below which a moved vertex counts as not moved and keeps exactly its weights."""

IN_QUESTION = 0.2
"""Metres by which a limb may be farther than the nearest one and still be the right one.

Facing away costs 10 cm at most and the neighbours' opinion 5 cm; the rest is for the size of the body's triangles.
"""

MAX_SLOPE = 40.0
"""Sum of the differences of two neighbours' weights, per metre between them, beyond which they are evened out.

Steeper, two limbs have grown together, cloth spans the gap between them, or a needle triangle hangs in a crease.
"""

MAX_SHEAR = 0.3
"""The same for two neighbours' pose correctives, metres per metre."""

ROUNDS = 20
"""Steps of diffusion there."""

SHORTEST = 1e-4
"""Metres that an edge counts at least."""


def rig_to_body(
    mesh: Mesh,
    body: BodyModel,
    betas: Float[Tensor, " n"],
    rotations: Float[Tensor, "j 3 3"],
    *,
    calm: bool = False,
    worn: Worn | None = None,
) -> RiggedMesh:
    """`mesh` with at most four weights per vertex, in T-pose, lowest point at y = 0, on the shaped body's skeleton.

    The frame of `mesh` is that of `pose_body(body, betas, rotations)`. Unposing is the exact inverse of linear blend
    skinning with the weights returned (and of the body's pose correctives, where it has them), so posing the result
    with `rotations` gives `mesh` back. Mesh and joints are moved up together to stand on the floor; the lift is
    `result.skeleton.joints[0] - shape_body(body, betas)[1][0]`. Faces, UVs, texture and colors stay as they were.
    With `calm`, neighbours share weights where a triangle would be torn in wide poses, see `avatargen.mesh.stretch`.
    What hangs free of the body (a skirt, a hat) follows the joints that `worn` says instead of those nearest to it.
    """
    betas, rotations = betas.detach().cpu().double()[None], rotations.detach().cpu().double()[None]
    body = _double(body)
    _, rest_joints = shape_body(body, betas)
    posed = pose_body(body, betas, rotations)
    points = torch.from_numpy(mesh.vertices.astype(np.float64))
    faces = mesh.faces.astype(np.int64)
    graph = edge_graph(faces, points.numpy())
    found = _touch(points, vertex_normals(points, torch.from_numpy(faces)), body, posed.vertices[0], graph)
    corners = body.faces.numpy()[found.face]
    weights, insistence = _lent(body.weights.numpy(), corners, found.bary), _insistence(found.distance)
    free = np.zeros(len(points))
    if worn is not None:
        own, free = worn(points.numpy())
        weights = (
            free[:, None] * np.pad(own, ((0, 0), (0, weights.shape[1] - own.shape[1]))) + (1 - free)[:, None] * weights
        )
        insistence = np.where(free > 0, 1.0, insistence)
    weights = even_out(weights, graph, insistence)
    weights = strongest_four(soften_jumps(weights, graph, points.numpy(), found.distance > ON_BODY))
    offsets = (1 - free)[:, None] * _lent(pose_offsets(body, rotations)[0].numpy(), corners, found.bary)
    # Evened like the weights: two sides of an armpit have opposite offsets. The shift is for the clip at zero.
    offsets = even_out(offsets + 1.0, graph, insistence) - 1.0
    scale = MAX_SLOPE / MAX_SHEAR
    offsets = soften_jumps(scale * offsets, graph, points.numpy(), found.distance > ON_BODY) / scale
    calmed = np.ones(len(points), dtype=bool) if calm else None
    return _at_rest(mesh, body, weights, posed.transforms, rest_joints, offsets, calmed)


def mended(
    mesh: Mesh,
    body: BodyModel,
    betas: Float[Tensor, " n"],
    rotations: Float[Tensor, "j 3 3"],
    rounds: int = 5,
    worn: Worn | None = None,
) -> Mesh:
    """`mesh` with edges flipped so that `rig_to_body(..., calm=True)` tears none of its triangles; for one without UVs.

    What flips cannot do, sharing weights does, after which other flips may help: so both take turns.
    """
    for _ in range(rounds):
        rigged = rig_to_body(mesh, body, betas, rotations, calm=True, worn=worn)
        trials = trial_poses(rigged)
        faces = calm_faces(rigged.mesh.vertices, trials, mesh.faces) if len(trials) else mesh.faces
        if np.array_equal(faces, mesh.faces):
            break
        mesh = replace(mesh, faces=faces)
    return mesh


def rig_own_mesh(
    mesh: Mesh, body: BodyModel, betas: Float[Tensor, " n"], rotations: Float[Tensor, "j 3 3"]
) -> RiggedMesh:
    """`rig_to_body` for the body's own mesh with moved vertices: it keeps the body's own weights, vertex by vertex.

    Only where a triangle would be torn in wide poses do neighbours share weights, see `avatargen.mesh.stretch`.

    Raises:
        ValueError: `mesh` has not the body's vertices.
    """
    if len(mesh.vertices) != len(body.template):
        raise ValueError(f"{len(mesh.vertices)} vertices are not the body's {len(body.template)}")
    betas, rotations = betas.detach().cpu().double()[None], rotations.detach().cpu().double()[None]
    body = _double(body)
    _, rest_joints = shape_body(body, betas)
    posed = pose_body(body, betas, rotations)
    free = np.linalg.norm(mesh.vertices - posed.vertices[0].numpy(), axis=1) > THE_BODY_S
    offsets = pose_offsets(body, rotations)[0].numpy()
    own = strongest_four(body.weights.numpy())
    return _at_rest(mesh, body, own, posed.transforms, rest_joints, offsets, free)


def _at_rest(
    mesh: Mesh,
    body: BodyModel,
    weights: Float[np.ndarray, "v j"],
    transforms: Float[Tensor, "1 j 4 4"],
    rest_joints: Float[Tensor, "1 j 3"],
    offsets: Float[np.ndarray, "v 3"],
    free: Bool[np.ndarray, " v"] | None = None,
) -> RiggedMesh:
    """Unposed with its weights, pose correctives taken off, standing on the floor; `free` vertices may be calmed."""
    points = torch.from_numpy(mesh.vertices.astype(np.float64))

    def unposed(weights: np.ndarray) -> np.ndarray:
        return unskin(points, torch.from_numpy(weights), transforms)[0].numpy() - offsets

    if free is not None:
        faces = mesh.faces.astype(np.int64)
        spread = _neighbour_mean(edge_graph(faces, points.numpy()))
        joints = rest_joints[0].numpy()
        weights = calm_weights(weights, unposed, faces, joints, body.parents, spread, free, strongest_four)
    rest = unposed(weights)
    lift = np.array([0.0, -rest[:, 1].min(), 0.0])
    skeleton = Skeleton(names=body.joint_names, parents=body.parents, joints=rest_joints[0].numpy() + lift)
    moved = replace(mesh, vertices=(rest + lift).astype(mesh.vertices.dtype))
    return RiggedMesh(mesh=moved, skeleton=skeleton, weights=weights)


def limbs_of_faces(body: BodyModel) -> Integer[np.ndarray, " f"]:
    """The limb that moves each face: 0 the trunk, then `LIMB_ROOTS` in their order."""
    limb_of_joint: list[int] = []
    for name, parent in zip(body.joint_names, body.parents, strict=True):
        inherited = limb_of_joint[parent] if parent >= 0 else 0
        limb_of_joint.append(LIMB_ROOTS.index(name) + 1 if name in LIMB_ROOTS else inherited)
    member = np.eye(len(LIMB_ROOTS) + 1)[limb_of_joint]
    share = body.weights.numpy()[body.faces.numpy()].sum(1) @ member
    return share.argmax(1)


def edge_graph(faces: Integer[np.ndarray, "f 3"], points: Float[np.ndarray, "v 3"]) -> csr_array:
    """The symmetric matrix [v, v] of the edges' stiffness: one over the length, in units of the mean edge.

    With a stiffness of one for all, vertices a tenth of a millimetre apart would be drawn to different neighbours
    and needle triangles torn open; so they are all but tied together.
    """
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    pairs = np.unique(np.concatenate((pairs, pairs[:, ::-1])), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    length = np.maximum(np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1), SHORTEST)
    stiffness = length.mean() / length
    return coo_array((stiffness, (pairs[:, 0], pairs[:, 1])), shape=(len(points), len(points))).tocsr()


def even_out(
    values: Float[np.ndarray, "v c"], graph: csr_array, insistence: Float[np.ndarray, " v"]
) -> Float[np.ndarray, "v c"]:
    """The smoothest values along the surface that respect `insistence`.

    Minimises `sum insistence (x - values)^2 + sum over edges of differences^2` (the discrete screened Poisson
    equation), so that a vertex of little insistence takes over what comes along the surface from those of much.
    A cape so follows the shoulders that it hangs from, not the calves behind which it ends. Where the insistence is
    infinite the values stay exactly as they were.
    """
    free = np.flatnonzero(np.isfinite(insistence))
    if not len(free):
        return values
    fixed = np.flatnonzero(np.isinf(insistence))
    laplacian = diags_array(graph.sum(axis=1)) - graph
    rows = csr_array(laplacian)[free]
    system = (rows[:, free] + diags_array(insistence[free])).tocsc()
    right = insistence[free, None] * values[free] - rows[:, fixed] @ values[fixed]
    evened = values.copy()
    evened[free] = np.clip(splu(system).solve(right), 0.0, None)
    return evened


def strongest_four(weights: Float[np.ndarray, "v j"]) -> Float[np.ndarray, "v j"]:
    """At most four joints per vertex, rows summing to one.

    The fifth largest weight is taken off all of them first: where the fourth and fifth joint change places along the
    surface both then stand at zero, and nothing jumps. Rows of at most four joints stay as they are.
    """
    joints = weights.shape[1]
    weights = np.pad(weights, ((0, 0), (0, max(0, 5 - joints))))
    order = np.argsort(-weights, axis=1, kind="stable")[:, :5]
    top = np.take_along_axis(weights, order, axis=1)
    kept = np.zeros_like(weights)
    np.put_along_axis(kept, order[:, :4], top[:, :4] - top[:, 4:], axis=1)
    kept[kept < 1e-4] = 0.0
    # five equal weights leave nothing behind: then the first joint takes all
    empty = kept.sum(1) == 0
    kept[empty, order[empty, 0]] = 1.0
    return (kept / kept.sum(1, keepdims=True))[:, :joints]


def soften_jumps(
    weights: Float[np.ndarray, "v j"],
    graph: csr_array,
    points: Float[np.ndarray, "v 3"],
    free: Bool[np.ndarray, " v"],
) -> Float[np.ndarray, "v j"]:
    """Spread jumps between neighbours over a band of a few rings, so that cloth between two limbs stretches evenly."""
    one, other = graph.nonzero()
    length = np.maximum(np.linalg.norm(points[one] - points[other], axis=1), SHORTEST)
    steep = np.abs(weights[one] - weights[other]).sum(1) > MAX_SLOPE * length
    share = np.zeros(len(weights))
    share[one[steep & free[one] & free[other]]] = 1.0
    for _ in range(2):
        share = np.maximum(share, (graph @ share > 0).astype(np.float64))
    mean = _neighbour_mean(graph)
    for _ in range(4):
        share = 0.5 * share + 0.5 * (mean @ share)
    share = 0.9 * (share * free)[:, None]
    for _ in range(ROUNDS):
        weights = (1 - share) * weights + share * (mean @ weights)
    return weights


def _neighbour_mean(graph: csr_array) -> csr_array:
    return csr_array(diags_array(1.0 / np.maximum(graph.sum(axis=1), 1e-12)) @ graph)


def _insistence(distance: np.ndarray) -> np.ndarray:
    """Infinite on the body, then falling; never zero, so that a part that touches the body nowhere has weights too."""
    t = np.clip((distance - NEAR) / (FAR - NEAR), 0, 1)
    fading = 1e-4 + (1 - t) ** 2
    return np.where(distance <= NEAR, np.inf, fading)


def _touch(points: Tensor, normals: Tensor, body: BodyModel, posed: Tensor, graph: csr_array) -> Nearest:
    """The place on the posed body that each point belongs to, on the limb that it and its neighbours agree on."""
    limbs, faces = limbs_of_faces(body), body.faces.numpy()
    places, body_normals = posed.numpy(), vertex_normals(posed, body.faces).numpy()
    own_faces = [np.flatnonzero(limbs == limb) for limb in np.unique(limbs)]
    distance = np.stack([KDTree(places[np.unique(faces[own])]).query(points)[0] for own in own_faces], axis=1)
    touches: list[tuple[np.ndarray, Nearest]] = []
    cost = np.full(distance.shape, np.inf)
    for column, own in enumerate(own_faces):
        rows = np.flatnonzero(distance[:, column] < distance.min(1) + IN_QUESTION)
        surface = Surface(vertices=places, normals=body_normals, faces=faces[own])
        touch = nearest_facing(points.numpy()[rows], normals.numpy()[rows], surface)
        cost[rows, column] = touch.cost
        touches.append((rows, replace(touch, face=own[touch.face])))
    label = _agreed(cost, graph)
    found = {name: np.zeros((len(points), *like.shape[1:]), like.dtype) for name, like in vars(touches[0][1]).items()}
    for column, (rows, touch) in enumerate(touches):
        chosen = label[rows] == column
        for name, value in vars(touch).items():
            found[name][rows[chosen]] = value[chosen]
    return Nearest(**found)


def _agreed(cost: np.ndarray, graph: csr_array) -> np.ndarray:
    """The cheapest limb [v], where disagreeing with the neighbours costs as much as lying off the body, 5 cm at most.

    A Potts model by damped mean field; on the body itself the cost is zero and nobody is overruled.
    """
    weight = np.clip(cost.min(1, keepdims=True), 0, 0.05)
    mean = _neighbour_mean(graph)
    eye = np.eye(cost.shape[1])
    belief = eye[cost.argmin(1)]
    for _ in range(12):
        belief = 0.5 * belief + 0.5 * eye[(cost - weight * (mean @ belief)).argmin(1)]
    return belief.argmax(1)


def _lent(values: np.ndarray, corners: np.ndarray, bary: np.ndarray) -> np.ndarray:
    return np.einsum("nk,nkc->nc", bary, values[corners])


def _double(body: BodyModel) -> BodyModel:
    """The body on the CPU in float64, so that unposing loses nothing."""
    body = body.to("cpu")
    values = {f.name: getattr(body, f.name) for f in fields(body)}
    floats = {k: v.double() for k, v in values.items() if isinstance(v, Tensor) and v.is_floating_point()}
    return replace(body, **floats)
