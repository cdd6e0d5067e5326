"""Looking on while an avatar is made: what a run tells those who want to see it."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from avatargen.core.values import Mesh, Motion, RiggedMesh


@runtime_checkable
class Viewer(Protocol):
    """Is told how the avatar looks. What it does changes no result; all is called by the thread that makes the run."""

    def show(self, avatar: Mesh | RiggedMesh, motions: Sequence[Motion] = ()) -> None:
        """This is how the avatar looks from now on."""

    def follow(self, look: Callable[[], Mesh]) -> None:
        """From now on `look` knows, until something else is shown; to be asked between two steps, and not too often."""
