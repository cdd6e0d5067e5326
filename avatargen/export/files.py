"""All files of one finished avatar, written one by one, each whole or not at all."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avatargen.body.rigged import perform
from avatargen.core.files import write_whole
from avatargen.core.progress import Reporter, stage
from avatargen.core.settings import VideoSettings
from avatargen.core.stopping import StoppedError
from avatargen.core.values import Mesh, Motion, RiggedMesh
from avatargen.export.bvh import encode_bvh
from avatargen.export.extras import films
from avatargen.export.gltf import Credit, encode_glb
from avatargen.export.npz import encode_amass
from avatargen.export.obj import encode_obj
from avatargen.export.ply import encode_ply
from avatargen.export.preview import write_preview
from avatargen.export.video import motion_shot, turntable_shot


@dataclass(frozen=True, kw_only=True, eq=False)
class Delivery:
    """What a run hands over."""

    name: str
    avatar: RiggedMesh
    body: Mesh
    """The coarse body in T-pose."""
    betas: np.ndarray
    body_kind: str
    rest_root: np.ndarray
    """Rest position of the body's root joint in the body's own frame; AMASS' `trans` counts from it."""
    gender: str
    licence: str
    author: str = ""
    copyright: str = ""
    motion: Motion | None = None
    """Already scaled to the avatar."""
    more_motions: tuple[Motion, ...] = ()
    """Further ones, scaled too: clips of the GLB, and files motion_2 and on."""
    levels: tuple[RiggedMesh, ...] = ()
    """Levels of detail, finest first, on the avatar's skeleton."""


def write_delivery(delivery: Delivery, folder: Path, settings: VideoSettings, reporter: Reporter) -> dict[str, str]:
    """Write meshes, motion, pictures and videos; returns file name -> what it is, in the order of writing."""
    written: dict[str, str] = {}
    motions = () if delivery.motion is None else (delivery.motion, *delivery.more_motions)
    stems = ["motion", *(f"motion_{number}" for number in range(2, len(motions) + 1))]

    def put(name: str, data: bytes, what: str) -> None:
        write_whole(folder / name, data)
        written[name] = what
        reporter.step()

    with stage(reporter, "export", 6 + 3 * bool(motions) + 2 * len(motions[1:]) + len(delivery.levels)):
        credit = Credit(author=delivery.author, copyright=delivery.copyright, licence=delivery.licence)
        glb = encode_glb(delivery.avatar, motions, name=delivery.name, **credit)
        put(
            "avatar.glb",
            glb,
            "skinned, textured avatar" + (" with its clip", " with its clips")[len(motions) > 1] * bool(motions),
        )
        for number, level in enumerate(delivery.levels, start=1):
            data = encode_glb(level, motions, name=f"{delivery.name}_lod{number}", **credit)
            put(f"avatar_lod{number}.glb", data, f"the same with {len(level.mesh.faces)} triangles")
        for name, data in encode_obj(delivery.avatar.mesh, "avatar").items():
            put(name, data, "avatar in T-pose, static")
        put("avatar.ply", encode_ply(delivery.avatar.mesh), "avatar in T-pose with vertex colors")
        put("body.obj", encode_obj(delivery.body, "body")["body.obj"], "the coarse body")
        for stem, motion in zip(stems, motions, strict=False):
            amass = encode_amass(
                motion,
                betas=delivery.betas,
                gender=delivery.gender,
                rest_root=delivery.rest_root,
                body=delivery.body_kind,
            )
            put(f"{stem}.npz", amass, "motion, AMASS keys, Z up")
            put(f"{stem}.bvh", encode_bvh(motion, delivery.avatar.skeleton), "motion on the avatar's skeleton")
        write_preview(delivery.avatar, folder / "preview.png", settings)
        written["preview.png"] = "front, side, back and face"
        reporter.step()
    shots = {"turntable.mp4": (turntable_shot(delivery.avatar, settings), "the avatar, turning")}
    for stem, motion in zip(stems, motions, strict=False):
        shot = motion_shot(delivery.avatar.mesh, perform(delivery.avatar, motion), motion.fps, settings)
        shots[f"{stem}.mp4"] = (shot, "the avatar performing the motion")
    for name, (shot, what) in shots.items():
        try:
            written |= {file: what + more for file, more in films(shot, folder / name, settings, reporter).items()}
        except StoppedError:
            reporter.note(f"{name} is left out")
    return written
