"""Real rows on a real Ray cluster of two nodes, through the command line; one worker is killed in mid-run."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed (extra `ray`)"),
]


def workers_of(process):
    """The processes that make a row now."""
    import psutil

    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            found += [child] if "::_made" in " ".join(child.cmdline()) else []
        except psutil.NoSuchProcess:
            continue
    return found


def test_all_rows_are_made_though_a_worker_is_killed_and_once_more_nothing_is_left_to_do(tiny, tmp_path):
    (tmp_path / "table.csv").write_text("name,shape,appearance\na,tall,Saitama\nb,short,\nc,thin,\n")
    (tmp_path / "small.conf").write_text("\n".join(tiny))
    environment = os.environ | {"AVATARGEN_CACHE": str(tmp_path / "cache"), "RAY_AUTH_TOKEN": "a" * 64}
    # The command reaches the nodes as they are: on addresses of this machine alone.
    environment |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"}
    gallery = tmp_path / "g"
    command = [sys.executable, "-m", "avatargen", "batch", str(tmp_path / "table.csv"), "--out", str(gallery)]
    command += ["--quality", "draft", "--guidance", "embedded", "--config", str(tmp_path / "small.conf")]
    nodes = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("ray_nodes.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        command += ["--ray", nodes.stdout.readline().strip()]
        batch = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        end = time.monotonic() + 240
        while not (workers := workers_of(nodes)):
            assert time.monotonic() < end, "no row was begun"
            time.sleep(0.2)
        time.sleep(3.0)
        workers[0].kill()
        _, told = batch.communicate(timeout=900)
        assert batch.returncode == 0, told
        assert "trying again (1 of 2)" in told
        for name in "abc":
            assert (gallery / name / "avatar.glb").stat().st_size > 10_000
        record = json.loads((gallery / "a" / "run.json").read_text())
        assert record["settings"]["implicit"]["steps"] == 3
        assert record["quality"] == "draft"
        again = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
        assert again.returncode == 0, again.stderr
        assert again.stderr.count("was done") == 3
    finally:
        nodes.communicate("", timeout=60)
    # What came back is a whole run's folder.
    exported = [sys.executable, "-m", "avatargen", "export", str(gallery / "a"), "--format", "stl"]
    assert subprocess.run(exported, env=environment, timeout=300, check=False).returncode == 0
