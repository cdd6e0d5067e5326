import pytest
import torch

from avatargen.core.errors import InputError
from avatargen.core.settings import GuidanceSettings
from avatargen.guidance.ensemble import Ensemble, parse_ensemble
from avatargen.guidance.load import load_guidance
from avatargen.guidance.model import Guidance


class Linear:
    """Features are fixed linear maps of letters and pixels, not of unit length."""

    version, licence = "1", "none"

    def __init__(self, name, size, width, seed):
        self.name, self.image_size = name, size
        generator = torch.Generator().manual_seed(seed)
        self.pixels = torch.randn(3, width, generator=generator)
        self.letters = torch.randn(256, width, generator=generator)

    def encode_text(self, texts):
        return torch.stack([self.letters[list(text.encode())].sum(0) for text in texts])

    def encode_image(self, images):
        return images.mean((2, 3)) @ self.pixels


@pytest.fixture
def pair():
    return Linear("clip:a", 224, 7, 0), Linear("embedded", 128, 5, 1)


def test_the_cosine_is_the_weighted_mean_of_the_members_cosines(pair):
    both = Ensemble(pair, (0.7, 0.3))
    images, texts = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(2)), ["a knight", "a nurse"]
    cosine = [torch.cosine_similarity(m.encode_image(images)[:, None], m.encode_text(texts), dim=-1) for m in pair]
    image, text = both.encode_image(images), both.encode_text(texts)
    torch.testing.assert_close(image @ text.T, 0.7 * cosine[0] + 0.3 * cosine[1])
    torch.testing.assert_close(image.norm(dim=-1), torch.ones(4))
    assert isinstance(both, Guidance)


def test_the_gradient_is_the_weighted_mean_of_the_members_gradients(pair):
    def gradient(guidance):
        image = torch.full((1, 3, 4, 4), 0.4, requires_grad=True)
        torch.cosine_similarity(guidance.encode_image(image), guidance.encode_text(["red"])).sum().backward()
        assert image.grad is not None
        return image.grad

    torch.testing.assert_close(gradient(Ensemble(pair, (0.7, 0.3))), 0.7 * gradient(pair[0]) + 0.3 * gradient(pair[1]))


def test_name_size_licence_and_version_tell_of_all_members(pair):
    both = Ensemble(pair, (0.7, 0.3))
    assert (both.name, both.image_size) == ("clip:a*0.7+embedded*0.3", 224)
    assert both.version != Ensemble(pair, (0.6, 0.4)).version
    assert both.version == Ensemble(pair, (0.7, 0.3)).version
    assert "clip:a: none" in both.licence


def test_weights_are_shares_and_the_embedded_model_goes_last():
    assert parse_ensemble("embedded*1 + clip:ViT-B/32*3") == (("clip:ViT-B/32", 0.75), ("embedded", 0.25))
    assert parse_ensemble("clip:RN50+openclip:ViT-B-32:laion2b") == (
        ("clip:RN50", 0.5),
        ("openclip:ViT-B-32:laion2b", 0.5),
    )


@pytest.mark.parametrize("text", ["clip:RN50+", "embedded*0", "embedded*-1+clip:RN50", "embedded*x", "embedded*inf"])
def test_what_is_no_weight_or_no_name_is_an_error(text):
    with pytest.raises(InputError, match="positive weight"):
        parse_ensemble(text)


def test_an_ensemble_loads_by_its_name():
    found = load_guidance(GuidanceSettings(model="embedded*2+embedded*1"))
    assert isinstance(found, Ensemble)
    assert [m.name for m in found.members] == ["embedded", "embedded"]
    assert found.shares == (2 / 3, 1 / 3)


def test_more_files_than_models_that_read_one_is_an_error():
    with pytest.raises(InputError, match="2 files for 1"):
        load_guidance(GuidanceSettings(model="embedded+clip:RN50", weights="a.pt,b.pt"))
