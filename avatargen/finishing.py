"""What is done to a finished avatar's surface: refining it under the guidance, and laying patterns on its clothes.

The last two of the stages of `avatargen.pipeline`; both look at the mesh in the A-pose that it was sculpted in.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from avatargen.body.posing import Posed, pose_body
from avatargen.body.rigged import pose_rigged
from avatargen.body.skeleton import a_pose
from avatargen.core.values import Mesh, RiggedMesh, Shape
from avatargen.implicit.crisp import Canvas
from avatargen.implicit.fit import Pictures
from avatargen.implicit.pattern_words import Pattern
from avatargen.implicit.patterns import lay, patterned
from avatargen.implicit.refine import canvas_of, refine_avatar
from avatargen.implicit.tailor import dress
from avatargen.mesh.template import free_ways
from avatargen.mesh.texture import repaint
from avatargen.pipeline import Tools, betas_of, dressed
from avatargen.render.shading import vertex_normals

_ON_CLOTH = 0.008
"""Metres from what hangs free within which a point of the mesh is part of it."""


def refine(
    description: str,
    avatar: RiggedMesh,
    shape: Shape,
    tools: Tools,
    checkpoint: Path | None = None,
    pictures: Pictures | None = None,
) -> RiggedMesh:
    """The finished avatar once more under the guidance: crisp borders, tuned colors, what `refine.detail` allows."""
    betas, mesh, settings = betas_of(shape, tools), avatar.mesh, tools.settings
    posed = pose_body(tools.body, betas, a_pose(tools.device)[None])
    root = posed.joints[0, :1].cpu().numpy()

    def in_pose(vertices: np.ndarray) -> np.ndarray:
        moved = replace(avatar, mesh=replace(mesh, vertices=vertices))
        return pose_rigged(moved, a_pose()[None].numpy(), root)[0]

    faces = torch.from_numpy(mesh.faces.astype(np.int64))
    normals = vertex_normals(torch.from_numpy(mesh.vertices.astype(np.float32)), faces).numpy()
    start = replace(mesh, vertices=in_pose(mesh.vertices))
    # Skinning is linear in the vertex: what a step along the rest pose's normal becomes in this pose.
    ways = in_pose(mesh.vertices + normals) - start.vertices
    room = np.minimum(*(free_ways(start, ways, np.full(len(ways), side)) for side in (1.0, -1.0)))
    refined = refine_avatar(
        description,
        _canvas(description, start, posed, tools, pictures is None)[0],
        torch.from_numpy(ways).to(tools.device),
        torch.from_numpy(room.astype(np.float32)).to(tools.device),
        tools.body,
        betas[0],
        posed.joints[0],
        tools.guidance,
        settings.implicit,
        settings.refine,
        settings.seed,
        reporter=tools.reporter,
        checkpoint=checkpoint,
        pictures=pictures,
    )
    tools.reporter.note(f"refining: score {refined.before:.4f} before, {refined.after:.4f} after")
    moved = mesh.vertices + refined.offsets.cpu().numpy()[:, None] * normals
    lift = np.array([0.0, -moved[:, 1].min(), 0.0], dtype=np.float32)
    size = settings.mesh.texture_size
    return replace(
        avatar,
        mesh=replace(repaint(mesh, refined.colors, size), vertices=(moved + lift).astype(mesh.vertices.dtype)),
        skeleton=replace(avatar.skeleton, joints=avatar.skeleton.joints + lift),
    )


def pattern(
    description: str, patterns: Sequence[Pattern], avatar: RiggedMesh, shape: Shape, tools: Tools, usual_hair: bool
) -> RiggedMesh:
    """The finished avatar, with patterns laid on the plain colors of what it wears.

    Args:
        description: as it was painted after, without the patterns.
        patterns: what `avatargen.implicit.pattern_words.without_patterns` found.
        avatar: textured.
        shape: of the body beneath.
        tools: loaded.
        usual_hair: whether a person of whose head nothing is said was given hair.
    """
    posed = pose_body(tools.body, betas_of(shape, tools), a_pose(tools.device)[None])
    moved = pose_rigged(avatar, a_pose()[None].numpy(), posed.joints[0, :1].cpu().numpy())[0]
    canvas, hung = _canvas(description, replace(avatar.mesh, vertices=moved), posed, tools, usual_hair)
    cut = []
    for one in patterns:
        laid = lay(one, canvas, posed.joints[0], hung)
        if laid is None:
            tools.reporter.note(f"pattern: no plain {one.garment} to lay {one.kind} on")
        else:
            cut.append(laid)
    return replace(avatar, mesh=repaint(avatar.mesh, patterned(canvas, cut), tools.settings.mesh.texture_size))


def _hung(
    points: torch.Tensor, description: str, posed: Posed, tools: Tools, usual_hair: bool
) -> dict[str, torch.Tensor]:
    """Which points of the mesh in the A-pose belong to what hangs free of the body, by kind of piece."""
    body, device = tools.body, points.device
    if not dressed(tools.settings):
        return {}
    vertices, joints = posed.vertices[0], posed.joints[0]
    outfit = dress(description, vertices, body.faces, body.parts, joints, usual_hair=usual_hair)
    if outfit is None:
        return {}
    distance, which = outfit.to(device).distance(points)
    near = distance.abs() < _ON_CLOTH
    return {one.piece.kind: near & (which == number) for number, one in enumerate(outfit.sewn)}


def _canvas(
    description: str, mesh: Mesh, posed: Posed, tools: Tools, usual_hair: bool
) -> tuple[Canvas, dict[str, torch.Tensor]]:
    """The finished mesh in the A-pose, as a canvas, and which of its vertices hang free, by kind of piece."""
    canvas = canvas_of(mesh, tools.body, posed, tools.device)
    hung = _hung(canvas.vertices, description, posed, tools, usual_hair)
    hair = [there for kind, there in hung.items() if kind in ("hair", "beard")]
    return replace(canvas, free=_any(hung.values()), hair=_any(hair)), hung


def _any(masks: Iterable[torch.Tensor]) -> torch.Tensor | None:
    found = [*masks]
    return torch.stack(found).any(0) if found else None
