"""The embedded guidance: our own judge of pictures, which needs no network and no download."""

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.core.errors import BrokenFileError, MissingAssetError
from avatargen.core.files import digest_bytes, digest_file, load_tensors
from avatargen.guidance.embedded.colors import COLOR_WIDTH
from avatargen.guidance.embedded.embedding import POSE_WIDTH, image_vector, slot_colors, text_vector
from avatargen.guidance.embedded.image_tower import (
    IMAGE_SIZE,
    JOINTS,
    ImageTower,
    JointReader,
    channels_last,
    fit_size,
)
from avatargen.guidance.embedded.open_words import Lookup, load_lookup
from avatargen.guidance.embedded.reader import read
from avatargen.guidance.embedded.slots import BACKGROUND, SLOTS
from avatargen.guidance.embedded.text_tower import ActionWords, PoseVector, encode_pieces

WEIGHTS = "data/embedded.safetensors"
LICENCE = (
    "Apache-2.0. Trained on renders of the open body, clothes and hair (all CC0) in poses of motions that are CC0, "
    "MIT, or from mocap.cs.cmu.edu, which was created with funding from NSF EIA-0196217, and on words of WordNet 3.0 "
    "(Copyright 2006 Princeton University) with MiniLM-L6 (Apache-2.0) as a teacher."
)

_CRUMBS = 0.3
"""Chance below which a pixel does not count for a slot at all."""


class _Reading(torch.autograd.Function):
    """Traits and pose of pictures, whose network is run backwards only if something asks for it.

    A text that names colors alone has gradient zero here, and most of a step's time would go into finding that out.
    """

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, images: Tensor, model: "EmbeddedGuidance"
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(images)
        ctx.model = model  # type: ignore[attr-defined]
        return model.look(images)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, None]:
        (images,) = ctx.saved_tensors  # type: ignore[attr-defined]
        _, trait_grad, pose_grad = grads
        if not (bool(trait_grad.any()) or bool(pose_grad.any())):
            return torch.zeros_like(images), None
        with torch.enable_grad():
            again = images.detach().requires_grad_()
            _, traits, pose = ctx.model.look(again)  # type: ignore[attr-defined]
            (grad,) = torch.autograd.grad([traits, pose], [again], [trait_grad, pose_grad])
        return grad, None


