import numpy as np
import pytest
import torch
import trimesh

from avatargen.core.rng import stream
from avatargen.core.values import Mesh
from avatargen.render.cameras import orbit
from avatargen.render.picture import Surface, coarser, draw_mesh, render_mesh, surface_of, texels_per_metre

RED, BLUE = torch.tensor([1.0, 0, 0]), torch.tensor([0, 0, 1.0])


def as_tensors(mesh, dtype=torch.float32):
    return torch.tensor(np.array(mesh.vertices), dtype=dtype), torch.tensor(np.array(mesh.faces))


def figure():
    """A body with a red left (+X) and a blue right hand, a green head and a white nose in front."""
    parts = [
        (trimesh.creation.capsule(1.0, 0.2), (0, 0, 0), (0.5, 0.5, 0.5)),
        (trimesh.creation.icosphere(3, 0.15), (0.6, 0.5, 0), (1, 0, 0)),
        (trimesh.creation.icosphere(3, 0.15), (-0.6, 0.5, 0), (0, 0, 1)),
        (trimesh.creation.icosphere(3, 0.2), (0, 1.4, 0), (0, 1, 0)),
    ]
    meshes, colors = [], []
    for mesh, place, color in parts:
        if mesh.vertices[:, 2].max() > 0.8:  # a capsule stands along z
            mesh.apply_transform(trimesh.transformations.rotation_matrix(-np.pi / 2, [1, 0, 0]))
        meshes.append(mesh.apply_translation(place))
        colors.append(torch.tensor([color], dtype=torch.float32).expand(len(mesh.vertices), 3))
    vertices, faces = as_tensors(trimesh.util.concatenate(meshes))
    return vertices, faces, torch.cat(colors)


def centre(image, color):
    """Mean column and row of the pixels of one color."""
    rows, columns = torch.nonzero((image - color[:, None, None]).abs().amax(0) < 0.05, as_tuple=True)
    return columns.float().mean().item(), rows.float().mean().item()


def test_the_characters_left_hand_is_on_the_right_of_a_front_view_and_its_head_on_top():
    vertices, faces, colors = figure()
    cameras = orbit([0.0, 180.0, 90.0], target=(0, 0.6, 0), size=96)
    front, back, left = render_mesh(vertices, faces, cameras, colors, light=None)
    assert front.shape == (3, 96, 96)
    assert centre(front, RED)[0] > 60 > 36 > centre(front, BLUE)[0]
    assert centre(back, RED)[0] < 36 < 60 < centre(back, BLUE)[0]
    assert centre(front, torch.tensor([0, 1.0, 0]))[1] < 32
    assert centre(left, RED)[0] == pytest.approx(47.5, abs=1)
    assert ((left - BLUE[:, None, None]).abs().amax(0) < 0.05).sum() == 0


def test_clay_is_grey_and_lit():
    vertices, faces, _ = figure()
    image = render_mesh(vertices, faces, orbit(0.0, target=(0, 0.6, 0), size=64), background="black")
    assert torch.equal(image[:, 0], image[:, 1])
    assert image.max() < 0.83
    assert len(torch.unique((image * 255).round())) > 20


def test_a_texture_lands_where_its_uvs_say():
    vertices = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    uvs = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    texture = torch.tensor([[[1.0, 0, 0], [0, 1, 0]], [[0, 0, 1], [1, 1, 1]]])  # top row red, green
    texture = texture.repeat_interleave(8, 0).repeat_interleave(8, 1)
    image = render_mesh(
        vertices, faces, orbit(0.0, size=64), texture=texture, uvs=uvs, uv_faces=faces, light=None, background="black"
    )[0]
    torch.testing.assert_close(image[:, 20, 20], torch.tensor([1.0, 0, 0]))
    torch.testing.assert_close(image[:, 20, 44], torch.tensor([0, 1.0, 0]))
    torch.testing.assert_close(image[:, 44, 20], torch.tensor([0, 0, 1.0]))
    torch.testing.assert_close(image[:, 44, 44], torch.ones(3))


def test_a_surface_cannot_have_a_texture_without_uvs_or_two_looks():
    with pytest.raises(ValueError, match="needs uvs"):
        Surface(texture=torch.zeros(2, 2, 3))
    both = {"uvs": torch.zeros(3, 2), "uv_faces": torch.tensor([[0, 1, 2]])}
    with pytest.raises(ValueError, match="not both"):
        Surface(torch.zeros(3, 3), torch.zeros(2, 2, 3), **both)


