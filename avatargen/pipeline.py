"""The stages of text to avatar, one function each, values in and out.

Nothing here writes a file but `deliver`; nothing here knows motiongen. `avatargen.api.generate` runs them in order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from avatargen.body.controls import asked_of, check_controls, control_shape
from avatargen.body.load import load_body_model
from avatargen.body.look import base_color_at, base_colors
from avatargen.body.measure import measure
from avatargen.body.model import BodyModel
from avatargen.body.posing import pose_body, shape_body
from avatargen.body.rigged import pose_rigged
from avatargen.body.skeleton import a_pose
from avatargen.core.characters import Description
from avatargen.core.errors import ConfigError, InputError
from avatargen.core.progress import Reporter, Silent, stage
from avatargen.core.settings import Settings
from avatargen.core.stopping import StoppedError, leave
from avatargen.core.values import Mesh, Motion, RiggedMesh, Shape, Skeleton
from avatargen.core.viewing import Viewer
from avatargen.export.conditions import check_conditions, condition_maps
from avatargen.export.files import Delivery, write_delivery
from avatargen.export.process import Process
from avatargen.export.surface import encode_png
from avatargen.guidance.embedded.reader import build_words
from avatargen.guidance.images import read_picture
from avatargen.guidance.load import load_guidance
from avatargen.guidance.model import Guidance
from avatargen.guidance.prompts import with_build
from avatargen.implicit.avatar import AvatarField
from avatargen.implicit.fit import Pictures, fit_avatar
from avatargen.implicit.network_field import NetworkField
from avatargen.implicit.original import fit_original
from avatargen.implicit.pattern_words import Pattern, without_patterns
from avatargen.implicit.refine import check_refine
from avatargen.implicit.slope import smooth_slope
from avatargen.implicit.worn import with_trousers
from avatargen.mesh.clean import snap
from avatargen.mesh.finish import check_mesh, mesh_from_field
from avatargen.mesh.rig import Worn, mended, rig_own_mesh, rig_to_body
from avatargen.mesh.texture import repaint
from avatargen.render.cameras import orbit
from avatargen.render.picture import render_mesh
from avatargen.shape.search import find_shape
from avatargen.shape.sheet import contact_sheet


@dataclass(frozen=True, kw_only=True, eq=False)
class Tools:
    """What every stage needs: loaded once, passed on."""

    settings: Settings
    device: str
    body: BodyModel
    guidance: Guidance
    reporter: Reporter
    viewer: Viewer | None = None


def pick_device(wanted: str) -> str:
    """`cpu` or `cuda`.

    Raises:
        InputError: CUDA was asked for and is not there.
    """
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cpu":
        return wanted
    if wanted == "cuda" or wanted.startswith("cuda:"):
        if not torch.cuda.is_available():
            raise InputError("--device cuda: no usable NVIDIA GPU here; use --device cpu (or auto)")
        return wanted
    raise InputError(f"unknown device {wanted!r}; use auto, cpu or cuda")


def load_tools(settings: Settings, reporter: Reporter | None = None, viewer: Viewer | None = None) -> Tools:
    """Load the body and the guidance that the settings name."""
    told = reporter or Silent()
    check_mesh(settings.mesh)
    check_conditions(settings.conditions)
    check_refine(settings.refine)
    device = pick_device(settings.device)
    body = load_body_model(settings.body).to(device)
    check_controls(body, settings.controls)
    guidance = load_guidance(settings.guidance, device, told)
    return Tools(settings=settings, device=device, body=body, guidance=guidance, reporter=told, viewer=viewer)


def prompt_pictures(settings: Settings, said: bool) -> Pictures | None:
    """The settings' image prompts, read; None if there are none.

    Raises:
        InputError: a picture cannot be read, or the weight is not in 0..1.
    """
    asked = settings.guidance
    if not 0.0 <= asked.image_weight <= 1.0:
        raise InputError(f"guidance.image_weight = {asked.image_weight:g} is not in 0..1")
    if not asked.image and not asked.face_image:
        return None
    return Pictures(
        figure=read_picture(asked.image) if asked.image else None,
        face=read_picture(asked.face_image) if asked.face_image else None,
        weight=asked.image_weight if said else 1.0,
    )


def figure_text(shape: str | None, appearance: str | None, tools: Tools) -> str | None:
    """What is asked of the coarse body: the shape text, and the appearance's words for traits it leaves open."""
    if appearance is None or not tools.settings.shape.from_appearance:
        return shape
    return with_build(shape, build_words(appearance, besides=shape or ""))


