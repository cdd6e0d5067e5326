"""Training of the conditional RealNVP on the pose codebook and what the guidance sees in it."""

import json
import math
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatargen.core.files import save_tensors
from avatargen.core.progress import Reporter
from motiongen.codebook import PoseCodebook
from motiongen.pose_flow import PoseFlow, condition_of
from motiongen.training import Curve, Plan, train

KEYS = ("held-out nats per number", "by mean and spread alone")
_MIXED = 12
_HELD = 8


def train_pose_flow(
    codebook: PoseCodebook,
    features: Float[Tensor, "n d"],
    out: Path,
    *,
    steps: int = 400,
    hidden: int = 128,
    couplings: int = 8,
    batch: int = 256,
    noise_size: float = 0.35,
    seed: int = 0,
    checkpoint: Path | None = None,
    reporter: Reporter | None = None,
) -> Curve:
    """Train and save the flow; every eighth entry is held out of the targets.

    A query is a mix of what the guidance sees in an entry and in one that looks alike, without the entry itself among
    its neighbours: texts name poses no more exactly than that.

    Args:
        codebook: the poses, as many as there are features.
        features: what the guidance sees in them.
        out: the file to write.
        steps: how many.
        hidden: width of the couplings' networks.
        couplings: how many.
        batch: queries a step.
        noise_size: deviation of what is added to the targets; latents are of size one.
        seed: of everything drawn.
        checkpoint: where to save and, if it exists, where to resume from.
        reporter: told of each step.
    """
    latents = codebook.latents
    flow = PoseFlow(latents.shape[1], hidden, couplings)
    alike = features @ features.T
    alike.fill_diagonal_(-1.0)
    near = alike.topk(min(_MIXED, len(latents) - 1), dim=1).indices
    rows = torch.arange(len(latents))
    training, held = rows[rows % _HELD != 0], rows[rows % _HELD == 0]

    def queries(picked: Tensor, other: Tensor, share: Tensor) -> Tensor:
        scores = (1.0 - share) * alike[picked] + share * alike[other]
        return condition_of(scores.scatter(1, picked[:, None], -1.0), latents)

    def loss(_step: int, generator: torch.Generator) -> dict[str, Tensor]:
        picked = training[torch.randint(len(training), (batch,), generator=generator)]
        other = near[picked, torch.randint(near.shape[1], (batch,), generator=generator)]
        share = 0.5 * torch.rand(batch, 1, generator=generator)
        noise = noise_size * torch.randn(batch, flow.latent, generator=generator)
        # Between two poses that look alike lie more of the kind: a thousand points alone would be learnt by heart.
        between = latents[picked] + share * (latents[other] - latents[picked]) + noise
        return {"loss": -flow.log_likelihood(between, queries(picked, other, share)).mean() / flow.latent}

    condition = queries(held, near[held, 0], torch.full((len(held), 1), 0.25))
    mean, spread = condition.chunk(2, dim=1)
    spread = spread.clamp_min(0.1)
    simple = (0.5 * ((latents[held] - mean) / spread).square() + spread.log()).mean() + 0.5 * math.log(2 * math.pi)

    def check(_model: nn.Module) -> dict[str, float]:
        made = -flow.log_likelihood(latents[held], condition).mean() / flow.latent
        return {KEYS[0]: float(made), KEYS[1]: float(simple)}

    plan = Plan(steps=steps, rate=1e-3, warm_up=20, decay=1e-2, check_every=max(1, steps // 30), save_every=100)

    def quiet_start() -> None:
        # Each coupling begins as the identity: the flow begins at the mean and spread that the condition names.
        with torch.no_grad():
            for name, parameter in flow.named_parameters():
                if ".net.4." in name:
                    parameter.zero_()

    curve = train(flow, loss, check, plan, seed=seed, checkpoint=checkpoint, reporter=reporter, prepare=quiet_start)
    sizes = json.dumps([flow.latent, flow.hidden, len(flow.couplings)])
    told = {"kind": "pose flow", "codebook": codebook.version, "sizes": sizes, "steps": str(steps), "seed": str(seed)}
    save_tensors(out, {name: tensor.half() for name, tensor in flow.state_dict().items()}, told)
    return curve
