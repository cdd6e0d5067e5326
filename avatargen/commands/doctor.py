"""`avatargen doctor` and `avatargen models`."""

import argparse
import dataclasses
import json
from collections.abc import Sequence


def doctor_parser() -> argparse.ArgumentParser:
    """The parser of `avatargen doctor`."""
    parser = argparse.ArgumentParser(
        prog="avatargen doctor", description="What works on this machine, and what to do about the rest."
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    return parser


def doctor(arguments: Sequence[str]) -> tuple[str, int]:
    """The report, and the exit code: 1 if something the default command needs does not work."""
    asked = doctor_parser().parse_args(arguments)
    # After parsing, so that --help does not wait for torch.
    from avatargen.doctor import examine, report  # noqa: PLC0415

    findings = examine()
    code = int(any(found.needed and not found.usable for found in findings))
    if asked.json:
        return json.dumps([dataclasses.asdict(found) for found in findings], indent=1), code
    return report(findings), code


def models_parser() -> argparse.ArgumentParser:
    """The parser of `avatargen models`."""
    parser = argparse.ArgumentParser(prog="avatargen models", description="The text-image models that can guide.")
    parser.add_argument("action", choices=("list", "path", "fetch"), help="what to do")
    parser.add_argument("name", nargs="?", metavar="NAME", help="of path and fetch: e.g. clip:ViT-B/32")
    return parser


def models(arguments: Sequence[str]) -> tuple[str, int]:
    """The list of guidance models, or the file of one, fetched if asked for; and the exit code.

    Raises:
        InputError: no such model.
        MissingAssetError: it is not here (path), or cannot be fetched.
    """
    parser = models_parser()
    asked = parser.parse_args(arguments)
    if (asked.action == "list") == (asked.name is not None):
        parser.error("list takes no name; path and fetch take one")
    from avatargen.core.errors import InputError, MissingAssetError  # noqa: PLC0415
    from avatargen.core.progress import Terminal  # noqa: PLC0415
    from avatargen.core.settings import GuidanceSettings  # noqa: PLC0415
    from avatargen.guidance.clip import MODELS, fetch_clip, weights_on_disk  # noqa: PLC0415

    if asked.action == "list":
        clip = [f"clip:{n:15} {weights_on_disk(n) or f'not here; avatargen models fetch clip:{n}'}" for n in MODELS]
        embedded = "embedded             ships with the package"
        return "\n".join([embedded, *clip, "openclip:NAME:TAG    through the extra [openclip]"]), 0
    name = asked.name.removeprefix("clip:")
    if name not in MODELS:
        raise InputError(f"unknown model {asked.name!r}; there are: {', '.join(f'clip:{known}' for known in MODELS)}")
    place = fetch_clip(name, GuidanceSettings(), Terminal()) if asked.action == "fetch" else weights_on_disk(name)
    if place is None:
        raise MissingAssetError(f"clip:{name} is not on this machine\n  Try: avatargen models fetch clip:{name}")
    return str(place), 0
