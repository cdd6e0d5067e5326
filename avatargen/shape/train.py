"""Trains the shape space of a body: `avatargen train shape [--body smpl] [--plot PNG]`, about a minute on one core."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatargen.body.load import load_body_model
from avatargen.body.model import BodyModel
from avatargen.core.errors import InputError
from avatargen.core.files import save_tensors
from avatargen.core.plots import new_figure, write_figure
from avatargen.core.progress import Reporter, Silent, Terminal, stage
from avatargen.core.rng import stream
from avatargen.core.settings import BodySettings, GuidanceSettings, ShapeSettings
from avatargen.guidance.load import load_guidance
from avatargen.shape.codebook import SIZE, linear_space, make_codebook, save_shipped
from avatargen.shape.vae import LATENT, ShapeVae, load_shape_space, trained_file

_NOISE_MM = 1.0
"""Deviation of the vertices that the likelihood allows: what is smaller is left to the prior."""
_SPREAD = 1.35
"""Bodies are drawn a little wider than the population, so that a text may ask for more than anybody is.

The codebook's are not: people who are extreme in sixteen ways at once look like nobody.
"""


_CHECKS = 40
"""Points of the validation curve, at most; each costs as much as a few steps."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """Mean distance of vertices, in millimetres, on bodies not used in training."""

    vae_mm: float
    pca_mm: float
    """Of a principal component basis of the same number of dimensions; 0 where the body has no more betas than that."""
    kl: float
    """Nats per body: how much the latent tells."""
    used: int = LATENT
    """Dimensions of the latent that tell more than a tenth of a nat."""
    pca_half_mm: float = 0.0
    """Of a principal component basis of half as many dimensions: what leaving dimensions out costs."""
    curve: tuple[tuple[int, float], ...] = ()
    """Steps done and `vae_mm` then."""


def vertex_gram(body: BodyModel) -> Float[Tensor, "n n"]:
    """G with mean squared vertex distance (m^2) of two bodies = d' G d, where d is the difference of their betas."""
    directions = body.shape_directions.double().reshape(-1, body.num_betas)
    return (directions.T @ directions) / len(body.template)


def draw_betas(
    body: BodyModel, count: int, generator: torch.Generator, spread: float = _SPREAD
) -> Float[Tensor, "b n"]:
    """Bodies of the population, spread a little wider."""
    return (spread * torch.randn(count, body.num_betas, generator=generator)).clamp(-3.0 * spread, 3.0 * spread)


