"""The whole configuration as frozen dataclasses: each stage's section, its defaults, one reason each.

`confs/base.conf` holds the same defaults for a reader; a test keeps the two equal. Files and `--set`
change single keys through the strict loader in `avatargen.core.config`.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class BodySettings:
    """Which skinned human."""

    kind: str = "open"
    """open | smpl | smplx"""
    gender: str = "neutral"
    """neutral | male | female; of an SMPL or SMPL-X file"""
    folder: str = "smpl_models"
    """Where the user's licensed files are."""


@dataclass(frozen=True, kw_only=True)
class GuidanceSettings:
    """What "looks like the text" means."""

    model: str = "auto"
    """auto | embedded | clip:ViT-B/32 | openclip:NAME:PRETRAINED"""
    weights: str = ""
    """A local weight file for clip or openclip."""


@dataclass(frozen=True, kw_only=True)
class ShapeSettings:
    """Text to coarse body."""


@dataclass(frozen=True, kw_only=True)
class ImplicitSettings:
    """Coarse body to sculpted, painted surface."""


@dataclass(frozen=True, kw_only=True)
class MeshSettings:
    """Field to a mesh that a game engine accepts."""


@dataclass(frozen=True, kw_only=True)
class MotionSettings:
    """Text to motion."""


@dataclass(frozen=True, kw_only=True)
class VideoSettings:
    """Pictures and videos."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that decides a result, besides the texts."""

    seed: int = 0
    device: str = "auto"
    """auto | cpu | cuda"""
    body: BodySettings = field(default_factory=BodySettings)
    guidance: GuidanceSettings = field(default_factory=GuidanceSettings)
    shape: ShapeSettings = field(default_factory=ShapeSettings)
    implicit: ImplicitSettings = field(default_factory=ImplicitSettings)
    mesh: MeshSettings = field(default_factory=MeshSettings)
    motion: MotionSettings = field(default_factory=MotionSettings)
    video: VideoSettings = field(default_factory=VideoSettings)
