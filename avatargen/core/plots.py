"""Curves of trainings as pictures; matplotlib is an extra, and only trainings draw."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from avatargen.core.errors import MissingExtraError
from avatargen.core.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of that size in inches, which opens no window.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: PLC0415  only trainings draw
    except ImportError as error:
        raise MissingExtraError("a plot needs matplotlib: pip install 'avatargen[train]'") from error
    return matplotlib.figure.Figure(figsize=(width, height), layout="constrained")


def write_figure(figure: "Figure", path: Path) -> Path:
    """Write it as a PNG, whole or not at all."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return write_whole(path, buffer.getvalue())
