"""Runs inside Blender: import a file and say what Blender made of it (JSON), with the evaluated mesh (npz).

The last argument is a JSON object: `source` (.glb, .gltf, .fbx, .usdz, .abc or .blend), `fps`, `frames`, `report`,
`arrays`.
"""

import json
import sys
from pathlib import Path

import bpy
import numpy as np


def read(source: str, fps: float):
    if source.endswith(".blend"):
        bpy.ops.wm.open_mainfile(filepath=source)
        return bpy.context.scene
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.scene.render.fps = round(fps)
    match Path(source).suffix:
        case ".glb" | ".gltf":
            bpy.ops.import_scene.gltf(filepath=source, disable_bone_shape=True)
        case ".fbx":
            bpy.ops.import_scene.fbx(filepath=source, anim_offset=0.0)
        case ".usdz":
            bpy.ops.wm.usd_import(filepath=source)
        case ".abc":
            bpy.ops.wm.alembic_import(filepath=source, as_background_job=False)
    return bpy.context.scene


def tangents_of(mesh) -> list:
    """Place (3), UV (2), tangent (3) and sign of the bitangent of every corner, as Blender works them out."""
    data = mesh.data
    data.calc_tangents()
    uvs = data.uv_layers.active.data
    return [
        [*data.vertices[loop.vertex_index].co, *uvs[loop.index].uv, *loop.tangent, loop.bitangent_sign]
        for loop in data.loops
    ]


def bind_pose_of(source: str) -> dict:
    """Columns of the matrix that an FBX's bind pose gives each model, straight from the file's records."""
    from io_scene_fbx import parse_fbx  # part of Blender

    objects = next(part for part in parse_fbx.parse(source)[0].elems if part.id == b"Objects").elems
    names = {part.props[0]: part.props[1].split(b"\0")[0].decode() for part in objects if part.id == b"Model"}
    poses = [part for part in objects if part.id == b"Pose" and part.props[2] == b"BindPose"]
    nodes = [{item.id: item.props[0] for item in node.elems} for node in poses[0].elems if node.id == b"PoseNode"]
    return {names[node[b"Node"]]: list(node[b"Matrix"]) for node in nodes} if len(poses) == 1 else {}


def main() -> None:
    job = json.loads(sys.argv[-1])
    scene = read(job["source"], job["fps"])
    mesh = max((o for o in scene.objects if o.type == "MESH"), key=lambda o: len(o.data.vertices))
    armature = next((o for o in scene.objects if o.type == "ARMATURE"), None)
    bones = armature.data.bones if armature else []
    images = [
        {"name": i.name, "size": list(i.size), "packed": i.packed_file is not None, "corner": list(i.pixels[:3])}
        for i in bpy.data.images
        if i.size[0]
    ]
    links = [
        link.from_node.image.name
        for material in mesh.data.materials
        for link in (material.node_tree.links if material else ())
        if link.to_socket.name == "Base Color" and link.from_node.type == "TEX_IMAGE"
    ]
    bumps = [
        link.from_node.image.name
        for material in mesh.data.materials
        for link in (material.node_tree.links if material else ())
        if link.to_node.type == "NORMAL_MAP" and link.from_node.type == "TEX_IMAGE"
    ]
    report = {
        "objects": sorted((o.type, o.name) for o in scene.objects),
        "bones": {b.name: b.parent.name if b.parent else None for b in bones},
        "heads": {b.name: list(armature.matrix_world @ b.head_local) for b in bones},
        "actions": {a.name: list(a.frame_range) for a in bpy.data.actions},
        "fps": scene.render.fps,
        "images": images,
        "base_color_images": links,
        "normal_images": bumps,
        "bind_pose": bind_pose_of(job["source"]) if job["source"].endswith(".fbx") and armature else {},
        "tangents": tangents_of(mesh) if bumps else [],
        "modifiers": [m.type for m in mesh.modifiers],
        "groups": [g.name for g in mesh.vertex_groups],
        "uv_layers": len(mesh.data.uv_layers),
        "scales": [list(o.matrix_world.to_scale()) for o in (armature, mesh) if o],
        "armature": armature.name if armature else None,
        "camera": scene.camera.name if scene.camera else None,
        "range": [scene.frame_start, scene.frame_end],
        "credit": {key: value for key, value in scene.items() if isinstance(value, str)},
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
