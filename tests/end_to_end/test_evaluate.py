"""Figures of finished runs: in run.json, and by `avatargen evaluate`."""

import json

import pytest

from avatargen.cli import main
from avatargen.core.errors import InputError
from avatargen.evaluate.integrity import crossings_in_a_pose
from avatargen.judged import evaluate_runs


def test_every_run_holds_its_own_short_report(finished):
    found = json.loads((finished.folder / "run.json").read_text())["evaluation"]
    assert found["mesh"]["faces"] == len(finished.avatar.mesh.faces)
    assert found["mesh"]["open_edges"] == found["mesh"]["non_manifold_edges"] == 0
    assert found["rig"]["bones_per_vertex"] <= 4
    assert {part["part"] for part in found["part_colors"]} >= {"chest", "hands", "feet"}
    assert found["motion"]["foot_skate"] <= 1.0


def test_evaluate_writes_a_page_and_figures(finished, tmp_path, capsys):
    record = json.loads((finished.folder / "run.json").read_text())
    assert main(["evaluate", str(finished.folder), str(finished.folder), "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "evaluation.html"), str(tmp_path / "evaluation.json")]
    report = json.loads((tmp_path / "evaluation.json").read_text())
    run = report["runs"][0]
    assert run["texts"] == record["texts"]
    assert run["judges"]["guiding"]["version"] == record["guidance"]["version"]
    assert 1 <= run["judges"]["guiding"]["textured"]["rank"] <= run["judges"]["guiding"]["textured"]["among"]
    assert run["validator"].get("errors", 0) == run["validator"].get("warnings", 0) == 0
    # Voxels of 7 and 9 mm are as wide as the gaps between fingers and toes: at this size a few faces there run through
    # each other. The run below is held to 0.001.
    assert run["mesh"]["crossing_faces"] < 0.003 * run["mesh"]["faces"]
    assert run["mesh"]["crossing_faces_in_a_pose"] < 0.003 * run["mesh"]["faces"]
    distances = {"joint_distance": 0.0, "look_distance": 0.0, "beta_distance": 0.0}
    texts = "appearance: Saitama; motion: punching; shape: tall"
    assert report["diversity"] == [{"texts": texts, "seeds": [0, 0]} | distances]
    assert 1 <= run["judges"]["measured"]["textured"]["rank"] <= run["judges"]["measured"]["textured"]["among"]
    assert report["summary"]["model_that_did_not_guide"] == "none at hand"
    page = (tmp_path / "evaluation.html").read_text()
    assert "no GPU was used" in page
    assert f"export {record['peak_memory_mb_after']['export']}" in page
    assert page.count("data:image/jpeg;base64,") == 2
    assert "http" not in page  # it loads nothing


@pytest.mark.parametrize("words", [["nowhere"], ["nowhere", "--distractors", "missing.txt"]])
def test_evaluate_says_what_is_missing(words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", *words]) == 2
    assert "nowhere" in (said := capsys.readouterr().err) or "missing.txt" in said
    assert not list(tmp_path.iterdir())


def test_an_unknown_judge_is_told(finished, tmp_path):
    with pytest.raises(InputError, match="nobody"):
        evaluate_runs([finished.folder], tmp_path / "report", judge="nobody")
    assert not (tmp_path / "report").exists()


@pytest.mark.slow
def test_at_the_size_that_is_delivered_hardly_a_face_runs_through_another(make_run, tmp_path):
    whole = ("mesh.voxel_mm=4", "mesh.head_mm=2", "mesh.hand_mm=2.5", "mesh.faces=20000", "refine.crisp=1")
    made = make_run(tmp_path / "whole", more=whole, motion=None)
    assert crossings_in_a_pose(made.avatar) <= 0.001 * len(made.avatar.mesh.faces)
