"""Try to break a reader of files with a coverage-guided fuzzer (Linux; it is no dependency of the package).

    pip install atheris==3.0.0
    python tools/fuzz.py bvh --seconds 600 --corpus corpus-bvh

Readers: bvh, npz, pickle, weights, hocon, csv, run. A finding is any exception that is not an `AvatarGenError`, ten
seconds for one file, or more than 2 GB of memory; the bytes are left in the corpus as `found-...`, and belong, made
small, into `tests/reliability/test_found.py`. Archives are mutated entry by entry (`ENTRY name, content`), since a zip
whose checksum is wrong is refused at the door.
"""

import argparse
import contextlib
import io
import pickle
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import atheris
import numpy as np
import torch

READERS = (
    *("avatargen.batch", "avatargen.body.smpl", "avatargen.core.config", "avatargen.core.finished"),
    *("avatargen.core.npz", "avatargen.core.original", "avatargen.core.pickles", "avatargen.core.runs"),
    *("avatargen.core.values", "avatargen.guidance.weights", "motiongen.checkpoints", "motiongen.dataset"),
    *("motiongen.importers", "motiongen.windows", "pyhocon", "csv", "json", "pickle", "zipfile"),
)
for name in ("csv", "json", "pickle", "zipfile"):
    del sys.modules[name]  # they come again, instrumented, for the readers

with atheris.instrument_imports(include=list(READERS)):
    import pickle as seen_pickle

    from avatargen.batch import read_table
    from avatargen.body.smpl import _Guarded, load_smpl, load_smplx
    from avatargen.core.config import confs_dir, load_settings
    from avatargen.core.errors import AvatarGenError
    from avatargen.core.files import save_tensors
    from avatargen.core.finished import read_finished
    from avatargen.core.parts import SMPL_JOINTS, SMPL_PARENTS
    from avatargen.core.pickles import check_pickle
    from avatargen.core.values import Motion, Skeleton
    from avatargen.export.bvh import encode_bvh
    from avatargen.export.npz import encode_amass
    from avatargen.guidance.weights import read_weights
    from motiongen.checkpoints import read_checkpoint
    from motiongen.dataset import load_dataset, read_labels, read_motion
    from motiongen.kinematics import REFERENCE_JOINTS
    from motiongen.windows import read_motion_set

ENTRY = b"\0ENTRY "
Target = tuple[Callable[[bytes], None], Callable[[], Iterator[bytes]]]
"""What is done with bytes, and bytes to begin with."""


def told(read: Callable[..., object], *given: object) -> None:
    """Call a reader; its own errors are what is wanted."""
    with contextlib.suppress(AvatarGenError):
        read(*given)


def put(name: str, data: bytes) -> Path:
    path = PLACE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def zipped(data: bytes) -> bytes:
    """An archive of the entries that `data` lists; `data` itself where it lists none."""
    if ENTRY not in data:
        return data
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for entry in data.split(ENTRY)[1:]:
            name, _, content = entry.partition(b"\n")
            archive.writestr(name.decode("latin1").partition("\0")[0] or "x", content)
    return stream.getvalue()


def listed(data: bytes) -> bytes:
    """The entries of an archive, as `zipped` takes them."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return b"".join(ENTRY + name.encode() + b"\n" + archive.read(name) for name in archive.namelist())


def little_motion() -> Motion:
    return Motion(
        rotations=np.tile(np.eye(3), (2, 24, 1, 1)),
        root_position=np.zeros((2, 3)),
        rest_root_height=1.0,
        joint_names=SMPL_JOINTS,
        fps=30.0,
    )


def bvh(data: bytes) -> None:
    told(read_motion, put("x.bvh", data))


def bvh_seeds() -> Iterator[bytes]:
    yield encode_bvh(little_motion(), Skeleton(names=SMPL_JOINTS, parents=SMPL_PARENTS, joints=REFERENCE_JOINTS))
    yield b"HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\nCHANNELS 1 Zrotation\nEnd Site\n{\nOFFSET 0 1 0\n}\n}\n" \
        b"MOTION\nFrames: 1\nFrame Time: 0.1\n1\n"  # fmt: skip


def npz(data: bytes) -> None:
    path = put("x.npz", zipped(data))
    for read in (read_motion, load_dataset, read_motion_set):
        told(read, path)
    put("smpl/SMPL_NEUTRAL.npz", path.read_bytes())
    told(load_smpl, PLACE, "neutral")


def npz_seeds() -> Iterator[bytes]:
    whole = encode_amass(little_motion(), betas=np.zeros(16), gender="neutral", rest_root=np.zeros(3), body="open")
    yield whole
    yield listed(whole)
    stream = io.BytesIO()
    np.savez(stream, **little_body(24))
    yield listed(stream.getvalue())


def little_body(joints: int) -> dict[str, np.ndarray]:
    """A body file of one vertex."""
    return {
        "v_template": np.zeros((1, 3), "f4"), "shapedirs": np.zeros((1, 3, 1), "f4"),
        "posedirs": np.zeros((1, 3, 207 if joints == 24 else 486), "f2"), "J_regressor": np.zeros((joints, 1), "f2"),
        "weights": np.zeros((1, joints), "f2"), "f": np.zeros((1, 3), "u1"),
        "kintree_table": np.array([[-1, *SMPL_PARENTS[1:]], range(24)], "i1"),
    }  # fmt: skip


Twin = type("Twin", (seen_pickle._Unpickler,), {"find_class": _Guarded.find_class})  # pyright: ignore
"""Python's own unpickler in Python, which the fuzzer can see into; the one that is used is written in C."""


