"""OpenAI's CLIP as guidance: finds weights and vocabulary, prepares images, gives unit features."""

import hashlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.core.errors import BrokenFileError, MissingAssetError
from avatargen.core.files import cache_dir
from avatargen.core.progress import Reporter, Silent
from avatargen.core.settings import GuidanceSettings
from avatargen.guidance.clip_model import Clip, build_clip
from avatargen.guidance.fetch import fetch, offline
from avatargen.guidance.losses import unit
from avatargen.guidance.tokenizer import FILE_NAME, Tokenizer, load_tokenizer
from avatargen.guidance.weights import read_weights

_SERVER = "https://openaipublic.azureedge.net/clip/models"
MODELS: Mapping[str, str] = MappingProxyType(
    {
        "RN50": "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762",
        "RN101": "8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599",
        "RN50x4": "7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd",
        "RN50x16": "52378b407f34354e150460fe41077663dd5b39c54cd0bfd2b27167a4a06ec9aa",
        "RN50x64": "be1cfb55d75a9666199fb2206c106743da0f6468c9d327f3e0d0a543a9919d9c",
        "ViT-B/32": "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
        "ViT-B/16": "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f",
        "ViT-L/14": "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
        "ViT-L/14@336px": "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
    }
)
"""Published models and the SHA-256 of their files, which is part of their addresses."""

_VOCABULARY_URL = "https://github.com/openai/CLIP/raw/main/clip/bpe_simple_vocab_16e6.txt.gz"
_VOCABULARY_SHA256 = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""Of the images the models were trained on."""


@dataclass(eq=False)  # not frozen: the protocol's attributes are writable
class ClipGuidance:
    """CLIP behind the guidance protocol: float32 on the CPU, half precision on CUDA; weights are frozen."""

    name: str
    version: str
    image_size: int
    licence: str
    model: Clip
    tokenizer: Tokenizer
    device: torch.device

    def encode_text(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Unit features; texts beyond 75 tokens are cut."""
        tokens = self.tokenizer(texts, self.model.positional_embedding.shape[0]).to(self.device)
        with torch.no_grad(), self._precision():
            return unit(self.model.encode_text(tokens).float())

    def encode_image(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Unit features; differentiable in the images."""
        prepared = prepare_images(images.to(self.device), self.image_size)
        with self._precision():
            return unit(self.model.encode_image(prepared).float())

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.float16, enabled=self.device.type == "cuda")


def prepare_images(images: Float[Tensor, "b 3 h w"], size: int) -> Float[Tensor, "b 3 size size"]:
    """Resized (bicubic, antialiased) and normalised; oblong images are first filled up to a square by their edges."""
    height, width = images.shape[-2:]
    if height != width:
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        padding = (left, side - width - left, top, side - height - top)
        images = torch.nn.functional.pad(images, padding, mode="replicate")
    if images.shape[-1] != size:
        images = torch.nn.functional.interpolate(
            images, (size, size), mode="bicubic", align_corners=False, antialias=True
        )
    mean, std = images.new_tensor(MEAN)[:, None, None], images.new_tensor(STD)[:, None, None]
    return (images - mean) / std


def load_clip(
    name: str, settings: GuidanceSettings, device: torch.device | str = "cpu", reporter: Reporter | None = None
) -> ClipGuidance:
    """The CLIP model `name` of `MODELS`, from `settings.weights`, a cache, or OpenAI's server.

    Raises:
        MissingAssetError: weights or vocabulary are neither here nor to be had.
        BrokenFileError: a file is not what it should be.
    """
    reporter = reporter or Silent()
    weights = _find_weights(name, settings, reporter)
    tokenizer = load_tokenizer(_find_vocabulary(settings, weights, reporter))
    model = build_clip(read_weights(weights), str(weights))
    if model.token_embedding.num_embeddings != tokenizer.size:
        raise BrokenFileError(
            f"{weights} knows {model.token_embedding.num_embeddings:,} tokens, the vocabulary has {tokenizer.size:,}\n"
            f"  Give the right {FILE_NAME} with --set guidance.vocabulary=FILE."
        )
    with weights.open("rb") as stream:
        version = hashlib.file_digest(stream, "sha256").hexdigest()[:12]
    place = torch.device(device)
    return ClipGuidance(
        name=f"clip:{name}",
        version=version,
        image_size=model.visual.resolution,
        licence="MIT (OpenAI CLIP)",
        model=model.to(place),
        tokenizer=tokenizer,
        device=place,
    )


def _file_name(name: str) -> str:
    return name.replace("/", "-").replace("@", "-") + ".pt"


def _folders() -> tuple[Path, Path]:
    return cache_dir() / "clip", Path.home() / ".cache" / "clip"


def weights_on_disk(name: str) -> Path | None:
    """The file of the CLIP model `name` in our cache, or in that of OpenAI's package; None if there is none."""
    stem = Path(_file_name(name)).stem
    for folder in _folders():
        for suffix in (".pt", ".safetensors"):
            if (folder / f"{stem}{suffix}").is_file():
                return folder / f"{stem}{suffix}"
    return None


def fetch_clip(name: str, settings: GuidanceSettings, reporter: Reporter) -> Path:
    """The weights and vocabulary of `name`, on disk afterwards; returns the weights' file.

    Raises:
        MissingAssetError: they are not here and cannot be fetched.
        BrokenFileError: what came has another checksum.
    """
    weights = _find_weights(name, settings, reporter)
    _find_vocabulary(settings, weights, reporter)
    return weights


def _find_weights(name: str, settings: GuidanceSettings, reporter: Reporter) -> Path:
    if settings.weights:
        given = Path(settings.weights).expanduser()
        if not given.is_file():
            raise MissingAssetError(f"no weight file {given}\n  --guidance-weights must name an existing file.")
        return given
    if kept := weights_on_disk(name):
        return kept
    folders = _folders()
    if offline(settings):
        raise MissingAssetError(
            f"no weights of CLIP {name} on this machine\n"
            f"  Looked for {_file_name(name)} in {' and '.join(str(f) for f in folders)}.\n"
            f"  Give a file with --guidance-weights FILE, or allow the download (guidance.download = true)."
        )
    digest = MODELS[name]
    return fetch(f"{_SERVER}/{digest}/{_file_name(name)}", digest, folders[0] / _file_name(name), reporter)


def _find_vocabulary(settings: GuidanceSettings, weights: Path, reporter: Reporter) -> Path:
    if settings.vocabulary:
        given = Path(settings.vocabulary).expanduser()
        if not given.is_file():
            raise MissingAssetError(f"no vocabulary {given}\n  guidance.vocabulary must name an existing {FILE_NAME}.")
        return given
    kept = cache_dir() / "clip" / FILE_NAME
    for path in (weights.parent / FILE_NAME, kept, *_installed_vocabularies()):
        if path.is_file():
            return path
    if offline(settings):
        raise MissingAssetError(
            f"CLIP's vocabulary {FILE_NAME} is not on this machine\n"
            f"  It comes with the packages clip-anytorch and open_clip_torch (extra [clip]), or put the file\n"
            f"  beside the weights, or name it with --set guidance.vocabulary=FILE."
        )
    return fetch(_VOCABULARY_URL, _VOCABULARY_SHA256, kept, reporter)


def _installed_vocabularies() -> Iterator[Path]:
    """Where clip packages keep the file; the packages themselves are not imported (they need torchvision)."""
    for package in ("clip", "open_clip"):
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin:
            yield Path(spec.origin).parent / FILE_NAME
