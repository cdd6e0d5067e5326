"""Bytes for the world: one encoder per format, and `export`, which picks it by the file's extension."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from avatargen.core.errors import InputError, OutputError, UnsupportedFormatError
from avatargen.core.files import write_whole
from avatargen.core.values import Mesh, Motion, RiggedMesh
from avatargen.export.blender import KINDS, encode_in_blender, file_words
from avatargen.export.bvh import encode_bvh
from avatargen.export.gltf import Credit, clip_names, encode_glb, encode_gltf
from avatargen.export.obj import encode_obj
from avatargen.export.pc2 import encode_pc2
from avatargen.export.ply import encode_ply
from avatargen.export.skeletons import bone_names, renamed
from avatargen.export.still import still
from avatargen.export.stl import encode_stl
from avatargen.export.vrm import encode_vrm

STATIC = ("obj", "ply", "stl")
"""Formats without a skeleton: they hold one pose."""
MOVING = ("bvh", "pc2")
"""Formats that are nothing without a motion, one a file."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Content:
    """What goes into files."""

    model: RiggedMesh | Mesh
    motions: tuple[Motion, ...] = ()
    """Scaled to the model."""
    name: str = "avatar"
    author: str = ""
    copyright: str = ""
    licence: str = ""
    skeleton: str = "smpl"
    """smpl | mixamo | vrm | unreal: the names that bones get in the file."""
    pose: str = "t"
    """t | a | FRAME of the first motion: what static formats hold."""
    title: str = ""
    """Name of the mesh and of a VRM's character; empty: `name`."""
    vrm: Mapping[str, str] = field(default_factory=dict)
    """Licence fields of a VRM to change."""

    @property
    def mesh(self) -> Mesh:
        """The geometry alone, in the pose that static formats hold."""
        if isinstance(self.model, Mesh):
            return self.model
        return still(self.model, self.pose, self.motions[0] if self.motions else None)

    @property
    def credit(self) -> Credit:
        """Author, copyright and licence as keywords."""
        return Credit(author=self.author, copyright=self.copyright, licence=self.licence)

    def renamed(self) -> tuple[RiggedMesh | Mesh, tuple[Motion, ...]]:
        """Model and motions under the names of `skeleton`."""
        if isinstance(self.model, Mesh):
            return self.model, self.motions
        return renamed(self.model, self.motions, self.skeleton)


def _glb(content: Content) -> dict[str, bytes]:
    model, motions = content.renamed()
    return {f"{content.name}.glb": encode_glb(model, motions, name=content.title or content.name, **content.credit)}


def _gltf(content: Content) -> dict[str, bytes]:
    model, motions = content.renamed()
    title = content.title or content.name
    return encode_gltf(model, motions, name=title, file_name=content.name, **content.credit)


def _vrm(content: Content) -> dict[str, bytes]:
    if isinstance(content.model, Mesh):
        raise InputError("a VRM is a character with a skeleton; this mesh has none")
    data = encode_vrm(content.model, name=content.title or content.name, meta=content.vrm, **content.credit)
    return {f"{content.name}.vrm": data}


def _obj(content: Content) -> dict[str, bytes]:
    return encode_obj(content.mesh, content.name)


def _ply(content: Content) -> dict[str, bytes]:
    return {f"{content.name}.ply": encode_ply(content.mesh)}


def _stl(content: Content) -> dict[str, bytes]:
    return {f"{content.name}.stl": encode_stl(content.mesh)}


def _each_motion(content: Content, kind: str, encode: Callable[[RiggedMesh, Motion], bytes]) -> dict[str, bytes]:
    """One file per motion, because the format holds one; named after the clip where there are several."""
    if isinstance(content.model, Mesh):
        raise InputError(f"a {kind} file holds a motion of a skeleton; given was a mesh without skeleton")
    if not content.motions:
        raise InputError(f"a {kind} file holds a motion and this avatar has none; give it one with avatargen animate")
    clips = clip_names(content.motions)
    names = [f"{content.name}-{word}" for word in file_words(clips)] if len(clips) > 1 else [content.name]
    return {f"{n}.{kind}": encode(content.model, m) for n, m in zip(names, content.motions, strict=True)}


