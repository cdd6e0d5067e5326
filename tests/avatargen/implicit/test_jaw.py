import torch

from avatargen.body.open_body import load_open_body
from avatargen.core.parts import PART_ID
from avatargen.implicit.jaw import parts_to_paint


def test_the_underside_of_the_jaw_alone_becomes_face_and_the_neck_stays_a_closed_ring():
    body = load_open_body()
    parts = parts_to_paint(body)
    changed = parts != body.parts
    assert set(body.parts[changed].tolist()) == {PART_ID["neck"]}
    assert set(parts[changed].tolist()) == {PART_ID["face"]}
    middle = body.template[body.faces].mean(1)
    neck, jaw = middle[parts == PART_ID["neck"]], middle[changed]
    lips = middle[body.parts == PART_ID["lips"]].mean(0)
    assert (jaw[:, 2] > neck[:, 2].median()).all(), "behind the throat nothing is jaw"
    assert (jaw[:, 1] < lips[1]).all()
    # At some height whoever walks around the neck meets nothing else.
    ring = neck[(neck[:, 1] - neck[:, 1].quantile(0.2)).abs() < 0.012]
    turns = torch.atan2(ring[:, 0], ring[:, 2] - neck[:, 2].mean()).sort().values
    assert float(torch.cat([turns, turns[:1] + 2 * torch.pi]).diff().max()) < torch.pi / 4
    mirrored = torch.cdist(jaw * jaw.new_tensor([-1.0, 1.0, 1.0]), jaw).min(1).values
    assert float(mirrored.median()) < 0.004, "left as right"


def test_a_body_without_parts_has_none_to_paint():
    from dataclasses import replace

    assert parts_to_paint(replace(load_open_body(), parts=None)) is None
