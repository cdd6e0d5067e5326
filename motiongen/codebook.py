"""Codebooks: poses and motions as lists of latents, and what the guidance sees in them.

Features are made once per guidance model, body and file, and kept in the cache folder; a damaged cache file is made
anew with a note.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatargen.core.errors import BrokenFileError, MissingAssetError, OutputError
from avatargen.core.files import cache_dir, cache_key, digest_bytes, digest_file, load_tensors, save_tensors
from avatargen.core.progress import Reporter, stage
from avatargen.guidance.model import Guidance
from motiongen.motion_vae import MotionVae
from motiongen.pose_prior import DATA, PosePrior, full_pose
from motiongen.puppet import Puppet, pictures

POSE_CODEBOOK = DATA / "pose_codebook.safetensors"
MOTION_CODEBOOK = DATA / "motion_codebook.safetensors"
SHIPPED_FEATURES = DATA / "pose_features.safetensors"
_FORMAT = 1


def k_means(
    points: Float[Tensor, "n d"], count: int, generator: torch.Generator, rounds: int = 30
) -> Float[Tensor, "k d"]:
    """Centres of Lloyd's algorithm from random points; an empty cluster takes the point farthest from its centre."""
    count = min(count, len(points))
    centres = points[torch.randperm(len(points), generator=generator)[:count]].clone()
    for _ in range(rounds):
        distance, nearest = torch.cdist(points, centres).min(1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, points)
        sizes = torch.bincount(nearest, minlength=count)
        moved = sums / sizes.clamp_min(1)[:, None]
        empty = (sizes == 0).nonzero()[:, 0]
        moved[empty] = points[distance.topk(len(empty)).indices]
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres


def spread_order(points: Float[Tensor, "n d"]) -> Int[Tensor, " n"]:
    """An order in which every prefix covers the points well: each next one is the farthest from those before."""
    order = torch.empty(len(points), dtype=torch.long)
    order[0] = (points - points.mean(0)).square().sum(1).argmin()
    distance = (points - points[order[0]]).square().sum(1)
    for index in range(1, len(points)):
        order[index] = distance.argmax()
        distance = distance.minimum((points - points[order[index]]).square().sum(1))
    return order


@dataclass(frozen=True, kw_only=True, eq=False)
class PoseCodebook:
    """Latents of the pose prior, the best-spread ones first."""

    latents: Float[Tensor, "n z"]
    version: str

    def first(self, count: int) -> "PoseCodebook":
        """Only the first `count` entries (at least one)."""
        return PoseCodebook(latents=self.latents[: max(1, count)], version=self.version)


@dataclass(frozen=True, kw_only=True, eq=False)
class MotionCodebook:
    """Latents of windows of the training clips, with what those clips show in words."""

    latents: Float[Tensor, "n z"]
    clip: Int[Tensor, " n"]
    """Row of `words`."""
    words: tuple[tuple[str, ...], ...]
    """Wordings of each clip, its label first."""
    version: str
    names: tuple[str, ...] = ()
    """Name of each clip in the training set; none in older files."""
    begin: Float[Tensor, " n"] | None = None
    """First frame of each window in its clip."""


def load_pose_codebook(path: Path = POSE_CODEBOOK) -> PoseCodebook:
    """Read a pose codebook.

    Raises:
        MissingAssetError: the package was built without it.
        BrokenFileError: it is damaged.
    """
    tensors, _ = _load(path, ("latents",), "motiongen train codebook")
    return PoseCodebook(latents=tensors["latents"].float(), version=digest_file(path))


@torch.no_grad()
def recoded(codebook: PoseCodebook, prior: PosePrior, other: PosePrior) -> PoseCodebook:
    """The codebook of `prior` as latents of another prior; its poses stay what the other can say of them."""
    latents = [other.closest(prior.decode(part)) for part in codebook.latents.split(512)]
    digest = digest_bytes(b"".join(p.detach().cpu().numpy().tobytes() for p in other.state_dict().values()))
    return PoseCodebook(latents=torch.cat(latents), version=f"{codebook.version}-{digest}")


def load_motion_codebook(path: Path = MOTION_CODEBOOK) -> MotionCodebook:
    """Read a motion codebook.

    Raises:
        MissingAssetError: the package was built without it.
        BrokenFileError: it is damaged.
    """
    tensors, metadata = _load(path, ("latents", "clip"), "motiongen train codebook")
    try:
        words = tuple(tuple(row) for row in json.loads(metadata["words"]))
    except (KeyError, ValueError) as error:
        raise BrokenFileError(f"{path}: its words cannot be read: {error}") from error
    clip = tensors["clip"].long()
    if len(clip) != len(tensors["latents"]) or int(clip.max()) >= len(words):
        raise BrokenFileError(f"{path}: {len(clip)} clip numbers do not fit {len(words)} clips")
    names = tuple(json.loads(metadata.get("names", "[]")))
    return MotionCodebook(
        latents=tensors["latents"].float(),
        clip=clip,
        words=words,
        version=digest_file(path),
        names=names if len(names) == len(words) else (),
        begin=tensors["begin"].float() if "begin" in tensors else None,
    )


