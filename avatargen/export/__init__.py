"""Bytes for the world: one encoder per format, and `export`, which picks it by the file's extension."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avatargen.core.errors import InputError, OutputError, UnsupportedFormatError
from avatargen.core.files import write_whole
from avatargen.core.values import Mesh, Motion, RiggedMesh
from avatargen.export.bvh import encode_bvh
from avatargen.export.fbx import encode_fbx
from avatargen.export.gltf import encode_glb
from avatargen.export.obj import encode_obj
from avatargen.export.ply import encode_ply


@dataclass(frozen=True, kw_only=True, eq=False)
class Content:
    """What goes into a file."""

    model: RiggedMesh | Mesh
    motions: tuple[Motion, ...] = ()
    name: str = "avatar"
    author: str = ""
    copyright: str = ""
    licence: str = ""

    @property
    def mesh(self) -> Mesh:
        """The geometry alone, in rest pose."""
        return self.model.mesh if isinstance(self.model, RiggedMesh) else self.model


def _glb(content: Content) -> dict[str, bytes]:
    data = encode_glb(
        content.model,
        content.motions,
        name=content.name,
        author=content.author,
        copyright=content.copyright,
        licence=content.licence,
    )
    return {f"{content.name}.glb": data}


def _fbx(content: Content) -> dict[str, bytes]:
    return {f"{content.name}.fbx": encode_fbx(content.model, content.motions, name=content.name)}


def _obj(content: Content) -> dict[str, bytes]:
    return encode_obj(content.mesh, content.name)


def _ply(content: Content) -> dict[str, bytes]:
    return {f"{content.name}.ply": encode_ply(content.mesh)}


def _bvh(content: Content) -> dict[str, bytes]:
    if not isinstance(content.model, RiggedMesh) or len(content.motions) != 1:
        raise InputError(
            f"a BVH file holds one motion of one skeleton; given were {len(content.motions)} motions "
            f"and {'a rigged mesh' if isinstance(content.model, RiggedMesh) else 'a mesh without skeleton'}"
        )
    return {f"{content.name}.bvh": encode_bvh(content.motions[0], content.model.skeleton)}


WRITERS: Mapping[str, Callable[[Content], dict[str, bytes]]] = {
    ".glb": _glb,
    ".fbx": _fbx,
    ".obj": _obj,
    ".ply": _ply,
    ".bvh": _bvh,
}
"""Extension to encoder; an encoder returns the files by name, companions first, the named one last."""


def export(
    model: RiggedMesh | Mesh,
    path: Path,
    motions: Sequence[Motion] = (),
    *,
    author: str = "",
    copyright: str = "",  # noqa: A002  glTF's own word
    licence: str = "",
) -> Path:
    """Write `model` in the format that the extension of `path` names; returns `path`.

    Everything is encoded before anything is written, so a failing encoder leaves no file behind. Formats that
    cannot hold motions, credit or a skeleton leave them out; `docs/formats.md` says which.

    Raises:
        UnsupportedFormatError: no writer for this extension.
        MissingExtraError: the format needs Blender and there is none.
        OutputError: the folder cannot be written; files that were not there before are taken away again.
        InputError: a motion does not fit the skeleton.
    """
    encode = WRITERS.get(path.suffix.lower())
    if encode is None:
        raise UnsupportedFormatError(
            f"cannot write {path.name!r}: no writer for {path.suffix!r} (writers: {', '.join(sorted(WRITERS))})"
        )
    content = Content(
        model=model, motions=tuple(motions), name=path.stem, author=author, copyright=copyright, licence=licence
    )
    files = list(encode(content).items())
    # the last file is the one asked for, under the very name that was asked for (.GLB stays .GLB)
    targets = [*(path.with_name(name) for name, _ in files[:-1]), path]
    fresh = [target for target in targets if not target.exists()]
    try:
        for target, (_, data) in zip(targets, files, strict=True):
            write_whole(target, data)
    except OutputError:
        for target in fresh:
            target.unlink(missing_ok=True)
        raise
    return path
