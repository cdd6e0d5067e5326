from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from avatargen import cli
from avatargen.body.load import load_body_model
from avatargen.body.posing import shape_body
from avatargen.core.errors import BrokenFileError
from avatargen.core.files import save_tensors
from avatargen.core.rng import stream
from avatargen.core.settings import BodySettings, ShapeSettings
from avatargen.shape import train
from avatargen.shape.search import find_shape
from avatargen.shape.vae import LATENT, ShapeVae, load_shape_space, space_from_tensors, trained_file


def test_the_shipped_space_rebuilds_bodies_within_three_millimetres(body):
    space = load_shape_space(body)
    assert space is not None
    betas = torch.randn(64, body.num_betas, generator=stream(5, "held out"))
    rebuilt = space.decode(space.encode(betas))
    distance = (shape_body(body, rebuilt)[0] - shape_body(body, betas)[0]).norm(dim=-1).mean(1)
    assert distance.mean() < 0.003
    assert len(space.codebook) == 2048
    assert space.vae is not None
    middle = space.decode(torch.zeros(1, LATENT))
    assert (shape_body(body, middle)[0] - body.template).norm(dim=-1).mean() < 0.003


def test_the_gram_matrix_measures_vertices(body):
    betas = torch.randn(3, body.num_betas, generator=stream(0, "b"))
    offsets = (shape_body(body, betas)[0] - body.template).square().sum(-1).mean(1)
    gram = train.vertex_gram(body).float()
    torch.testing.assert_close(torch.einsum("bi,ij,bj->b", betas, gram, betas), offsets, rtol=1e-4, atol=1e-9)


def test_training_is_repeatable_and_learns(body):
    first, report = train.train_shape_vae(body, steps=60)
    second, _ = train.train_shape_vae(body, steps=60)
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
    assert report.vae_mm < 5.0
    assert report.pca_mm < 0.01  # as many components as the body has betas
    assert not any(p.requires_grad for p in first.parameters())


def test_fewer_components_than_betas_cost_what_the_spectrum_says(body):
    wide = torch.randn(*body.template.shape, LATENT + 4, generator=stream(0, "d")) * 0.01
    other = replace(body, shape_directions=wide)
    vae = train._start(other, train.vertex_gram(other).float(), stream(0, "s"))
    report = train.evaluate(vae, other)
    # Four of twenty equal components are dropped: the mean length of a Gaussian of that deviation in three dimensions.
    expected = 1e3 * 0.01 * 4**0.5 * (8 / torch.pi) ** 0.5
    assert report.pca_mm == pytest.approx(expected, rel=0.12)
    # The network starts as that basis, so it errs as much before any training.
    assert report.vae_mm == pytest.approx(report.pca_mm, rel=0.02)


def test_principal_components_are_those_of_the_offsets(body):
    wide = torch.randn(*body.template.shape, 12, generator=stream(0, "d")) * torch.logspace(-1, -3, 12)
    other = replace(body, shape_directions=wide)
    betas = torch.randn(40, 12, generator=stream(1, "b"))
    ours = torch.einsum("vcn,bn->bvc", other.shape_directions, train.principal(other, betas, 5)).flatten(1)
    basis = torch.linalg.svd(wide.double().flatten(0, 1), full_matrices=False)[0][:, :5]
    offsets = torch.einsum("vcn,bn->bvc", other.shape_directions, betas).flatten(1).double()
    torch.testing.assert_close(ours.double(), offsets @ basis @ basis.T, rtol=1e-3, atol=1e-5)


