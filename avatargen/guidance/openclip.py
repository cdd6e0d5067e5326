"""Models of the open_clip package (extra [openclip]) as guidance."""

import difflib
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.core.errors import BrokenFileError, InputError, MissingAssetError, MissingExtraError
from avatargen.core.files import digest_bytes
from avatargen.core.settings import GuidanceSettings
from avatargen.guidance.losses import unit

_shim: list[torch.library.Library] = []
"""Operators defined here live as long as this list holds them."""


@dataclass(eq=False)  # not frozen: the protocol's attributes are writable
class OpenClipGuidance:
    """An open_clip model behind the guidance protocol; frozen."""

    name: str
    version: str
    image_size: int
    licence: str
    model: Any
    tokenizer: Any
    mean: tuple[float, ...]
    std: tuple[float, ...]
    device: torch.device

    def encode_text(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Unit features."""
        with torch.no_grad(), self._precision():
            return unit(self.model.encode_text(self.tokenizer(list(texts)).to(self.device)).float())

    def encode_image(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Unit features; differentiable in the images."""
        images = images.to(self.device)
        if images.shape[-2:] != (self.image_size, self.image_size):
            images = torch.nn.functional.interpolate(
                images, (self.image_size, self.image_size), mode="bicubic", align_corners=False, antialias=True
            )
        mean, std = images.new_tensor(self.mean)[:, None, None], images.new_tensor(self.std)[:, None, None]
        with self._precision():
            return unit(self.model.encode_image((images - mean) / std).float())

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.float16, enabled=self.device.type == "cuda")


def _package() -> ModuleType:
    _mend_torchvision()
    try:
        return importlib.import_module("open_clip")
    except ImportError as error:
        raise MissingExtraError(
            f"open_clip is not installed ({error})\n"
            f'  pip install "avatargen[openclip]", or use --guidance clip:ViT-B/32 or embedded.'
        ) from error


def _mend_torchvision() -> None:
    """Make torchvision importable where its wheel misses the compiled operators; nothing here calls them.

    PyPI's wheel is built for CUDA; beside a CPU torch its import stops at "operator torchvision::nms does not exist".
    """
    try:
        importlib.import_module("torchvision")
    except ImportError:
        return
    except RuntimeError:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _shim.append(library)
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]


def load_openclip(name: str, settings: GuidanceSettings, device: torch.device | str = "cpu") -> OpenClipGuidance:
    """The model `ARCHITECTURE:PRETRAINED`; `settings.weights` takes the place of PRETRAINED.

    Raises:
        MissingExtraError: open_clip is not installed.
        InputError: it knows no such model.
        MissingAssetError: its weights could not be had.
        BrokenFileError: the weight file does not fit.
    """
    package = _package()
    architecture, _, pretrained = name.partition(":")
    known = package.list_models()
    if architecture not in known:
        near = difflib.get_close_matches(architecture, known, n=2, cutoff=0.4)
        raise InputError(f"open_clip knows no model {architecture!r}; did you mean {' or '.join(near) or known[0]}?")
    source = settings.weights or pretrained
    if not source:
        tags = package.list_pretrained_tags_by_model(architecture)
        raise InputError(f"openclip:{architecture} needs pretrained weights; there are: {', '.join(tags) or 'none'}")
    if settings.weights and not Path(settings.weights).is_file():
        raise MissingAssetError(f"no weight file {settings.weights}\n  --guidance-weights must name a file.")
    try:
        model = package.create_model(architecture, pretrained=source, precision="fp32", device=str(device))
    except RuntimeError as error:
        reason = str(error).splitlines()[0][:200]
        if settings.weights:
            raise BrokenFileError(f"{source} does not fit open_clip's {architecture}: {reason}") from error
        raise MissingAssetError(f"open_clip has no weights {source!r} for {architecture}: {reason}") from error
    except (OSError, ValueError) as error:
        raise MissingAssetError(f"the weights {source!r} of {architecture} could not be had: {error}") from error
    model.eval().requires_grad_(False)
    size = model.visual.image_size
    side = size if isinstance(size, int) else size[0]
    config = getattr(model.visual, "preprocess_cfg", {})
    sample = next(iter(model.state_dict().values())).detach().cpu().contiguous().float().numpy().tobytes()
    return OpenClipGuidance(
        name=f"openclip:{name}",
        version=digest_bytes(sample + source.encode()),
        image_size=side,
        licence="see the model card of the weights (open_clip code: MIT)",
        model=model,
        tokenizer=package.get_tokenizer(architecture),
        mean=tuple(config.get("mean", (0.48145466, 0.4578275, 0.40821073))),
        std=tuple(config.get("std", (0.26862954, 0.26130258, 0.27577711))),
        device=torch.device(device),
    )
