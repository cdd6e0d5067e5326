"""Linear blend skinning: exact cases, invariants, and equality with `smplx` on the same file."""

import numpy as np
import pytest
import torch

from avatargen.body.model import BodyModel
from avatargen.body.open_body import load_open_body
from avatargen.body.posing import joint_transforms, pose_body, pose_offsets, shape_body, skin, unskin
from avatargen.body.skeleton import a_pose
from avatargen.core.rotations import matrix_from_axis_angle


@pytest.fixture(scope="module")
def body():
    return load_open_body()


def wild_poses(count, seed=0, size=0.6):
    draw = torch.randn(count, 24, 3, generator=torch.Generator().manual_seed(seed))
    return matrix_from_axis_angle(size * draw)


def in_double(body: BodyModel) -> BodyModel:
    from dataclasses import fields, replace

    tensors = {f.name: getattr(body, f.name) for f in fields(body)}
    return replace(body, **{k: v.double() for k, v in tensors.items() if torch.is_tensor(v) and v.is_floating_point()})


def test_no_rotation_and_no_betas_give_the_template(body):
    posed = pose_body(body, torch.zeros(1, 16), torch.eye(3).expand(1, 24, 3, 3))
    torch.testing.assert_close(posed.vertices[0], body.template, atol=1e-6, rtol=0)
    torch.testing.assert_close(posed.joints[0], body.joint_regressor @ body.template, atol=1e-6, rtol=0)


