"""One picture that shows an avatar at a glance: front, side, back and face."""

import io
import math
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from avatargen.core.files import write_whole
from avatargen.core.settings import VideoSettings
from avatargen.core.values import Mesh, RiggedMesh, Skeleton
from avatargen.export.video import Frame, draw_frame, draw_in_order, drawing_threads, figure_of, standing
from avatargen.render.cameras import orbit
from avatargen.render.studio import fitting_distance

_FOV_DEG = 24.0
_PANELS = ((0.0, 0.285), (90.0, 0.16), (180.0, 0.285))
"""Azimuth and share of the width of the standing figures; the face has the rest."""
_HEIGHT = 0.375
"""Of the row, over its width."""


def preview(
    avatar: Mesh | RiggedMesh, settings: VideoSettings, skeleton: Skeleton | None = None
) -> UInt8[np.ndarray, "h w 3"]:
    """Front, left side, back and a close-up of the face in a row; a rigged avatar stands in the relaxed A-pose.

    Args:
        avatar: a `RiggedMesh`, or a mesh as it stands.
        settings: gives the width of the row.
        skeleton: of a plain mesh, in its pose, to find the head; without it the head is the top seventh.
    """
    mesh = avatar.mesh if isinstance(avatar, RiggedMesh) else avatar
    points = standing(avatar) if isinstance(avatar, RiggedMesh) else mesh.vertices
    vertices = torch.tensor(points, dtype=torch.float32)
    skeleton = avatar.skeleton if isinstance(avatar, RiggedMesh) else skeleton
    width = max(64, settings.preview_width)
    height = round(width * _HEIGHT)
    widths = [round(width * share) for _, share in _PANELS]
    figure = figure_of(mesh)
    target = 0.5 * (vertices.amin(0) + vertices.amax(0))
    distance = max(
        fitting_distance(vertices, target, azimuth, 4.0, _FOV_DEG, across / height, 0.05)
        for (azimuth, _), across in zip(_PANELS, widths, strict=True)
    )
    cameras = [
        orbit(azimuth, 4.0, distance, target, _FOV_DEG, (height, across))
        for (azimuth, _), across in zip(_PANELS, widths, strict=True)
    ]
    center, tall = head_of(vertices, skeleton)
    near = 0.72 * tall / math.tan(math.radians(_FOV_DEG / 2))
    cameras.append(orbit(14.0, 2.0, near, center, _FOV_DEG, (height, width - sum(widths))))

    def draw(index: int) -> Frame:
        return draw_frame(figure, vertices, cameras[index], 3)

    return np.concatenate(list(draw_in_order(draw, len(cameras), drawing_threads(settings))), axis=1)


def head_of(vertices: Float[Tensor, "v 3"], skeleton: Skeleton | None) -> tuple[Float[Tensor, " 3"], float]:
    """Middle and height (metres) of a head: from the neck joint to the top, or the top seventh without a skeleton."""
    top = vertices[:, 1].amax()
    whole = float(top - vertices[:, 1].amin())
    neck = float(top) - whole / 7
    if skeleton is not None and {"neck", "head"} <= set(skeleton.names):
        neck = float(skeleton.joints[skeleton.names.index("neck"), 1])
    above = vertices[vertices[:, 1] > neck]
    return 0.5 * (above.amin(0) + above.amax(0)), float(top) - neck


def write_preview(
    avatar: Mesh | RiggedMesh, path: Path, settings: VideoSettings, skeleton: Skeleton | None = None
) -> Path:
    """Write `preview` as PNG.

    Raises:
        OutputError: the file cannot be written.
    """
    stream = io.BytesIO()
    Image.fromarray(preview(avatar, settings, skeleton)).save(stream, format="PNG", optimize=True)
    return write_whole(path, stream.getvalue())