def _bvh(content: Content) -> dict[str, bytes]:
    names = bone_names(content.skeleton).bones
    return _each_motion(content, "bvh", lambda model, motion: encode_bvh(motion, model.skeleton, names))


def _pc2(content: Content) -> dict[str, bytes]:
    return _each_motion(content, "pc2", encode_pc2)


def _in_blender(kinds: Sequence[str], content: Content) -> dict[str, bytes]:
    model, motions = content.renamed()
    armature = bone_names(content.skeleton).armature
    return encode_in_blender(kinds, model, motions, name=content.name, armature=armature, **content.credit)


WRITERS: Mapping[str, Callable[[Content], dict[str, bytes]]] = {
    ".glb": _glb,
    ".gltf": _gltf,
    ".vrm": _vrm,
    ".obj": _obj,
    ".ply": _ply,
    ".stl": _stl,
    ".bvh": _bvh,
    ".pc2": _pc2,
    **{f".{kind}": partial(_in_blender, (kind,)) for kind in KINDS},
}
"""Extension to encoder; an encoder returns the files by name, companions first, the named one last."""


def encode_all(content: Content, formats: Sequence[str]) -> dict[str, bytes]:
    """The files of all `formats` (extensions without their dot) by name; Blender is started once for all of its own.

    Raises:
        As `export`.
    """
    files: dict[str, bytes] = {}
    for kind in formats:
        if kind not in KINDS:
            files |= _writer(f".{kind}", f"{content.name}.{kind}")(content)
    if kinds := [kind for kind in formats if kind in KINDS]:
        files |= _in_blender(kinds, content)
    return files


def _writer(suffix: str, name: str) -> Callable[[Content], dict[str, bytes]]:
    encode = WRITERS.get(suffix)
    if encode is None:
        raise UnsupportedFormatError(
            f"cannot write {name!r}: no writer for {suffix!r} (writers: {', '.join(sorted(WRITERS))})"
        )
    return encode


def put_together(files: Mapping[Path, bytes]) -> None:
    """Write all files, in order; if one cannot be written, those that were not there before are taken away again.

    Raises:
        OutputError: the folder cannot be written.
    """
    fresh = [target for target in files if not target.exists()]
    try:
        for target, data in files.items():
            write_whole(target, data)
    except OutputError:
        for target in fresh:
            with contextlib.suppress(OSError, ValueError):  # ValueError: a zero byte in the name
                target.unlink()
        raise


def export(
    model: RiggedMesh | Mesh,
    path: Path,
    motions: Sequence[Motion] = (),
    *,
    author: str = "",
    copyright: str = "",  # noqa: A002  glTF's own word
    licence: str = "",
    skeleton: str = "smpl",
    pose: str = "t",
) -> Path:
    """Write `model` in the format that the extension of `path` names; returns `path`.

    Everything is encoded before anything is written, so a failing encoder leaves no file behind. Formats that
    cannot hold motions, credit or a skeleton leave them out; `docs/formats.md` says which. Formats that hold one
    motion a file take one motion here.

    Raises:
        UnsupportedFormatError: no writer for this extension.
        MissingExtraError: the format needs Blender and there is none.
        OutputError: the folder cannot be written; files that were not there before are taken away again.
        InputError: a motion does not fit the skeleton, or there is a motion too many or too few.
    """
    suffix = path.suffix.lower()
    encode = _writer(suffix, path.name)
    if suffix[1:] in (*MOVING, "usd", "usdz", "abc") and len(motions) > 1:
        raise InputError(f"a {suffix} file holds one motion; given were {len(motions)} motions")
    content = Content(
        model=model,
        motions=tuple(motions),
        name=path.stem,
        author=author,
        copyright=copyright,
        licence=licence,
        skeleton=skeleton,
        pose=pose,
    )
    files = list(encode(content).items())
    # the last file is the one asked for, under the very name that was asked for (.GLB stays .GLB)
    targets = [*(path.parent / name for name, _ in files[:-1]), path]
    put_together(dict(zip(targets, (data for _, data in files), strict=True)))
    return path
