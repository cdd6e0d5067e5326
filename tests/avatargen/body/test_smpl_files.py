"""Licensed files: missing, broken, hostile; chumpy and sparse arrays; SMPL-X on SMPL's joints."""

import contextlib
import copyreg
import io
import os
import pickle
import pickletools
import sys
import types

import numpy as np
import pytest
import torch
from scipy import sparse

from avatargen.body.load import load_body_model
from avatargen.body.model import BodyModel
from avatargen.body.open_body import load_open_body
from avatargen.body.posing import pose_body
from avatargen.body.smpl import read_pickle
from avatargen.core.errors import BrokenFileError, ConfigError, MissingAssetError
from avatargen.core.parts import SMPL_JOINTS, SMPL_PARENTS
from avatargen.core.rotations import matrix_from_axis_angle
from avatargen.core.settings import BodySettings


def toy_model(joints=24, betas=10, count=60, parents=SMPL_PARENTS):
    rng = np.random.default_rng(7)
    weights = rng.random((count, joints)) ** 8
    regressor = rng.random((joints, count)) ** 8
    table = np.stack((np.array(parents), np.arange(joints)))
    table[0, 0] = 2**32 - 1
    return {
        "v_template": rng.standard_normal((count, 3)),
        "shapedirs": 0.1 * rng.standard_normal((count, 3, betas)),
        "posedirs": 0.01 * rng.standard_normal((count, 3, 9 * (joints - 1))),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "weights": weights / weights.sum(1, keepdims=True),
        "kintree_table": table,
        "f": rng.integers(0, count, (80, 3)).astype(np.uint32),
    }


def smpl_from(folder, gender="neutral") -> BodyModel:
    return load_body_model(BodySettings(kind="smpl", folder=str(folder), gender=gender))


def save(folder, name, data):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith("npz"):
        np.savez(path, **data)
    else:
        path.write_bytes(data if isinstance(data, bytes) else pickle.dumps(data, protocol=2))
    return path


@pytest.fixture
def chumpy(monkeypatch):
    """A package of chumpy's name and shape, so that a file like the original ones can be written."""
    package, module = types.ModuleType("chumpy"), types.ModuleType("chumpy.ch")

    class Ch:
        def __init__(self, x):
            self.x = x
            self._dirty_vars = set()

        def __getstate__(self):
            return {"x": self.x, "_itr": None}

    Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
    module.Ch = Ch
    monkeypatch.setitem(sys.modules, "chumpy", package)
    monkeypatch.setitem(sys.modules, "chumpy.ch", module)
    return Ch


def test_a_missing_file_says_where_it_belongs_and_where_to_get_it(tmp_path):
    for kind, site in (("smpl", "smpl.is.tue.mpg.de"), ("smplx", "smpl-x.is.tue.mpg.de")):
        with pytest.raises(MissingAssetError) as caught:
            load_body_model(BodySettings(kind=kind, gender="female", folder=str(tmp_path)))
        text = str(caught.value)
        assert str(tmp_path / kind / f"{kind.upper()}_FEMALE.npz") in text
        assert site in text
        assert "--body open" in text


def test_unknown_kind_and_gender_name_the_choices():
    with pytest.raises(ConfigError, match="open, smpl, smplx"):
        load_body_model(BodySettings(kind="smal"))
    with pytest.raises(ConfigError, match="neutral, male, female"):
        load_body_model(BodySettings(gender="other"))


def test_open_is_the_open_body():
    assert load_body_model(BodySettings()) is load_open_body()


