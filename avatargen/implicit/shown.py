"""What surrounds the figure in each step's pictures: light, backgrounds, crops; all drawn at random, all switchable."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.core.errors import ConfigError
from avatargen.core.settings import PictureSettings
from avatargen.guidance.prompts import STYLES, VIEWS, read_templates
from avatargen.render.cameras import Cameras
from avatargen.render.shading import BACKGROUNDS, Light, background, random_light

LIGHTS = ("gentle", "harsh", "none")
_USUAL = ("white", "black", "noise", "checker")
# A network of a few million weights takes the squares of a checkerboard for limbs.
_CALM = ("white", "black", "grey", "noise")


def check_pictures(settings: PictureSettings) -> None:
    """Refuse what no step could use.

    Raises:
        ConfigError: with the key and what may stand there.
    """
    _known("wording", [settings.wording], ("auto", *STYLES))
    _known("light", [settings.light], LIGHTS)
    _known("backgrounds", settings.backgrounds, BACKGROUNDS)
    _known("kinds", settings.kinds, VIEWS)
    read_templates(settings.templates)
    _within("crop", settings.crop, 0.1, 1.0)
    _within("perspective", settings.perspective, 0.0, 0.3)
    _within("negative_weight", settings.negative_weight, 0.0, 10.0)


def _known(key: str, given: Sequence[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise ConfigError(f"implicit.pictures.{key}: {name!r} is not known\n  There are: {', '.join(known)}")


def _within(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"implicit.pictures.{key} = {value:g} is not in {low:g}..{high:g}")


def gentle_light(generator: torch.Generator, cameras: Cameras) -> Light:
    """Random directions, but mostly ambient, so that colors read true."""
    light = random_light(generator, cameras)
    ambient = 0.55 + 0.4 * torch.rand(len(cameras), generator=generator).to(light.ambient)
    return Light(light.direction, ambient, 1.0 - ambient)


def color_light(settings: PictureSettings, generator: torch.Generator, cameras: Cameras) -> Light:
    """The light of textured pictures; every kind draws as often, so that all other draws stay the same."""
    gentle = gentle_light(generator, cameras)
    if settings.light == "none":
        return Light(gentle.direction, torch.ones_like(gentle.ambient), torch.zeros_like(gentle.diffuse))
    if settings.light == "harsh":
        ambient = 0.2 * (gentle.ambient - 0.55) / 0.4
        return Light(gentle.direction, ambient, 1.0 - ambient)
    return gentle


def backdrops(
    settings: PictureSettings, guidance_name: str, cameras: Cameras, generator: torch.Generator
) -> Float[Tensor, "b 3 h w"]:
    """A background for each picture."""
    names = settings.backgrounds or (_CALM if guidance_name.startswith("embedded") else _USUAL)
    drawn = torch.randint(len(names), (len(cameras),), generator=generator).tolist()
    return torch.cat([background(names[kind], cameras[number], generator) for number, kind in enumerate(drawn)])
