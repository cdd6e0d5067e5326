"""What of avatargen works on this machine, and what to do about the rest. Fetches nothing."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from avatargen.body.load import BODIES, GENDERS
from avatargen.body.open_body import load_open_body
from avatargen.body.smpl import SITES, find_file
from avatargen.core.config import confs_dir, load_settings
from avatargen.core.errors import AvatarGenError
from avatargen.core.files import cache_dir
from avatargen.core.settings import BodySettings
from avatargen.core.version import VERSION
from avatargen.export.blender import blender_command
from avatargen.guidance.clip import MODELS, weights_on_disk
from avatargen.guidance.embedded.model import load_embedded

_LEAST_SPACE = 2e9
_EXTRAS = {
    "smplx": ("smpl", "comparison with smplx"),
    "human_body_prior": ("vposer", "comparison with VPoser"),
    "open_clip": ("openclip", "open_clip guidance"),
    "viser": ("view", "avatargen --preview"),
    "ray": ("ray", "avatargen batch --ray"),
    "pytorch3d": ("pytorch3d", "its rasteriser, as a renderer backend"),
    "neural_renderer": ("neural-renderer", "its rasteriser, as a renderer backend"),
}


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    topic: str
    what: str
    usable: bool
    needed: bool
    """Whether the default command fails without it."""
    detail: str
    """What was found, or what to do."""


def examine() -> tuple[Finding, ...]:
    """Everything that a run may use, needed things first."""
    return tuple([*_machine(), *_bodies(), *_guidance(), *_renderers(), *_programs(), *_packages()])


def report(findings: tuple[Finding, ...]) -> str:
    """The findings as aligned text; a plain "ok", "--" (optional, absent) or "!!" (needed, absent) begins each line."""
    width = max(len(f.what) for f in findings)
    lines, topic = [], ""
    for found in findings:
        if found.topic != topic:
            topic = found.topic
            lines += ["", topic] if lines else [topic]
        mark = "ok" if found.usable else "!!" if found.needed else "--"
        lines.append(f"  {mark} {found.what:{width}}  {found.detail}")
    missing = [f.what for f in findings if f.needed and not f.usable]
    lines += ["", f"not working: {', '.join(missing)}" if missing else "everything the default command needs works"]
    return "\n".join(lines)


def _machine() -> Iterator[Finding]:
    topic = "this machine"
    yield Finding(topic, "avatargen", True, True, f"{VERSION}, Python {platform.python_version()}")
    yield Finding(topic, "torch", True, True, f"{torch.__version__}, {torch.get_num_threads()} threads")
    if torch.cuda.is_available():
        yield Finding(topic, "GPU", True, False, f"{torch.cuda.get_device_name(0)}: --device cuda")
    else:
        yield Finding(topic, "GPU", False, False, "none that torch can use; everything runs on the CPU")
    yield _checked(topic, "settings", lambda: (load_settings(quality="standard"), str(confs_dir()))[1])
    yield _checked(topic, "cache", _cache)


def _cache() -> str:
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise AvatarGenError(f"{folder} cannot be written; set AVATARGEN_CACHE to a folder that can")
    free = shutil.disk_usage(folder).free
    short = " - little space is left" if free < _LEAST_SPACE else ""
    return f"{folder}, {free / 1e9:.0f} GB free{short}"


def _bodies() -> Iterator[Finding]:
    yield _checked("bodies", "open", lambda: f"version {load_open_body().version}, the default")
    folder = Path(BodySettings().folder)
    for kind in BODIES[1:]:
        have = []
        for gender in GENDERS:
            try:
                find_file(kind, folder, gender)
            except AvatarGenError:
                continue
            have.append(gender)
        place = f"{folder}/{kind}/{kind.upper()}_NEUTRAL.npz or .pkl"
        todo = f"no file in {folder}/: register at {SITES[kind]} and save {place}"
        yield Finding("bodies", kind, bool(have), False, f"--body {kind}: {', '.join(have)}" if have else todo)


def _guidance() -> Iterator[Finding]:
    yield _checked("guidance", "embedded", lambda: f"version {load_embedded().version}, ships with the package")
    here = {name: path for name in MODELS if (path := weights_on_disk(name)) is not None}
    for name, path in here.items():
        yield Finding("guidance", f"clip:{name}", True, False, str(path))
    if not here:
        todo = "no weights here: `avatargen models fetch clip:ViT-B/32`, or --guidance-weights FILE"
        yield Finding("guidance", "clip", False, False, todo)


def _renderers() -> Iterator[Finding]:
    ray = importlib.util.find_spec("embreex") is not None
    detail = "rays by embree" if ray else "not installed; the torch rasteriser is used instead, slower"
    yield Finding("renderers", "embree", ray, False, detail)
    yield Finding("renderers", "torch", True, True, "always there")


def _programs() -> Iterator[Finding]:
    topic = "programs"
    yield _checked(topic, "ffmpeg", _ffmpeg)
    try:
        yield Finding(topic, "Blender", True, False, " ".join(blender_command()[:1]) + ": fbx, blend, usd, abc")
    except AvatarGenError as error:
        yield Finding(topic, "Blender", False, False, str(error).splitlines()[0])


def _ffmpeg() -> str:
    import imageio_ffmpeg  # noqa: PLC0415  its absence is a finding

    return imageio_ffmpeg.get_ffmpeg_exe()


def _packages() -> Iterator[Finding]:
    for module, (extra, use) in _EXTRAS.items():
        have = importlib.util.find_spec(module) is not None
        yield Finding("extras", module, have, False, use if have else f'{use}: pip install "avatargen[{extra}]"')


def _checked(topic: str, what: str, look: Callable[[], str]) -> Finding:
    """A needed thing: what `look` says of it, or why it failed."""
    try:
        return Finding(topic, what, True, True, look())
    except (AvatarGenError, OSError, ImportError, RuntimeError) as error:
        return Finding(topic, what, False, True, str(error).splitlines()[0])
