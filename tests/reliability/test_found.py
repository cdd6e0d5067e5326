"""Files that once broke a reader: found by `tools/fuzz.py` or by reading, made small. Each is an error of ours now."""

import io
import json
import os
import pickle
import resource
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from avatargen.batch import read_table
from avatargen.body.smpl import load_smpl, load_smplx
from avatargen.core.config import load_settings, read_tree
from avatargen.core.errors import AvatarGenError, BrokenFileError, ConfigError
from avatargen.core.files import save_tensors
from avatargen.core.finished import read_finished
from avatargen.guidance.weights import read_weights
from motiongen.checkpoints import read_checkpoint
from motiongen.dataset import read_motion

MEMO_BOMB = b"\x80\x02Nr\xff\xff\xff\x7f."  # "remember None as number 2147483647": 32 GB of room in CPython
ARM = b"""HIERARCHY
ROOT a
{
OFFSET 0 0 0
CHANNELS 1 Zrotation
End Site
{
OFFSET 0 1 0
}
}
MOTION
Frames: 1
Frame Time: 0.1
1
"""
BVH = {
    "frames that are no number": ARM.replace(b"Frames: 1", b"Frames: nan"),
    "endless frames": ARM.replace(b"Frames: 1", b"Frames: inf"),
    "frames of many digits": ARM.replace(b"Frames: 1", b"Frames: " + b"9" * 400),
    "more turns than memory": ARM.replace(b"Frames: 1", b"Frames: 2e6").replace(
        b"End Site", b"".join(b"JOINT b%d { OFFSET 0 0 0 }\n" % n for n in range(9)) + b"End Site"
    ),
    "a million words for a name": ARM.replace(b"ROOT a", b"ROOT " + b"a " * 600_000),
    "millions of lines": b"HIERARCHY" + b"\n" * 4_100_000,
    "nothing": b"",
    "a mark and nothing": b"\xef\xbb\xbf",
}


@pytest.fixture(autouse=True)
def roomy():
    """No reader may take more than 2 GB more than the process has; less than that is told as out of memory."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + (2 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("name", BVH)
def test_bvh(name, tmp_path):
    (tmp_path / "x.bvh").write_bytes(BVH[name])
    with pytest.raises(BrokenFileError, match=r"x\.bvh:\d+: "):
        read_motion(tmp_path / "x.bvh")


def archive(compression=zipfile.ZIP_STORED, **entries):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as target:
        for name, data in entries.items():
            target.writestr(f"a/{name.replace('__', '/').replace('_', '.')}", data)
    return stream.getvalue()


def storage(numbers, key=b"0"):
    """What a state dict says of its storage: `numbers` of four bytes."""
    return b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" + key + b"X\3\0\0\0cpuJ" + struct.pack(
        "<i", numbers
    ) + b"tQ"  # fmt: skip


def tensor(numbers, size, stride):
    """A state dict with one tensor."""
    view = b"K\0J" + struct.pack("<i", size) + b"J" + struct.pack("<i", size) + b"\x86J"
    view += struct.pack("<i", stride) + b"J" + struct.pack("<i", stride) + b"\x86\x89}tR"
    return b"\x80\2}X\1\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(" + storage(numbers) + view + b"s."


WEIGHTS = {
    "memory for names": archive(data_pkl=MEMO_BOMB, constants_pkl=b""),
    "a tensor of one number, as large as you like": archive(
        data_pkl=tensor(1, 100_000, 0), constants_pkl=b"", data__0=bytes(4)
    ),
    "a storage that unpacks": archive(
        zipfile.ZIP_DEFLATED, data_pkl=tensor(1, 1, 1), constants_pkl=b"", data__0=bytes(50_000_000)
    ),
    "a negative count": archive(data_pkl=tensor(-1, 1, 1), constants_pkl=b"", data__0=bytes(4)),
    "no directory": archive(data_pkl=b"")[:60],
    "bad compression": archive(zipfile.ZIP_DEFLATED, data_pkl=b"x" * 99, constants_pkl=b"").replace(
        zlib.compress(b"x" * 99)[2:-4], b"\xff" * 5
    ),
    "a name that is no text": archive(data_pkl=b"N.", constants_pkl=b"").replace(b"a/const", b"\xff/const"),
    "overflow": archive(data_pkl=b"\x80\2Gx\xff\xff\xff\xff\xff\xff\xff.", constants_pkl=b""),
}


@pytest.mark.parametrize("read", [read_weights, read_checkpoint])
@pytest.mark.parametrize("name", WEIGHTS)
def test_weights(name, read, tmp_path):
    (tmp_path / "x.pt").write_bytes(WEIGHTS[name])
    with pytest.raises(BrokenFileError, match=r"x\.pt"):
        read(tmp_path / "x.pt")


class Sparse:
    """Pickled, a sparse matrix of SciPy's with any state."""

    def __init__(self, **state):
        self.state = state

    def __reduce__(self):
        return (Sparse, (), self.state)


