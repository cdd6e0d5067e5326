"""Small stand-ins: a fake text-image model, a synthetic motion set, a tiny motion VAE and codebooks made from it."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from avatargen.body.open_body import load_open_body
from avatargen.core.rng import stream
from motiongen.codebook import load_motion_codebook, load_pose_codebook
from motiongen.generate import Models
from motiongen.motion_features import to_features
from motiongen.motion_vae import MotionVae
from motiongen.pose_prior import PosePrior
from motiongen.puppet import make_puppet
from motiongen.train_codebooks import make_motion_codebook, make_pose_codebook
from motiongen.training import initialise
from motiongen.windows import random_windows, read_motion_set, sampling_chances


class FakeGuidance:
    """Pictures: the darkness of an 8 x 8 thumbnail. Texts: one fixed random vector per word, summed.

    `teach` ties a word to a picture, so that texts with that word like such pictures.
    """

    name = "fake"
    version = "1"
    image_size = 32
    licence = "none"

    dim = 64

    def __init__(self) -> None:
        self.looks = 0
        self.taught: dict[str, Tensor] = {}

    def encode_image(self, images: Tensor) -> Tensor:
        self.looks += len(images)
        small = torch.nn.functional.interpolate(images, size=(8, 8), mode="area").mean(1)
        return torch.nn.functional.normalize((1.0 - small).flatten(1) + 1e-4, dim=-1)

    def encode_text(self, texts) -> Tensor:
        rows = [sum((self._word(word) for word in text.lower().split()), torch.zeros(self.dim)) for text in texts]
        return torch.nn.functional.normalize(torch.stack(rows), dim=-1)

    def teach(self, word: str, image: Tensor) -> None:
        self.taught[word] = 10.0 * self.encode_image(image)[0].detach()

    def _word(self, word: str) -> Tensor:
        if word in self.taught:
            return self.taught[word]
        digest = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=6).digest(), "big")
        return torch.randn(self.dim, generator=torch.Generator().manual_seed(digest))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AVATARGEN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def guidance():
    return FakeGuidance()


def synthetic_arrays() -> dict[str, np.ndarray]:
    """Four clips: arms that swing slowly, arms that swing fast and loop, a squat, a turn on the spot."""
    parts, starts = [], [0]
    generator = np.random.default_rng(0)
    for clip, length in enumerate((80, 41, 50, 90)):
        t = np.arange(length) / 30
        pose = 0.05 * generator.standard_normal((24, 3))[None].repeat(length, 0)
        pose[:, 0] = 0.0
        root = np.stack((0.2 * t * (clip == 0), np.full(length, 0.93), 0 * t), axis=1)
        match clip:
            case 0:
                pose[:, 16, 2] += np.sin(2 * t)
            case 1:
                pose[:, 17, 1] += 1.2 * np.sin(2 * np.pi * np.arange(length) / 20)
            case 2:
                bend = 0.6 * (1 - np.cos(2 * np.pi * t / t[-1]))
                pose[:, [1, 2], 0] -= bend[:, None]
                pose[:, [4, 5], 0] += 2 * bend[:, None]
                root[:, 1] -= 0.3 * bend
            case _:
                pose[:, 0, 1] = 1.5 * t
        parts.append((pose, root, np.ones((length, 2))))
        starts.append(starts[-1] + length)
    return {
        "axis_angle": np.concatenate([p[0] for p in parts]).astype(np.float32),
        "root_position": np.concatenate([p[1] for p in parts]).astype(np.float32),
        "contacts": np.concatenate([p[2] for p in parts]).astype(np.float32),
        "clip_start": np.array(starts),
        "fps": np.array(30.0),
        "names": np.array(["swing", "fast", "squat", "turn"]),
        "labels": np.array(["swing an arm", "punch with the right hand", "do a squat", "turn around"]),
        "alternatives": np.array(["", "throw a punch|hit", "squat down", "spin"]),
        "loop": np.array([False, True, False, False]),
        "rest_root_height": np.full(4, 0.93, np.float32),
        "split": np.array(["train", "train", "train", "val"]),
    }


@pytest.fixture(scope="session")
def set_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("set") / "set.npz"
    np.savez(path, **synthetic_arrays())
    return path


@pytest.fixture(scope="session")
def motions(set_path):
    return read_motion_set(set_path)


@pytest.fixture(scope="session")
def tiny_vae(motions):
    """Sixteen dimensions; the linear part is fitted, the transformers are at zero."""
    vae = MotionVae(size=16, inner=16, encoder_layers=1, decoder_layers=1, latent=16)
    initialise(vae, stream(0, "tiny"))
    clip = random_windows(motions, sampling_chances(motions, train=True), 64, 60, stream(0, "tiny/data"))
    vae.fit_linear(to_features(clip), stream(0, "tiny/linear"))
    return vae.eval().requires_grad_(requires_grad=False)


@pytest.fixture(scope="session")
def tiny_prior():
    prior = PosePrior(hidden=16)
    initialise(prior, stream(0, "tiny/prior"))
    # Biases carry the two identity columns, so that decoded poses are near a T-pose.
    with torch.no_grad():
        prior.decoder_net[5].bias.copy_(torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]).repeat(21))
    return prior.eval().requires_grad_(requires_grad=False)


@pytest.fixture(scope="session")
def models(motions, tiny_vae, tiny_prior, tmp_path_factory):
    folder = tmp_path_factory.mktemp("books")
    poses = make_pose_codebook(tiny_prior, motions, folder / "poses.safetensors", entries=12)
    windows = make_motion_codebook(tiny_vae, motions, folder / "motions.safetensors")
    return Models(
        prior=tiny_prior, vae=tiny_vae, poses=load_pose_codebook(poses), motions=load_motion_codebook(windows)
    )


@pytest.fixture(scope="session")
def body():
    return load_open_body()


@pytest.fixture(scope="session")
def puppet(body):
    return make_puppet(body, faces=1200)


@pytest.fixture
def notes():
    """A reporter that keeps its notes."""
    lines: list[str] = []
    quiet = {name: lambda *_, **__: None for name in ("start", "step", "finish")}
    return SimpleNamespace(lines=lines, note=lines.append, **quiet)
