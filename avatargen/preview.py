"""A local page that shows the avatar while it is made (`--preview`, extra `view`).

The page is viser's. It listens on 127.0.0.1 and takes no orders from pages of other origins. It is drawn by the thread
that makes the run, between two steps, and only where somebody looks: nothing runs beside the run, so the result is the
same, and whatever fails here ends the preview alone.
"""

import contextlib
import importlib.util
import io
import os
import socket
import time
import webbrowser
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from avatargen.core.errors import MissingExtraError
from avatargen.core.progress import Reporter
from avatargen.core.values import Mesh, Motion, RiggedMesh
from avatargen.export.gltf import encode_glb

PORT = 8080
_HOST = "127.0.0.1"
_PORTS = 100
_SHARE = 0.02
"""Of the run's time that looking may take."""
_LEAST_SECONDS = 2.0
"""Between two looks."""
_GUI_SECONDS = 0.25
"""Between two changes of the numbers beside the picture."""


@runtime_checkable
class Page(Protocol):
    """What a preview draws on."""

    @property
    def url(self) -> str:
        """Its address."""
        ...

    def open(self) -> None:
        """Bring it before the user's eyes."""

    def watched(self) -> bool:
        """Whether somebody looks."""
        ...

    def tell(self, stage: str, share: float, values: Mapping[str, float]) -> None:
        """Show how far a stage is, 0..1, and its loss and other values."""

    def draw(self, glb: bytes) -> None:
        """Show a binary glTF file in place of the one before."""


