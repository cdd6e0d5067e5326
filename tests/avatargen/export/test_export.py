"""The table of writers: every extension writes a file that its reader accepts, and failures leave nothing behind."""

import json
import struct
from pathlib import Path

import pytest
import trimesh

from avatargen.core.errors import InputError, OutputError, UnsupportedFormatError
from avatargen.export import export


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply", ".stl", ".OBJ", ".GLB"])
def test_trimesh_reads_what_export_wrote_under_the_name_asked_for(tmp_path, rigged_tube, suffix):
    path = export(rigged_tube, tmp_path / "new" / f"my tube{suffix}")
    assert path == tmp_path / "new" / f"my tube{suffix}"
    loaded = trimesh.load(path, force="mesh")
    assert loaded.volume == pytest.approx(0.036, rel=0.01)
    assert loaded.extents[1] == pytest.approx(1.2, abs=1e-6)


def test_credit_and_motions_reach_the_glb(tmp_path, rigged_tube, bend):
    data = export(rigged_tube, tmp_path / "tube.glb", [bend], author="A. Maker", licence="CC0-1.0").read_bytes()
    document = json.loads(data[20 : 20 + struct.unpack_from("<I", data, 12)[0]])
    assert document["asset"]["extras"] == {"author": "A. Maker", "licence": "CC0-1.0"}
    assert [clip["name"] for clip in document["animations"]] == ["bend"]
    assert document["meshes"][0]["name"] == "tube"


def test_bvh_wants_one_motion_and_a_skeleton(tmp_path, rigged_tube, bend):
    assert export(rigged_tube, tmp_path / "a.bvh", [bend]).read_text().startswith("HIERARCHY")
    with pytest.raises(InputError, match="2 motions"):
        export(rigged_tube, tmp_path / "b.bvh", [bend, bend])
    with pytest.raises(InputError, match="without skeleton"):
        export(rigged_tube.mesh, tmp_path / "b.bvh", [bend])
    assert [p.name for p in tmp_path.iterdir()] == ["a.bvh"]


def test_an_unknown_extension_names_the_known_ones(tmp_path, tube):
    with pytest.raises(UnsupportedFormatError) as caught:
        export(tube, tmp_path / "tube.max")
    assert str(caught.value) == (
        "cannot write 'tube.max': no writer for '.max' "
        "(writers: .abc, .blend, .bvh, .fbx, .glb, .gltf, .obj, .pc2, .ply, .stl, .usd, .usdz, .vrm)"
    )


def test_a_failing_encoder_leaves_no_file_behind(tmp_path, tube, bend):
    with pytest.raises(InputError):
        export(tube, tmp_path / "tube.glb", [bend])
    assert list(tmp_path.iterdir()) == []


def test_an_obj_that_cannot_be_finished_takes_its_companions_away(tmp_path, tube, monkeypatch):
    from avatargen.core.files import write_whole

    def full_disk(path: Path, data: bytes) -> Path:
        if path.suffix == ".obj":
            raise OutputError("no space left")
        return write_whole(path, data)

    monkeypatch.setattr("avatargen.export.write_whole", full_disk)
    (tmp_path / "tube.png").write_bytes(b"was here before")
    with pytest.raises(OutputError, match="no space"):
        export(tube, tmp_path / "tube.obj")
    assert [p.name for p in tmp_path.iterdir()] == ["tube.png"]
