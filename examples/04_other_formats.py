"""A finished run in other formats and with other motions; nothing is generated again.

Usage: python examples/04_other_formats.py RUN [--set KEY=VALUE ...]      RUN: the folder of example 01
"""

from pathlib import Path

from _arguments import arguments

from avatargen.convert import Wish, animate_avatar, convert_run

run = Path(arguments("outputs/example-01").out)
for path in convert_run(run, Wish(formats=("vrm", "stl", "bvh"), skeleton="mixamo", author="A. Maker"), run / "more"):
    print(path)

# Any BVH of a humanoid would do; here it is the run's own motion, back from its file.
for path in animate_avatar(run, [run / "motion.bvh", run / "motion.npz"], Wish(), run / "animated"):
    print(path)
