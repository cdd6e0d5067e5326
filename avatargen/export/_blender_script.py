"""Runs inside Blender, in a process of its own; imports `bpy` and nothing of ours.

The last argument is a JSON object: `source` (a .glb), `folder` and `outputs` (`kind`, `file` and `clip` of each file
to write), `fps` (of the scene: glTF counts seconds, Blender frames), `armature` (its object's name) and `credit`.
Blender turns to Z up on import and back on export, but for its own .blend.
"""

import json
import math
import os
import sys

import bpy
from mathutils import Vector


def set_fps(fps: float) -> None:
    """Blender keeps a whole number of frames and a divisor."""
    render = bpy.context.scene.render
    render.fps = max(1, round(fps))
    render.fps_base = render.fps / fps


def load(source: str, armature: str) -> list:
    """Import the GLB into an empty scene; mesh and armature."""
    bpy.ops.import_scene.gltf(filepath=source, disable_bone_shape=True, import_shading="SMOOTH")
    objects = list(bpy.context.scene.objects)
    for kept in objects:
        if kept.type == "ARMATURE":
            kept.name = kept.data.name = armature
    return objects


def play(clip: str) -> None:
    """Make `clip` the one that moves, and the scene as long as it."""
    scene = bpy.context.scene
    actions = {action.name: action for action in bpy.data.actions}
    # Blender before 4.4 puts the armature's name behind the clip's, and has no slots.
    action = actions.get(clip) or next((a for name, a in actions.items() if name.startswith(f"{clip}_")), None)
    if clip and action is None:
        raise SystemExit(f"Blender found no action named {clip!r} among {sorted(actions)}")
    for rig in (o for o in scene.objects if o.type == "ARMATURE"):
        if action is None:
            break
        animation = rig.animation_data or rig.animation_data_create()
        for track in animation.nla_tracks:
            track.mute = True
        animation.action = action
        if bpy.app.version >= (4, 4):
            animation.action_slot = action.slots[0]
    scene.frame_start, scene.frame_end = 0, 0 if action is None else max(1, round(action.frame_range[1]))
    scene.frame_set(0)


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


def save_usd(target: str) -> None:
    """Metres, Y up, a UsdSkel skin and its animation, the texture beside the file or inside a .usdz."""
    bpy.ops.wm.usd_export(
        filepath=target,
        export_animation=bool(bpy.data.actions),
        export_armatures=True,
        only_deform_bones=False,
        export_materials=True,
        generate_preview_surface=True,
        export_textures_mode="NEW",
        overwrite_textures=True,
        relative_paths=True,
        export_cameras=False,
        export_lights=False,
        convert_world_material=False,
        convert_orientation=True,
        export_global_forward_selection="NEGATIVE_Z",
        export_global_up_selection="Y",
        convert_scene_units="METERS",
        root_prim_path="/avatar",
    )


def save_alembic(target: str) -> None:
    """Every vertex in every frame, with UVs and normals."""
    scene = bpy.context.scene
    bpy.ops.wm.alembic_export(
        filepath=target,
        start=scene.frame_start,
        end=scene.frame_end,
        uvs=True,
        normals=True,
        export_hair=False,
        export_particles=False,
        as_background_job=False,
    )


