"""A real Ray cluster of this machine's processes, with rows made up; see test_ray.py in end_to_end for real ones."""

import importlib.util
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from avatargen import cluster as module
from avatargen.batch import Row, run_batch
from avatargen.cluster import Cluster, Made, Task, config_text, connected
from avatargen.core.errors import BrokenFileError, InputError, MissingExtraError
from avatargen.core.progress import Silent

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed (extra `ray`)")
ROWS = tuple(Row(shape=shape) for shape in ("victim", "good", "bad"))


class Notes(Silent):
    def __init__(self):
        self.lines = []

    def note(self, line):
        self.lines.append(line)


def maker(desk):
    """A runner for workers; what they do is written on `desk`, which they have in common with the test alone."""

    def make(row, folder):
        import os
        import time
        from pathlib import Path

        from avatargen.core.errors import InputError

        said = Path(desk) / f"{row.shape}-{os.getpid()}.tmp"
        said.write_text(f"{folder}\n{os.environ.get('CUDA_VISIBLE_DEVICES')}\n{os.environ.get('OMP_NUM_THREADS')}")
        said.rename(said.with_suffix(""))
        if row.shape == "bad":
            raise InputError("no such <shape>\n  Try another.")
        if row.shape == "crashing":
            os._exit(1)
        while row.shape == "endless" or (row.shape == "victim" and len(list(Path(desk).glob("victim-*"))) < 2):
            time.sleep(0.05)
        (folder / ".work").mkdir(parents=True)
        (folder / "run.json").write_text("{}")
        (folder / ".work" / "large").write_bytes(row.shape.encode() * 500_000)
        return ""

    return make


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return tmp_path_factory.mktemp("desk")


@pytest.fixture(scope="module")
def ours(desk):
    """A cluster of two workers at a time, for all tests: it takes ten seconds to start."""
    notes = Notes()
    with connected("local", maker(str(desk)), Task(retries=1), notes) as found:
        yield found, notes


def tries(desk, shape):
    """Process ids of the workers that began the row."""
    return [int(path.name.partition("-")[2]) for path in desk.glob(f"{shape}-*") if path.suffix != ".tmp"]


def wait_for(desk, shape, seconds=120.0):
    end = time.monotonic() + seconds
    while not (found := tries(desk, shape)):
        assert time.monotonic() < end, f"{shape} never began"
        time.sleep(0.05)
    return found


def kill_victim(desk):
    os.kill(wait_for(desk, "victim")[0], signal.SIGKILL)


@needs_ray
def test_a_killed_worker_costs_a_second_try_and_no_other_row(ours, desk, tmp_path):
    cluster, notes = ours
    killer = threading.Thread(target=kill_victim, args=(desk,))
    killer.start()
    outcomes = run_batch(ROWS, tmp_path / "g", jobs=3, runner=cluster, stop=cluster.stop)
    killer.join()
    assert [o.reason for o in outcomes] == ["", "", "no such <shape>"]
    assert [len(tries(desk, row.shape)) for row in ROWS] == [2, 1, 1]  # bad input is not tried again
    assert len({pid for row in ROWS for pid in tries(desk, row.shape)} - {os.getpid()}) == 4
    assert any("victim: its worker died" in line and "1 of 1" in line for line in notes.lines)
    for shape in ("victim", "good"):
        assert (tmp_path / "g" / shape / ".work" / "large").read_bytes() == shape.encode() * 500_000
    assert not list((tmp_path / "g").glob(".*.part"))
    said = [path.read_text().splitlines() for path in desk.iterdir()]
    assert {(gpus, threads) for _, gpus, threads in said} == {("", "1")}
    there = [Path(folder) for folder, _, _ in said]
    assert not any(folder.is_relative_to(tmp_path) for folder in there)
    assert not any(folder.exists() for folder in there if folder.name != "victim")
    page = (tmp_path / "g" / "index.html").read_text()
    assert "2 of 3 characters, 1 failed" in page
    assert "no such &lt;shape&gt;" in page
    again = run_batch(ROWS, tmp_path / "g", runner=lambda row, folder: "not made", jobs=3)
    assert [(o.reason, o.again) for o in again] == [("", False), ("", False), ("not made", True)]


