"""The live page: who may see it, what it costs, and that it harms no run."""

import importlib.util
import socket
import time

import numpy as np
import pytest

from avatargen import preview as module
from avatargen.core.errors import MissingExtraError
from avatargen.core.progress import Silent
from avatargen.core.values import Mesh
from avatargen.preview import Preview, previewing, refuses_strangers
from tests.browser import browsing, find_browser
from tests.conftest import unavailable

needs_viser = pytest.mark.skipif(importlib.util.find_spec("viser") is None, reason="viser is not installed (`view`)")


class Notes(Silent):
    def __init__(self):
        self.lines = []

    def note(self, line):
        self.lines.append(line)


def cube(color):
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32) * 1.5 - [0.75, 0, 0.75]
    faces = [
        (0, 1, 3),
        (0, 3, 2),
        (4, 6, 7),
        (4, 7, 5),
        (0, 4, 5),
        (0, 5, 1),
        (2, 3, 7),
        (2, 7, 6),
        (0, 2, 6),
        (0, 6, 4),
    ]
    faces += [(1, 5, 7), (1, 7, 3)]
    colors = np.tile(np.array(color, np.float32), (8, 1))
    return Mesh(vertices=corners.astype(np.float32), faces=np.array(faces), vertex_colors=colors)


class Paper:
    """A page that only remembers; a `draw` takes as long as it is told to, on a clock of its own."""

    url = "http://127.0.0.1:1"

    def __init__(self, clock=None, cost=0.0, looking=True):
        self.drawn, self.told, self.clock, self.cost, self.looking = [], [], clock, cost, looking
        self.opened = 0

    def open(self):
        self.opened = self.opened + 1

    def watched(self):
        return self.looking

    def tell(self, stage, share, values):
        self.told.append((stage, share, dict(values)))

    def draw(self, glb):
        self.drawn.append(glb)
        if self.clock is not None:
            self.clock.now += self.cost


class Clock:
    def __init__(self):
        self.now = 100.0

    def perf_counter(self):
        return self.now


@pytest.mark.parametrize("cost", [0.01, 0.4, 3.0])
def test_looking_takes_two_percent_of_the_time_however_long_a_look_takes(monkeypatch, cost):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    paper = Paper(clock, cost)
    shown = Preview(Silent(), paper)
    shown.follow(lambda: cube((1, 0, 0)))
    shown.start("sculpting", 5000)
    for _ in range(5000):
        clock.now += 0.2
        shown.step(loss=1.0)
    assert len(paper.drawn) >= 6
    # The first look comes before any time to take a share of has passed.
    assert (shown.seconds - cost) / 1000.0 <= 0.02
    assert len(paper.told) <= 1000.0 / 0.25 + 2
    assert paper.opened == 1
    assert paper.told[-1] == ("sculpting", pytest.approx(1.0, abs=1e-3), {"loss": 1.0})


def test_where_nobody_looks_nothing_is_drawn_until_somebody_does():
    paper, asked = Paper(looking=False), []
    shown = Preview(Silent(), paper)
    shown.show(cube((0, 1, 0)))
    assert not paper.opened  # before the first stage nothing is being made
    shown.follow(lambda: asked.append(1) or cube((1, 0, 0)))
    shown.step()
    assert (asked, paper.drawn, paper.told) == ([], [], [])
    shown.show(cube((0, 0, 1)))
    paper.looking = True
    shown.step()
    assert len(paper.drawn) == 1
    assert not asked  # what was followed is over
    shown.step()
    assert len(paper.drawn) == 1


@pytest.mark.parametrize("broken", ["watched", "tell", "draw", "look"])
def test_a_preview_that_breaks_is_told_once_and_the_run_goes_on(broken):
    def fail(*_):
        raise RuntimeError("the window is gone")

    paper, notes = Paper(), Notes()
    if broken != "look":
        setattr(paper, broken, fail)
    shown = Preview(notes, paper)
    shown.start("sculpting", 3)
    shown.follow(fail if broken == "look" else lambda: cube((1, 0, 0)))
    for _ in range(3):
        shown.step()
    shown.show(cube((1, 0, 0)))
    shown.finish()
    shown.linger()
    assert notes.lines == ["the preview has ended: RuntimeError: the window is gone"]


def test_without_viser_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"avatargen\[view\]"), previewing({}, Silent()):
        pass