def light_and_camera(objects: list) -> None:
    """A key, a fill and a rim light, a grey world, a ground, and a camera that holds the whole first clip."""
    scene = bpy.context.scene
    low, high = [math.inf] * 3, [-math.inf] * 3
    count = 8 if scene.frame_end else 1
    for step in range(count):
        scene.frame_set(round(scene.frame_end * step / max(1, count - 1)))
        seen = bpy.context.evaluated_depsgraph_get()
        for mesh in (o.evaluated_get(seen) for o in objects if o.type == "MESH"):
            # The evaluated mesh, not its bounding box: that is the rest pose's.
            for vertex in mesh.data.vertices:
                point = mesh.matrix_world @ vertex.co
                low = [min(a, b) for a, b in zip(low, point, strict=True)]
                high = [max(a, b) for a, b in zip(high, point, strict=True)]
    scene.frame_set(0)
    center = Vector([(a + b) / 2 for a, b in zip(low, high, strict=True)])
    radius = max(b - a for a, b in zip(low, high, strict=True)) / 2 * 1.15

    def aim(thing: "bpy.types.Object", place: Vector) -> None:
        thing.location = place
        thing.rotation_euler = (center - place).to_track_quat("-Z", "Y").to_euler()

    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.data.angle = math.radians(28)
    scene.collection.objects.link(camera)
    far = radius / math.tan(camera.data.angle / 2) + radius * 0.5
    aim(camera, center + Vector((0.3, -1.0, 0.12)).normalized() * far)
    scene.camera = camera
    for name, place, energy, size in (
        ("Key", (1.2, -1.5, 1.6), 45.0, 1.0),
        ("Fill", (-1.8, -1.0, 0.6), 12.0, 2.0),
        ("Rim", (-0.6, 1.8, 1.6), 40.0, 1.0),
    ):
        lamp = bpy.data.objects.new(name, bpy.data.lights.new(name, "AREA"))
        lamp.data.energy, lamp.data.size = energy * radius * radius, size * radius
        scene.collection.objects.link(lamp)
        aim(lamp, center + Vector(place) * radius)
    half = 60.0
    plane = bpy.data.meshes.new("Ground")
    corners = [(center.x + x * half, center.y + y * half, 0.0) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    plane.from_pydata(corners, [], [(0, 1, 2, 3)])
    plane.materials.append(bpy.data.materials.new("Ground"))
    plane.materials[0].diffuse_color = (0.4, 0.4, 0.42, 1.0)
    for node in plane.materials[0].node_tree.nodes if plane.materials[0].node_tree else ():
        if node.type == "BSDF_PRINCIPLED":
            node.inputs["Base Color"].default_value = (0.4, 0.4, 0.42, 1.0)
            node.inputs["Roughness"].default_value = 0.9
    scene.collection.objects.link(bpy.data.objects.new("Ground", plane))
    world = scene.world or bpy.data.worlds.new("World")
    scene.world = world
    world.color = (0.3, 0.31, 0.33)
    for node in world.node_tree.nodes if world.node_tree else ():
        if node.type == "BACKGROUND":
            node.inputs["Color"].default_value = (*world.color, 1.0)
    # Colors as they were painted; Blender's own default makes them pale.
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_x, scene.render.resolution_y = 1080, 1080


def save_blend(target: str, objects: list, credit: dict[str, str]) -> None:
    """A scene that is ready to render: avatar, actions, camera, lights, ground; textures inside."""
    light_and_camera(objects)
    scene = bpy.context.scene
    for key, value in credit.items():
        if value:
            scene[key] = value
    for action in bpy.data.actions:
        action.use_fake_user = True
    bpy.ops.file.pack_all()
    bpy.ops.wm.save_as_mainfile(filepath=target, compress=True, copy=True)


def main() -> None:
    """Do the job that the last argument describes."""
    job = json.loads(sys.argv[-1])
    bpy.ops.wm.read_factory_settings(use_empty=True)
    set_fps(job["fps"])
    objects = load(job["source"], job["armature"])
    # .blend comes last: it adds a camera and lights, which no other file shall have.
    for output in sorted(job["outputs"], key=lambda output: output["kind"] == "blend"):
        play(output["clip"])
        target = os.path.join(job["folder"], output["file"])  # noqa: PTH118  Blender wants text
        match output["kind"]:
            case "fbx":
                save_fbx(target)
            case "usd" | "usdz":
                save_usd(target)
            case "abc":
                save_alembic(target)
            case "blend":
                save_blend(target, objects, job["credit"])


if __name__ == "__main__":
    main()
