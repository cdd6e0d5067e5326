"""glTF 2.0, binary or text: mesh, textures, skin, skeleton and named clips, written with NumPy and `json` alone.

glTF shares our frame (metres, right-handed, +Y up, facing +Z, quaternions `xyzw`), so only v of the UVs flips
(its origin is the upper left corner) and vertex colors turn linear. The specification that the rules here come
from: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict
from urllib.parse import quote

import numpy as np
import torch
from jaxtyping import Float, Integer, UInt8

from avatargen.core.errors import InputError
from avatargen.core.rotations import quat_from_matrix
from avatargen.core.values import Mesh, Motion, RiggedMesh, Skeleton
from avatargen.core.version import VERSION
from avatargen.export.surface import encode_png, has_texture, smooth_normals, split_at_seams
from avatargen.render.shading import linear_from_srgb

FLOAT, UBYTE, USHORT, UINT = 5126, 5121, 5123, 5125
COMPONENTS = {FLOAT: np.float32, UBYTE: np.uint8, USHORT: np.uint16, UINT: np.uint32}
VERTEX_DATA, INDEX_DATA = 34962, 34963
LINEAR, MIPMAPPED, CLAMP = 9729, 9987, 33071
FIRST_JOINT = 1
"""Node of the skeleton's joint 0; node 0 is the mesh's."""
GENERATOR = f"avatargen {VERSION}"


class Credit(TypedDict):
    """Who made a character, and what may be done with it; empty texts are left out."""

    author: str
    copyright: str
    licence: str


def encode_glb(
    rigged: RiggedMesh | Mesh,
    motions: Sequence[Motion] = (),
    *,
    name: str = "avatar",
    author: str = "",
    copyright: str = "",  # noqa: A002  glTF's own word
    licence: str = "",
    generator: str = GENERATOR,
    extras: Mapping[str, Any] | None = None,
    extensions: Mapping[str, Any] | None = None,
) -> bytes:
    """A binary glTF file of a rigged or a plain mesh; equal input gives equal bytes.

    Vertices are split at UV seams. Texture wins over vertex colors (glTF would multiply the two). Each motion
    becomes a clip of its own name: its root path is scaled by this skeleton's pelvis height over
    `rest_root_height`, joints that it does not name stay at rest.

    Args:
        rigged: in its rest pose, which becomes the bind pose.
        motions: joint names must be among the skeleton's, root first.
        name: of the mesh; the skin is `name_rig`.
        author: goes to `asset.extras.author`.
        copyright: goes to `asset.copyright`.
        licence: goes to `asset.extras.licence`.
        generator: goes to `asset.generator`.
        extras: more entries of `asset.extras`; they must be plain JSON.
        extensions: of the whole document, by name; nodes of joints count from `FIRST_JOINT`.

    Raises:
        InputError: a motion names a joint that the skeleton lacks, or a plain mesh is given motions.
        ValueError: the mesh has no faces, or the skeleton more than one root.
    """
    file = _File()
    _fill(file, rigged, motions, name, Credit(author=author, copyright=copyright, licence=licence), generator, extras)
    if extensions:
        file.document["extensionsUsed"] = sorted(extensions)
        file.document["extensions"] = dict(extensions)
    return file.to_bytes()


def encode_gltf(
    rigged: RiggedMesh | Mesh,
    motions: Sequence[Motion] = (),
    *,
    name: str = "avatar",
    file_name: str = "",
    author: str = "",
    copyright: str = "",  # noqa: A002  glTF's own word
    licence: str = "",
) -> dict[str, bytes]:
    """The same as text: pictures and `.bin` by their names, and the `.gltf` that names them last; see `encode_glb`.

    Args:
        rigged: as for `encode_glb`.
        motions: as for `encode_glb`.
        name: of the mesh.
        file_name: of the files, without extension; empty: `name`.
        author: as for `encode_glb`.
        copyright: as for `encode_glb`.
        licence: as for `encode_glb`.

    Raises:
        As `encode_glb`.
    """
    stem = file_name or name
    file = _File(beside=stem)
    credit = Credit(author=author, copyright=copyright, licence=licence)
    _fill(file, rigged, motions, name, credit, GENERATOR, None)
    text = json.dumps(file.finished({"uri": quote(f"{stem}.bin")}), indent=1, ensure_ascii=False, allow_nan=False)
    return {**file.pictures, f"{stem}.bin": bytes(file.binary), f"{stem}.gltf": text.encode() + b"\n"}


def _fill(
    file: "_File",
    rigged: RiggedMesh | Mesh,
    motions: Sequence[Motion],
    name: str,
    credit: Credit,
    generator: str,
    extras: Mapping[str, Any] | None,
) -> None:
    """Everything but extensions."""
    notes = {"author": credit["author"], "licence": credit["licence"], **(extras or {})}
    asset: dict[str, Any] = {"version": "2.0", "generator": generator, "copyright": credit["copyright"]}
    asset["extras"] = {key: value for key, value in notes.items() if value not in ("", None)}
    file.document["asset"] = {key: value for key, value in asset.items() if value}
    mesh, weights = (rigged.mesh, rigged.weights) if isinstance(rigged, RiggedMesh) else (rigged, None)
    node: dict[str, Any] = {"name": name, "mesh": _add_mesh(file, mesh, weights, name)}
    if isinstance(rigged, RiggedMesh):
        node["skin"] = 0
        root = _add_skin(file, rigged.skeleton, name)
        for motion, clip in zip(motions, clip_names(motions), strict=True):
            _add_animation(file, motion, rigged.skeleton, clip)
        roots = [0, root]
    elif motions:
        raise InputError("a mesh without a skeleton cannot carry a motion; rig it first, or export it without motions")
    else:
        roots = [0]
    file.document["nodes"] = [node, *file.document.get("nodes", [])]
    file.document["scenes"] = [{"name": name, "nodes": roots}]
    file.document["scene"] = 0


def clip_names(motions: Sequence[Motion]) -> list[str]:
    """One name per motion; a name that comes again gets a number, because engines look clips up by name."""
    names: list[str] = []
    for motion in motions:
        name, number = motion.name or "motion", 2
        while name in names:
            name, number = f"{motion.name or 'motion'} {number}", number + 1
        names.append(name)
    return names


def quantized_weights(
    weights: Float[np.ndarray, "v j"],
) -> tuple[Integer[np.ndarray, "v 4"], Float[np.ndarray, "v 4"]]:
    """The four strongest joints of each vertex, strongest first, and float32 weights that sum to one.

    Unused places hold joint 0 with weight 0, as the validator asks.
    """
    dense = weights.astype(np.float64)
    if dense.shape[1] < 4:
        dense = np.pad(dense, ((0, 0), (0, 4 - dense.shape[1])))
    joints = np.argsort(-dense, axis=1, kind="stable")[:, :4]
    chosen = np.take_along_axis(dense, joints, axis=1)
    chosen = np.where(chosen < 1e-6, 0.0, chosen)
    chosen = (chosen / chosen.sum(1, keepdims=True)).astype(np.float32)
    # The rounding left over goes to the strongest joint, so that the sum is as near to one as float32 allows.
    chosen[:, 0] = (1.0 - chosen[:, 1:].astype(np.float64).sum(1)).astype(np.float32)
    return np.where(chosen > 0, joints, 0), chosen


def continuous_quaternions(rotations: Float[np.ndarray, "t j 3 3"]) -> Float[np.ndarray, "t j 4"]:
    """Unit quaternions `xyzw` whose sign never jumps from one frame to the next (float32)."""
    quats = quat_from_matrix(torch.from_numpy(rotations.astype(np.float64))).numpy()
    quats /= np.linalg.norm(quats, axis=-1, keepdims=True)
    first = np.where(quats[:1, :, 3:] < 0, -1.0, 1.0)
    turns = np.where((quats[1:] * quats[:-1]).sum(-1, keepdims=True) < 0, -1.0, 1.0)
    return (quats * np.cumprod(np.concatenate((first, turns)), axis=0)).astype(np.float32)


@dataclass
class _File:
    """A glTF document under construction and the bytes that its buffer views cut up."""

    document: dict[str, Any] = field(default_factory=dict)
    binary: bytearray = field(default_factory=bytearray)
    beside: str = ""
    """Beginning of the names of pictures that stand beside the file; empty: they are inside."""
    pictures: dict[str, bytes] = field(default_factory=dict)

    def add(self, key: str, entry: dict[str, Any]) -> int:
        """Append to a top-level array; return the index."""
        entries = self.document.setdefault(key, [])
        entries.append(entry)
        return len(entries) - 1

    def add_view(self, data: bytes, target: int | None = None) -> int:
        """Store bytes at a multiple of four."""
        self.binary.extend(b"\0" * (-len(self.binary) % 4))
        view = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)}
        self.binary.extend(data)
        return self.add("bufferViews", view | ({} if target is None else {"target": target}))

    def add_accessor(
        self,
        values: np.ndarray,
        component: int,
        shape: str,
        *,
        target: int | None = None,
        bounds: bool = False,
        normalized: bool = False,
    ) -> int:
        """Store an array, one row per element."""
        array = np.ascontiguousarray(values, dtype=np.dtype(COMPONENTS[component]).newbyteorder("<"))
        entry: dict[str, Any] = {
            "bufferView": self.add_view(array.tobytes(), target),
            "componentType": component,
            "count": len(array),
            "type": shape,
        }
        if normalized:
            entry["normalized"] = True
        if bounds:
            rows = array.reshape(len(array), -1).astype(np.float64)
            entry |= {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()}
        return self.add("accessors", entry)

    def add_picture(self, data: bytes, what: str, name: str) -> int:
        """Store a PNG; return the image's index."""
        if not self.beside:
            return self.add("images", {"name": name, "mimeType": "image/png", "bufferView": self.add_view(data)})
        self.pictures[f"{self.beside}_{what}.png"] = data
        return self.add("images", {"name": name, "uri": quote(f"{self.beside}_{what}.png")})

    def finished(self, buffer: dict[str, Any]) -> dict[str, Any]:
        """The whole document, its parts in a readable order; `buffer` says where the binary is."""
        self.binary.extend(b"\0" * (-len(self.binary) % 4))
        head = ("asset", "extensionsUsed", "extensions", "scene", "scenes", "nodes", "meshes", "skins", "animations")
        tail = ("materials", "textures", "images", "samplers", "accessors", "bufferViews")
        document = {key: self.document[key] for key in (*head, *tail) if key in self.document}
        return document | {"buffers": [{**buffer, "byteLength": len(self.binary)}]}

    def to_bytes(self) -> bytes:
        """Header, JSON chunk padded with spaces, binary chunk padded with zeros."""
        text = json.dumps(self.finished({}), separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        chunks = struct.pack("<II", len(text), 0x4E4F534A) + text
        chunks += struct.pack("<II", len(self.binary), 0x004E4942) + bytes(self.binary)
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _add_mesh(file: _File, mesh: Mesh, weights: np.ndarray | None, name: str) -> int:
    split = split_at_seams(mesh)
    attributes = {
        "POSITION": file.add_accessor(mesh.vertices[split.source], FLOAT, "VEC3", target=VERTEX_DATA, bounds=True),
        "NORMAL": file.add_accessor(smooth_normals(mesh)[split.source], FLOAT, "VEC3", target=VERTEX_DATA),
    }
    if split.uvs is not None:
        flipped = np.stack((split.uvs[:, 0], 1.0 - split.uvs[:, 1]), axis=1)
        attributes["TEXCOORD_0"] = file.add_accessor(flipped, FLOAT, "VEC2", target=VERTEX_DATA)
    if split.tangents is not None:
        attributes["TANGENT"] = file.add_accessor(split.tangents, FLOAT, "VEC4", target=VERTEX_DATA)
    if mesh.vertex_colors is not None and not has_texture(mesh):
        linear = linear_from_srgb(torch.from_numpy(np.clip(mesh.vertex_colors.astype(np.float64), 0, 1))).numpy()
        colors = np.concatenate((linear, np.ones((len(linear), 1))), axis=1)
        whole = np.round(colors[split.source] * 65535)
        attributes["COLOR_0"] = file.add_accessor(whole, USHORT, "VEC4", target=VERTEX_DATA, normalized=True)
    if weights is not None:
        joints, shares = quantized_weights(weights)
        component = UBYTE if weights.shape[1] <= 256 else USHORT
        attributes["JOINTS_0"] = file.add_accessor(joints[split.source], component, "VEC4", target=VERTEX_DATA)
        attributes["WEIGHTS_0"] = file.add_accessor(shares[split.source], FLOAT, "VEC4", target=VERTEX_DATA)
    # 65535 itself is the primitive-restart value, which the specification forbids as an index.
    component = USHORT if len(split.source) < 65535 else UINT
    indices = file.add_accessor(split.faces.reshape(-1), component, "SCALAR", target=INDEX_DATA)
    primitive = {"attributes": attributes, "indices": indices, "mode": 4, "material": _add_material(file, mesh, name)}
    return file.add("meshes", {"name": name, "primitives": [primitive]})


def _add_material(file: _File, mesh: Mesh, name: str) -> int:
    material: dict[str, Any] = {"name": name}
    surface: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": 0.8}
    if mesh.texture is not None and has_texture(mesh):
        surface = {"baseColorTexture": {"index": _add_texture(file, mesh.texture, "basecolor", name)}, **surface}
    material["pbrMetallicRoughness"] = surface
    if mesh.normal_map is not None:
        material["normalTexture"] = {"index": _add_texture(file, mesh.normal_map, "normal", name)}
    if mesh.occlusion is not None:
        material["occlusionTexture"] = {"index": _add_texture(file, mesh.occlusion, "occlusion", name)}
    return file.add("materials", material | {"doubleSided": False})


def _add_texture(file: _File, picture: UInt8[np.ndarray, "..."], what: str, name: str) -> int:
    """A picture `name_what`; all share the one sampler."""
    image = file.add_picture(encode_png(picture), what, f"{name}_{what}")
    if "samplers" not in file.document:
        # The atlas has gutters and does not tile.
        file.add("samplers", {"magFilter": LINEAR, "minFilter": MIPMAPPED, "wrapS": CLAMP, "wrapT": CLAMP})
    return file.add("textures", {"source": image, "sampler": 0})


def _add_skin(file: _File, skeleton: Skeleton, name: str) -> int:
    """Add one node per joint behind the mesh's node 0; return the root's node."""
    if skeleton.parents.count(-1) != 1:
        raise ValueError(f"a skin needs one root joint, the skeleton has {skeleton.parents.count(-1)}")
    for index, joint in enumerate(skeleton.names):
        node: dict[str, Any] = {"name": joint, "translation": _rest_offset(skeleton, index)}
        children = [1 + child for child, above in enumerate(skeleton.parents) if above == index]
        file.add("nodes", node | ({"children": children} if children else {}))
    inverse = np.tile(np.eye(4, dtype=np.float32), (len(skeleton.names), 1, 1))
    inverse[:, :3, 3] = -skeleton.joints
    columns = inverse.transpose(0, 2, 1).reshape(len(inverse), 16)
    root = 1 + skeleton.parents.index(-1)
    skin = {
        "name": f"{name}_rig",
        "joints": [1 + i for i in range(len(skeleton.names))],
        "skeleton": root,
        "inverseBindMatrices": file.add_accessor(columns, FLOAT, "MAT4"),
    }
    file.add("skins", skin)
    return root


def _rest_offset(skeleton: Skeleton, index: int) -> list[float]:
    """From the parent's joint to this one; rest frames are not rotated, so an offset is all there is."""
    parent = skeleton.parents[index]
    base = skeleton.joints[parent] if parent >= 0 else np.zeros(3)
    return (skeleton.joints[index].astype(np.float64) - base).astype(np.float32).astype(float).tolist()


def _add_animation(file: _File, motion: Motion, skeleton: Skeleton, name: str) -> None:
    unknown = sorted(set(motion.joint_names) - set(skeleton.names))
    if unknown:
        raise InputError(
            f"motion {motion.name!r} moves joints that the skeleton does not have: {', '.join(unknown[:5])}\n"
            f"  The skeleton's joints are {', '.join(skeleton.names[:5])}, ... Map the names first."
        )
    times = file.add_accessor(np.arange(len(motion.rotations)) / motion.fps, FLOAT, "SCALAR", bounds=True)
    samplers: list[dict[str, Any]] = []
    channels: list[dict[str, Any]] = []

    def add_channel(joint: int, path: str, values: np.ndarray, shape: str) -> None:
        output = file.add_accessor(values, FLOAT, shape)
        samplers.append({"input": times, "interpolation": "LINEAR", "output": output})
        channels.append({"sampler": len(samplers) - 1, "target": {"node": 1 + joint, "path": path}})

    root = skeleton.parents.index(-1)
    scale = float(skeleton.joints[root, 1]) / motion.rest_root_height
    add_channel(root, "translation", motion.root_position * scale, "VEC3")
    quats = continuous_quaternions(motion.rotations)
    for column, joint in enumerate(motion.joint_names):
        add_channel(skeleton.names.index(joint), "rotation", quats[:, column], "VEC4")
    file.add("animations", {"name": name, "samplers": samplers, "channels": channels})