def test_npz_and_pickle_give_the_same_body(tmp_path):
    data = toy_model()
    save(tmp_path / "a", "smpl/SMPL_NEUTRAL.npz", data)
    save(tmp_path / "b", "SMPL_NEUTRAL.pkl", {**data, "J_regressor": sparse.csc_matrix(data["J_regressor"])})
    first, second = smpl_from(tmp_path / "a"), smpl_from(tmp_path / "b")
    for name in ("template", "shape_directions", "pose_directions", "joint_regressor", "weights", "faces"):
        torch.testing.assert_close(getattr(first, name), getattr(second, name))
    assert first.kind == "smpl"
    assert first.parents == SMPL_PARENTS
    assert first.joint_names == SMPL_JOINTS
    assert "Max Planck" in first.licence


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_chumpy_arrays_are_read_without_chumpy(tmp_path, chumpy, protocol):
    data = toy_model()
    full = {**data, "shapedirs": chumpy(data["shapedirs"]), "J_regressor": sparse.csc_matrix(data["J_regressor"])}
    raw = pickle.dumps({**full, "bs_style": "lbs"}, protocol=protocol)
    for name in ("chumpy", "chumpy.ch"):
        del sys.modules[name]
    save(tmp_path, "smpl/basicmodel_neutral_lbs_10_207_0_v1.1.0.pkl", raw)
    body = smpl_from(tmp_path)
    np.testing.assert_allclose(body.shape_directions.numpy(), data["shapedirs"], atol=1e-6)
    np.testing.assert_allclose(body.joint_regressor.numpy(), data["J_regressor"], atol=1e-6)
    assert "chumpy" not in sys.modules


class _Runs:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize(
    "attack",
    [
        lambda flag: _Runs(os.system, f"touch {flag}"),
        lambda flag: _Runs(eval, f"open({str(flag)!r}, 'w').close()"),
        lambda flag: _Runs(exec, f"open({str(flag)!r}, 'w').close()"),
        lambda flag: _Runs(getattr, "text", "upper"),
        lambda flag: _Runs(np.save, str(flag), np.zeros(3)),
        lambda flag: _Runs(np.load, str(flag)),
        lambda flag: _Runs(open, str(flag), "w"),
    ],
)
def test_a_hostile_pickle_runs_nothing_and_is_refused(tmp_path, attack):
    flag = tmp_path / "ran"
    save(tmp_path, "smpl/SMPL_NEUTRAL.pkl", {**toy_model(), "extra": attack(flag)})
    with pytest.raises(BrokenFileError, match="nothing was run"):
        smpl_from(tmp_path)
    assert not flag.with_suffix(".npy").exists()
    assert not flag.exists()


def test_names_that_only_look_harmless_are_refused_too():
    for module, name in (
        ("numpy", "load"),
        ("numpy.core.multiarray", "fromfile"),
        ("scipy.sparse", "load_npz"),
        ("builtins", "getattr"),
        ("copyreg", "__newobj__"),
        ("numpy", "ndarray.tofile"),
    ):
        raw = b"\x80\x04\x8c" + bytes([len(module)]) + module.encode() + b"\x8c" + bytes([len(name)]) + name.encode()
        raw += b"\x93."
        assert "STACK_GLOBAL" in [op.name for op, _, _ in pickletools.genops(raw)]
        with pytest.raises(pickle.UnpicklingError, match="nothing was run"):
            read_pickle(raw)
    for code in (copyreg._reconstructor,):
        raw = pickle.dumps({"x": _Runs(code, object, object, None)})
        with pytest.raises(pickle.UnpicklingError):
            read_pickle(raw)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"weights": None}, "weights"),
        ({"posedirs": np.zeros((60, 3, 10))}, "posedirs"),
        ({"f": np.full((4, 3), 60)}, "f names vertices"),
        ({"J_regressor": np.ones((23, 60))}, "23 joints"),
        ({"v_template": np.array([object()])}, "'v_template' is missing"),
        (
            {"v_template": np.where(np.arange(180) == 77, np.nan, 0.0).reshape(60, 3)},
            "v_template has 1 values that are",
        ),
        ({"weights": np.full((60, 24), np.inf)}, "weights has 1440 values that are not finite"),
        ({"shapedirs": np.zeros((60, 30))}, "shapedirs has 2 axes, not 3"),
        ({"shapedirs": np.zeros((60, 3, 0))}, "shapedirs is empty"),
        ({"shapedirs": np.zeros((59, 3, 10))}, "shapedirs is not"),
        ({"kintree_table": np.arange(24)}, "kintree_table has 1 axes"),
        ({"kintree_table": np.stack((np.arange(24), np.arange(24)))}, "kintree_table is not SMPL's tree"),
        ({"f": np.array([["a", "b", "c"]])}, "f holds <U1, not numbers"),
        ({"weights": np.ones((60, 23))}, "weights has shape"),
    ],
)
def test_a_broken_file_names_the_key(tmp_path, change, word):
    data = {key: value for key, value in {**toy_model(), **change}.items() if value is not None}
    save(tmp_path, "SMPL_NEUTRAL.npz", data)
    with pytest.raises(BrokenFileError, match=word):
        smpl_from(tmp_path)