def coarse_shape(text: str | None, tools: Tools) -> Shape:
    """The body that `text` describes, or the neutral one for None, brought to the settings' height, weight, ..."""
    if text is None:
        betas = np.zeros(tools.body.num_betas, dtype=np.float32)
        shape = Shape(betas=betas, body=f"{tools.body.kind}-{tools.body.version}")
    else:
        shape = find_shape(
            text, tools.body, tools.guidance, tools.settings.shape, tools.settings.seed, reporter=tools.reporter
        )
    shape = _controlled(shape, tools)
    if not shape.measures:
        shape = replace(shape, measures=measure(tools.body, betas_of(shape, tools)[0]))
    return shape


def _controlled(shape: Shape, tools: Tools) -> Shape:
    """The shape nearest to `shape` that has what the settings ask for in numbers."""
    asked = asked_of(tools.settings.controls)
    if not asked:
        return shape
    found = control_shape(tools.body, betas_of(shape, tools)[0], tools.settings.controls)
    for name in found.missed:
        tools.reporter.note(
            f"{name} {asked[name]:g} is out of reach together with the rest; the body has {found.reached[name]:.2f}"
        )
    return replace(shape, betas=found.betas.cpu().numpy(), measures={})


def betas_of(shape: Shape, tools: Tools) -> torch.Tensor:
    """Shape components [1, n] on the device."""
    return torch.from_numpy(np.asarray(shape.betas, dtype=np.float32))[None].to(tools.device)


def body_mesh(shape: Shape, tools: Tools) -> Mesh:
    """The coarse body in T-pose, standing on y = 0, with its own UVs and the base look as vertex colors."""
    vertices, _ = shape_body(tools.body, betas_of(shape, tools))
    points = vertices[0].cpu().numpy()
    points = points - np.array([0.0, points[:, 1].min(), 0.0], dtype=np.float32)
    colors = base_colors(tools.body).clamp(0, 1).cpu().numpy()
    uvs, uv_faces = _own_uvs(tools.body)
    return Mesh(vertices=points, faces=tools.body.faces.cpu().numpy(), uvs=uvs, uv_faces=uv_faces, vertex_colors=colors)


def rigged_body(shape: Shape, tools: Tools) -> RiggedMesh:
    """The coarse body with its own topology, skeleton and weights, and the base look as vertex colors."""
    vertices, joints = shape_body(tools.body, betas_of(shape, tools))
    places = joints[0].cpu().numpy() - np.array([0.0, float(vertices[0, :, 1].min()), 0.0], dtype=np.float32)
    skeleton = Skeleton(names=tools.body.joint_names, parents=tools.body.parents, joints=places.astype(np.float32))
    return RiggedMesh(mesh=body_mesh(shape, tools), skeleton=skeleton, weights=tools.body.weights.cpu().numpy())


def _own_uvs(body: BodyModel) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
    if body.uvs is None or body.uv_faces is None:
        return None, None
    return body.uvs.cpu().numpy(), body.uv_faces.cpu().numpy()


def plain_avatar(shape: Shape, tools: Tools) -> RiggedMesh:
    """The coarse body itself as an avatar: its own topology, weights and base look, textured."""
    rigged = rigged_body(shape, tools)
    with stage(tools.reporter, "texture", 1):
        textured = _with_base_look(rigged.mesh, tools)
        tools.reporter.step()
    return replace(rigged, mesh=textured)


def _with_base_look(mesh: Mesh, tools: Tools) -> Mesh:
    """The body's own mesh with the base look baked into its own UVs; as it is where the body has none."""
    if mesh.uvs is None:
        return mesh
    body = tools.body.to("cpu")
    return repaint(mesh, lambda face, bary: base_color_at(body, face, bary), tools.settings.mesh.texture_size)


def candidates_picture(text: str, shape: Shape, tools: Tools) -> bytes:
    """A PNG of the chosen body and up to five runners-up: front, three-quarter and side."""
    return encode_png(contact_sheet(shape, tools.body, text))


def sculpt(
    description: str,
    shape: Shape,
    tools: Tools,
    checkpoint: Path | None = None,
    pictures: Pictures | None = None,
) -> AvatarField | NetworkField:
    """Sculpt and paint the body after `description` (and `pictures`), as an implicit avatar in the A-pose frame.

    Raises:
        ConfigError: `implicit.method` is neither band nor original, or its settings cannot be used.
    """
    method = tools.settings.implicit.method
    if method not in ("band", "original"):
        raise ConfigError(f"implicit.method = {method!r} is not known\n  Write band or original.")
    return (fit_original if method == "original" else fit_avatar)(
        description,
        tools.body,
        betas_of(shape, tools)[0],
        tools.guidance,
        replace(tools.settings.implicit, outfit=dressed(tools.settings)),
        tools.settings.seed,
        reporter=tools.reporter,
        checkpoint=checkpoint,
        pictures=pictures,
        watch=_watch(shape, tools),
    )


