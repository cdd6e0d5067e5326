import pytest
import torch

from avatargen.body.open_body import load_open_body
from avatargen.shape.query import background

WORDS = {"tall": (1.0, 0.0), "short": (-1.0, 0.0), "fat": (0.0, 1.0), "thin": (0.0, -1.0)}


class Silhouettes:
    """A stand-in guidance that sees how high and how wide a body is, and knows four words."""

    name = "silhouettes"
    image_size = 48
    licence = ""

    def __init__(self, version="1"):
        self.version = version
        self.seen = 0

    def encode_image(self, images):
        self.seen += len(images)
        size = images.shape[-1]
        empty = background(2 * size).permute(2, 0, 1)[None]
        empty = torch.nn.functional.avg_pool2d(empty, 2).to(images)
        mask = ((images - empty).abs().sum(1) / 0.15).clamp_max(1.0)
        rows = mask.amax(2).sum(1) / size
        middle = mask[:, int(0.45 * size) : int(0.62 * size)].mean((1, 2))
        return self.place(10.0 * (rows - 0.80), 40.0 * (middle - 0.145))

    def encode_text(self, texts):
        rows = []
        for text in texts:
            sums = torch.tensor([0.0, 0.0])
            for word in text.lower().split():
                sums = sums + torch.tensor(WORDS.get(word, (0.0, 0.0)))
            rows.append(sums)
        both = torch.stack(rows)
        return self.place(both[:, 0], both[:, 1])

    @staticmethod
    def place(height, girth):
        rows = torch.stack([torch.ones_like(height), 0.3 * height, 0.3 * girth], dim=1)
        return torch.nn.functional.normalize(rows, dim=1)


@pytest.fixture
def guidance():
    return Silhouettes()


@pytest.fixture(scope="session")
def body():
    return load_open_body()


@pytest.fixture
def empty_cache(tmp_path, monkeypatch, never_the_users_cache):
    monkeypatch.setenv("AVATARGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def cache_of_the_session(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def never_the_users_cache(monkeypatch, cache_of_the_session):
    """Tests share the features of the codebook, unless they ask for an empty cache."""
    monkeypatch.setenv("AVATARGEN_CACHE", str(cache_of_the_session))