class Preview:
    """A `Reporter` that passes everything on to another one, and a `Viewer`; both draw on a page. Never fails."""

    def __init__(self, inner: Reporter, page: Page | None) -> None:
        self._inner, self._page = inner, page
        self._look: Callable[[], Mesh] | None = None
        self._picture: Callable[[], bytes] | None = None
        """What has to be drawn as soon as somebody looks."""
        self._stage, self._total, self._done, self._opened = "", 1, 0, False
        self._next_look = self._next_gui = 0.0
        self.seconds = 0.0
        """How long looking and drawing have taken."""

    @property
    def url(self) -> str | None:
        """Where the page is; None where there is none."""
        return None if self._page is None else self._page.url

    def start(self, stage: str, total: int) -> None:
        """Open a stage."""
        self._stage, self._total, self._done, self._next_gui = stage, max(1, total), 0, 0.0
        self._inner.start(stage, total)
        if self._page is not None and not self._opened:  # not before: what is refused needs no window
            self._opened = True
            self._safely(self._page.open)
        self._draw({})

    def step(self, n: int = 1, **values: float) -> None:
        """Draw what there is now, if it is time to."""
        self._done += n
        self._inner.step(n, **values)
        self._draw(values)

    def finish(self) -> None:
        """Close the stage."""
        self._inner.finish()

    def note(self, line: str) -> None:
        """Tell the user one line."""
        self._inner.note(line)

    def show(self, avatar: Mesh | RiggedMesh, motions: Sequence[Motion] = ()) -> None:
        """This is how the avatar looks from now on."""
        self._look, self._picture = None, lambda: encode_glb(avatar, motions)
        self._draw({})

    def follow(self, look: Callable[[], Mesh]) -> None:
        """Ask `look` for the surface now and then, between two steps."""
        self._look, self._next_look = look, 0.0

    @property
    def watched(self) -> bool:
        """Whether a browser shows the page."""
        return self._page is not None and self._safely(self._page.watched) is True

    def _draw(self, values: Mapping[str, float]) -> None:
        page, now = self._page, time.perf_counter()
        if page is None or not self.watched:
            return
        if now >= self._next_gui:
            self._next_gui = now + _GUI_SECONDS
            self._safely(lambda: page.tell(self._stage, self._done / self._total, values))
        look = self._look if now >= self._next_look else None
        picture = self._picture if look is None else lambda: encode_glb(look())
        if picture is not None:
            self._picture = None
            self._safely(lambda: page.draw(picture()))
        spent = time.perf_counter() - now
        self.seconds += spent
        if look is not None:
            self._next_look = now + max(_LEAST_SECONDS, spent / _SHARE)

    def _safely(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        # Whatever goes wrong in a window onto the run is no reason to lose the run.
        except Exception as error:  # a window onto the run must not end it
            self._page = None
            self._inner.note(f"the preview has ended: {type(error).__name__}: {error}")
            return None

    def linger(self) -> None:
        """After the run: stay as long as somebody looks, or until Ctrl-C."""
        self._stage, self._total, self._done, self._next_gui = "done", 1, 1, 0.0
        self._draw({})
        if not self.watched:
            return
        self._inner.note("the preview stays until you close its page, or press Ctrl-C")
        with contextlib.suppress(KeyboardInterrupt):
            while self.watched:
                time.sleep(0.3)


@contextmanager
def previewing(texts: Mapping[str, str | None], inner: Reporter, *, port: int = PORT) -> Iterator[Preview]:
    """A page for the time of this block, and what draws on it.

    Args:
        texts: what is being made, to stand beside it.
        inner: is told everything too, and where the page is.
        port: where to look for a free one.

    Raises:
        MissingExtraError: viser is not installed.
    """
    if importlib.util.find_spec("viser") is None:
        raise MissingExtraError('--preview needs viser\n  pip install "avatargen[view]"')
    page = None
    try:
        page = _ViserPage(texts, _free_port(port))
        moved = f"   (port {port} is taken)" if page.port != port else ""
        inner.note(f"preview: {page.url}{moved}")
    # As in Preview: no page is no reason for no run.
    except Exception as error:  # the run does not need its window
        inner.note(f"no preview: {type(error).__name__}: {error}")
    try:
        yield Preview(inner, page)
    finally:
        if page is not None:
            with contextlib.suppress(Exception):
                page.close()


class _ViserPage:
    """viser's server and what is on its page."""

    def __init__(self, texts: Mapping[str, str | None], port: int) -> None:
        import viser  # noqa: PLC0415

        class Local(viser.ViserServer):
            """One that nobody can put on the internet: viser's page may ask for a public address."""

            def request_share_url(self, verbose: bool = True) -> None:
                """Nothing."""

        # viser prints where it is; our standard output is for the run's folder.
        with _own_pages_only(), contextlib.redirect_stdout(io.StringIO()):
            self._server = Local(host=_HOST, port=port, label="avatargen", verbose=False)
        try:
            self.port: int = self._server.get_port()
            if not refuses_strangers(self.port):
                raise RuntimeError("this viser serves pages of other origins; the extra `view` has one that fits")
            self._furnish(texts)
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        return f"http://{_HOST}:{self.port}"

    def _furnish(self, texts: Mapping[str, str | None]) -> None:
        scene, gui = self._server.scene, self._server.gui
        scene.set_up_direction("+y")
        scene.configure_environment_map("warehouse", environment_intensity=0.5)  # as bright as usual washes skin out
        scene.add_grid("/floor", width=4.0, height=4.0, plane="xz", cell_size=0.25, section_size=1.0)
        camera = self._server.initial_camera
        camera.position, camera.look_at, camera.fov = (1.1, 1.3, 3.0), (0.0, 0.88, 0.0), 0.75
        gui.configure_theme(show_logo=False, show_share_button=False)
        gui.main_panel.dock_right()
        # Fields, not markdown: a text is shown as it is, whatever it holds.
        for name, text in texts.items():
            if text:
                gui.add_text(name, text, disabled=True)
        self._stage = gui.add_text("stage", "starting", disabled=True)
        self._bar = gui.add_progress_bar(0.0)
        self._values = gui.add_text("values", "", disabled=True, visible=False)

    def open(self) -> None:
        """In the user's browser, where there is a desktop to open one on."""
        if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
            webbrowser.open(self.url)

    def watched(self) -> bool:
        return bool(self._server.get_clients())

    def tell(self, stage: str, share: float, values: Mapping[str, float]) -> None:
        self._stage.value = stage
        self._bar.value = 100.0 * min(1.0, share)
        if values:
            self._values.value = "   ".join(f"{name} {value:.4g}" for name, value in values.items())
        self._values.visible = bool(values)

    def draw(self, glb: bytes) -> None:
        self._server.scene.add_glb("/avatar", glb)
        self._server.flush()

    def close(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self._server.stop()


@contextmanager
def _own_pages_only() -> Iterator[None]:
    """While viser starts, tell its websockets which pages may connect: version 1.1.1 lets in any page of a browser."""
    import websockets.asyncio.server as module  # noqa: PLC0415

    serve = module.serve

    def strict(handler: Any, host: str, port: int, **given: Any) -> Any:
        own: Any = [f"http://{name}:{port}" for name in (_HOST, "localhost")]
        return serve(handler, host, port, origins=own, **given)

    module.serve = strict  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        module.serve = serve


def refuses_strangers(port: int) -> bool:
    """Whether a page of another origin is refused there; asked once, so that another viser cannot forget it."""
    asked = (
        "GET / HTTP/1.1", f"Host: {_HOST}:{port}", "Origin: http://stranger.invalid", "Upgrade: websocket",
        "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "", "",
    )  # fmt: skip
    with socket.create_connection((_HOST, port), 10.0) as connection:
        connection.sendall("\r\n".join(asked).encode())
        return connection.recv(64).startswith(b"HTTP/1.1 403 ")


def _free_port(first: int) -> int:
    """The first port from there on that nobody listens on; viser would wait for ever where there is none."""
    for port in range(first, min(first + _PORTS, 65536)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((_HOST, port))
            return port
    raise OSError(f"the ports from {first} on are taken")
