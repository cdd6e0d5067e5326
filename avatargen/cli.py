"""The command line: parse, call one function, print the folder. Starts without torch."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avatargen.api import Result
    from avatargen.core.progress import Reporter
    from avatargen.core.viewing import Viewer

_EPILOG = """\
examples:
  avatargen --shape "tall" --appearance "Saitama" --motion "punching"
  avatargen --appearance "a knight in silver armour" --quality draft
  avatargen --shape "short and chubby"                    a body alone
  avatargen --shape "tall" --motion "waving"              the plain body, moving
  avatargen --shape "athletic" --height 1.85 --weight-kg 80 --gender female
  avatargen --appearance "my hero" --describe "a woman in a red coat and black boots" --motion "jumping"

other commands:
  avatargen shape "short and chubby"                      the coarse body alone, in seconds (avatargen shape --help)
  avatargen export RUN --format fbx,usd --skeleton mixamo  a finished run in other formats (avatargen export --help)
  avatargen animate RUN dance.bvh walk.npz                any motions on a finished avatar (avatargen animate --help)
  avatargen batch characters.csv --out gallery            a table of characters, with an index page
  avatargen evaluate RUN...                               honest figures of finished runs, as a page and JSON
  avatargen doctor                                        what works on this machine, and what to do about the rest
  avatargen models list|path|fetch [NAME]                 CLIP weights: which there are, and where
  avatargen completion bash|zsh|fish                      words for your shell to offer
  avatargen train {shape,guidance} ...                    train a shipped model again
  motiongen "punching" --out punch.bvh                    motion alone

