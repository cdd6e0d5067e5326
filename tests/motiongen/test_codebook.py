import pytest
import torch

from avatargen.core.errors import BrokenFileError, MissingAssetError
from avatargen.core.files import cache_dir
from avatargen.core.progress import Silent
from motiongen.codebook import (
    cached,
    k_means,
    key_frames,
    load_motion_codebook,
    load_pose_codebook,
    pose_features,
    save_motion_codebook,
    spread_order,
    text_features,
)


def blobs() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    return (centres[:, None] + 0.1 * torch.randn(4, 50, 2, generator=generator)).flatten(0, 1)


def test_k_means_is_a_fixed_point_of_lloyds_step():
    points = blobs()
    centres = k_means(points, 4, torch.Generator().manual_seed(5))
    nearest = torch.cdist(points, centres).argmin(1)
    for index in range(4):
        torch.testing.assert_close(centres[index], points[nearest == index].mean(0))


def test_k_means_takes_no_more_centres_than_points():
    points = torch.tensor([[0.0], [1.0], [5.0]])
    assert sorted(k_means(points, 10, torch.Generator().manual_seed(0))[:, 0].tolist()) == [0.0, 1.0, 5.0]


def test_k_means_is_the_same_for_the_same_seed():
    a, b = (k_means(blobs(), 7, torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(a, b)


def test_every_prefix_of_the_order_is_the_greedy_spread_one():
    points = blobs()
    order = spread_order(points)
    assert sorted(order.tolist()) == list(range(len(points)))
    # The first four entries and their one start cover all four blobs.
    assert len({(round(x / 10), round(y / 10)) for x, y in points[order[:5]].tolist()}) == 4


def test_features_are_unit_cached_and_equal_to_those_made_first(models, puppet, guidance):
    first = pose_features(guidance, puppet, models.prior, models.poses, (0.0, 40.0), Silent())
    looks = guidance.looks
    again = pose_features(guidance, puppet, models.prior, models.poses, (0.0, 40.0), Silent())
    assert guidance.looks == looks > 0
    assert torch.equal(first, again)
    torch.testing.assert_close(first.norm(dim=1), torch.ones(len(first)), atol=2e-3, rtol=0)


def test_another_version_of_the_guidance_makes_other_features(models, puppet, guidance):
    pose_features(guidance, puppet, models.prior, models.poses.first(3), (0.0,), Silent())
    looks = guidance.looks
    guidance.version = "2"
    pose_features(guidance, puppet, models.prior, models.poses.first(3), (0.0,), Silent())
    assert guidance.looks > looks


@pytest.mark.parametrize("damage", [b"", b"garbage" * 10, None])
def test_a_damaged_cache_file_is_made_anew_with_a_note(notes, damage):
    value = torch.arange(6.0).view(2, 3)
    cached("key", "thing", lambda: value, notes)
    path = cache_dir() / "motion" / "thing-key.safetensors"
    path.write_bytes(path.read_bytes()[:-3] if damage is None else damage)
    assert torch.equal(cached("key", "thing", lambda: value, notes), value)
    assert len(notes.lines) == 1
    assert "damaged" in notes.lines[0]
    assert torch.equal(cached("key", "thing", lambda: 1 / 0, notes), value)


def test_a_cache_that_cannot_be_written_costs_only_the_caching(notes, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AVATARGEN_CACHE", str(tmp_path / "file" / "below"))
    assert torch.equal(cached("key", "thing", lambda: torch.ones(2), notes), torch.ones(2))
    assert "not cached" in notes.lines[0]


def test_text_features_equal_the_guidances_own(guidance):
    words = [f"word{i}" for i in range(70)]
    torch.testing.assert_close(text_features(guidance, words, Silent()), guidance.encode_text(words), atol=1e-3, rtol=0)


def test_key_frames_are_frames_of_the_motion_and_differ(tiny_vae, models):
    latents = models.motions.latents
    poses = key_frames(tiny_vae, latents, 60, 3)
    frames = tiny_vae.motion(latents).rotations
    gap = (poses[:, :, None, :22] - frames[:, None]).abs().flatten(3).amax(-1).amin(-1)
    assert float(gap.max()) < 1e-6
    assert bool(((poses[:, 0] - poses[:, 1]).abs().flatten(1).amax(1) > 1e-3).all())


def test_a_motion_codebook_is_read_as_it_was_written(tmp_path):
    latents = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).half().float()
    words = (("walk", "stroll"), ("wave",))
    book = load_motion_codebook(
        save_motion_codebook(
            tmp_path / "m.safetensors",
            latents,
            torch.tensor([0, 1, 1]),
            words,
            ["a", "b"],
            torch.tensor([0.0, 3.5, 9.0]),
        )
    )
    assert torch.equal(book.latents, latents)
    assert book.clip.tolist() == [0, 1, 1]
    assert book.words == words
    assert book.names == ("a", "b")
    assert book.begin.tolist() == [0.0, 3.5, 9.0]


def test_missing_and_broken_codebooks_are_named(tmp_path):
    with pytest.raises(MissingAssetError, match="motiongen train codebook"):
        load_pose_codebook(tmp_path / "none.safetensors")
    bad = save_motion_codebook(
        tmp_path / "m.safetensors", torch.zeros(2, 4), torch.tensor([0, 7]), [["a"]], ["x"], torch.zeros(2)
    )
    with pytest.raises(BrokenFileError, match="clip numbers"):
        load_motion_codebook(bad)
    (tmp_path / "m.safetensors").write_bytes(b"{}")
    with pytest.raises(BrokenFileError, match=r"m\.safetensors"):
        load_motion_codebook(bad)
