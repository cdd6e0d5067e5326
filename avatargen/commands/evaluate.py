"""`avatargen evaluate`: parse, call one function, give back the files."""

import argparse
from collections.abc import Sequence
from pathlib import Path


def build_parser() -> argparse.ArgumentParser:
    """The parser of `avatargen evaluate`."""
    parser = argparse.ArgumentParser(
        prog="avatargen evaluate",
        description="Measure finished runs: what text-image models say, part colors, mesh, rig, glTF, motion, cost.",
        allow_abbrev=False,
    )
    parser.add_argument("runs", metavar="RUN", nargs="+", help="folders of finished runs")
    parser.add_argument("--out", metavar="FOLDER", default="evaluation", help="where the report goes")
    parser.add_argument("--judge", metavar="MODEL", help="a guidance model that did not guide, e.g. clip:ViT-B/32")
    parser.add_argument("--distractors", metavar="FILE", help="other texts, one a line (default: known characters)")
    return parser


def main(arguments: Sequence[str]) -> list[Path]:
    """Run `evaluate ...`; the files written.

    Raises:
        AvatarGenError: see `avatargen.judged`.
    """
    asked = build_parser().parse_args(arguments)
    # After parsing, so that --help does not wait for torch.
    from avatargen.core.errors import InputError  # noqa: PLC0415
    from avatargen.core.files import read_small_text  # noqa: PLC0415
    from avatargen.core.progress import Terminal  # noqa: PLC0415
    from avatargen.judged import evaluate_runs  # noqa: PLC0415

    others: list[str] = []
    if asked.distractors:
        lines = read_small_text(Path(asked.distractors), "a file with a text on each line").splitlines()
        others = [line.strip() for line in lines if line.strip()]
        if not others:
            raise InputError(f"{asked.distractors} holds no text; write one a line")
    evaluate_runs(asked.runs, asked.out, asked.judge, others, Terminal())
    return [Path(asked.out) / "evaluation.html", Path(asked.out) / "evaluation.json"]
