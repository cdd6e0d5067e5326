"""`avatargen export` and `avatargen animate`: parse, call one function, give back the files."""

import argparse
from collections.abc import Sequence
from pathlib import Path

_FORMATS = """\
formats: glb, gltf, vrm, obj, ply, stl, bvh, npz (AMASS), pc2 (vertex cache), mp4 (film); through Blender: fbx,
blend, usd, usdz, abc (Alembic). docs/formats.md says what each keeps.
"""


def build_parser(command: str) -> argparse.ArgumentParser:
    """The parser of `avatargen export` or `avatargen animate`."""
    if command == "export":
        about, formats = "Write a finished run in other formats, without making anything again.", "fbx"
    else:
        about = "Put motions on the avatar of a finished run; several become several clips of one file."
        formats = "glb"
    parser = argparse.ArgumentParser(
        prog=f"avatargen {command}",
        description=about,
        epilog=_FORMATS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("run", metavar="RUN", help="the folder of a finished run")
    if command == "animate":
        parser.add_argument("motion", metavar="MOTION", nargs="+", help="a run's folder, a .bvh, or an AMASS .npz")
    parser.add_argument("--format", metavar="LIST", default=formats, help=f"separated by commas (default: {formats})")
    parser.add_argument("--skeleton", metavar="NAME", default="smpl", help="bone names: smpl, mixamo, vrm, unreal")
    if command == "export":
        parser.add_argument("--pose", metavar="POSE", default="t", help="of obj, ply, stl: t, a, or a frame's number")
    parser.add_argument("--out", metavar="FOLDER", help="where the files go")
    parser.add_argument("--author", metavar="TEXT", help="of the character; written into glb, vrm and blend")
    parser.add_argument("--copyright", metavar="TEXT", help="written into glb, vrm and blend")
    parser.add_argument("--licence", metavar="TEXT", help="of the character (default: what the run was made with)")
    parser.add_argument(
        "--vrm",
        metavar="FIELD=VALUE",
        action="append",
        default=[],
        help="a licence field of a .vrm, e.g. commercialUsage=corporation; repeatable (all start at the strictest)",
    )
    return parser


def main(arguments: Sequence[str]) -> list[Path]:
    """Run `export ...` or `animate ...`; the files written.

    Raises:
        AvatarGenError: see `avatargen.convert`.
    """
    command, *words = arguments
    args = build_parser(command).parse_args(words)
    # After parsing, so that --help does not wait for torch.
    from avatargen.convert import Wish, animate_avatar, convert_run  # noqa: PLC0415
    from avatargen.core.errors import InputError  # noqa: PLC0415

    fields = [word.partition("=") for word in args.vrm]
    if wrong := [name for name, equals, _ in fields if not equals]:
        raise InputError(f"--vrm {wrong[0]}: write it as FIELD=VALUE")
    wish = Wish(
        formats=tuple(args.format.split(",")),
        skeleton=args.skeleton,
        pose=getattr(args, "pose", "t"),
        author=args.author,
        copyright=args.copyright,
        licence=args.licence,
        vrm={name.strip(): value.strip() for name, _, value in fields},
    )
    if command == "export":
        return convert_run(args.run, wish, args.out)
    return animate_avatar(args.run, args.motion, wish, args.out)
