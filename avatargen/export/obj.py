"""Wavefront OBJ with its MTL and PNG: static geometry that every program reads."""

import numpy as np

from avatargen.core.values import Mesh
from avatargen.export.surface import encode_png, has_texture, smooth_normals


def encode_obj(mesh: Mesh, name: str = "avatar") -> dict[str, bytes]:
    """The files of one OBJ by their names: `name.png` and `name.mtl` where there is a texture, and `name.obj` last.

    Written in this order, the OBJ never names a file that is not there yet. Coordinates are metres to the micrometre,
    Y up. Without a texture, vertex colors stand behind the coordinates (`v x y z r g b`, sRGB), as trimesh, MeshLab
    and Blender read them. Faces keep the mesh's order and vertices; UV seams double nothing.
    """
    if not len(mesh.faces):
        raise ValueError("the mesh has no faces; there is nothing to export")
    files: dict[str, bytes] = {}
    lines = ["# metres, Y up, facing +Z"]
    if mesh.texture is not None and has_texture(mesh):
        files[f"{name}.png"] = encode_png(mesh.texture)
        material = (f"newmtl {name}", "Ka 0 0 0", "Kd 1 1 1", "Ks 0 0 0", "Pr 0.8", "Pm 0", "d 1", "illum 1")
        pictures = [f"map_Kd {name}.png"]
        if mesh.normal_map is not None:
            files[f"{name}_normal.png"] = encode_png(mesh.normal_map)
            pictures.append(f"norm {name}_normal.png")
        files[f"{name}.mtl"] = "\n".join((*material, *pictures, "")).encode()
        lines.append(f"mtllib {name}.mtl")
    lines.append(f"o {name}")
    points = mesh.vertices
    if mesh.vertex_colors is not None and not files:
        points = np.concatenate((points, np.clip(mesh.vertex_colors, 0, 1)), axis=1)
    lines += _rows("v", points)
    columns = [mesh.faces + 1, mesh.faces + 1]
    corner = "{}//{}"
    if mesh.uvs is not None and mesh.uv_faces is not None:
        lines += _rows("vt", mesh.uvs)
        columns.insert(1, mesh.uv_faces + 1)
        corner = "{}/{}/{}"
    lines += _rows("vn", smooth_normals(mesh))
    if files:
        lines.append(f"usemtl {name}")
    lines.append("s 1")
    face = "f " + " ".join([corner] * 3)
    indices = np.stack(columns, axis=-1).reshape(len(mesh.faces), -1)
    lines += [face.format(*row) for row in indices.tolist()]
    files[f"{name}.obj"] = ("\n".join(lines) + "\n").encode()
    return files


def _rows(key: str, values: np.ndarray) -> list[str]:
    form = key + " %.6f" * values.shape[1]
    # Adding zero turns -0.0 into 0.0, so that equal meshes give equal text.
    return [form % tuple(row) for row in (np.round(values.astype(np.float64), 6) + 0.0).tolist()]