def test_the_report_tells_the_curve_and_what_is_used(body, tmp_path):
    _, report = train.train_shape_vae(body, steps=45)
    assert [steps for steps, _ in report.curve] == [0, 40, 45]
    assert report.curve[-1][1] == report.vae_mm
    assert report.used == LATENT
    assert 3.0 > report.pca_half_mm > 2.0 > report.vae_mm
    line = train.report_line(report)
    assert f"{report.vae_mm:.2f} mm" in line
    assert f"{report.pca_half_mm:.2f} mm with 8" in line
    train.plot_curve(report, "space", tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.size[0] > 500


@pytest.fixture
def licensed(body, tmp_path):
    """A folder with a file of SMPL's format; its shape is the open body's, nothing of it is SMPL's."""
    folder = tmp_path / "licensed"
    folder.mkdir()
    parents = torch.tensor(body.parents).numpy().copy()
    np.savez(
        folder / "SMPL_NEUTRAL.npz",
        v_template=body.template.numpy(),
        shapedirs=body.shape_directions[..., :10].numpy(),
        posedirs=np.zeros((len(body.template), 3, 207), dtype=np.float16),
        J_regressor=body.joint_regressor.numpy(),
        weights=body.weights.numpy(),
        kintree_table=np.stack([parents, np.arange(24)]),
        f=body.faces.numpy().astype(np.uint32),
    )
    return folder


def test_the_command_trains_a_licensed_body_and_the_search_uses_it(licensed, empty_cache, guidance, capsys):
    arguments = ["--body", "smpl", "--folder", str(licensed), "--steps", "40", "--entries", "48"]
    assert cli.main(["train", "shape", *arguments]) == 0
    assert "mm mean distance on held-out bodies" in capsys.readouterr().err
    smpl = load_body_model(BodySettings(kind="smpl", folder=str(licensed)))
    space = load_shape_space(smpl)
    assert space is not None
    assert space.vae is not None
    assert len(space.codebook) == 48
    betas = torch.randn(64, smpl.num_betas, generator=stream(5, "held out"))
    distance = shape_body(smpl, space.decode(space.encode(betas)))[0] - shape_body(smpl, betas)[0]
    assert distance.norm(dim=-1).mean() < 0.003
    settings = ShapeSettings(codebook_size=32, views=1, refine_steps=2)
    tall, short = (find_shape(text, smpl, guidance, settings, 0).measures["height"] for text in ("tall", "short"))
    assert tall > short + 0.1


def test_training_without_the_licensed_file_says_where_to_get_it(tmp_path, capsys):
    assert cli.main(["train", "shape", "--body", "smpl", "--folder", str(tmp_path)]) == 2
    assert "register at https://smpl" in capsys.readouterr().err


def test_divergence_is_that_of_gaussians():
    mean, log_variance = (torch.randn(4, 3, generator=stream(0, n)) for n in "ab")
    ours = train.divergence(mean, log_variance)
    normal = torch.distributions.Normal
    theirs = torch.distributions.kl_divergence(normal(mean, (0.5 * log_variance).exp()), normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(ours, theirs)


def test_a_space_survives_storage_and_is_found_in_the_cache(body, empty_cache):
    vae = ShapeVae(body.num_betas, width=8)
    tensors = {**vae.state_dict(), "codebook": torch.zeros(4, LATENT)}
    save_tensors(trained_file(body), tensors, {"body": f"open-{body.version}"})
    space = load_shape_space(body)
    assert space is not None
    z = torch.randn(2, LATENT, generator=stream(0, "z"))
    torch.testing.assert_close(space.decode(z), vae.decode(z))
    assert len(space.codebook) == 4
    shipped = load_shape_space(replace(body, version="other"))
    assert shipped is not None
    assert shipped.version != space.version


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("codebook"), "not a shape space"),
        (lambda t: t.pop("decode_curve.2.bias"), "not a shape space"),
        (lambda t: t["decode_line.bias"].fill_(torch.inf), "does not fit"),
    ],
)
def test_a_damaged_space_is_named(body, change, words):
    tensors = {**ShapeVae(body.num_betas, width=8).state_dict(), "codebook": torch.zeros(4, LATENT)}
    change(tensors)
    with pytest.raises(BrokenFileError, match=words):
        space_from_tensors(body, tensors, {}, "file")


def test_a_space_of_another_body_is_refused(body):
    with pytest.raises(BrokenFileError, match="was trained for the body smpl-1"):
        space_from_tensors(body, {}, {"body": "smpl-1"}, "file")


def test_a_body_nobody_trained_for_has_no_space(body):
    assert load_shape_space(replace(body, kind="smplx")) is None


def test_the_command_writes_a_space_that_loads(body, tmp_path):
    assert train.main(["--steps", "30", "--entries", "40", "--out", str(tmp_path / "vae.safetensors")]) == 0
    from avatargen.core.files import load_tensors

    tensors, metadata = load_tensors(tmp_path / "vae.safetensors")
    space = space_from_tensors(body, tensors, metadata, "file")
    assert len(space.codebook) == 40