A run leaves report.html (open it in a browser), avatar.glb, avatar.obj, avatar.ply, body.obj, motion.npz, motion.bvh,
turntable.mp4, motion.mp4, preview.png and run.json in its folder.
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of the main command."""
    parser = argparse.ArgumentParser(
        prog="avatargen",
        description="Three short texts to a rigged, textured, animated 3D character. Each text is optional.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    texts = parser.add_argument_group("the three texts")
    texts.add_argument("--shape", metavar="TEXT", help='the body: "tall", "short and chubby", "a strong man"')
    texts.add_argument("--appearance", metavar="TEXT", help='who or what: "Saitama", "a knight in silver armour"')
    texts.add_argument(
        "--motion",
        metavar="TEXT",
        action="append",
        help='the action: "punching", "a cartwheel"; given again, or as "punching; waving", each is a clip of its own',
    )
    texts.add_argument("--describe", metavar="TEXT", help="visual words for the appearance, instead of looking it up")
    texts.add_argument("--appearance-image", metavar="FILE", help="a picture of it, with or without words")
    texts.add_argument("--face-image", metavar="FILE", help="a picture for the face alone")
    run = parser.add_argument_group("the run")
    run.add_argument("--out", metavar="FOLDER", help="where the files go (default: outputs/<the texts>)")
    run.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same files (default: 0)")
    run.add_argument(
        "--quality",
        choices=("draft", "standard", "high"),
        default="standard",
        help="draft: minutes on a laptop; standard (default); high: for a GPU or a long wait",
    )
    run.add_argument("--resume", action="store_true", help="go on where an earlier run into the same folder stopped")
    mesh = parser.add_argument_group("the mesh")
    mesh.add_argument("--faces", type=int, metavar="N", help="about how many triangles (default: 20000; high: 40000)")
    mesh.add_argument(
        "--topology", metavar="KIND", help="scan (default): the extracted surface; template: the body's own clean mesh"
    )
    mesh.add_argument(
        "--controls", action="store_true", help="also maps for image models: OpenPose, depth, normals, parts, cameras"
    )
    mesh.add_argument(
        "--process-video", action="store_true", help="also process.mp4: how the avatar came to be, in one slow turn"
    )
    _add_controls(parser)
    _add_models(parser)
    _add_configuration(parser)
    parser.add_argument(
        "--preview", action="store_true", help="a local page that shows the avatar while it is made (extra `view`)"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    return parser


def build_shape_parser() -> argparse.ArgumentParser:
    """The parser of `avatargen shape`."""
    parser = argparse.ArgumentParser(
        prog="avatargen shape",
        description="One short text to a body: body.obj, body.glb, shape.json and a picture of the runners-up.",
        allow_abbrev=False,
    )
    parser.add_argument("text", metavar="TEXT", help='the body: "tall", "short and chubby", "a strong man"')
    parser.add_argument("--out", metavar="FOLDER", help="where the files go (default: outputs/<the text>)")
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same body (default: 0)")
    _add_controls(parser)
    _add_models(parser)
    _add_configuration(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    return parser


def _add_controls(parser: argparse.ArgumentParser) -> None:
    numbers = parser.add_argument_group("the body in numbers, over what the text says")
    numbers.add_argument("--height", metavar="METRES", help="1.3 to 2.2")
    numbers.add_argument("--weight-kg", metavar="KG", help="30 to 200")
    numbers.add_argument("--age", metavar="0..1", help="0 a teenager, 0.33 a young adult, 1 old (open body only)")
    numbers.add_argument(
        "--gender", metavar="0..1", help="0 or male, 1 or female, or between; a licensed body takes the words alone"
    )
    numbers.add_argument("--muscle", metavar="0..1", help="0 weak, 1 strong (open body only)")


def _add_models(parser: argparse.ArgumentParser) -> None:
    models = parser.add_argument_group("models")
    models.add_argument("--body", metavar="KIND", help="open (default), or your own licensed smpl or smplx")
    models.add_argument(
        "--guidance", metavar="NAME", help="auto (default), embedded, clip:ViT-B/32, openclip:NAME:PRETRAINED"
    )
    models.add_argument("--guidance-weights", metavar="FILE", help="a weight file of your own for clip or openclip")
    models.add_argument("--device", metavar="NAME", help="auto (default), cpu, cuda")


def _add_configuration(parser: argparse.ArgumentParser) -> None:
    config = parser.add_argument_group("configuration")
    config.add_argument("--config", metavar="FILE", help="a HOCON file with the keys to change, or a run.json")
    config.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], dest="overrides", help="change one key; repeatable"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    # Threads that wait must sleep: on a machine with other work, spinning made a step up to ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["train"]:
        return _guarded(lambda: _train(arguments[1:]))
    if arguments[:1] == ["batch"]:
        return _guarded(lambda: _batch(arguments[1:]))
    if arguments[:1] == ["completion"]:
        return _guarded(lambda: _complete(arguments[1:]))
    if arguments[:1] in (["doctor"], ["models"]):
        return _guarded(lambda: _inquire(arguments))
    if arguments[:1] in (["export"], ["animate"]):
        return _guarded(lambda: _convert(arguments))
    if arguments[:1] == ["evaluate"]:
        return _guarded(lambda: _evaluate(arguments[1:]))
    if arguments[:1] == ["shape"]:
        asked = build_shape_parser().parse_args(arguments[1:])
        return _guarded(lambda: _shape(asked))
    parser = build_parser()
    args = parser.parse_args(arguments)
    if args.version:
        import avatargen

        print(f"avatargen {avatargen.__version__}")
        return 0
    if not arguments:
        parser.print_help()
        return 0
    return _guarded(lambda: _generate(args))


def _generate(args: argparse.Namespace) -> int:
    from avatargen.core.progress import Silent, Terminal

    told = Silent() if args.quiet else Terminal()
    if not args.preview:
        return _told(args, told)
    from avatargen.preview import previewing

    texts = {"shape": args.shape, "appearance": args.appearance, "motion": _motion(args)}
    with previewing(texts, told) as preview:
        if args.quiet and preview.url:
            print(f"avatargen: preview: {preview.url}", file=sys.stderr)
        code = _told(args, preview, preview)
        preview.linger()
    return code


def _told(args: argparse.Namespace, reporter: "Reporter", viewer: "Viewer | None" = None) -> int:
    from avatargen.api import generate
    from avatargen.core.stopping import left, listening

    with listening("avatargen: stopping with what there is; Ctrl-C again to stop at once"):
        result = _generated(args, generate, reporter, viewer)
        undone = left()
    print(result.folder)
    if undone:
        print(
            f"avatargen: stopped early ({', '.join(undone)}); the files above are good as far as they go, "
            "and the same command with --resume goes on",
            file=sys.stderr,
        )
    return 130 if undone else 0


def _motion(args: argparse.Namespace) -> str | None:
    return "; ".join(args.motion) if args.motion else None


def _generated(
    args: argparse.Namespace, generate: Callable[..., "Result"], reporter: "Reporter", viewer: "Viewer | None"
) -> "Result":
    return generate(
        args.shape,
        args.appearance,
        _motion(args),
        quality=args.quality,
        out=args.out,
        seed=args.seed,
        body=args.body,
        guidance=args.guidance,
        device=args.device,
        describe_as=args.describe,
        config=args.config,
        overrides=[*_overrides(args), *_mesh(args), *_pictures(args)],
        resume=args.resume,
        reporter=reporter,
        viewer=viewer,
    )


def _batch(arguments: Sequence[str]) -> int:
    from avatargen.commands.batch import main as batch

    return batch(arguments)


def _complete(arguments: Sequence[str]) -> int:
    from avatargen.commands import batch, convert, doctor, evaluate
    from avatargen.commands.completion import completion

    parsers = {
        "": build_parser(),
        "shape": build_shape_parser(),
        "export": convert.build_parser("export"),
        "animate": convert.build_parser("animate"),
        "batch": batch.build_parser(),
        "evaluate": evaluate.build_parser(),
        "doctor": doctor.doctor_parser(),
        "models": doctor.models_parser(),
    }
    print(completion(arguments, parsers), end="")
    return 0


def _inquire(arguments: Sequence[str]) -> int:
    from avatargen.commands.doctor import doctor, models

    text, code = (doctor if arguments[0] == "doctor" else models)(arguments[1:])
    print(text)
    return code


def _convert(arguments: Sequence[str]) -> int:
    from avatargen.commands.convert import main as convert

    for path in convert(arguments):
        print(path)
    return 0


def _evaluate(arguments: Sequence[str]) -> int:
    from avatargen.commands.evaluate import main as evaluate

    for path in evaluate(arguments):
        print(path)
    return 0


def _shape(args: argparse.Namespace) -> int:
    from avatargen.coarse import generate_shape
    from avatargen.core.progress import Silent, Terminal

    result = generate_shape(
        args.text,
        out=args.out,
        seed=args.seed,
        body=args.body,
        guidance=args.guidance,
        device=args.device,
        config=args.config,
        overrides=_overrides(args),
        reporter=Silent() if args.quiet else Terminal(),
    )
    print(result.folder)
    return 0


def _overrides(args: argparse.Namespace) -> list[str]:
    weights = [f"guidance.weights={args.guidance_weights}"] if args.guidance_weights else []
    return [*args.overrides, *weights, *_controls(args)]


def _pictures(args: argparse.Namespace) -> list[str]:
    given = {"guidance.image": args.appearance_image, "guidance.face_image": args.face_image}
    return [f"{key}={value}" for key, value in given.items() if value is not None]


def _mesh(args: argparse.Namespace) -> list[str]:
    given = {"mesh.faces": args.faces, "mesh.topology": args.topology}
    given["conditions.write"] = "true" if args.controls else None
    given["video.process"] = "true" if args.process_video else None
    return [f"{key}={value}" for key, value in given.items() if value is not None]


def _controls(args: argparse.Namespace) -> list[str]:
    given = {name: getattr(args, name) for name in ("height", "weight_kg", "age", "muscle")}
    changes = [f"controls.{name}={value}" for name, value in given.items() if value is not None]
    if args.gender is None:
        return changes
    words = {"male": "0", "neutral": "0.5", "female": "1"}
    if args.body in ("smpl", "smplx") and args.gender in words:
        return [*changes, f"body.gender={args.gender}"]  # these bodies have a file for each
    return [*changes, f"controls.gender={words.get(args.gender, args.gender)}"]


def _train(arguments: Sequence[str]) -> int:
    from avatargen.core.errors import InputError

    what = arguments[0] if arguments else ""
    if what == "shape":
        from avatargen.shape.train import main as train
    elif what == "guidance":
        from avatargen.training.guidance import main as train
    else:
        named = f"cannot train {what!r}; " if what else ""
        raise InputError(f"{named}say what to train: avatargen train shape | guidance (motion: motiongen train)")
    return train(list(arguments[1:])) or 0


def _guarded(work: Callable[[], int]) -> int:
    """Run `work`; a user's error, or the machine's, becomes a message and exit code 2 instead of a traceback."""
    from avatargen.core.errors import AvatarGenError
    from avatargen.core.failures import machine_failure

    try:
        return work()
    except AvatarGenError as error:
        print(f"avatargen: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("avatargen: stopped; run the same command with --resume to go on", file=sys.stderr)
        return 130
    except Exception as error:
        said = machine_failure(error)
        if said is None:
            raise
        print(f"avatargen: {said}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
