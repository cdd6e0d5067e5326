"""STL, binary: bare triangles for printers and CAD."""

import numpy as np

from avatargen.core.values import Mesh

_HEADER = b"avatargen, metres, Y up, facing +Z"


def encode_stl(mesh: Mesh) -> bytes:
    """A binary STL in metres, Y up; colors, UVs and smooth normals stay behind, faces without area go.

    The format knows no unit; slicers take numbers for millimetres, so scale by 1000 there.
    """
    corners = mesh.vertices.astype(np.float64)[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normals, axis=1)
    kept = length > 0
    if not kept.any():
        raise ValueError("the mesh has no faces; there is nothing to export")
    table = np.zeros(int(kept.sum()), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    table["normal"], table["corners"] = normals[kept] / length[kept, None], corners[kept]
    # A header that starts with "solid" would be taken for the text format.
    return _HEADER.ljust(80, b" ") + np.uint32(len(table)).astype("<u4").tobytes() + table.tobytes()
