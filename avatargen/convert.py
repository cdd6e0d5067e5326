"""Finished runs into other formats, and any motion onto a finished avatar; nothing is generated again."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import torch

from avatargen.body.load import load_body_model
from avatargen.body.posing import shape_body
from avatargen.body.rigged import pose_rigged
from avatargen.core.config import apply_tree
from avatargen.core.errors import BrokenFileError, InputError, UnsupportedFormatError
from avatargen.core.finished import Finished, read_finished, read_motions
from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.settings import Settings, VideoSettings
from avatargen.core.values import Motion, RiggedMesh
from avatargen.export import MOVING, STATIC, WRITERS, Content, encode_all, put_together
from avatargen.export.blender import KINDS, blender_command, file_words
from avatargen.export.gltf import clip_names
from avatargen.export.npz import encode_amass
from avatargen.export.skeletons import bone_names
from avatargen.export.still import fitted
from avatargen.export.video import motion_video
from avatargen.export.vrm import checked_meta
from avatargen.pipeline import animated

FORMATS = (*(suffix[1:] for suffix in WRITERS), "npz", "mp4")
"""Everything a finished run can be converted to."""


_HOVER_M = 0.15
"""A clip whose lowest point is within this of the floor is set down on it."""
_FRAMES = 64
"""Posed at a time, which bounds the memory that a long recording takes."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """How files shall be."""

    formats: tuple[str, ...] = ("glb",)
    """Of `FORMATS`."""
    skeleton: str = "smpl"
    """smpl | mixamo | vrm | unreal: names of the bones in glb, gltf, fbx, bvh, blend and usd."""
    pose: str = "t"
    """t | a | FRAME: what obj, ply and stl hold."""
    author: str | None = None
    """Of the character; None: what the run was made with (`export.author`)."""
    copyright: str | None = None
    """None: what the run was made with (`export.copyright`)."""
    licence: str | None = None
    """None: what the run was made with (`export.licence`), else that of the body."""
    vrm: Mapping[str, str] = field(default_factory=dict)
    """Licence fields of a VRM to change."""


def convert_run(run: str | Path, wish: Wish, out: str | Path | None = None) -> list[Path]:
    """Write a finished run in other formats; the files, in the order of writing.

    They are named `avatar`, with the skeleton or the pose behind it where that is not the usual one, and go to `out`,
    or into the run's own folder. Formats without motion hold the pose; the others hold the run's motions, each a clip.

    Raises:
        AvatarGenError: the run is missing, unfinished or damaged; a format, skeleton or pose is unknown; the run has
            no motion where one is needed; Blender is missing; the folder cannot be written.
    """
    wish = _checked(wish)
    finished = read_finished(Path(run))
    return _write(finished, finished.motions, wish, Path(out) if out is not None else finished.folder)


def animate_avatar(
    run: str | Path, motions: Sequence[str | Path], wish: Wish, out: str | Path | None = None
) -> list[Path]:
    """Put motions on the avatar of a finished run, each as a clip of its own name; the files, in the order of writing.

    Args:
        run: the avatar's folder.
        motions: each a run's folder, a .bvh of any humanoid, or an AMASS .npz.
        wish: formats that hold one clip give one file per clip.
        out: where the files go; the folder `animated` in the run's own if None.

    Raises:
        AvatarGenError: as `convert_run`; also where a motion cannot be read or its skeleton is none we can tell.
    """
    wish = _checked(wish)
    if not motions:
        raise InputError("name at least one motion: a run's folder, a .bvh or an AMASS .npz")
    finished = read_finished(Path(run))
    clips = [clip for motion in motions for clip in load_motions(Path(motion), finished)]
    return _write(finished, clips, wish, Path(out) if out is not None else finished.folder / "animated")


def load_motions(path: Path, finished: Finished) -> tuple[Motion, ...]:
    """Motions for the avatar of `finished`: all of a run's folder, or that of a .bvh or AMASS .npz, `grounded`.

    Raises:
        InputError: no such file, another kind of file, or a skeleton whose joints cannot be told.
        BrokenFileError: the file does not hold what it should.
    """
    from motiongen.importers.amass import read_amass  # noqa: PLC0415  both packages meet at run time alone
    from motiongen.importers.bvh import read_bvh  # noqa: PLC0415
    from motiongen.importers.retarget import retarget_bvh  # noqa: PLC0415

    skeleton = finished.avatar.skeleton
    if path.is_dir():
        return read_motions(path)
    if not path.is_file():
        raise InputError(f"no such motion: {path}; name a run's folder, a .bvh or an AMASS .npz")
    joints = np.stack([skeleton.joints[skeleton.names.index(name)] for name in SMPL_JOINTS]).astype(float)
    match path.suffix.lower():
        case ".bvh":
            return (grounded(retarget_bvh(read_bvh(path), joints=joints, name=path.stem), finished.avatar),)
        case ".npz":
            return (grounded(read_amass(path, joints=joints), finished.avatar),)
        case other:
            raise UnsupportedFormatError(
                f"{path}: cannot read motions from {other or 'a file without extension'}; "
                "name a run's folder, a .bvh or an AMASS .npz"
            )


def grounded(motion: Motion, avatar: RiggedMesh) -> Motion:
    """The motion with its lowest moment on the floor of this avatar; as it is where that is far off it.

    Soles differ in thickness, and floors of recordings are seldom at zero: feet hover or sink by some centimetres. A
    clip that is farther off is meant so (the middle of a leap, a swimmer).
    """
    turns, places = fitted(avatar, motion)
    parts = range(0, len(turns), _FRAMES)
    low = min(float(pose_rigged(avatar, turns[i : i + _FRAMES], places[i : i + _FRAMES])[..., 1].min()) for i in parts)
    if abs(low) > _HOVER_M:
        return motion
    scale = motion.rest_root_height / float(avatar.skeleton.joints[0, 1])
    return replace(motion, root_position=motion.root_position - np.array([0.0, low * scale, 0.0]))


def _checked(wish: Wish) -> Wish:
    """The wish with tidy formats; refuses what cannot be before anything is read.

    Raises:
        AvatarGenError: an unknown format or skeleton, a pose that nothing holds, no Blender.
    """
    formats = tuple(dict.fromkeys(word.strip().lower().lstrip(".") for word in wish.formats if word.strip()))
    unknown = [word for word in formats if word not in FORMATS]
    if unknown or not formats:
        raise UnsupportedFormatError(
            f"unknown format {', '.join(map(repr, unknown)) or 'list (it is empty)'}; use {', '.join(FORMATS)}"
        )
    bone_names(wish.skeleton)
    if wish.pose.strip().lower() != "t" and not set(formats) & set(STATIC):
        raise InputError(f"a pose is for {', '.join(STATIC)}; {', '.join(formats)} hold the skeleton and its motion")
    checked_meta(wish.vrm)
    if set(formats) & set(KINDS):
        blender_command()
    return replace(wish, formats=formats)


def _write(finished: Finished, motions: Sequence[Motion], wish: Wish, folder: Path) -> list[Path]:
    needy = [kind for kind in wish.formats if kind in (*MOVING, "npz", "mp4")]
    if needy and not motions:
        raise InputError(
            f"{finished.folder} has no motion, and {', '.join(needy)} hold nothing else\n"
            f"  Give it one: avatargen animate {finished.folder} MOTION --format {','.join(needy)}"
        )
    motions = [replace(clip, name=name) for clip, name in zip(motions, clip_names(motions), strict=True)]
    settings = _settings(finished)
    licence = settings.export.licence or finished.body_licence
    scaled = tuple(animated(motion, finished.avatar) for motion in motions)
    pose = wish.pose.strip().lower()
    files: dict[Path, bytes] = {}
    for kinds, ending in (
        (
            [k for k in wish.formats if k in STATIC],
            "" if pose == "t" else f"-{pose if pose == 'a' else 'frame' + pose}",
        ),
        ([k for k in wish.formats if k in ("vrm", "pc2")], ""),
        (
            [k for k in wish.formats if k not in (*STATIC, "vrm", "pc2", "npz", "mp4")],
            "" if wish.skeleton == "smpl" else f"-{wish.skeleton}",
        ),
    ):
        content = Content(
            model=finished.avatar,
            motions=scaled,
            name=f"avatar{ending}",
            title=finished.name,
            author=settings.export.author if wish.author is None else wish.author,
            copyright=settings.export.copyright if wish.copyright is None else wish.copyright,
            licence=licence if wish.licence is None else wish.licence,
            skeleton=wish.skeleton,
            pose=pose,
            vrm=wish.vrm,
        )
        files |= {folder / name: data for name, data in encode_all(content, kinds).items()}
    if "npz" in wish.formats:
        files |= {folder / name: data for name, data in _amass(finished, scaled, settings).items()}
    if "mp4" in wish.formats:
        files |= {folder / name: data for name, data in _films(finished, scaled, settings.video).items()}
    put_together(files)
    return list(files)


def _settings(finished: Finished) -> Settings:
    """What the run was made with; a record of another version has keys that this one does not know."""
    path = finished.folder / "run.json"
    tree = finished.record.get("settings")
    if not isinstance(tree, dict):
        raise BrokenFileError(f"{path} holds no settings")
    known = {name: tree[name] for name in ("body", "export") if name in tree}
    sizes = {each.name for each in fields(VideoSettings)}
    known["video"] = {key: value for key, value in tree.get("video", {}).items() if key in sizes}
    return apply_tree(Settings(), known, str(path))


def _films(finished: Finished, motions: Sequence[Motion], video: VideoSettings) -> dict[str, bytes]:
    """One film for each motion, as large and as fine as the run's own."""
    words = file_words(clip_names(motions))
    names = [f"avatar-{word}.mp4" for word in words] if len(motions) > 1 else ["avatar.mp4"]
    films: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="avatargen-film-") as folder:
        for name, motion in zip(names, motions, strict=True):
            films[name] = motion_video(finished.avatar, motion, Path(folder, name), video).read_bytes()
    return films


def _amass(finished: Finished, motions: Sequence[Motion], settings: Settings) -> dict[str, bytes]:
    body = load_body_model(settings.body)
    if f"{body.kind}-{body.version}" != finished.shape.body:
        raise InputError(
            f"{finished.folder} was made with the body {finished.shape.body}, here is {body.kind}-{body.version}; "
            "its betas mean something else"
        )
    _, joints = shape_body(body, torch.from_numpy(finished.shape.betas)[None])
    words = file_words([motion.name for motion in motions])
    names = [f"motion-{word}.npz" for word in words] if len(motions) > 1 else ["motion.npz"]
    return {
        name: encode_amass(
            motion,
            betas=finished.shape.betas,
            gender=settings.body.gender,
            rest_root=joints[0, 0].numpy(),
            body=finished.shape.body,
        )
        for name, motion in zip(names, motions, strict=True)
    }
