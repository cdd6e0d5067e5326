"""PC2: the place of every vertex in every frame, for programs that want no skeleton.

The file belongs to the OBJ of the same avatar: same vertices, same order, same frame (metres, Y up). Blender reads it
with the modifier Mesh Cache, 3ds Max with Point Cache.
"""

import struct

from avatargen.body.rigged import pose_rigged
from avatargen.core.values import Motion, RiggedMesh
from avatargen.export.still import fitted


def encode_pc2(rigged: RiggedMesh, motion: Motion) -> bytes:
    """One sample per frame of `motion`, the first for frame 0; joints that it does not name stay at rest."""
    frames = len(motion.rotations)
    header = struct.pack("<12siiffi", b"POINTCACHE2", 1, len(rigged.mesh.vertices), 0.0, 1.0, frames)
    return header + pose_rigged(rigged, *fitted(rigged, motion)).astype("<f4").tobytes()
