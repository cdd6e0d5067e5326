"""From a name in the configuration to a text-image model."""

import difflib
from collections.abc import Iterable
from dataclasses import replace

import torch

from avatargen.core.errors import BrokenFileError, InputError, MissingAssetError
from avatargen.core.progress import Reporter, Silent
from avatargen.core.settings import GuidanceSettings
from avatargen.guidance.ensemble import Ensemble, parse_ensemble
from avatargen.guidance.model import Guidance

_KINDS = ("auto", "embedded", "clip:ViT-B/32", "openclip:NAME:PRETRAINED", "several as A*0.7+B*0.3")


def load_guidance(
    settings: GuidanceSettings, device: torch.device | str = "cpu", reporter: Reporter | None = None
) -> Guidance:
    """The model that `settings.model` names, frozen, on `device`.

    "auto" is CLIP ViT-B/32 where its weights are present or can be fetched, otherwise the embedded model, with
    one line to `reporter` that says so. "A*0.7+B*0.3" is both, weighted (see `Ensemble`).

    Raises:
        InputError: no such model.
        MissingAssetError: its weights or vocabulary are not there and could not be fetched.
        MissingExtraError: it needs a package that is not installed.
        BrokenFileError: the weight file cannot be read.
    """
    reporter = reporter or Silent()
    if any(sign in settings.model for sign in "+*"):
        return _ensemble(settings, device, reporter)
    kind, _, name = settings.model.strip().partition(":")
    match kind.lower():
        case "auto" if not name:
            return _auto(settings, device, reporter)
        case "embedded" if not name:
            if settings.weights:
                raise InputError(
                    f"the embedded guidance reads no weight file, but {settings.weights} is given\n"
                    f"  For that file: --guidance clip:MODEL or openclip:NAME:PRETRAINED (guidance.model)."
                )
            return _embedded(device)
        case "clip":
            return _clip(name or "ViT-B/32", settings, device, reporter)
        case "openclip":
            from avatargen.guidance.openclip import load_openclip  # noqa: PLC0415  an optional package

            return load_openclip(name, settings, device)
        case _:
            raise InputError(_unknown(settings.model))


def _ensemble(settings: GuidanceSettings, device: torch.device | str, reporter: Reporter) -> Guidance:
    members = parse_ensemble(settings.model)
    files = [file.strip() for file in settings.weights.split(",")] if settings.weights else []
    plugged = [name for name, _ in members if not name.lower().startswith("embedded")]
    if len(files) > len(plugged):
        raise InputError(
            f"guidance.weights names {len(files)} files for {len(plugged)} models that read one\n"
            f"  Give them in the order of the models, separated by commas."
        )
    given = dict(zip(plugged, files, strict=False))
    loaded = [
        load_guidance(replace(settings, model=name, weights=given.get(name, "")), device, reporter)
        for name, _ in members
    ]
    return loaded[0] if len(loaded) == 1 else Ensemble(tuple(loaded), tuple(share for _, share in members))


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