def dressed(settings: Settings) -> bool:
    """Whether what hangs free of the body gets a shape; the body's own faces (template) cannot follow a skirt."""
    implicit = settings.implicit
    return implicit.outfit and implicit.method == "band" and settings.mesh.topology != "template"


def fully_dressed(looks: Description, settings: Settings) -> Description:
    """A description that forgets the legs of somebody dressed, with trousers; a user's own words stay as they are."""
    if not dressed(settings) or looks.source == "given":
        return looks
    whole = with_trousers(looks.text)
    return looks if whole == looks.text else replace(looks, text=whole, source=f"{looks.source}, trousers as usual")


def plain_words(looks: Description, settings: Settings) -> tuple[str, tuple[Pattern, ...]]:
    """What an avatar is sculpted and painted after, and the patterns that are laid on it in the end."""
    patterned = settings.implicit.patterns and settings.implicit.method == "band"
    return without_patterns(looks.text) if patterned else (looks.text, ())


def _watch(shape: Shape, tools: Tools) -> Callable[[AvatarField | NetworkField], None] | None:
    """Shows the field that is being optimised to the viewer, as the body's own mesh on its surface."""
    viewer = tools.viewer
    if viewer is None:
        return None
    start, _ = _sculpting_body(shape, tools)
    colors = base_colors(tools.body).clamp(0, 1).cpu().numpy()
    viewer.show(_standing(Mesh(vertices=start.vertices, faces=start.faces, vertex_colors=colors), start))
    # A face of each vertex, and which of its corners it is: where colors are looked up without a search.
    corner = np.zeros(len(start.vertices), dtype=np.int64)
    corner[start.faces.reshape(-1)] = np.arange(start.faces.size)
    face, bary = torch.from_numpy(corner // 3), torch.eye(3)[torch.from_numpy(corner % 3)]

    def look(field: AvatarField | NetworkField) -> Mesh:
        moved = snap(start, field.sdf, tools.settings.mesh.reach_mm / 1000, rounds=2)
        with torch.no_grad():
            painted = _colors_on(field, torch.from_numpy(moved.vertices), face, bary).clamp(0, 1).cpu().numpy()
        return _standing(replace(moved, vertex_colors=painted), start)

    return lambda field: viewer.follow(lambda: look(field))


def _standing(mesh: Mesh, start: Mesh) -> Mesh:
    """The mesh lifted by what puts the coarse body on y = 0, so that it does not wander while it is sculpted."""
    return replace(mesh, vertices=mesh.vertices - np.array([0.0, start.vertices[:, 1].min(), 0.0], dtype=np.float32))


def _sculpting_body(shape: Shape, tools: Tools) -> tuple[Mesh, np.ndarray]:
    """The coarse body in the pose it is sculpted in, and its joints."""
    posed = pose_body(tools.body, betas_of(shape, tools), a_pose(tools.device)[None])
    uvs, uv_faces = _own_uvs(tools.body)
    faces = tools.body.faces.cpu().numpy()
    start = Mesh(vertices=posed.vertices[0].cpu().numpy(), faces=faces, uvs=uvs, uv_faces=uv_faces)
    return start, posed.joints[0].cpu().numpy()


def finish_mesh(field: AvatarField | NetworkField, shape: Shape, tools: Tools) -> RiggedMesh:
    """The field's surface as one textured, rigged mesh in T-pose, standing on y = 0."""
    betas, pose = betas_of(shape, tools), a_pose(tools.device)
    start, joints = _sculpting_body(shape, tools)
    worn, beyond = _worn(field)
    textured = mesh_from_field(
        field.sdf,
        field.color,
        field.bounds.cpu().numpy(),
        start,
        joints,
        tools.settings.mesh,
        tools.reporter,
        lambda points, face, bary: _colors_on(field, points, face, bary),
        lambda points: field.normals(points) if isinstance(field, NetworkField) else smooth_slope(field, points),
        lambda mesh: mended(mesh, tools.body, betas[0], pose, worn=worn),
        beyond,
    )
    with stage(tools.reporter, "rigging", 1):
        if tools.settings.mesh.topology == "template":
            rigged = rig_own_mesh(textured, tools.body, betas[0], pose)
        else:
            rigged = rig_to_body(textured, tools.body, betas[0], pose, calm=True, worn=worn)
        tools.reporter.step()
    return rigged


def _worn(field: AvatarField | NetworkField) -> tuple[Worn | None, np.ndarray | None]:
    """How what hangs free of the body moves, and where it is."""
    if not isinstance(field, AvatarField) or field.outfit is None:
        return None, None
    outfit = field.outfit

    def worn(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        share, which = field.worn(torch.from_numpy(points).float().to(field.device))
        return outfit.weights(points, which.cpu().numpy()), share.cpu().numpy().astype(np.float64)

    return worn, outfit.places.cpu().numpy()


def _colors_on(
    field: AvatarField | NetworkField,
    points: torch.Tensor,
    face: torch.Tensor,
    bary: torch.Tensor,
    chunk: int = 1 << 18,
) -> torch.Tensor:
    """Style colors of points on known faces of the body, in chunks."""
    if isinstance(field, NetworkField):
        return field.color(points)
    parts = zip(*(value.to(field.learned.growth.device).split(chunk) for value in (points, face, bary)), strict=True)
    return torch.cat([field.colors_on(*part).style for part in parts])


def show(avatar: RiggedMesh, tools: Tools, motions: Sequence[Motion] = ()) -> None:
    """Show what is finished of the avatar to the viewer, where there is one."""
    if tools.viewer is not None:
        tools.viewer.show(avatar, motions)


def deliver(delivery: Delivery, folder: Path, tools: Tools) -> dict[str, str]:
    """Write every file of a finished avatar into `folder`; returns file name -> what it is."""
    written = write_delivery(delivery, folder, tools.settings.video, tools.reporter)
    conditions = tools.settings.conditions
    if conditions.write and not leave("controls"):
        condition_maps(delivery.avatar, delivery.motion, folder / "controls", conditions, tools.reporter)
        written["controls/"] = "maps for image models: OpenPose, depth, normals, parts, cameras"
    return written


def process_film(process: Process, folder: Path, tools: Tools) -> dict[str, str]:
    """Write process.mp4 from what `process` remembers; returns file name -> what it is, nothing without a film."""
    path = folder / "process.mp4"
    try:
        if process.film(path, tools.settings.video, tools.body.faces.cpu().numpy()) is None:
            tools.reporter.note("no process video: this run optimised nothing, and no earlier one left its pictures")
            return {}
    except StoppedError:
        tools.reporter.note(f"{path.name} is left out")
        return {}
    return {path.name: "how the avatar came to be: coarse body, sculpted, painted, refined"}


def animated(motion: Motion, avatar: RiggedMesh) -> Motion:
    """`motion` scaled to the proportions of `avatar`, so that its feet reach the floor."""
    height = float(avatar.skeleton.joints[0, 1])
    scale = height / motion.rest_root_height
    return replace(motion, root_position=(motion.root_position * scale).astype(np.float32), rest_root_height=height)


def appearance_score(text: str, avatar: RiggedMesh, tools: Tools) -> dict[str, float]:
    """Mean cosine of the finished avatar's pictures (front, left, back, right) with the text, and the plain body's."""
    pose = a_pose()[None].numpy()
    scores = {}
    for name, rigged in {"avatar": avatar, "grey": replace(avatar, mesh=replace(avatar.mesh, texture=None))}.items():
        points = torch.from_numpy(pose_rigged(rigged, pose)[0])
        size = tools.guidance.image_size
        cameras = orbit(torch.tensor([0.0, 90.0, 180.0, 270.0]), 5.0, 3.0, points.mean(0), 42.0, size)
        mesh = rigged.mesh
        textured = mesh.texture is not None and mesh.uvs is not None and mesh.uv_faces is not None
        images = render_mesh(
            points,
            torch.from_numpy(mesh.faces).long(),
            cameras,
            texture=torch.from_numpy(mesh.texture).float() / 255 if textured else None,
            uvs=torch.from_numpy(mesh.uvs) if textured else None,
            uv_faces=torch.from_numpy(mesh.uv_faces).long() if textured else None,
        )
        with torch.no_grad():
            image = tools.guidance.encode_image(images.to(tools.device))
            words = tools.guidance.encode_text([text])
        scores[name] = round(float((image @ words.T).mean()), 4)
    return scores


def licences(tools: Tools, used: Sequence[str]) -> dict[str, str]:
    """Part -> licence of everything that went into the result."""
    parts = {
        f"body ({tools.body.kind})": tools.body.licence,
        f"guidance ({tools.guidance.name})": tools.guidance.licence,
        "code": "Apache-2.0",
    }
    if "motion" in used:
        parts["motion and pose priors"] = (
            "Apache-2.0; trained on motions of Mesh2Motion and KayKit (CC0), DeepMimic (MIT) and CMU. The data used in "
            "this project was obtained from mocap.cs.cmu.edu. The database was created with funding from NSF "
            "EIA-0196217."
        )
    return parts