def test_images_have_the_gradients_of_finite_differences_in_color_texture_and_light():
    vertices, faces = as_tensors(trimesh.creation.icosphere(1, 0.5), torch.float64)
    vertices = vertices + 0.0093
    cameras = orbit([20.0, 110.0], [9.0, -20.0], 1.7, size=6, dtype=torch.float64)
    generator = stream(0, "values")
    colors = torch.rand(len(vertices), 3, dtype=torch.float64, generator=generator)
    texture = torch.rand(3, 4, 3, dtype=torch.float64, generator=generator)
    uvs = 0.1 + 0.8 * torch.rand(len(vertices), 2, dtype=torch.float64, generator=generator)

    def painted(points, values):
        return render_mesh(points, faces, cameras, values, backend="torch", light="studio")

    def textured(values, where):
        return render_mesh(
            vertices, faces, cameras, texture=values, uvs=where, uv_faces=faces, backend="torch", light=None
        )

    checks = {"eps": 1e-7, "atol": 2e-5, "fast_mode": True}
    moving = vertices.clone().requires_grad_()
    assert torch.autograd.gradcheck(painted, (moving, colors.requires_grad_()), **checks)
    assert torch.autograd.gradcheck(textured, (texture.requires_grad_(), uvs.requires_grad_()), **checks)


def test_supersampling_gives_the_mean_of_the_large_picture():
    vertices, faces, colors = figure()
    cameras = orbit(30.0, target=(0, 0.6, 0), size=40)
    small = render_mesh(vertices, faces, cameras, colors, supersample=3)
    large = render_mesh(vertices, faces, cameras.resized(3), colors)
    torch.testing.assert_close(small, torch.nn.functional.avg_pool2d(large, 3))


def test_depth_normals_and_mask_describe_the_nearest_surface():
    vertices, faces = as_tensors(trimesh.creation.icosphere(4, 0.5), torch.float64)
    for many in (1, 3):
        picture = draw_mesh(vertices, faces, orbit(0.0, distance=2.0, size=33, dtype=torch.float64), supersample=many)
        assert picture.depth[0, 0, 16, 16].item() == pytest.approx(1.5, abs=2e-3)
        torch.testing.assert_close(
            picture.normals[0, :, 16, 16], torch.tensor([0, 0, 1.0], dtype=torch.float64), atol=5e-3, rtol=0
        )
        assert picture.depth[0, 0, 0, 0] == 0
        assert picture.mask[0, 0, 16, 16] == 1
        assert picture.mask[0, 0, 0, 0] == 0


def test_the_back_of_an_open_sheet_is_lit_like_its_front():
    vertices = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    front, back = render_mesh(vertices, faces, orbit([0.0, 180.0], size=32))
    torch.testing.assert_close(front[:, 16, 16], back[:, 16, 16])
    assert front[0, 16, 16] > 0.7


def test_one_mesh_per_view_is_drawn_as_alone():
    vertices, faces, colors = figure()
    meshes = torch.stack([vertices, vertices * torch.tensor([1.3, 0.8, 1.0])])
    cameras = orbit([0.0, 60.0], target=(0, 0.6, 0), size=48)
    shades = torch.stack([colors, 1 - colors])
    both = render_mesh(meshes, faces, cameras, shades)
    for i in range(2):
        torch.testing.assert_close(both[i : i + 1], render_mesh(meshes[i], faces, cameras[i], shades[i]))


def test_an_empty_view_shows_the_background():
    vertices, faces, _ = figure()
    image = render_mesh(vertices + 100, faces, orbit(0.0, size=16), background="grey")
    torch.testing.assert_close(image, torch.full_like(image, 0.5))


def test_the_fineness_of_a_texture_is_its_texels_over_its_metres():
    vertices = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    uvs = torch.tensor([[0.0, 0], [0.5, 0], [0.5, 0.5], [0, 0.5]])
    surface = Surface(texture=torch.zeros(64, 64, 3), uvs=uvs, uv_faces=faces)
    assert texels_per_metre(surface, vertices, faces) == pytest.approx(16.0)
    assert texels_per_metre(Surface(), vertices, faces) == 0


def test_a_coarser_texture_is_the_mean_of_its_texels_and_looks_the_same_from_afar():
    vertices = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    uvs = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    texture = torch.rand(64, 64, 3, generator=stream(0, "texture"))
    fine = Surface(texture=texture, uvs=uvs, uv_faces=faces)
    small = coarser(fine, 4)
    torch.testing.assert_close(small.texture[3, 5], texture[12:16, 20:24].mean((0, 1)))
    cameras = orbit(0.0, distance=6.0, size=16)
    truth = draw_mesh(vertices, faces, cameras, fine, light=None, supersample=16).image
    error = [(draw_mesh(vertices, faces, cameras, s, light=None).image - truth).abs().mean() for s in (fine, small)]
    assert error[1] < 0.6 * error[0]
    assert coarser(Surface(), 4).texture is None


def test_a_stored_mesh_becomes_the_look_it_carries():
    corners = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0]])
    faces = np.array([[0, 1, 2]])
    image = np.full((4, 4, 3), 51, np.uint8)
    image.setflags(write=False)
    textured = surface_of(Mesh(vertices=corners, faces=faces, uvs=corners[:, :2], uv_faces=faces, texture=image))
    assert textured.texture is not None
    torch.testing.assert_close(textured.texture, torch.full((4, 4, 3), 0.2))
    painted = surface_of(Mesh(vertices=corners, faces=faces, vertex_colors=np.full((3, 3), 0.3)))
    torch.testing.assert_close(painted.colors, torch.full((3, 3), 0.3))
    assert surface_of(Mesh(vertices=corners, faces=faces)).colors is None
