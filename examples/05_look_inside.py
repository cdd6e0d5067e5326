"""The stages one by one, with a look at what each hands to the next.

Usage: python examples/05_look_inside.py [OUT] [--quality draft] [--set KEY=VALUE ...]
"""

from pathlib import Path

from _arguments import arguments

from avatargen import pipeline
from avatargen.core.config import load_settings
from avatargen.core.files import write_whole
from avatargen.export.gltf import encode_glb

asked = arguments("outputs/example-05")
settings = load_settings(quality=asked.quality, overrides=asked.set)
tools = pipeline.load_tools(settings)
print(f"body {tools.body.kind}, guidance {tools.guidance.name}, device {tools.device}")

shape = pipeline.coarse_shape("short and chubby", tools)
print(f"betas {shape.betas.round(2)}, height {shape.measures['height']:.2f} m")

field = pipeline.sculpt("a clown in a red and white striped suit", shape, tools)
avatar = pipeline.finish_mesh(field, shape, tools)
print(f"{len(avatar.mesh.vertices)} vertices, {len(avatar.skeleton.names)} joints")
print(write_whole(Path(asked.out) / "clown.glb", encode_glb(avatar, name="clown")))
