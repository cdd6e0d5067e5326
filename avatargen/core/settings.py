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
    """A local weight file for clip or openclip: state dict, TorchScript archive or safetensors."""
    vocabulary: str = ""
    """CLIP's bpe_simple_vocab_16e6.txt.gz; empty: beside the weights or in an installed clip package."""
    download: bool = True
    """Fetch OpenAI's files where they are missing and there is a network (also off with AVATARGEN_OFFLINE=1)."""


@dataclass(frozen=True, kw_only=True)
class ShapeSettings:
    """Text to coarse body."""

    query: str = "search"
    """search | codebook_only (one best entry, as the original does)"""
    codebook_size: int = 1024
    """Bodies to compare the text with; 2048 is what the default codebook holds."""
    views: int = 4
    """Pictures of each body: front, three-quarter, side, back, in this order."""
    blend: int = 8
    """How many of the best entries are averaged before refinement."""
    refine_steps: int = 24
    """Gradient steps on the latent after the search; kept only where the score rises."""
    strength: float = 1.0
    """How far from the average person the text may go; 0 is the average, 1 as found."""


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
    characters: str = ""
    """A file of your own with names and their visual words, laid out as confs/characters.conf."""
    body: BodySettings = field(default_factory=BodySettings)
    guidance: GuidanceSettings = field(default_factory=GuidanceSettings)
    shape: ShapeSettings = field(default_factory=ShapeSettings)
    implicit: ImplicitSettings = field(default_factory=ImplicitSettings)
    mesh: MeshSettings = field(default_factory=MeshSettings)
    motion: MotionSettings = field(default_factory=MotionSettings)
    video: VideoSettings = field(default_factory=VideoSettings)