def renamed(value):
    """A pickle in which `Sparse` is SciPy's."""
    raw = pickle.dumps(value, protocol=2)
    ours = f"c{Sparse.__module__}\nSparse\n".encode()
    assert ours in raw
    return raw.replace(ours, b"cscipy.sparse.csc\ncsc_matrix\n")


def body(**changes):
    joints = 24
    return {
        "v_template": np.zeros((1, 3)), "shapedirs": np.zeros((1, 3, 1)), "posedirs": np.zeros((1, 3, 207)),
        "J_regressor": np.zeros((joints, 1)), "weights": np.zeros((1, joints)), "f": np.zeros((1, 3), int),
        "kintree_table": np.zeros((2, joints), int),
    } | changes  # fmt: skip


def columns(**changes):
    return Sparse(
        **({"_shape": (24, 1), "indptr": np.array([0, 1]), "indices": np.zeros(1, int), "data": np.ones(1)} | changes)
    )


PICKLES = {
    "memory for names": MEMO_BOMB,
    "memory for bytes": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",
    "a matrix of nothing": renamed(body(J_regressor=columns(_shape=(24, 10**9)))),
    "a column of billions": renamed(body(J_regressor=columns(indptr=np.array([0, 10**10])))),
    "columns backwards": renamed(body(J_regressor=columns(indptr=np.array([5, 0])))),
    "rows beyond": renamed(body(J_regressor=columns(indices=np.array([99])))),
    "a type of its own": pickle.dumps(body(weights=np.zeros(3, [("a", "O"), ("b", "f8")])), protocol=2),
    "times": pickle.dumps(body(weights=np.zeros((1, 24), "m8[s]"))),
    "a list": pickle.dumps([1]),
    "cut": pickle.dumps(body())[:-200],
    "a number of many digits": b"I" + b"9" * 5000 + b"\n.",
}


@pytest.mark.parametrize("name", PICKLES)
def test_bodies(name, tmp_path):
    for kind, read in (("smpl", load_smpl), ("smplx", load_smplx)):
        path = tmp_path / kind / f"{kind.upper()}_NEUTRAL.pkl"
        path.parent.mkdir()
        path.write_bytes(PICKLES[name])
        with pytest.raises(BrokenFileError, match=path.name):
            read(tmp_path, "neutral")


@pytest.mark.parametrize("change", [{"weights": np.zeros((1, 20))}, {"posedirs": np.zeros((1, 3, 9))}])
def test_a_body_of_another_kind_is_told_by_its_key(change, tmp_path):
    wide = {"weights": np.zeros((1, 55)), "J_regressor": np.zeros((55, 1))} | change
    np.savez(tmp_path / "SMPLX_NEUTRAL.npz", **body(**wide))
    with pytest.raises(BrokenFileError, match=next(iter(change))):
        load_smplx(tmp_path, "neutral")


