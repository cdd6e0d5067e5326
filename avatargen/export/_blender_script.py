"""Runs inside Blender, in a process of its own; imports `bpy` and nothing of ours.

The last argument is a JSON object: `source` (a .glb), `target` (a .fbx), `fps` (of the scene: glTF counts seconds,
Blender frames). Blender turns to Z up on import and back on export.
"""

import json
import sys

import bpy


def set_fps(fps: float) -> None:
    """Blender keeps a whole number of frames and a divisor."""
    render = bpy.context.scene.render
    render.fps = max(1, round(fps))
    render.fps_base = render.fps / fps


def load(source: str) -> None:
    """Import the GLB into an empty scene and let the scene's range hold every clip."""
    bpy.ops.import_scene.gltf(filepath=source, disable_bone_shape=True, import_shading="SMOOTH")
    scene = bpy.context.scene
    ends = [action.frame_range[1] for action in bpy.data.actions]
    scene.frame_start, scene.frame_end = 0, max(1, round(max(ends, default=1)))


def save_fbx(target: str) -> None:
    """Metres, Y up, textures inside, one take per clip, every frame keyed."""
    bpy.ops.export_scene.fbx(
        filepath=target,
        object_types={"ARMATURE", "MESH"},
        apply_scale_options="FBX_SCALE_ALL",
        mesh_smooth_type="OFF",
        add_leaf_bones=False,
        bake_anim=bool(bpy.data.actions),
        bake_anim_use_nla_strips=False,
        bake_anim_use_all_actions=True,
        bake_anim_force_startend_keying=True,
        bake_anim_simplify_factor=0.0,
        path_mode="COPY",
        embed_textures=True,
    )


def main() -> None:
    """Do the job that the last argument describes."""
    job = json.loads(sys.argv[-1])
    bpy.ops.wm.read_factory_settings(use_empty=True)
    set_fps(job["fps"])
    load(job["source"])
    save_fbx(job["target"])


if __name__ == "__main__":
    main()
