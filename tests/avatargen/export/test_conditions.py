"""Maps of shapes whose depth and normals are known, and of the open body."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from avatargen.body.open_body import load_open_body
from avatargen.body.skeleton import a_pose
from avatargen.core.errors import ConfigError
from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.progress import Silent
from avatargen.core.settings import ConditionSettings
from avatargen.core.values import Mesh, RiggedMesh, Skeleton
from avatargen.export.conditions import (
    COCO,
    Take,
    cameras_of,
    check_conditions,
    condition_maps,
    keypoints,
    maps,
    take_of,
)
from avatargen.render.cameras import orbit, project

BODY = load_open_body()
SMALL = ConditionSettings(write=True, views=4, size=96)


def opened(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.fixture(scope="module")
def avatar():
    points = BODY.template.numpy() - np.array([0, float(BODY.template[:, 1].min()), 0], dtype=np.float32)
    joints = (BODY.joint_regressor @ torch.from_numpy(points)).numpy()
    skeleton = Skeleton(names=BODY.joint_names, parents=BODY.parents, joints=joints)
    mesh = Mesh(vertices=points, faces=BODY.faces.numpy())
    return RiggedMesh(mesh=mesh, skeleton=skeleton, weights=BODY.weights.numpy())


def test_depth_and_normals_of_a_ball_are_the_analytic_ones():
    ball = trimesh.creation.icosphere(5, 0.5)
    take = Take(
        vertices=torch.tensor(ball.vertices, dtype=torch.float32)[None],
        points=torch.zeros(1, 18, 3),
        faces=torch.tensor(ball.faces).long(),
        part=np.full(len(ball.faces), 7),
    )
    camera = orbit(35.0, 20.0, 3.0, (0.0, 0.0, 0.0), 30.0, 96)
    depth, normals, part = maps(take, 0, camera)
    y, x = np.mgrid[:96, :96] + 0.5
    focal = float(camera.focal[0])
    ray = np.stack([(x - 48) / focal, (48 - y) / focal, -np.ones_like(x)], axis=-1)
    # |(0, 0, 0) - t ray| with the centre at (0, 0, -3): t^2 r.r - 6 t + 9 - 0.25 = 0, and t is the depth itself
    square = (ray**2).sum(-1)
    inner = 36 - 4 * square * 8.75
    t = np.where(inner > 0, (6 - np.sqrt(np.maximum(inner, 0))) / (2 * square), 0)
    sure = inner > 0.15
    assert np.abs(depth.numpy() - t)[sure].max() < 1e-3
    assert (depth.numpy()[inner < -0.05] == 0).all()
    wanted = (t[..., None] * ray + [0, 0, 3]) / 0.5
    assert np.abs(normals.numpy() - wanted)[sure].max() < 0.01
    assert (part[sure] == 8).all()
    assert (part[inner < -0.05] == 0).all()


def test_keypoints_are_the_projected_joints_and_the_face_is_hidden_from_behind(avatar):
    take = take_of(avatar, a_pose()[None].numpy())
    cameras = cameras_of(take, replace(SMALL, size=256))
    found = []
    for view in range(4):
        depth, _, part = maps(take, 0, cameras[view])
        points = keypoints(take, 0, cameras[view], depth)
        found.append(points)
        wrist = project(take.points[0, [COCO.index("left_wrist")]], cameras[view])[0, 0, :2].numpy()
        np.testing.assert_allclose(points[COCO.index("left_wrist"), :2], wrist, atol=1e-4)
        assert (points[1:14, 2] == 1).all()
        row, column = points[COCO.index("left_knee"), 1::-1].astype(int)
        if view in (0, 2):
            assert SMPL_JOINTS[part[row, column] - 1] in ("left_knee", "left_hip")
    front, left, back = found[0], found[1], found[2]
    assert (front[[0, 14, 15], 2] == 1).all()
    assert (back[[0, 14, 15], 2] == 0).all()
    assert left[COCO.index("left_ear"), 2] == 1
    assert left[COCO.index("right_ear"), 2] == 0
    # its left side is on the right of a front view
    assert front[COCO.index("left_eye"), 0] > front[COCO.index("right_eye"), 0]
    assert front[COCO.index("nose"), 1] > front[COCO.index("left_eye"), 1]


def test_the_folder_holds_every_map_and_its_cameras_see_what_the_maps_show(avatar, tmp_path):
    folder = condition_maps(avatar, None, tmp_path / "controls", replace(SMALL, size=256), Silent())
    told = json.loads((folder / "cameras.json").read_text())
    assert [p.name for p in tmp_path.iterdir()] == ["controls"]
    take = take_of(avatar, a_pose()[None].numpy())
    for view in told["views"]:
        place = folder / view["folder"]
        names = {p.name for p in place.iterdir()}
        maps_ = ("openpose.png", "openpose.json", "depth.png", "depth_mm.png", "normals.png", "parts.png")
        assert names == {f"0000_{name}" for name in maps_}
        depth = opened(place / "0000_depth_mm.png").astype(float) / 1000
        near = opened(place / "0000_depth.png")
        assert depth.shape == (256, 256)
        assert near[depth > 0].min() >= 40
        assert (near[depth == 0] == 0).all()
        # every vertex, sent through the written camera, lies on the map or behind it
        world = np.array(view["world_from_camera"])
        local = (take.vertices[0].numpy() - world[:3, 3]) @ world[:3, :3]
        x = local[:, 0] / -local[:, 2] * view["fx"] + view["cx"]
        y = view["cy"] - local[:, 1] / -local[:, 2] * view["fy"]
        seen = depth[np.floor(y).astype(int), np.floor(x).astype(int)]
        hit = seen > 0
        assert hit.mean() > 0.8
        assert np.quantile((-local[:, 2] - seen)[hit], 0.05) > -0.02
        assert np.median(np.abs(-local[:, 2] - seen)[hit]) < 0.15
        people = json.loads((place / "0000_openpose.json").read_text())["people"]
        assert len(people[0]["pose_keypoints_2d"]) == 54
        assert set(np.unique(opened(place / "0000_parts.png"))) <= set(range(25))


@pytest.mark.parametrize("bad", [{"views": 0}, {"size": 8}, {"every": 0}])
def test_numbers_that_make_no_maps_are_refused(bad):
    with pytest.raises(ConfigError, match=f"conditions.{next(iter(bad))}"):
        check_conditions(replace(SMALL, **bad))
