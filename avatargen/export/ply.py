"""Stanford PLY, binary: one color per vertex, for scan viewers and point-cloud tools."""

import numpy as np

from avatargen.core.values import Mesh
from avatargen.export.surface import colors_of, smooth_normals


def encode_ply(mesh: Mesh) -> bytes:
    """A little-endian PLY with positions (metres, Y up), normals, triangles, and sRGB colors where the mesh has any.

    Colors come from the mesh's own vertex colors, else from its texture at the vertices; the texture itself and
    the UVs stay behind.
    """
    if not len(mesh.faces):
        raise ValueError("the mesh has no faces; there is nothing to export")
    names = ["x", "y", "z", "nx", "ny", "nz"]
    layout: list[tuple[str, str]] = [(name, "<f4") for name in names]
    colors = colors_of(mesh)
    if colors is not None:
        layout += [(name, "u1") for name in ("red", "green", "blue")]
    points = np.zeros(len(mesh.vertices), dtype=layout)
    for name, column in zip(names, np.concatenate((mesh.vertices, smooth_normals(mesh)), axis=1).T, strict=True):
        points[name] = column
    if colors is not None:
        for name, column in zip(("red", "green", "blue"), np.round(colors * 255).T, strict=True):
            points[name] = column
    faces = np.zeros(len(mesh.faces), dtype=[("count", "u1"), ("vertices", "<i4", 3)])
    faces["count"], faces["vertices"] = 3, mesh.faces
    kinds = {"<f4": "float", "u1": "uchar"}
    header = ["ply", "format binary_little_endian 1.0", "comment metres, Y up, facing +Z"]
    header.append(f"element vertex {len(points)}")
    header += [f"property {kinds[kind]} {name}" for name, kind in layout]
    header += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header", ""]
    return "\n".join(header).encode() + points.tobytes() + faces.tobytes()
