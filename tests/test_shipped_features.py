"""The features that ship are those that the shipped guidance sees: stale ones would cost each first run minutes."""

import torch

from avatargen.body.open_body import load_open_body
from avatargen.core.files import load_tensors
from avatargen.core.progress import Silent
from avatargen.core.settings import MotionSettings, ShapeSettings
from avatargen.guidance.embedded.model import load_embedded
from avatargen.shape import codebook as shapes
from avatargen.shape.vae import load_shape_space
from motiongen import codebook as poses
from motiongen.optimize import view_azimuths
from motiongen.pose_prior import full_pose, load_open_prior
from motiongen.puppet import make_puppet

HALF = 2e-3
"""Features ship in half precision."""


def test_bodies_of_the_codebook_are_seen_as_their_shipped_features_say():
    guidance, body, views = load_embedded(), load_open_body(), ShapeSettings().views
    space = load_shape_space(body)
    tensors, metadata = load_tensors(shapes.SHIPPED)
    assert metadata["key"] == shapes._key(space, guidance, views)
    with torch.no_grad():
        seen = shapes.image_features(body, space.decode(space.codebook[:4]), guidance, views)
    torch.testing.assert_close(seen, tensors["features"][:4].float(), atol=HALF, rtol=0.0)


def test_poses_of_the_codebook_are_seen_as_their_shipped_features_say():
    guidance, settings = load_embedded(), MotionSettings()
    puppet, prior = make_puppet(load_open_body()), load_open_prior()
    book = poses.load_pose_codebook().first(settings.codebook_entries)
    azimuths = view_azimuths(settings.codebook_views)
    tensors, metadata = load_tensors(poses.SHIPPED_FEATURES)
    assert metadata["key"] == poses._features_key(guidance, puppet, book, azimuths)
    with torch.no_grad():
        rotations = full_pose(prior.decode(book.latents[:4]))
        seen = poses.picture_features(guidance, puppet, rotations, azimuths, Silent(), "poses")
    torch.testing.assert_close(seen, tensors["value"][:4].float(), atol=HALF, rtol=0.0)
