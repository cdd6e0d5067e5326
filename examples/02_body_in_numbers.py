"""A body by words and numbers, without clothes or motion: seconds instead of minutes.

Usage: python examples/02_body_in_numbers.py [OUT] [--set KEY=VALUE ...]
"""

from _arguments import arguments

from avatargen.coarse import generate_shape

asked = arguments("outputs/example-02")
result = generate_shape("broad and strong", out=asked.out, overrides=[*asked.set, "controls.height=1.78"])
for name, metres in result.shape.measures.items():
    print(f"{name:16} {metres:.3f}")
