"""From a name in the configuration to a text-image model."""

import difflib
from collections.abc import Iterable

import torch

from avatargen.core.errors import BrokenFileError, InputError, MissingAssetError
from avatargen.core.progress import Reporter, Silent
from avatargen.core.settings import GuidanceSettings
from avatargen.guidance.model import Guidance

_KINDS = ("auto", "embedded", "clip:ViT-B/32", "openclip:NAME:PRETRAINED")


def load_guidance(
    settings: GuidanceSettings, device: torch.device | str = "cpu", reporter: Reporter | None = None
) -> Guidance:
    """The model that `settings.model` names, frozen, on `device`.

    "auto" is CLIP ViT-B/32 where its weights are present or can be fetched, otherwise the embedded model, with
    one line to `reporter` that says so.

    Raises:
        InputError: no such model.
        MissingAssetError: its weights or vocabulary are not there and could not be fetched.
        MissingExtraError: it needs a package that is not installed.
        BrokenFileError: the weight file cannot be read.
    """
    reporter = reporter or Silent()
    kind, _, name = settings.model.strip().partition(":")
    match kind.lower():
        case "auto" if not name:
            return _auto(settings, device, reporter)
        case "embedded" if not name:
            return _embedded(device)
        case "clip":
            return _clip(name or "ViT-B/32", settings, device, reporter)
        case "openclip":
            from avatargen.guidance.openclip import load_openclip  # noqa: PLC0415  an optional package

            return load_openclip(name, settings, device)
        case _:
            raise InputError(_unknown(settings.model))


def _auto(settings: GuidanceSettings, device: torch.device | str, reporter: Reporter) -> Guidance:
    if settings.weights:
        return _clip("ViT-B/32", settings, device, reporter)
    try:
        return _clip("ViT-B/32", settings, device, reporter)
    except (MissingAssetError, BrokenFileError) as error:
        reason = str(error).splitlines()[0]
        reporter.note(
            f"guidance: embedded ({reason}); it knows bodies, clothes and colors, "
            f"not names or styles - for those: --guidance clip:ViT-B/32 --guidance-weights FILE"
        )
    return _embedded(device)


def _embedded(device: torch.device | str) -> Guidance:
    from avatargen.guidance.embedded.model import load_embedded  # noqa: PLC0415  only this kind needs it

    return load_embedded(device)


def _clip(name: str, settings: GuidanceSettings, device: torch.device | str, reporter: Reporter) -> Guidance:
    from avatargen.guidance.clip import MODELS, load_clip  # noqa: PLC0415  only this kind needs it

    if name not in MODELS:
        known = _close(name, MODELS) or tuple(MODELS)
        raise InputError(
            f"unknown CLIP model {name!r}; did you mean {' or '.join(known[:3])}?\n  There are: {', '.join(MODELS)}"
        )
    return load_clip(name, settings, device, reporter)


def _close(name: str, known: Iterable[str]) -> tuple[str, ...]:
    names = {key.lower(): key for key in known}
    return tuple(names[match] for match in difflib.get_close_matches(name.lower(), names, n=2, cutoff=0.5))


def _unknown(model: str) -> str:
    names = {"auto": "auto", "embedded": "embedded", "clip": "clip:ViT-B/32", "openclip": "openclip:NAME:PRETRAINED"}
    near = difflib.get_close_matches(model.partition(":")[0].lower(), names, n=1, cutoff=0.4)
    hint = f"; did you mean {names[near[0]]}?" if near else ""
    return f"unknown guidance {model!r}{hint}\n  There are: {', '.join(_KINDS)}"
