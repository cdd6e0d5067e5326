import pytest
import torch
from scipy.cluster.vq import kmeans2

from avatargen.core.rng import stream
from avatargen.shape.codebook import cluster, codebook_features, image_features, make_codebook
from avatargen.shape.vae import load_shape_space


class Notes:
    def __init__(self):
        self.lines, self.steps = [], 0

    def start(self, stage, total):
        pass

    def step(self, n=1, **values):
        self.steps += n

    def finish(self):
        pass

    def note(self, line):
        self.lines.append(line)


def loss(points, centers):
    return torch.cdist(points, centers).min(1).values.square().mean().item()


def test_clusters_that_are_apart_are_found_exactly():
    true = torch.tensor([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0]])
    offsets = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    points = (true[:, None] + offsets).reshape(-1, 2)
    for seed in range(5):  # Lloyd's rounds can stall, but not when two starts share a cluster and one is left over
        centers = cluster(points, 3, stream(seed, "k"), 30)
        assert loss(points, centers) <= 1.0 + 1e-5 or loss(points, centers) > 100


def test_clusters_are_as_good_as_scipys():
    points = torch.randn(1500, 4, generator=stream(0, "points"))
    ours = loss(points, cluster(points, 40, stream(0, "k"), 20))
    theirs, _ = kmeans2(points.double().numpy(), 40, iter=20, minit="++", seed=0)
    assert ours < 1.05 * loss(points, torch.from_numpy(theirs).float())


def test_an_empty_cluster_is_given_a_point():
    points = torch.cat([torch.zeros(50, 2), torch.full((1, 2), 9.0)])
    centers = cluster(points, 2, stream(1, "k"), 5)
    assert loss(points, centers) == 0.0


def test_a_codebook_has_no_entry_twice_and_depends_on_the_seed_alone():
    latents = torch.randn(600, 4, generator=stream(0, "z"))
    book = make_codebook(latents, 64, 0)
    assert len(book.unique(dim=0)) == 64
    assert torch.equal(book, make_codebook(latents, 64, 0))


def test_features_are_kept_and_a_longer_codebook_only_adds(body, guidance, empty_cache):
    space = load_shape_space(body)
    notes = Notes()
    first = codebook_features(space, guidance, 4, 1, notes)
    assert guidance.seen == 4 == notes.steps
    again = codebook_features(space, guidance, 3, 1, notes)
    assert guidance.seen == 4
    assert torch.equal(first[:3], again)
    longer = codebook_features(space, guidance, 6, 1, notes)
    assert guidance.seen == 6
    assert torch.equal(longer[:4], first)
    torch.testing.assert_close(longer[5:], image_features(body, space.decode(space.codebook[5:6]), guidance, 1))


def test_another_guidance_version_or_number_of_views_is_not_mixed_up(body, empty_cache):
    from tests.avatargen.shape.conftest import Silhouettes

    space = load_shape_space(body)
    for guidance, views in ((Silhouettes("1"), 1), (Silhouettes("2"), 1), (Silhouettes("1"), 2)):
        codebook_features(space, guidance, 2, views, Notes())
        assert guidance.seen == 2 * views
    assert len(list((empty_cache / "shape").iterdir())) == 3


@pytest.mark.parametrize("harm", ["truncated", "other"])
def test_a_damaged_cache_is_noted_and_made_again(body, guidance, empty_cache, harm):
    space = load_shape_space(body)
    notes = Notes()
    first = codebook_features(space, guidance, 2, 1, notes)
    (path,) = (empty_cache / "shape").iterdir()
    path.write_bytes(path.read_bytes()[:-5] if harm == "truncated" else b"something else")
    assert torch.equal(codebook_features(space, guidance, 2, 1, notes), first)
    assert len(notes.lines) == 1
    assert "making it again" in notes.lines[0]
    assert guidance.seen == 4
    codebook_features(space, guidance, 2, 1, notes)
    assert guidance.seen == 4


def test_a_cache_that_cannot_be_written_costs_only_time(body, guidance, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AVATARGEN_CACHE", str(tmp_path / "file"))
    notes = Notes()
    assert len(codebook_features(load_shape_space(body), guidance, 2, 1, notes)) == 2
    assert "not kept" in notes.lines[0]
