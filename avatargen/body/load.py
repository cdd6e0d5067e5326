"""One door to every body."""

from pathlib import Path

from avatargen.body.model import BodyModel
from avatargen.body.open_body import load_open_body
from avatargen.body.smpl import load_smpl, load_smplx
from avatargen.core.errors import ConfigError
from avatargen.core.settings import BodySettings

BODIES: tuple[str, ...] = ("open", "smpl", "smplx")
GENDERS: tuple[str, ...] = ("neutral", "male", "female")


def load_body_model(settings: BodySettings) -> BodyModel:
    """The body that `settings` names, float32 on the CPU.

    Raises:
        ConfigError: unknown kind or gender.
        MissingAssetError: a licensed file is not in `settings.folder`.
        BrokenFileError: the file is not what it should be.
    """
    if settings.gender not in GENDERS:
        raise ConfigError(f"body.gender: unknown {settings.gender!r}; there are: {', '.join(GENDERS)}")
    match settings.kind:
        case "open":
            return load_open_body()
        case "smpl":
            return load_smpl(Path(settings.folder), settings.gender)
        case "smplx":
            return load_smplx(Path(settings.folder), settings.gender)
        case _:
            raise ConfigError(f"body.kind: unknown body {settings.kind!r}; there are: {', '.join(BODIES)}")
