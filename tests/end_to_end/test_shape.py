"""`avatargen shape`: one text to a body, its record and its contact sheet."""

import io
import json

import numpy as np
import pytest
import trimesh
from PIL import Image

from avatargen.body.open_body import load_open_body, population
from avatargen.cli import main
from avatargen.shape.rank import percentiles, trait_percentiles

QUICK = ["--guidance", "embedded", "--device", "cpu", "--quiet"]
QUICK += ["--set", "shape.codebook_size=24", "--set", "shape.refine_steps=2"]


@pytest.fixture(scope="module")
def made(cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shape") / "body"
    assert main(["shape", "short and chubby", "--out", str(folder), *QUICK]) == 0
    return folder, json.loads((folder / "shape.json").read_text())


def test_the_files_are_there_and_nothing_half_written(made):
    names = {path.name for path in made[0].iterdir()}
    assert names == {"body.obj", "body.glb", "shape.json", "shape_candidates.png", ".work"}


def test_the_body_is_as_tall_as_the_record_says_and_the_record_as_the_text(made):
    folder, record = made
    body = trimesh.load_mesh(folder / "body.obj", process=False)
    assert np.ptp(body.vertices[:, 1]) == pytest.approx(record["measures"]["height"], abs=1e-3)
    assert body.vertices[:, 1].min() == pytest.approx(0.0, abs=1e-5)
    assert record["percentiles"]["height"] < 40
    assert record["percentiles"]["waist_girth"] > 60
    assert {"gender", "age", "muscle"} <= set(record["percentiles"])


def test_the_rigged_body_opens_elsewhere(made, validate):
    folder, record = made
    issues = validate((folder / "body.glb").read_bytes())["issues"]
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]
    scene = trimesh.load(folder / "body.glb")
    assert scene.extents[1] == pytest.approx(record["measures"]["height"], abs=1e-3)


def test_five_runners_up_are_told_in_order_and_drawn(made):
    folder, record = made
    scores = [one["score"] for one in record["runners_up"]]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    assert all(len(one["betas"]) == len(record["betas"]) and one["measures"] for one in record["runners_up"])
    picture = np.asarray(Image.open(io.BytesIO((folder / "shape_candidates.png").read_bytes())))
    columns = np.split(picture[60:], 6, axis=1)
    assert all(np.abs(columns[0].astype(int) - other).max() > 40 for other in columns[1:])


def test_the_same_seed_gives_the_same_files(made, cache, tmp_path):
    folder, _ = made
    assert main(["shape", "short and chubby", "--out", str(tmp_path / "again"), *QUICK]) == 0
    for name in ("body.obj", "body.glb", "shape_candidates.png"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_a_neutral_text_is_the_middle_of_the_population(cache, tmp_path):
    assert main(["shape", "a person", "--out", str(tmp_path / "body"), *QUICK]) == 0
    record = json.loads((tmp_path / "body" / "shape.json").read_text())
    assert record["betas"] == [0.0] * len(record["betas"])
    assert record["runners_up"] == []
    assert all(25 <= value <= 75 for value in record["percentiles"].values()), record["percentiles"]


def test_numbers_rule_over_the_text(cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["shape", "a person", "--height", "1.85", *QUICK]) == 0
    record = json.loads((tmp_path / "outputs" / "a-person-height-1-85" / "shape.json").read_text())
    assert record["controls"] == {"height": 1.85}
    assert record["measures"]["height"] == pytest.approx(1.85, abs=0.01)


@pytest.mark.parametrize("arguments", [["shape", ""], ["shape", "tall", "--body", "smal"], ["shape", "tall\x07"]])
def test_bad_input_writes_nothing(capsys, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_percentiles_meet_the_populations_table_and_go_on_beyond_it():
    body, table = load_open_body(), population()["height"]
    for name in ("p1", "p25", "p50", "p95"):
        assert percentiles(body, {"height": table[name]})["height"] == pytest.approx(float(name[1:]), abs=1e-6)
    heights = np.linspace(1.2, 2.2, 60)
    told = [percentiles(body, {"height": float(h)})["height"] for h in heights]
    assert (np.diff(told) >= 0).all()
    assert told[0] < 0.1
    assert told[-1] > 99.9


def test_traits_have_the_percentiles_that_drawn_bodies_show():
    body = load_open_body()
    rng = np.random.default_rng(0)
    betas = rng.standard_normal((4000, body.num_betas))
    one = rng.standard_normal(body.num_betas)
    from avatargen.body.open_body import phenotype_names, phenotypes_from_betas

    drawn, mine = phenotypes_from_betas(betas), phenotypes_from_betas(one)
    for name, value in trait_percentiles(body, one.astype(np.float32)).items():
        k = phenotype_names().index(name)
        assert value == pytest.approx(100 * (drawn[:, k] < mine[k]).mean(), abs=3)