def test_an_archive_that_unpacks_to_more_than_memory_holds(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as target,
        target.open("poses.npy", "w") as entry,
    ):
        for _ in range(65):
            entry.write(bytes(1 << 24))
    with pytest.raises(BrokenFileError, match="unpacks to"):
        read_motion(tmp_path / "x.npz")


def test_more_frames_than_memory_holds(tmp_path):
    np.savez_compressed(
        tmp_path / "x.npz", poses=np.zeros((1_000_000, 66), "i1"), trans=np.zeros((1, 3)), fps=np.array(9)
    )
    with pytest.raises(BrokenFileError, match="500000 frames"):
        read_motion(tmp_path / "x.npz")


REFERENCES = "x = " + "x" * 1000 + "\na0 = ${x}\n" + "".join(f"a{n + 1} = ${{a{n}}}${{a{n}}}\n" for n in range(40))
HOCON = {
    "a text that doubles forty times": REFERENCES,
    "a list that is too long to read": "a = [" + "1, " * 50_000 + "1]",
    "hundreds of braces": "a { " * 600,
    "hundreds of lists": "a = " + "[" * 600,
    "a count in words": "clip {}\ngeneral { text = a }\ntrain { end_iter = many }",
    "frames in words": "motion_generator { num_frame = all }",
    "samples in a list": "pose_generator { num_sample = [1] }",
    "a kind in a list": "pose_generator { type = [a] }",
    "an include in a line of its own section": 'a { include "x.conf" }',
    "an include behind a text": 'a = "# " include "x.conf"',
}


@pytest.mark.parametrize("name", HOCON)
def test_configurations(name, tmp_path):
    (tmp_path / "x.conf").write_text(HOCON[name])
    with pytest.raises(ConfigError, match=r"x\.conf"):
        load_settings(config=tmp_path / "x.conf")


def test_includes_that_double(tmp_path):
    for number in range(20):
        (tmp_path / f"{number}.conf").write_text(
            f'a {{ include "{number + 1}.conf" }}\nb {{ include "{number + 1}.conf" }}'
        )
    (tmp_path / "20.conf").write_text("c = 1")
    with pytest.raises(ConfigError, match="at most 32"):
        read_tree(tmp_path / "0.conf")


def test_a_commented_include_is_none(tmp_path):
    (tmp_path / "x.conf").write_text('# include "gone.conf"\nseed = 3 // include "gone.conf"\n')
    assert read_tree(tmp_path / "x.conf") == {"seed": 3}


RECORDS = {
    "a text that is a number": {"texts": {"shape": 3}},
    "texts in a list": {"texts": ["tall"]},
    "stages in a list": {"texts": {}, "stages": ["shape"]},
    "no stages": {"texts": {}, "stages": None},
    "licences in a list": {"texts": {}, "licences": []},
    "a described number": {"texts": {}, "description": 3},
}
EXTRAS = ("[]", "3", "null", '{"body": "x"}', "[" * 100_000, "{", '{"names": 3, "parents": [-1]}')


@pytest.mark.parametrize("name", [*RECORDS, "thousands of lists"])
def test_records(name, tmp_path):
    text = json.dumps(RECORDS[name]) if name in RECORDS else '{"texts": ' + "[" * 100_000
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(BrokenFileError, match=r"run\.json"):
        read_finished(tmp_path)


@pytest.mark.parametrize("extra", EXTRAS)
def test_stages(extra, tmp_path):
    (tmp_path / "run.json").write_text('{"texts": {}}')
    save_tensors(tmp_path / ".work" / "shape.safetensors", {"betas": torch.zeros(2)}, {"key": "k", "extra": extra})
    with pytest.raises(BrokenFileError, match="shape"):
        read_finished(tmp_path)


@pytest.mark.parametrize("table", [b"shape\n" + b'"' + b"x" * 200_000, b"shape,\na,b", b"\xff\xfe"])
def test_tables(table, tmp_path):
    (tmp_path / "x.csv").write_bytes(table)
    with pytest.raises(AvatarGenError, match=r"x\.csv"):
        read_table(tmp_path / "x.csv")
