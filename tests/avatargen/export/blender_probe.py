"""Runs inside Blender: import a file and say what Blender made of it (JSON), with the evaluated mesh (npz).

The last argument is a JSON object: `source` (.glb or .fbx), `fps`, `frames`, `report`, `arrays`.
"""

import json
import sys
from pathlib import Path

import bpy
import numpy as np


def main() -> None:
    job = json.loads(sys.argv[-1])
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.fps = round(job["fps"])
    if job["source"].endswith(".glb"):
        bpy.ops.import_scene.gltf(filepath=job["source"], disable_bone_shape=True)
    else:
        bpy.ops.import_scene.fbx(filepath=job["source"], anim_offset=0.0)
    mesh = next(o for o in scene.objects if o.type == "MESH")
    armature = next(o for o in scene.objects if o.type == "ARMATURE")
    images = [
        {"name": i.name, "size": list(i.size), "packed": i.packed_file is not None, "corner": list(i.pixels[:3])}
        for i in bpy.data.images
        if i.size[0]
    ]
    links = [
        link.from_node.image.name
        for material in mesh.data.materials
        for link in material.node_tree.links
        if link.to_socket.name == "Base Color" and link.from_node.type == "TEX_IMAGE"
    ]
    report = {
        "objects": sorted((o.type, o.name) for o in scene.objects),
        "bones": {b.name: b.parent.name if b.parent else None for b in armature.data.bones},
        "heads": {b.name: list(armature.matrix_world @ b.head_local) for b in armature.data.bones},
        "actions": {a.name: list(a.frame_range) for a in bpy.data.actions},
        "fps": scene.render.fps,
        "images": images,
        "base_color_images": links,
        "modifiers": [m.type for m in mesh.modifiers],
        "groups": [g.name for g in mesh.vertex_groups],
        "uv_layers": len(mesh.data.uv_layers),
        "scales": [list(o.matrix_world.to_scale()) for o in (armature, mesh)],
    }
    if report["actions"] and job.get("action"):
        animation = armature.animation_data_create()
        for track in animation.nla_tracks:
            track.mute = True
        action = next(a for a in bpy.data.actions if job["action"] in a.name)
        animation.action = action
        animation.action_slot = action.slots[0]
    posed = []
    for frame in job["frames"]:
        scene.frame_set(frame)
        evaluated = mesh.evaluated_get(bpy.context.evaluated_depsgraph_get())
        points = np.zeros(len(evaluated.data.vertices) * 3, dtype=np.float32)
        evaluated.data.vertices.foreach_get("co", points)
        matrix = np.array(evaluated.matrix_world)
        posed.append(points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3])
    Path(job["report"]).write_text(json.dumps(report, indent=1))
    np.savez(job["arrays"], posed=np.stack(posed))


if __name__ == "__main__":
    main()
