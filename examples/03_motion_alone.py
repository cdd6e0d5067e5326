"""A motion from a text, as BVH and as an AMASS archive, without an avatar.

Usage: python examples/03_motion_alone.py [OUT] [--set KEY=VALUE ...]
"""

from pathlib import Path

import torch
from _arguments import arguments

from avatargen.body.load import load_body_model
from avatargen.body.posing import shape_body
from avatargen.core.config import load_settings
from avatargen.core.files import write_whole
from avatargen.core.parts import SMPL_PARENTS
from avatargen.core.values import Skeleton
from avatargen.export.bvh import encode_bvh
from avatargen.guidance.load import load_guidance
from motiongen.generate import generate_motion

asked = arguments("outputs/example-03")
settings = load_settings(quality="draft", overrides=asked.set)
body = load_body_model(settings.body)
motion = generate_motion("a person is jumping", body, load_guidance(settings.guidance, "cpu"), settings.motion, seed=1)

# The motion is on the body's neutral shape; its skeleton says how long the bones are.
vertices, joints = shape_body(body, torch.zeros(1, body.num_betas))
floor = torch.tensor([0.0, float(vertices[0, :, 1].min()), 0.0])
rest = (joints[0, : len(SMPL_PARENTS)] - floor).double().numpy()
skeleton = Skeleton(names=motion.joint_names, parents=SMPL_PARENTS, joints=rest)
print(write_whole(Path(asked.out) / "jumping.bvh", encode_bvh(motion, skeleton)))