@pytest.mark.parametrize(
    "missing", ["v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f"]
)
@pytest.mark.parametrize("name", ["SMPL_NEUTRAL.npz", "SMPL_NEUTRAL.pkl"])
def test_a_missing_key_is_named(tmp_path, name, missing):
    data = toy_model()
    del data[missing]
    save(tmp_path, name, data)
    with pytest.raises(BrokenFileError, match=f"{name}: '{missing}' is missing"):
        smpl_from(tmp_path)


@pytest.mark.parametrize("form", ["npz", "pressed.npz", "pkl", "chumpy.pkl"])
def test_a_file_that_was_cut_off_or_altered_is_an_error_of_ours(tmp_path, chumpy, form):
    data = toy_model()
    if form == "chumpy.pkl":
        data |= {"shapedirs": chumpy(data["shapedirs"]), "J_regressor": sparse.csc_matrix(data["J_regressor"])}
    stream = io.BytesIO()
    if form.endswith("npz"):
        (np.savez_compressed if form == "pressed.npz" else np.savez)(stream, **data)
    else:
        pickle.dump(data, stream, protocol=2)
    raw, path = stream.getvalue(), tmp_path / f"SMPL_NEUTRAL.{form[-3:]}"
    rng = np.random.default_rng(0)
    for cut in rng.integers(0, len(raw) - 1, 40).tolist():
        path.write_bytes(raw[:cut])
        with pytest.raises(BrokenFileError, match="SMPL_NEUTRAL"):
            smpl_from(tmp_path)
    for place in rng.integers(0, len(raw), (40, 30)):
        altered = np.frombuffer(raw, dtype=np.uint8).copy()
        altered[place] = rng.integers(0, 256, len(place))
        path.write_bytes(altered.tobytes())
        with contextlib.suppress(BrokenFileError):  # other numbers are still numbers; nothing else may escape
            smpl_from(tmp_path)


@pytest.mark.parametrize("raw", [b"", b"not a model", b"PK\x03\x04 cut off"])
@pytest.mark.parametrize("name", ["SMPL_NEUTRAL.npz", "SMPL_NEUTRAL.pkl"])
def test_rubbish_is_an_error_of_ours(tmp_path, name, raw):
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(BrokenFileError, match="SMPL_NEUTRAL"):
        smpl_from(tmp_path)


SMPLX_PARENTS = (
    *(-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 15, 15, 15),
    *(20, 25, 26, 20, 28, 29, 20, 31, 32, 20, 34, 35, 20, 37, 38),
    *(21, 40, 41, 21, 43, 44, 21, 46, 47, 21, 49, 50, 21, 52, 53),
)