class EmbeddedGuidance:
    """A `Guidance` of our own: see `avatargen.guidance.embedded.embedding` for what its features mean."""

    name = "embedded"
    image_size = IMAGE_SIZE
    licence = LICENCE

    def __init__(
        self,
        tower: ImageTower,
        reader: JointReader,
        words: ActionWords,
        pose: PoseVector,
        version: str,
        device: torch.device | str = "cpu",
        unknown: Lookup | None = None,
        usual: Tensor | None = None,
    ) -> None:
        self.version = version
        self.usual = None if usual is None else usual.float().to(device)
        """Features of an average picture (`avatargen.guidance.model.fit_above_usual`)."""
        self.unknown = unknown
        """Finds entries of the lexicon for words outside it; None: they are ignored."""
        self._device = torch.device(device)
        self._tower = channels_last(tower.eval().requires_grad_(False).to(self._device))
        self._reader = reader.eval().requires_grad_(False).to(self._device)
        self._words = words.eval().requires_grad_(False)
        self._pose = pose.eval().requires_grad_(False).to(self._device)

    def encode_text(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Unit features of texts; what a text does not name is zero."""
        readings = [read(text, self.unknown) for text in texts]
        said = [reading.action_text or text for reading, text in zip(readings, texts, strict=True)]
        actions = self._words(encode_pieces(said)) if texts else torch.zeros(0, POSE_WIDTH)
        return text_vector(readings, actions).to(self._device)

    def encode_image(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Unit features of sRGB pictures in 0..1; differentiable, the places of the parts being taken as fixed."""
        small = fit_size(images.to(self._device, torch.float32))
        shares, traits, pose = _Reading.apply(small, self)
        # A gradient through the shares would teach the paint to move the parts about, and reach it as noise.
        colors, seen = slot_colors(small, shares.detach())
        return image_vector(colors, seen, traits, pose)

    def encode_prompt(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Unit features of pictures that stand for texts: their colors by part, without build and pose.

        What no paint can change must not be asked of paint: its gradient is speckle.
        """
        with torch.no_grad():
            features = self.encode_image(images).clone()
        features[:, len(SLOTS) * COLOR_WIDTH :] = 0.0
        return torch.nn.functional.normalize(features, dim=-1)

    def look(self, images: Float[Tensor, "b 3 128 128"]) -> tuple[Tensor, Tensor, Tensor]:
        """Shares of the slots at 64 x 64, traits, and pose vectors."""
        with self._precision():
            seen = self._tower.see(images.contiguous(memory_format=torch.channels_last))
        logits, state = (part.float() for part in seen)
        traits, guess = self._tower.traits(state), self._tower.joints(state).unflatten(1, (JOINTS, 3))
        joints = self._reader(logits, state, guess)
        # Twice the logits, and no crumbs: paint must not leak into a part that might, but need not, be the one.
        shares = ((2.0 * logits).softmax(1)[:, :BACKGROUND] - _CRUMBS).clamp_min(0.0) / (1.0 - _CRUMBS)
        return shares, traits, self._pose(joints)

    def _precision(self) -> torch.autocast:
        # Half of CLIP's kind would lose small gradients; colors, traits and joints stay in full precision.
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda")

    def parts(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b slots 64 64"]:
        """Where the model sees each slot; for pictures and tests."""
        with torch.no_grad():
            return self.look(fit_size(images.to(self._device, torch.float32)))[0]


@lru_cache(maxsize=1)
def _code_version() -> str:
    """Digest of what decides features besides the weights: all of this folder's code, so that nothing is left out."""
    return digest_bytes(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py"))))


def load_embedded(device: torch.device | str = "cpu", weights: Path | None = None) -> EmbeddedGuidance:
    """The embedded guidance with the weights that ship with the package, or those of a file.

    Raises:
        MissingAssetError: there are no weights.
        BrokenFileError: the file is not one of ours.
    """
    if weights is not None:
        return _from_file(weights, device)
    with as_file(files("avatargen.guidance.embedded").joinpath(WEIGHTS)) as path:
        return _from_file(path, device)


def _from_file(path: Path, device: torch.device | str) -> EmbeddedGuidance:
    try:
        tensors, _ = load_tensors(path)
    except FileNotFoundError as error:
        raise MissingAssetError(
            f"the weights of the embedded guidance are missing: {path}\n"
            f"  Install the package again, or make them: python -m avatargen.training.guidance --help"
        ) from error
    tower, joints, words, pose = ImageTower(), JointReader(), ActionWords(), PoseVector()
    try:
        for prefix, module in (("tower/", tower), ("reader/", joints), ("words/", words), ("pose/", pose)):
            state = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            module.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
        unknown = _shared(load_lookup(tensors))
    except RuntimeError as error:
        raise BrokenFileError(
            f"{path} does not hold weights of this version of the embedded guidance: {str(error).splitlines()[0]}\n"
            f"  Install the package again, or train anew."
        ) from error
    version = f"{digest_file(path)}-{_code_version()}"
    return EmbeddedGuidance(tower, joints, words, pose, version, device, unknown, tensors.get("usual"))


@lru_cache(maxsize=2)
def _shared(lookup: Lookup | None) -> Lookup | None:
    """The first lookup with these weights: what has been read keeps it, and would keep one of each time of loading."""
    return lookup


@lru_cache(maxsize=1)
def shipped_words() -> Lookup | None:
    """The lookup of unknown words with the weights that ship, for readers of texts that need no pictures."""
    with as_file(files("avatargen.guidance.embedded").joinpath(WEIGHTS)) as path:
        return _shared(load_lookup(load_tensors(path)[0])) if path.exists() else None