def test_the_root_turns_the_whole_body_about_the_pelvis_joint(body):
    betas = torch.randn(2, 16, generator=torch.Generator().manual_seed(1))
    rotations = torch.eye(3).repeat(2, 24, 1, 1)
    rotations[:, 0] = wild_poses(2, seed=5)[:, 0]
    shift = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.5, 0.0]])
    posed = pose_body(body, betas, rotations, shift)
    vertices, joints = shape_body(body, betas)
    pelvis = joints[:, :1]
    expected = (vertices - pelvis) @ rotations[:, 0].transpose(1, 2) + pelvis + shift[:, None]
    torch.testing.assert_close(posed.vertices, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(posed.joints[:, 0], joints[:, 0] + shift)


def test_a_bent_elbow_moves_the_hand_on_a_circle_and_leaves_the_rest(body):
    rotations = torch.eye(3).repeat(1, 24, 1, 1)
    rotations[0, 18] = matrix_from_axis_angle(torch.tensor([0.0, -torch.pi / 2, 0.0]))
    rest_vertices, rest = shape_body(body, torch.zeros(1, 16))
    posed = pose_body(body, torch.zeros(1, 16), rotations)
    forearm = (rest[0, 20] - rest[0, 18]).norm()
    expected = rest[0, 18] + torch.tensor([0.0, 0.0, 1.0]) * forearm  # forward, as data sets flex it
    assert (posed.joints[0, 20] - expected).norm() < 0.006
    corrected = pose_offsets(body, rotations)[0].norm(dim=1)
    assert corrected[body.weights[:, [18, 20, 22]].sum(1) == 0].max() < 0.002
    untouched = (body.weights[:, [18, 20, 22]].sum(1) == 0) & (corrected == 0)
    assert untouched.float().mean() > 0.8
    torch.testing.assert_close(posed.vertices[0, untouched], rest_vertices[0, untouched], atol=1e-6, rtol=0)


def test_transforms_carry_rest_joints_to_posed_joints(body):
    betas = torch.randn(3, 16, generator=torch.Generator().manual_seed(2))
    _, rest = shape_body(body, betas)
    posed = pose_body(body, betas, wild_poses(3), torch.randn(3, 3, generator=torch.Generator().manual_seed(3)))
    rows = torch.cat((rest, torch.ones(3, 24, 1)), -1).unsqueeze(-1)
    torch.testing.assert_close((posed.transforms @ rows)[..., :3, 0], posed.joints, atol=1e-5, rtol=0)


def test_bones_keep_their_length_in_any_pose(body):
    _, rest = shape_body(body, torch.zeros(1, 16))
    posed = pose_body(body, torch.zeros(4, 16), wild_poses(4, size=1.5))
    parents = torch.tensor(body.parents[1:])
    before = (rest[:, 1:] - rest[:, parents]).norm(dim=-1).expand(4, -1)
    torch.testing.assert_close((posed.joints[:, 1:] - posed.joints[:, parents]).norm(dim=-1), before, atol=1e-5, rtol=0)


def test_unskin_is_the_exact_inverse_of_skin(body):
    exact = in_double(body)
    betas = torch.randn(2, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    rotations = wild_poses(2, seed=7, size=0.4).double()
    posed = pose_body(exact, betas, rotations)
    vertices, _ = shape_body(exact, betas)
    back = unskin(posed.vertices, exact.weights, posed.transforms)
    torch.testing.assert_close(back - pose_offsets(exact, rotations), vertices, atol=1e-9, rtol=0)
    torch.testing.assert_close(skin(back, exact.weights, posed.transforms), posed.vertices, atol=1e-9, rtol=0)


def test_one_set_of_points_serves_a_batch_of_poses(body):
    _, rest = shape_body(body, torch.zeros(1, 16))
    _, transforms = joint_transforms(rest.expand(3, -1, -1), wild_poses(3), body.parents)
    each = skin(body.template.expand(3, -1, -1), body.weights, transforms)
    torch.testing.assert_close(skin(body.template, body.weights, transforms), each)


def test_a_batch_gives_what_its_members_give_alone(body):
    betas = torch.randn(3, 16, generator=torch.Generator().manual_seed(8))
    rotations = wild_poses(3, seed=9)
    together = pose_body(body, betas, rotations).vertices
    alone = torch.cat([pose_body(body, betas[i : i + 1], rotations[i : i + 1]).vertices for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_gradients_agree_with_finite_differences(body):
    exact = in_double(body)
    some = torch.arange(0, len(body.template), 977)
    from dataclasses import replace

    small = replace(
        exact,
        template=exact.template[some],
        shape_directions=exact.shape_directions[some],
        weights=exact.weights[some],
        joint_regressor=torch.softmax(
            torch.randn(24, len(some), generator=torch.Generator().manual_seed(1)), 1
        ).double(),
        pose_directions=0.01 * torch.randn(len(some), 3, 207, generator=torch.Generator().manual_seed(2)).double(),
        pose_vertices=None,
    )

    def vertices(betas, turns):
        return pose_body(small, betas, matrix_from_axis_angle(turns)).vertices

    betas = torch.randn(1, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3), requires_grad=True)
    turns = 0.3 * torch.randn(1, 24, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    assert torch.autograd.gradcheck(vertices, (betas, turns.requires_grad_()), fast_mode=True)


def test_too_many_betas_are_refused(body):
    with pytest.raises(ValueError, match="17 columns"):
        shape_body(body, torch.zeros(1, 17))


def test_shoulders_keep_their_volume_in_the_a_pose(body):
    import trimesh

    def volume(rotations):
        v = pose_body(body, torch.zeros(1, 16), rotations).vertices[0]
        return trimesh.Trimesh(v.numpy(), body.faces.numpy(), process=False).volume

    assert abs(volume(a_pose()[None]) / volume(torch.eye(3).expand(1, 24, 3, 3)) - 1) < 0.02


@pytest.mark.parametrize("with_correctives", [False, True])
def test_posing_equals_smplx_on_the_same_file(body, tmp_path, with_correctives):
    smplx = pytest.importorskip("smplx", reason="the extra [smpl] is not installed")
    from importlib.resources import files
    from io import BytesIO

    from avatargen.body.load import load_body_model
    from avatargen.core.settings import BodySettings

    with np.load(BytesIO(files("avatargen.body").joinpath("data/open_body.npz").read_bytes())) as archive:
        data = {key: archive[key] for key in archive.files}
    if not with_correctives:
        data["posedirs"] = np.zeros_like(data["posedirs"])
    (tmp_path / "smpl").mkdir()
    np.savez(tmp_path / "smpl" / "SMPL_NEUTRAL.npz", **data)
    ours = load_body_model(BodySettings(kind="smpl", folder=str(tmp_path)))
    assert (ours.pose_directions.abs().max() > 0) == with_correctives

    count = 10
    with np.load(tmp_path / "smpl" / "SMPL_NEUTRAL.npz") as archive:
        struct = smplx.utils.Struct(**{key: archive[key] for key in archive.files})
    theirs = smplx.SMPL(str(tmp_path), data_struct=struct, num_betas=count, batch_size=3)
    betas = torch.randn(3, count, generator=torch.Generator().manual_seed(10))
    turns = 0.5 * torch.randn(3, 24, 3, generator=torch.Generator().manual_seed(11))
    shift = torch.randn(3, 3, generator=torch.Generator().manual_seed(12))
    out = theirs(betas=betas, global_orient=turns[:, 0], body_pose=turns[:, 1:].flatten(1), transl=shift)
    posed = pose_body(ours, betas, matrix_from_axis_angle(turns), shift)
    if with_correctives:  # the file as it ships, and our reader of it, which keeps only the rows that are not zero
        shipped = pose_body(body, betas, matrix_from_axis_angle(turns), shift)
        assert (out.vertices - shipped.vertices).abs().max() < 1e-5
    assert (out.vertices - posed.vertices).abs().max() < 1e-5
    assert (out.joints[:, :24] - posed.joints).abs().max() < 1e-5
