"""The `motiongen` command: parse, call one function, print the path it wrote."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from avatargen.core.errors import AvatarGenError, ConfigError, InputError
from avatargen.core.failures import machine_failure
from avatargen.core.places import check_place

if TYPE_CHECKING:
    from avatargen.body.model import BodyModel
    from avatargen.core.values import Motion

_USAGE = """motiongen TEXT [TEXT ...] [--out FILE.bvh|.npz] [options]
       motiongen import FILES --out set.npz
       motiongen train pose|motion|codebook|flow|features --data set.npz --out FOLDER"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code. A user's mistake is one message on stderr and code 2."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        match given[:1]:
            case ["import"]:
                return _import(given[1:])
            case ["train"]:
                return _train(given[1:])
            case _:
                return _generate(given)
    except AvatarGenError as error:
        print(f"motiongen: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("motiongen: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        said = machine_failure(error)
        if said is None:
            raise
        print(f"motiongen: {said}", file=sys.stderr)
        return 2


def _generate(given: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="motiongen", usage=_USAGE, description="Text to motion.")
    parser.add_argument("text", nargs="+", help="what is done, such as 'punching'; each text is a motion of its own")
    parser.add_argument(
        "--out", type=Path, default=Path("motion.bvh"), help="FILE.bvh or FILE.npz; of several motions FILE_TEXT.bvh"
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same motion")
    parser.add_argument("--seconds", type=float, help="length of the motion")
    parser.add_argument("--fps", type=float, help="frames a second")
    parser.add_argument("--intensity", type=float, help="how lively: 1 as it is, 0.5 calmer, 1.5 livelier")
    parser.add_argument("--loop", action="store_true", help="the last frame leads to the first")
    parser.add_argument("--in-place", action="store_true", help="without the way over the floor")
    parser.add_argument("--quality", choices=("draft", "standard", "high"), default="draft")
    parser.add_argument("--body", default=None, help="open | smpl | smplx")
    parser.add_argument("--guidance", default=None, help="auto | embedded | clip:ViT-B/32 | openclip:NAME:PRETRAINED")
    parser.add_argument("--config", type=Path, help="a HOCON file with settings")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    options = parser.parse_args(given)
    if options.out.suffix.lower() not in (".bvh", ".npz"):
        raise InputError(f"cannot write {options.out.name!r}: motiongen writes .bvh and .npz")
    overrides = list(options.set)
    numbers = {"motion.seconds": options.seconds, "motion.fps": options.fps, "motion.intensity": options.intensity}
    overrides += [f"{key}={value}" for key, value in numbers.items() if value is not None]
    overrides += ["motion.loop=true"] * options.loop + ["motion.in_place=true"] * options.in_place
    for key, value in (("body.kind", options.body), ("guidance.model", options.guidance)):
        if value is not None:
            overrides.append(f'{key}="{value}"')

    from avatargen.core.config import load_settings
    from avatargen.core.progress import Silent, Terminal

    settings = load_settings(quality=options.quality, config=options.config, overrides=overrides)
    from motiongen.candidates import action, texts_of

    texts = [text for given in options.text for text in texts_of(given)]
    files = _files(options.out, [action(text) for text in texts])
    for file in files:
        check_place(file)

    from avatargen.body.load import load_body_model
    from avatargen.guidance.load import load_guidance
    from motiongen.generate import generate_motion, load_models

    reporter = Silent() if options.quiet else Terminal()
    body = load_body_model(settings.body)
    guidance = load_guidance(settings.guidance, reporter=reporter)
    models = load_models(settings.motion)
    for text, file in zip(texts, files, strict=True):
        motion = generate_motion(text, body, guidance, settings.motion, options.seed, reporter, models=models)
        print(_write(motion, body, file))
    return 0


def _files(out: Path, actions: Sequence[str]) -> list[Path]:
    """One file a motion, told apart by its words, and by a number where these are the same."""
    if len(actions) == 1:
        return [out]
    files: list[Path] = []
    for done in actions:
        words = "-".join(re.findall(r"[^\W_]+", done.lower()))[:60] or "motion"
        file = out.with_name(f"{out.stem}_{words}{out.suffix}")
        number = 2
        while file in files:
            file, number = out.with_name(f"{out.stem}_{words}-{number}{out.suffix}"), number + 1
        files.append(file)
    return files


def _write(motion: "Motion", body: "BodyModel", out: Path) -> Path:
    import torch

    from avatargen.body.posing import shape_body
    from avatargen.core.files import write_whole
    from avatargen.core.parts import SMPL_PARENTS
    from avatargen.core.values import Skeleton
    from avatargen.export.bvh import encode_bvh
    from avatargen.export.npz import encode_amass

    betas = torch.zeros(1, body.num_betas)
    vertices, joints = shape_body(body, betas)
    if out.suffix.lower() == ".npz":
        rest = joints[0, 0].double().numpy()
        data = encode_amass(
            motion,
            betas=betas[0].double().numpy(),
            gender="neutral",
            rest_root=rest,
            body=f"{body.kind}-{body.version}",
        )
    else:
        floor = torch.tensor([0.0, float(vertices[0, :, 1].min()), 0.0])
        rest = (joints[0, : len(SMPL_PARENTS)] - floor).double().numpy()
        data = encode_bvh(motion, Skeleton(names=motion.joint_names, parents=SMPL_PARENTS, joints=rest))
    return write_whole(out, data)


def _import(given: list[str]) -> int:
    from motiongen.dataset import main as build

    return build(given)


def _train(given: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="motiongen train", description="Train a prior or make the codebooks.")
    parser.add_argument("what", choices=("pose", "motion", "codebook", "flow", "features"))
    parser.add_argument("--data", type=Path, help="a motion set: motiongen import FILES --out set.npz")
    parser.add_argument("--out", type=Path, required=True, help="folder for the weights")
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--plot", type=Path, default=None, help="folder for the curve as a PNG")
    options = parser.parse_args(given)
    least = 0 if options.what == "motion" else 1
    if options.steps is not None and options.steps < least:
        raise ConfigError(f"--steps {options.steps}: at least {least} is needed")

    import torch

    from avatargen.core.progress import Terminal
    from motiongen.training_stages import run_stage

    torch.set_num_threads(max(1, options.threads))
    for path in run_stage(
        options.what, options.data, options.out, options.steps, options.seed, options.plot, Terminal()
    ):
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
