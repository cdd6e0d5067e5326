"""Field to textured mesh in one call: extract, clean, unfold, bake; or the body's own mesh moved and baked."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from torch import Tensor

from avatargen.core.errors import ConfigError
from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.progress import Reporter, Silent, stage
from avatargen.core.settings import MeshSettings
from avatargen.core.values import Mesh
from avatargen.mesh.clean import clean_surface
from avatargen.mesh.detail import with_detail
from avatargen.mesh.extract import extract_surface
from avatargen.mesh.magnify import Focus
from avatargen.mesh.template import onto_surface
from avatargen.mesh.texture import bake

TOPOLOGIES = ("scan", "template")
_INDEX = {name: index for index, name in enumerate(SMPL_JOINTS)}


def check_mesh(settings: MeshSettings) -> None:
    """Refuse values that only show up as nonsense later.

    Raises:
        ConfigError: with the key and what may stand there.
    """
    if settings.topology not in TOPOLOGIES:
        raise ConfigError(f"mesh.topology={settings.topology!r}: there are {' and '.join(TOPOLOGIES)}")
    if not 0 <= settings.lods <= 4:
        raise ConfigError(f"mesh.lods={settings.lods}: 0 to 4 levels of detail beside the full one")
    if settings.faces < 100:
        raise ConfigError(f"mesh.faces={settings.faces}: a body needs at least 100 triangles")


def mesh_from_field(
    sdf: Callable[[Tensor], Tensor],
    color: Callable[[Tensor], Tensor],
    bounds: Float[np.ndarray, "2 3"],
    start: Mesh,
    joints: Float[np.ndarray, "j 3"],
    settings: MeshSettings,
    reporter: Reporter | None = None,
    color_on: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
    slope: Callable[[Tensor], Tensor] | None = None,
    mend: Callable[[Mesh], Mesh] | None = None,
    beyond: Float[np.ndarray, "k 3"] | None = None,
) -> Mesh:
    """One textured mesh of a field: closed (scan), or with the body's own vertices and faces (template).

    Args:
        sdf: points [n, 3] to signed distances [n], metres, negative inside.
        color: points [n, 3] to sRGB colors [n, 3].
        bounds: lowest and highest corner of the field.
        start: the coarse body in the same pose, with its UVs where it has some.
        joints: of that body, in SMPL's order; they say where head and hands are.
        settings: see `MeshSettings`.
        reporter: told each of the steps.
        color_on: as `color`, of points whose face of `start` and place on it [n, 3] are known (template only): exact
            where two parts nearly touch, as lids and eyes do.
        slope: points [n, 3] of the surface to its unit normals, for the normal map; None: the gradient of `sdf`.
        beyond: places of surface farther from `start` than `settings.reach_mm` (scan only).
        mend: asked to put the decimated surface right before it gets its UVs (scan only).
    """
    reporter = reporter or Silent()
    if settings.topology == "template":
        with stage(reporter, "meshing", 2):
            moved = onto_surface(start, sdf, settings.reach_mm / 1000)
            reporter.step()
            focus = focus_of(start, joints, settings.face_gain)[:1]
            done = bake(moved, color, settings, sdf=sdf, focus=focus, color_on=color_on)
            reporter.step()
        return with_detail(done, sdf, moved, settings, slope)
    with stage(reporter, "meshing", 3):
        raw = extract_surface(
            sdf,
            bounds,
            settings.voxel_mm / 1000,
            start,
            reach=settings.reach_mm / 1000,
            beyond=beyond,
            fine=_fine_boxes(start, joints, settings.head_mm / 1000, settings.hand_mm / 1000),
        )
        reporter.step()
        focus = focus_of(start, joints, settings.face_gain)
        small = clean_surface(raw, settings.faces, settings.smoothing, focus, sdf)
        small = small if mend is None else mend(small)
        reporter.step()
        painted = bake(small, color, settings, sdf=sdf, focus=focus[:1])
        done = with_detail(painted, sdf, raw, settings, slope)
        reporter.step()
    return done


def _head(start: Mesh, joints: np.ndarray) -> tuple[np.ndarray, float]:
    """Middle of the head, and its height from the neck joint to the crown."""
    neck, head, top = joints[_INDEX["neck"]], joints[_INDEX["head"]], start.vertices[:, 1].max()
    return np.array([head[0], 0.5 * (top + neck[1]), head[2]]), float(top - neck[1])


def _hands(joints: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Wrist and about the tip of the middle finger, left and right."""
    places = [(joints[_INDEX[f"{side}_wrist"]], joints[_INDEX[f"{side}_hand"]]) for side in ("left", "right")]
    return [(wrist, wrist + 2.0 * (hand - wrist)) for wrist, hand in places]


def _fine_boxes(
    start: Mesh, joints: np.ndarray, head_spacing: float, hand_spacing: float
) -> list[tuple[np.ndarray, float]]:
    """Boxes around head and hands."""
    middle, size = _head(start, joints)
    half = size * np.array([0.33, 0.5, 0.45])
    boxes = [(np.stack([middle - half, middle + half]), head_spacing)]
    for wrist, tip in _hands(joints):
        boxes.append((np.stack([np.minimum(wrist, tip) - 0.03, np.maximum(wrist, tip) + 0.03]), hand_spacing))
    return boxes


def focus_of(start: Mesh, joints: np.ndarray, gain: float) -> tuple[Focus, ...]:
    """What matters more than its size says: the head, then the hands; joints in SMPL's order."""
    middle, size = _head(start, joints)
    x, y, z = (float(v) for v in middle)
    balls = [Focus(center=(x, y, z), radius=0.55 * size, gain=gain)]
    for wrist, tip in _hands(joints):
        x, y, z = (float(v) for v in 0.5 * (wrist + tip))
        balls.append(Focus(center=(x, y, z), radius=0.7 * float(np.linalg.norm(tip - wrist)), gain=gain))
    return tuple(balls)
