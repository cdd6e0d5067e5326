"""Text to a finished 3D character: shape, appearance and motion from three short texts."""

from typing import TYPE_CHECKING, Any

from avatargen.core.version import VERSION as __version__

if TYPE_CHECKING:
    from avatargen.api import Result, generate

__all__ = ["Result", "__version__", "generate"]


def __getattr__(name: str) -> Any:
    # The public functions live behind this hook so that `import avatargen` and the command line stay free of torch.
    if name in {"generate", "Result"}:
        from avatargen import api

        return getattr(api, name)
    raise AttributeError(f"module 'avatargen' has no attribute {name!r}")
