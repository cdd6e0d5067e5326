from dataclasses import replace

import pytest
import torch

from avatargen.body.posing import shape_body
from avatargen.core.errors import BrokenFileError
from avatargen.core.files import save_tensors
from avatargen.core.rng import stream
from avatargen.shape import train
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