def _load(path: Path, names: Sequence[str], command: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.is_file():
        raise MissingAssetError(f"codebook not found: {path}\n  Make it: {command} --data set.npz --out {path.parent}")
    tensors, metadata = load_tensors(path)
    missing = [name for name in names if name not in tensors]
    if missing:
        raise BrokenFileError(f"{path} holds no {missing[0]!r}")
    return tensors, metadata


def save_motion_codebook(
    path: Path,
    latents: Tensor,
    clip: Tensor,
    words: Sequence[Sequence[str]],
    names: Sequence[str],
    begin: Float[Tensor, " n"],
) -> Path:
    """Write a motion codebook with 16-bit latents."""
    tensors = {"latents": latents.half(), "clip": clip.to(torch.int32), "begin": begin.float()}
    told = {"words": json.dumps([list(row) for row in words]), "names": json.dumps(list(names))}
    return save_tensors(path, tensors, told)


def cached(key: str, name: str, make: Callable[[], Tensor], reporter: Reporter) -> Tensor:
    """What `make` returns, from the cache folder where it is there and sound.

    A folder that cannot be written costs the caching only.
    """
    path = cache_dir() / "motion" / f"{name}-{key}.safetensors"
    if path.is_file():
        try:
            tensors, _ = load_tensors(path)
            value = tensors["value"].float()
            if not value.isfinite().all():
                raise BrokenFileError(f"{path} holds numbers that are not finite")
        except (BrokenFileError, KeyError) as error:
            reporter.note(f"motion: {path} is damaged and is made anew ({str(error).splitlines()[0]})")
        else:
            return value
    value = make()
    try:
        save_tensors(path, {"value": value.half()})
    except OutputError as error:
        reporter.note(f"motion: not cached: {str(error).splitlines()[0]}")
    # Rounded as a later read would be, so that the first run and the second are the same.
    return value.half().float()


@torch.no_grad()
def picture_features(
    guidance: Guidance,
    puppet: Puppet,
    poses: Float[Tensor, "n j 3 3"],
    azimuths_deg: Sequence[float],
    reporter: Reporter,
    what: str,
    batch: int = 16,
) -> Float[Tensor, "n d"]:
    """Unit guidance features of poses, averaged over the views."""
    rows = []
    with stage(reporter, what, len(poses)):
        for part in poses.split(batch):
            seen = guidance.encode_image(pictures(puppet, part, azimuths_deg, guidance.image_size))
            rows.append(seen.unflatten(0, (len(part), len(azimuths_deg))).mean(1))
            reporter.step(len(part))
    return torch.nn.functional.normalize(torch.cat(rows), dim=-1)


def pose_features(
    guidance: Guidance,
    puppet: Puppet,
    prior: PosePrior,
    codebook: PoseCodebook,
    azimuths_deg: Sequence[float],
    reporter: Reporter,
) -> Float[Tensor, "n d"]:
    """Guidance features of a pose codebook's entries: shipped with the package, cached, or made now."""
    key = _features_key(guidance, puppet, codebook, azimuths_deg)
    shipped = _shipped(key, len(codebook.latents))
    if shipped is not None:
        return shipped

    def make() -> Tensor:
        with torch.no_grad():
            poses = full_pose(prior.decode(codebook.latents))
        return picture_features(guidance, puppet, poses, azimuths_deg, reporter, "poses")

    return cached(f"{key}-{len(codebook.latents)}", "poses", make, reporter)


def _features_key(guidance: Guidance, puppet: Puppet, codebook: PoseCodebook, azimuths_deg: Sequence[float]) -> str:
    return cache_key(
        format=_FORMAT,
        guidance=guidance.name,
        guidance_version=guidance.version,
        body=puppet.version,
        codebook=codebook.version,
        views=tuple(azimuths_deg),
    )


def save_pose_features(
    path: Path,
    guidance: Guidance,
    puppet: Puppet,
    prior: PosePrior,
    codebook: PoseCodebook,
    azimuths_deg: Sequence[float],
    reporter: Reporter,
) -> Path:
    """Write the features of a codebook's entries in the form that ships with the package."""
    features = pose_features(guidance, puppet, prior, codebook, azimuths_deg, reporter)
    return save_tensors(
        path, {"value": features.half()}, {"key": _features_key(guidance, puppet, codebook, azimuths_deg)}
    )


def _shipped(key: str, count: int) -> Tensor | None:
    if not SHIPPED_FEATURES.is_file():
        return None
    try:
        tensors, metadata = load_tensors(SHIPPED_FEATURES)
    except BrokenFileError:
        return None
    fits = metadata.get("key") == key and len(tensors.get("value", ())) >= count
    return tensors["value"][:count].float() if fits else None


def text_features(guidance: Guidance, words: Sequence[str], reporter: Reporter) -> Float[Tensor, "n d"]:
    """Unit guidance features of many short texts, cached together."""
    key = cache_key(format=_FORMAT, guidance=guidance.name, version=guidance.version, words=tuple(words))

    def make() -> Tensor:
        rows = [guidance.encode_text(words[begin : begin + 64]) for begin in range(0, len(words), 64)]
        return torch.nn.functional.normalize(torch.cat(rows).detach().cpu(), dim=-1)

    return cached(key, "words", make, reporter)


@torch.no_grad()
def key_frames(vae: MotionVae, latents: Float[Tensor, "n z"], frames: int, count: int) -> Float[Tensor, "n c 24 3 3"]:
    """The most telling poses of decoded motions: the one farthest from the mean pose, then the farthest from those."""
    rotations = vae.motion(latents, frames).rotations
    rotations = torch.cat((rotations, torch.eye(3).expand(*rotations.shape[:2], 2, 3, 3)), dim=2)
    flat = rotations[:, :, 1:22].flatten(2)
    distance = (flat - flat.mean(1, keepdim=True)).square().sum(-1)
    rows = torch.arange(len(latents))
    picked = []
    for index in range(count):
        best = distance.argmax(1)
        picked.append(rotations[rows, best])
        apart = (flat - flat[rows, best][:, None]).square().sum(-1)
        distance = apart if index == 0 else distance.minimum(apart)
    return torch.stack(picked, dim=1)