@needs_viser
@pytest.mark.parametrize(("part", "says"), [("_free_port", "no room"), ("refuses_strangers", "other origins")])
def test_a_page_that_cannot_be_made_is_told_and_the_run_goes_on(monkeypatch, part, says):
    def broken(port):
        if part == "_free_port":
            raise OSError("no room")
        return False

    notes = Notes()
    monkeypatch.setattr(module, part, broken)
    with previewing({}, notes) as shown:
        shown.step()
        assert not shown.watched
    assert len(notes.lines) == 1
    assert notes.lines[0].startswith("no preview: ")
    assert says in notes.lines[0]


@pytest.fixture(scope="module")
def served():
    """A preview beside a port that is taken, its notes and its port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        first, notes = taken.getsockname()[1], Notes()
        texts = {"shape": "tall", "appearance": '<img src=x onerror="document.title=1"> **bold** {7*6}', "motion": None}
        with previewing(texts, notes, port=first) as shown:
            assert shown._page is not None, notes.lines
            yield shown, notes, first, shown._page.port


@needs_viser
def test_a_port_that_is_taken_is_passed_over_and_told(served):
    _, notes, first, port = served
    assert port != first
    assert notes.lines == [f"preview: http://127.0.0.1:{port}   (port {first} is taken)"]


@needs_viser
def test_nothing_is_printed_where_the_folder_of_the_run_is(capfd):
    with previewing({"shape": "tall"}, Silent()):
        pass
    assert capfd.readouterr().out == ""


@needs_viser
@pytest.mark.parametrize(
    ("origin", "welcome"),
    [
        ("http://127.0.0.1:{port}", True),
        ("http://localhost:{port}", True),
        ("http://evil.example", False),
        ("http://evil.example:{port}", False),
        ("https://127.0.0.1:{port}", False),
        ("http://127.0.0.1:1", False),
        ("http://127.0.0.1", False),
        ("http://127.0.0.1:{port}.evil.example", False),
        ("null", False),
        (None, False),
    ],
)
def test_only_its_own_page_may_connect(served, origin, welcome):
    import viser
    import websockets.exceptions
    from websockets.sync.client import connect

    port = served[3]
    named = None if origin is None else origin.format(port=port)
    own = [f"viser-v{viser.__version__}"]
    if welcome:
        with connect(f"ws://127.0.0.1:{port}", origin=named, subprotocols=own) as connection:
            assert connection.recv(10)
        return
    with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{port}", origin=named, subprotocols=own)
    assert refused.value.response.status_code == 403


@needs_viser
def test_the_guard_itself_tells_an_open_server_from_a_closed_one(served):
    import contextlib
    import io

    import viser

    assert refuses_strangers(served[3])
    with contextlib.redirect_stdout(io.StringIO()):
        careless = viser.ViserServer(host="127.0.0.1", port=served[3] + 1, verbose=False)
        assert not refuses_strangers(careless.get_port())
        careless.stop()


@needs_viser
def test_nobody_can_put_it_on_the_internet(served):
    assert served[0]._page._server.request_share_url() is None


@needs_viser
def test_it_listens_on_this_machine_alone(served):
    import psutil

    heard = {c.laddr.ip for c in psutil.Process().net_connections("tcp") if c.laddr.port == served[3]}
    assert heard == {"127.0.0.1"}


@needs_viser
def test_a_browser_shows_the_avatar_as_it_changes(served, tmp_path):
    program = find_browser()
    if program is None:
        unavailable("no Chromium here (Debian: apt-get install chromium)")
    shown, _, _, port = served
    with browsing(program, tmp_path) as page:
        page.call("Emulation.setDeviceMetricsOverride", width=800, height=600, deviceScaleFactor=1, mobile=False)
        page.call("Page.navigate", url=f"http://127.0.0.1:{port}")
        end = time.monotonic() + 60
        while not shown.watched:
            assert time.monotonic() < end, page.console
            page.ask("1")
            time.sleep(0.1)
        reds = []
        for color in ((1, 0, 0), (0, 0, 1)):
            shown.show(cube(color))
            shown.start("sculpting", 4)
            shown.step(2, loss=0.25)
            time.sleep(3.0)
            reds.append(_mean_color(page.picture()))
        assert reds[0][0] > 1.5 * reds[0][2]
        assert reds[1][2] > 1.5 * reds[1][0]
        fields = page.ask("[...document.querySelectorAll('input')].map(i => i.value)")
        assert 'onerror="document.title=1"> **bold** {7*6}' in " ".join(fields)
        assert "sculpting" in fields
        assert page.ask("document.title") != "1"
        outside = [url for url in page.requests if not url.startswith((f"http://127.0.0.1:{port}", "data:", "blob:"))]
        assert not outside


def _mean_color(png):
    """Of the middle of the picture, which the cube fills."""
    import io

    from PIL import Image

    picture = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), float)
    return picture[280:330, 260:320].mean((0, 1)) + 1.0
