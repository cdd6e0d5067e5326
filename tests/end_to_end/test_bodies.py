"""Every kind of body through the whole chain; the licensed kinds from files made of the open body."""

import json
from importlib.resources import files
from io import BytesIO

import numpy as np
import pytest
import torch
import trimesh

from avatargen.body.measure import measure
from avatargen.body.open_body import load_open_body
from avatargen.cli import main
from avatargen.core.parts import SMPL_PARENTS

HANDS = ((20, 25), (20, 28), (20, 31), (20, 34), (20, 37), (21, 40), (21, 43), (21, 46), (21, 49), (21, 52))
"""Wrist -> first joint of each finger in SMPL-X."""


def open_arrays():
    with np.load(BytesIO(files("avatargen.body").joinpath("data/open_body.npz").read_bytes())) as archive:
        return {key: archive[key] for key in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "f")} | {
            "kintree_table": archive["kintree_table"]
        }


def as_smplx(data):
    """The same arrays with 55 joints: fingers and face have joints that carry their share of hand and head."""
    parents = [*SMPL_PARENTS[:22], 15, 15, 15, *([0] * 30)]
    for wrist, first in HANDS:
        parents[first : first + 3] = [wrist, first, first + 1]
    count = len(data["v_template"])
    weights, regressor = np.zeros((count, 55), np.float32), np.zeros((55, count), np.float32)
    weights[:, :22], regressor[:22] = data["weights"][:, :22], data["J_regressor"][:22]
    regressor[22:25] = regressor[15]
    for hand, first in ((22, 25), (23, 40)):
        regressor[first : first + 15] = data["J_regressor"][hand]
        weights[:, first] = data["weights"][:, hand]
    table = np.stack((np.array(parents), np.arange(55)))
    shapes = np.concatenate((data["shapedirs"][..., :10], np.zeros((count, 3, 10), np.float16)), axis=2)
    correctives = np.zeros((count, 3, 486), np.float16)
    return {**data, "shapedirs": shapes, "posedirs": correctives, "weights": weights, "J_regressor": regressor} | {
        "kintree_table": table
    }


@pytest.fixture(scope="module")
def licensed(tmp_path_factory):
    """A folder with files of both kinds, women a little larger than the neutral ones."""
    folder = tmp_path_factory.mktemp("models")
    data = open_arrays()
    female = {**data, "v_template": data["v_template"] * np.float32(1.05)}
    for name, arrays in (("smpl/SMPL_FEMALE", female), ("smplx/SMPLX_NEUTRAL", as_smplx(data))):
        path = folder / f"{name}.npz"
        path.parent.mkdir()
        np.savez(path, **arrays)
    return folder


def call(tiny, folder, *arguments):
    changes = [f"--set={change}" for change in tiny]
    base = ["--quality", "draft", "--guidance", "embedded", "--device", "cpu", "--quiet", "--out", str(folder)]
    return main([*base, *changes, *arguments])


def checked(folder, validate):
    """The run's record, after its avatar has passed as a closed mesh and as a glTF file."""
    issues = validate((folder / "avatar.glb").read_bytes())["issues"]
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]
    assert {"avatar.obj", "body.obj", "motion.npz", "motion.bvh", "motion.mp4"} <= {p.name for p in folder.iterdir()}
    return json.loads((folder / "run.json").read_text())


@pytest.mark.slow
def test_a_womans_smpl_file_runs_through_with_a_height(licensed, tiny, cache, tmp_path, validate):
    out = tmp_path / "run"
    numbers = ["--height", "1.80", "--gender", "female"]
    texts = ["--shape", "strong", "--appearance", "a knight", "--motion", "waving"]
    assert call(tiny, out, "--body", "smpl", f"--set=body.folder={licensed}", *numbers, *texts) == 0
    record = checked(out, validate)
    assert record["settings"]["body"]["gender"] == "female"
    assert record["body"]["measures"]["height"] == pytest.approx(1.80, abs=0.01)
    assert set(record["body"]["controls"]["reached"]) == {"height", "weight_kg"}
    assert len(record["body"]["betas"]) == 16
    body = trimesh.load(out / "body.obj", process=False, maintain_order=True)
    assert body.extents[1] == pytest.approx(1.80, abs=0.01)
    assert any("Max Planck" in licence for licence in record["licences"].values())
    with np.load(out / "motion.npz", allow_pickle=False) as motion:
        assert str(motion["gender"]) == "female"


@pytest.mark.slow
def test_an_smplx_file_runs_through(licensed, tiny, cache, tmp_path, validate):
    out = tmp_path / "run"
    texts = ["--appearance", "a knight", "--motion", "waving"]
    assert call(tiny, out, "--body", "smplx", f"--set=body.folder={licensed}", *texts) == 0
    record = checked(out, validate)
    assert record["body"]["kind"] == "smplx"
    assert len(record["body"]["betas"]) == 10
    neutral = measure(load_open_body(), torch.zeros(16))
    assert record["body"]["measures"]["height"] == pytest.approx(neutral["height"], abs=1e-3)


def test_numbers_alone_make_a_body_and_are_in_the_record(tiny, cache, tmp_path):
    out = tmp_path / "run"
    numbers = ["--height", "1.85", "--weight-kg", "80", "--age", "0.33", "--gender", "female", "--muscle", "1"]
    assert call(tiny, out, *numbers) == 0
    record = json.loads((out / "run.json").read_text())
    asked = {"height": 1.85, "weight_kg": 80.0, "age": 0.33, "gender": 1.0, "muscle": 1.0}
    assert record["body"]["controls"]["asked"] == asked
    assert record["body"]["controls"]["reached"] == pytest.approx(asked, abs=1e-3)
    body = trimesh.load(out / "body.obj", process=False, maintain_order=True)
    assert body.extents[1] == pytest.approx(1.85, abs=2e-3)
    assert {"height", "chest_girth", "waist_girth", "hip_girth"} <= set(record["body"]["measures"])


def test_numbers_go_over_what_the_text_says(make_run, tiny, tmp_path):
    shape = make_run(tmp_path / "run", appearance=None, motion=None, height=1.55).shape
    assert shape.measures["height"] == pytest.approx(1.55, abs=1e-3)  # the text says "tall"


def test_a_licensed_body_without_ages_says_so(licensed, tiny, tmp_path, capsys):
    out = tmp_path / "run"
    arguments = ["--body", "smpl", f"--set=body.folder={licensed}", "--gender", "female", "--age", "0.5"]
    assert call(tiny, out, "--shape", "tall", *arguments) == 2
    assert "the smpl body holds no age" in capsys.readouterr().err
    assert not out.exists()