@needs_ray
def test_a_row_whose_workers_all_die_fails_with_that_reason(ours, desk, tmp_path):
    once = Cluster(maker(str(desk)), Task(retries=0), Silent())
    assert run_batch([Row(shape="crashing")], tmp_path / "g", runner=once)[0].reason.startswith("its worker died")
    assert len(tries(desk, "crashing")) == 1


@needs_ray
def test_an_interruption_ends_what_the_workers_make(ours, desk, tmp_path):
    own = Cluster(maker(str(desk)), Task(), Silent())

    class Interrupting(Silent):
        def note(self, line):
            wait_for(desk, "endless")
            raise KeyboardInterrupt

    rows = [Row(shape="x" * 2000), Row(shape="endless")]  # the first fails before any worker is asked
    with pytest.raises(KeyboardInterrupt):
        run_batch(rows, tmp_path / "g", jobs=2, runner=own, stop=own.stop, reporter=Interrupting())
    assert own(Row(shape="later"), tmp_path / "later") == "stopped"


@needs_ray
def test_a_row_that_fits_no_machine_is_refused(ours, desk):
    with pytest.raises(InputError, match="1000 CPU"):
        Cluster(maker(str(desk)), Task(cpus=1000), Silent())


@needs_ray
def test_no_other_machine_can_reach_a_local_cluster_and_nothing_is_sent(ours):
    import psutil
    import ray

    assert ray.util.get_node_ip_address() == "127.0.0.1"
    own = [psutil.Process(), *psutil.Process().children(recursive=True)]
    heard = {c.laddr.ip for process in own for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    assert heard
    assert heard <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert os.environ["RAY_AUTH_MODE"] == "token"


@needs_ray
@pytest.mark.parametrize("address", ["", "nowhere", "host:", "host:x", "host:99999", "127.0.0.1:9"])
def test_an_address_without_a_cluster_is_told(address):
    with pytest.raises(InputError, match="--ray"), connected(address, lambda row, folder: ""):
        pass


@pytest.mark.parametrize("task", [Task(cpus=0), Task(gpus=-1), Task(retries=-1)])
def test_absurd_numbers_are_told(task):
    with pytest.raises(InputError, match="--task-"), connected("local", lambda row, folder: "", task):
        pass


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"avatargen\[ray\]"), connected("local", lambda row, folder: ""):
        pass


@pytest.mark.parametrize("name", ["../out", "/etc/x", "a/../../x", "", "."])
def test_a_worker_cannot_write_outside_the_folder(tmp_path, name):
    with pytest.raises(BrokenFileError, match="no place inside"):
        module._fetched(Made(files=(("run.json", b"{}"), (name, b""))), tmp_path / "g" / "row")
    assert not list(tmp_path.iterdir())


def test_other_versions_bugs_and_too_much_to_send_are_reasons(monkeypatch):
    def make(row, folder):
        folder.mkdir()
        (folder / "file").write_bytes(b"12345")
        return ""

    def broken(row, folder):
        raise ZeroDivisionError("by zero")

    assert module._made(make, ROWS[0], module.VERSION, 1) == Made(files=(("file", b"12345"),))
    assert "not 9.9" in module._made(make, ROWS[0], "9.9", 1).reason
    assert module._made(broken, ROWS[0], module.VERSION, 1).reason == "ZeroDivisionError: by zero"
    monkeypatch.setattr(module, "_LARGEST", 4)
    assert "too much to send" in module._made(make, ROWS[0], module.VERSION, 1).reason


def test_a_configuration_travels_as_one_text(tmp_path):
    from avatargen.core.config import load_settings

    (tmp_path / "inner.conf").write_text("implicit.steps = 7")
    (tmp_path / "outer.conf").write_text('include "inner.conf"\nmesh { faces = 1234 }\nvideo.fps = ${mesh.faces}')
    (tmp_path / "sent.conf").write_text(config_text(tmp_path / "outer.conf"))
    assert json.loads((tmp_path / "sent.conf").read_text()) == {
        "implicit": {"steps": 7},
        "mesh": {"faces": 1234},
        "video": {"fps": 1234},
    }
    (tmp_path / "outer.conf").write_text('include "inner.conf"\nexport { author = "Jörg \\"J\\" {TOREPLACE}" }')
    (tmp_path / "sent.conf").write_text(config_text(tmp_path / "outer.conf"), encoding="utf-8")
    direct, sent = (load_settings(config=tmp_path / f"{name}.conf") for name in ("outer", "sent"))
    assert direct == sent
    assert sent.implicit.steps == 7