def test_smplx_with_hands_and_face_at_rest_equals_full_smplx(tmp_path):
    data = toy_model(joints=55, betas=20, parents=SMPLX_PARENTS)
    save(tmp_path, "smplx/SMPLX_MALE.npz", data)
    body = load_body_model(BodySettings(kind="smplx", folder=str(tmp_path), gender="male"))
    assert body.num_betas == 10  # the other ten are expressions
    real = {key: torch.tensor(value, dtype=torch.float32) for key, value in data.items() if key != "kintree_table"}
    full = BodyModel(
        kind="smplx",
        version="",
        licence="",
        template=real["v_template"],
        shape_directions=real["shapedirs"][..., :10],
        pose_directions=real["posedirs"],
        joint_regressor=real["J_regressor"],
        weights=real["weights"],
        parents=SMPLX_PARENTS,
        joint_names=tuple(map(str, range(55))),
        faces=body.faces,
    )
    draw = torch.Generator().manual_seed(3)
    betas = torch.randn(2, 10, generator=draw)
    turns = 0.4 * torch.randn(2, 24, 3, generator=draw)
    turns[:, 22:] = 0
    more = torch.cat((turns[:, :22], torch.zeros(2, 33, 3)), 1)
    ours = pose_body(body, betas, matrix_from_axis_angle(turns))
    theirs = pose_body(full, betas, matrix_from_axis_angle(more))
    torch.testing.assert_close(ours.vertices, theirs.vertices, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.joints[:, :22], theirs.joints[:, :22], atol=1e-5, rtol=0)
    assert (body.weights.sum(1) - 1).abs().max() < 1e-5


def test_nothing_of_the_file_is_read_through_numpys_pickle(tmp_path):
    stream = io.BytesIO()
    np.savez(stream, **toy_model(), part2num=np.array({"head": 1}, dtype=object))
    save(tmp_path, "x", b"")
    (tmp_path / "SMPL_NEUTRAL.npz").write_bytes(stream.getvalue())
    assert smpl_from(tmp_path).template.shape == (60, 3)  # the pickled extra is never opened


def test_smplx_layout_equals_the_smplx_package_on_the_same_file(tmp_path, monkeypatch):
    """The package's 55 joints with hands and face at rest, and our 24, from one file that both read."""
    smplx = pytest.importorskip("smplx", reason="the extra [smpl] is not installed")
    landmarks = smplx.vertex_ids.vertex_ids["smplx"]
    monkeypatch.setitem(smplx.body_models.VERTEX_IDS, "smplx", dict.fromkeys(landmarks, 0))  # a small mesh lacks them
    count = 400
    data = toy_model(joints=55, betas=20, count=count, parents=SMPLX_PARENTS)
    rest = {f"hands_{what}{side}": np.zeros((45, 45) if what == "components" else 45) for what in ("components", "mean")
            for side in "lr"}  # fmt: skip
    marks = {"lmk_faces_idx": np.zeros(51, int), "lmk_bary_coords": np.full((51, 3), 1 / 3)}
    path = save(tmp_path, "smplx/SMPLX_NEUTRAL.npz", {**data, **rest, **marks})
    ours = load_body_model(BodySettings(kind="smplx", folder=str(tmp_path)))
    model = smplx.SMPLX(
        str(path),
        num_betas=10,
        use_pca=False,
        flat_hand_mean=True,
        batch_size=3,
        dtype=torch.float64,
    )
    draw = torch.Generator().manual_seed(5)
    betas = torch.randn(3, 10, generator=draw)
    turns = 0.5 * torch.randn(3, 24, 3, generator=draw)
    turns[:, 22:] = 0
    shift = torch.randn(3, 3, generator=draw)
    theirs = model(
        betas=betas.double(),
        global_orient=turns[:, 0].double(),
        body_pose=turns[:, 1:22].flatten(1).double(),
        transl=shift.double(),
    )
    posed = pose_body(ours, betas, matrix_from_axis_angle(turns), shift)
    assert (theirs.vertices - posed.vertices).abs().max() < 1e-5
    assert (theirs.joints[:, :22] - posed.joints[:, :22]).abs().max() < 1e-5
