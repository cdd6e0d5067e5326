"""Which bodies a text is compared with, and what the guidance sees in them (kept in the cache)."""

from pathlib import Path

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from avatargen.body.model import BodyModel
from avatargen.core.errors import BrokenFileError, OutputError
from avatargen.core.files import cache_dir, cache_key, load_tensors, save_tensors
from avatargen.core.progress import Reporter, stage
from avatargen.core.rng import stream
from avatargen.guidance.model import Guidance
from avatargen.shape.query import VERSION, query_vertices, render_query
from avatargen.shape.vae import LATENT, ShapeSpace

SIZE = 2048
SHIPPED = Path(__file__).resolve().parent / "data" / "features.safetensors"
"""Pictures of the open body's codebook as the embedded guidance sees them."""


def cluster(
    points: Float[Tensor, "n d"], count: int, generator: torch.Generator, rounds: int = 8
) -> Float[Tensor, "count d"]:
    """Centres by k-means (Lloyd 1982), started at random points; an empty cluster moves to the farthest point."""
    start = torch.randperm(len(points), generator=generator)[:count]
    centers = points[start].clone()
    for _ in range(rounds):
        distance, nearest = _nearest(points, centers)
        total = torch.zeros_like(centers).index_add(0, nearest, points)
        members = torch.bincount(nearest, minlength=count)
        centers = total / members.clamp_min(1)[:, None]
        empty = torch.nonzero(members == 0).squeeze(1)
        if len(empty):
            centers[empty] = points[distance.topk(len(empty)).indices]
    return centers


def _nearest(
    points: Float[Tensor, "n d"], centers: Float[Tensor, "m d"]
) -> tuple[Float[Tensor, " n"], Integer[Tensor, " n"]]:
    chunks = [torch.cdist(chunk, centers).min(1) for chunk in points.split(4096)]
    return torch.cat([c.values for c in chunks]), torch.cat([c.indices for c in chunks])


def make_codebook(latents: Float[Tensor, "n d"], count: int, seed: int = 0) -> Float[Tensor, "count d"]:
    """Centres of `count` clusters of latents, in random order, so that every prefix covers the population."""
    centers = cluster(latents, count, stream(seed, "shape/codebook"))
    return centers[torch.randperm(count, generator=stream(seed, "shape/order"))]


def linear_space(body: BodyModel, seed: int = 0) -> ShapeSpace:
    """The space of a body without a trained one: its first betas are the latent."""
    latent = min(LATENT, body.num_betas)
    drawn = torch.randn(SIZE, latent, generator=stream(seed, "shape/linear"))
    return ShapeSpace(body, None, drawn.to(body.template.device), "linear-1")


def image_features(
    body: BodyModel, betas: Float[Tensor, "b n"], guidance: Guidance, views: int
) -> Float[Tensor, "b views d"]:
    """What the guidance sees in bodies, per view; differentiable in the betas."""
    pictures = render_query(body, query_vertices(body, betas), guidance.image_size, views)
    return guidance.encode_image(pictures.flatten(0, 1)).reshape(len(betas), views, -1)


def codebook_features(
    space: ShapeSpace, guidance: Guidance, count: int, views: int, reporter: Reporter
) -> Float[Tensor, "n views d"]:
    """Features of the first `count` bodies of the codebook: from the cache, completed where it has fewer.

    A damaged or unwritable cache costs time, not the run: a note says so.
    """
    count = min(count, len(space.codebook))
    key = _key(space, guidance, views)
    path = cache_dir() / "shape" / f"features-{key}.safetensors"
    known = _shipped(key, views)
    if len(known) < count and path.is_file():
        try:
            known = _read(path, views)
        except BrokenFileError as error:
            reporter.note(f"shape: {str(error).splitlines()[0]}; making it again")
    if len(known) >= count:
        return known[:count].to(space.body.template.device)
    rows = [known.to(space.body.template.device)] if len(known) else []
    with torch.no_grad(), stage(reporter, "shape book", count - len(known)):
        for latent in space.codebook[len(known) : count].split(8):
            rows.append(image_features(space.body, space.decode(latent), guidance, views))
            reporter.step(len(latent))
    features = torch.cat(rows)
    try:
        save_tensors(path, {"features": features})
    except OutputError as error:
        reporter.note(f"shape: the features of the codebook are not kept: {str(error).splitlines()[0]}")
    return features


def _key(space: ShapeSpace, guidance: Guidance, views: int) -> str:
    return cache_key(
        body=f"{space.body.kind}-{space.body.version}",
        space=space.version,
        guidance=f"{guidance.name}-{guidance.version}-{guidance.image_size}",
        pictures=VERSION,
        views=views,
    )


def _shipped(key: str, views: int) -> Float[Tensor, "n views d"]:
    """The features that ship with the package, if they were made by these versions; else none."""
    if SHIPPED.is_file() and load_tensors(SHIPPED)[1].get("key") == key:
        return _read(SHIPPED, views).float()
    return torch.zeros(0, views, 0)


def save_shipped(space: ShapeSpace, guidance: Guidance, count: int, views: int, reporter: Reporter) -> None:
    """Write the features that ship: `python -m avatargen.shape.train --features`, once guidance and body are final."""
    features = codebook_features(space, guidance, count, views, reporter)
    save_tensors(SHIPPED, {"features": features.half()}, {"key": _key(space, guidance, views)})


def _read(path: object, views: int) -> Float[Tensor, "n views d"]:
    tensors, _ = load_tensors(path)  # type: ignore[arg-type]
    features = tensors.get("features")
    if features is None or features.ndim != 3 or features.shape[1] != views or not bool(features.isfinite().all()):
        raise BrokenFileError(f"{path} does not hold features of {views} views")
    return features
