"""Skin a USD file as its own library does (npz) and say what is in it (JSON).

Runs in a Python with `usd-core`, or inside Blender, which brings the library along.

The last argument is a JSON object: `source`, `frames`, `report`, `arrays`. Points come out in the world.
"""

import json
import sys
from pathlib import Path

import numpy as np

try:
    from pxr import Usd, UsdGeom, UsdShade, UsdSkel
except ImportError:
    import bpy

    bpy.utils.expose_bundled_modules()
    from pxr import Usd, UsdGeom, UsdShade, UsdSkel


def main() -> None:
    job = json.loads(sys.argv[-1])
    stage = Usd.Stage.Open(job["source"])
    mesh = next(UsdGeom.Mesh(p) for p in stage.Traverse() if p.IsA(UsdGeom.Mesh))
    root = next(UsdSkel.Root(p) for p in stage.Traverse() if p.IsA(UsdSkel.Root))
    cache = UsdSkel.Cache()
    cache.Populate(root, Usd.PrimDefaultPredicate)
    skeleton = next(UsdSkel.Skeleton(p) for p in stage.Traverse() if p.IsA(UsdSkel.Skeleton))
    query, skin = cache.GetSkelQuery(skeleton), cache.GetSkinningQuery(mesh.GetPrim())
    posed = []
    for frame in job["frames"]:
        time = Usd.TimeCode(frame)
        points = mesh.GetPointsAttr().Get(Usd.TimeCode.Default()) or mesh.GetPointsAttr().Get(time)
        moved = np.array(points)
        carried = type(points).FromNumpy(moved)
        skin.ComputeSkinnedPoints(query.ComputeSkinningTransforms(time), carried, time)
        # Skinned points are in the skeleton's space.
        matrix = np.array(UsdGeom.XformCache(time).GetLocalToWorldTransform(skeleton.GetPrim()))
        posed.append(np.array(carried) @ matrix[:3, :3] + matrix[3, :3])
    shaders = [UsdShade.Shader(p) for p in stage.Traverse() if p.IsA(UsdShade.Shader)]
    files = [s.GetInput("file").Get() for s in shaders if s.GetInput("file") and s.GetInput("file").Get()]
    report = {
        "up": UsdGeom.GetStageUpAxis(stage),
        "metres": UsdGeom.GetStageMetersPerUnit(stage),
        "fps": stage.GetTimeCodesPerSecond(),
        "range": [stage.GetStartTimeCode(), stage.GetEndTimeCode()],
        "joints": [str(j) for j in skeleton.GetJointsAttr().Get()],
        "textures": [f.path for f in files],
        "resolved": [bool(f.resolvedPath) for f in files],
        "uvs": [
            v.GetPrimvarName() for v in UsdGeom.PrimvarsAPI(mesh).GetPrimvars() if "texCoord" in str(v.GetTypeName())
        ],
        "kinds": sorted({str(p.GetTypeName()) for p in stage.Traverse()}),
    }
    Path(job["report"]).write_text(json.dumps(report))
    np.savez(job["arrays"], posed=np.stack(posed))


if __name__ == "__main__":
    main()