def body_pickle(data: bytes) -> None:
    put("smpl/SMPL_NEUTRAL.pkl", data)
    put("smplx/SMPLX_NEUTRAL.pkl", data)
    told(load_smpl, PLACE, "neutral")
    told(load_smplx, PLACE, "neutral")
    with contextlib.suppress(Exception):
        check_pickle(data)  # the twin makes room for all that is promised
        Twin(io.BytesIO(data), encoding="latin1").load()


def pickle_seeds() -> Iterator[bytes]:
    for joints in (24, 55):
        for protocol in (0, 2, 5):
            yield pickle.dumps(little_body(joints), protocol=protocol)


def weights(data: bytes) -> None:
    path = put("x.pt", zipped(data))
    told(read_weights, path)
    told(read_checkpoint, path)


def weights_seeds() -> Iterator[bytes]:
    for new in (True, False):
        stream = io.BytesIO()
        torch.save({"a": torch.zeros(2, 2), "b": torch.zeros(3).half()}, stream, _use_new_zipfile_serialization=new)
        yield listed(stream.getvalue()) if new else stream.getvalue()
    stream = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), stream)
    yield listed(stream.getvalue())
    yield save_tensors(PLACE / "x.safetensors", {"a": torch.zeros(2)}).read_bytes()


def hocon(data: bytes) -> None:
    path = PLACE / "x.conf"
    path.write_bytes(data)
    for way in ({"config": path}, {"config": path, "appearance": "x"}):
        with contextlib.suppress(AvatarGenError):
            load_settings(**way)


def hocon_seeds() -> Iterator[bytes]:
    for path in sorted(confs_dir().rglob("*.conf")):
        if path.stat().st_size < 4000:
            yield path.read_bytes()
    yield b'a = 1\nb = ${a}\nimplicit { steps = 5 }\ninclude "y.conf"\nc = [1, 2] ${?d}\nseed += 1\nt = """x"""'
    yield b'general { text = "a" }\nclip { prompt = "a 3D rendering of {TOREPLACE} in unreal engine" }\n' \
        b"train { end_iter = 3\n clip_weight = 1.5 }\nmotion_generator { num_frame = 30 }"  # fmt: skip
    yield b'{"avatargen": "1", "settings": {"seed": 3, "video": {"gif": true}}}'


def csv(data: bytes) -> None:
    path = put("x.csv", data)
    told(read_table, path)
    told(read_labels, path)


def csv_seeds() -> Iterator[bytes]:
    yield b'name,shape,appearance,motion,describe,seed\na,tall,"a, b",waving,,3\n'
    yield b"clip,label,alternatives,loop\nc,walk,a|b,yes\n"


def run(data: bytes) -> None:
    record, _, extra = data.partition(ENTRY)
    put("run/run.json", record)
    try:
        metadata = {"key": "k", "extra": extra.decode()}
    except UnicodeDecodeError:
        return
    for name, stored in STAGES.items():
        save_tensors(PLACE / "run" / ".work" / f"{name}.safetensors", stored, metadata)
    told(read_finished, PLACE / "run")


STAGES = {
    "shape": {"betas": torch.zeros(2)},
    "avatar": {
        "vertices": torch.zeros(1, 3), "faces": torch.zeros(1, 3).int(), "joints": torch.zeros(1, 3),
        "weights": torch.ones(1, 1),
    },
    "motion": {"rotations": torch.zeros(1, 1, 3, 3), "root_position": torch.zeros(1, 3)},
}  # fmt: skip


def run_seeds() -> Iterator[bytes]:
    record = (
        b'{"texts": {"shape": "tall"}, "stages": {"shape": "k"}, "motion": {"frames": 1}, "licences": {"body": "x"}}'
    )
    yield record + ENTRY + b'{"body": "x", "score": 1.0, "measures": {}, "names": ["a"], "parents": [-1], ' \
        b'"rest_root_height": 1.0, "joint_names": ["a"], "fps": 30, "name": "m"}'  # fmt: skip


TARGETS: dict[str, Target] = {
    "bvh": (bvh, bvh_seeds), "npz": (npz, npz_seeds), "pickle": (body_pickle, pickle_seeds),
    "weights": (weights, weights_seeds), "hocon": (hocon, hocon_seeds), "csv": (csv, csv_seeds),
    "run": (run, run_seeds),
}  # fmt: skip
PLACE = Path(tempfile.mkdtemp(prefix="fuzz-"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reader", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--corpus", type=Path, required=True, help="folder for inputs that reach something new")
    parser.add_argument("--show", type=Path, help="read this one file instead")
    asked = parser.parse_args()
    act, seeds = TARGETS[asked.reader]
    if asked.show:
        act(asked.show.read_bytes())
        return
    asked.corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (asked.corpus / f"seed-{number}").write_bytes(seed)
    limits = [f"-max_total_time={asked.seconds}", "-timeout=10", "-rss_limit_mb=2048"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={asked.corpus}/found-", str(asked.corpus)], act)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