def train_shape_vae(
    body: BodyModel, steps: int = 4000, seed: int = 0, reporter: Reporter | None = None
) -> tuple[ShapeVae, Report]:
    """A shape VAE for `body` (reconstruction + KL, Kingma and Welling 2014), on the CPU, and how good it is."""
    reporter = reporter or Silent()
    body = body.to("cpu")
    generator = stream(seed, "shape/train")
    gram = vertex_gram(body).float()
    vae = _start(body, gram, generator)
    optimizer = torch.optim.Adam(vae.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    curve = [(0, evaluate(vae, body, seed).vae_mm)]
    every = max(_CHECKS, steps // _CHECKS)
    scale = 3.0 * 1e6 / (2 * _NOISE_MM**2)  # three coordinates per vertex; the body's few degrees of freedom share them
    with stage(reporter, "shape vae", steps):
        for number in range(1, steps + 1):
            betas = draw_betas(body, 256, generator)
            mean, log_variance = vae.encode(betas)
            noise = torch.randn(mean.shape, generator=generator)
            error = vae.decode(mean + noise * (0.5 * log_variance).exp()) - betas
            squared = torch.einsum("bi,ij,bj->b", error, gram, error)
            loss = scale * squared.mean() + divergence(mean, log_variance).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            reporter.step(mm=1e3 * float(squared.detach().mean().sqrt()))
            if number % every == 0 or number == steps:
                curve.append((number, evaluate(vae, body, seed).vae_mm))
    vae.eval().requires_grad_(False)
    return vae, replace(evaluate(vae, body, seed), curve=tuple(curve))


def _start(body: BodyModel, gram: Float[Tensor, "n n"], generator: torch.Generator) -> ShapeVae:
    """A network that begins as the principal component solution, its curves as nothing."""
    vae = ShapeVae(body.num_betas)
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.zero_()
        for layer in (*list(vae.encode_curve)[:-1], *list(vae.decode_curve)[:-1]):  # the last ones stay zero
            if isinstance(layer, nn.Linear):
                drawn = torch.randn(layer.out_features, layer.in_features, generator=generator)
                layer.weight.copy_(drawn * (1.4 / layer.in_features**0.5))
        _, basis = torch.linalg.eigh(gram.double())
        basis = basis.flip(1)[:, :LATENT].float()
        vae.encode_line.weight[: basis.shape[1]] = basis.T / _SPREAD
        vae.decode_line.weight[:, : basis.shape[1]] = basis * _SPREAD
        vae.encode_line.bias[LATENT:] = -4.0
    return vae


def divergence(mean: Float[Tensor, "b z"], log_variance: Float[Tensor, "b z"]) -> Float[Tensor, " b"]:
    """KL of the latent's Gaussian from the standard normal, in nats."""
    return 0.5 * (mean**2 + log_variance.exp() - 1.0 - log_variance).sum(-1)


@torch.no_grad()
def evaluate(vae: ShapeVae, body: BodyModel, seed: int = 0, bodies: int = 256) -> Report:
    """Errors on bodies of the population itself (deviation 1) that training never drew."""
    betas = torch.randn(bodies, body.num_betas, generator=stream(seed, "shape/held out"))
    mean, log_variance = vae.encode(betas)
    told = 0.5 * (mean**2 + log_variance.exp() - 1.0 - log_variance).mean(0)
    return Report(
        vae_mm=_mean_distance_mm(body, vae.decode(mean) - betas),
        pca_mm=_mean_distance_mm(body, principal(body, betas, LATENT) - betas),
        kl=float(divergence(mean, log_variance).mean()),
        used=int((told > 0.1).sum()),
        pca_half_mm=_mean_distance_mm(body, principal(body, betas, LATENT // 2) - betas),
    )


def principal(body: BodyModel, betas: Float[Tensor, "b n"], count: int) -> Float[Tensor, "b n"]:
    """The same bodies by their first `count` principal components: of vertices, over standard normal betas."""
    gram = vertex_gram(body)
    root = torch.linalg.cholesky(gram + 1e-12 * torch.eye(len(gram)))
    left, _, _ = torch.linalg.svd(root.T)
    kept = left[:, :count]
    return torch.linalg.solve_triangular(root.T, (betas.double() @ root @ kept @ kept.T).T, upper=True).T.float()


def _mean_distance_mm(body: BodyModel, errors: Float[Tensor, "b n"]) -> float:
    moved = torch.einsum("vcn,bn->bvc", body.shape_directions, errors)
    return 1e3 * float(moved.norm(dim=-1).mean())


def space_tensors(vae: ShapeVae, body: BodyModel, entries: int = SIZE, seed: int = 0) -> dict[str, Tensor]:
    """What is stored: the network and a codebook of latents, in half precision."""
    latents = vae.encode(draw_betas(body, 8 * entries, stream(seed, "shape/book"), 1.1))[0]
    tensors = {**vae.state_dict(), "codebook": make_codebook(latents, entries, seed)}
    return {name: tensor.half() for name, tensor in tensors.items()}


def report_line(report: Report) -> str:
    """The figures in words."""
    return (
        f"{report.vae_mm:.2f} mm mean distance on held-out bodies, {report.used} of {LATENT} dimensions in use "
        f"({report.kl:.1f} nats); principal components: {report.pca_mm:.2f} mm with {LATENT}, "
        f"{report.pca_half_mm:.2f} mm with {LATENT // 2}"
    )


def plot_curve(report: Report, title: str, path: Path) -> Path:
    """Draw the error on held-out bodies over the steps, beside that of principal components, as a PNG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(6.4, 3.4)
    axes = figure.add_subplot()
    steps, errors = zip(*report.curve, strict=True)
    axes.plot(steps, errors, label="shape VAE")
    axes.axhline(3.0, color="tab:red", linestyle="--", label="bar: 3 mm")
    for count, value in ((LATENT // 2, report.pca_half_mm), (LATENT, report.pca_mm)):
        if value > 0.01:  # a basis as large as the body's own is exact
            axes.axhline(value, color="tab:gray", linestyle=":", label=f"PCA, {count} dimensions")
    axes.set(title=title, xlabel="step", ylabel="mean vertex distance, held out (mm)", ylim=(0, None))
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    return write_figure(figure, path)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="avatargen train shape", description="Train the shape space of a body.")
    parser.add_argument("--body", default="open", help="open | smpl | smplx")
    parser.add_argument("--gender", default="neutral", help="of an SMPL or SMPL-X file")
    parser.add_argument("--folder", default="smpl_models", help="where licensed files are")
    parser.add_argument("--out", type=Path, default=None, help="default: where avatargen looks for it")
    parser.add_argument("--entries", type=int, default=SIZE, help="bodies in the codebook")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the error on held-out bodies over the steps")
    parser.add_argument(
        "--features", type=int, metavar="N", help="only write the embedded guidance's features of the first N bodies"
    )
    args = parser.parse_args(arguments)
    if args.steps < 1 or args.entries < 1:
        raise InputError("avatargen train shape takes at least one step and one entry")
    if args.features:
        return _ship_features(args.features)
    body = load_body_model(BodySettings(kind=args.body, gender=args.gender, folder=args.folder))
    reporter = Terminal()
    vae, report = train_shape_vae(body, args.steps, args.seed, reporter)
    out = args.out or trained_file(body)
    if args.plot:
        plot_curve(report, f"shape space of the body {body.kind}", args.plot)
    metadata = {"body": f"{body.kind}-{body.version}", "vae_mm": f"{report.vae_mm:.2f}"}
    save_tensors(out, space_tensors(vae, body, args.entries, args.seed), metadata)
    reporter.note(f"{out}: {report_line(report)}")
    return 0


def _ship_features(count: int) -> int:
    body = load_body_model(BodySettings())
    guidance = load_guidance(GuidanceSettings(model="embedded"), "cpu")
    space = load_shape_space(body) or linear_space(body)
    save_shipped(space, guidance, count, ShapeSettings().views, Terminal())
    return 0


if __name__ == "__main__":
    sys.exit(main())
