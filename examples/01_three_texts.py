"""Three texts to a character.

Usage: python examples/01_three_texts.py [OUT] [--quality draft] [--set KEY=VALUE ...]

The result is a folder with the avatar in several formats and report.html, a page that shows it all.
"""

from _arguments import arguments

from avatargen import generate

asked = arguments("outputs/example-01")
result = generate(
    shape="tall",
    appearance="a firefighter",
    motion="waving",
    out=asked.out,
    quality=asked.quality,
    overrides=asked.set,
)
print(result.folder / "report.html")
print(f"{len(result.avatar.mesh.faces)} triangles, {len(result.motion.rotations)} frames")
