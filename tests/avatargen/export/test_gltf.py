"""GLB files against the Khronos validator, trimesh, and a reader of our own that knows only the specification."""

import io
import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.transform import Rotation

from avatargen.core.errors import InputError
from avatargen.core.values import Mesh, Motion, RiggedMesh
from avatargen.export import export
from avatargen.export.gltf import clip_names, continuous_quaternions, encode_glb, quantized_weights
from avatargen.export.surface import split_at_seams

DTYPES = {5126: "<f4", 5121: "<u1", 5123: "<u2", 5125: "<u4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


class Glb:
    """Just enough of a reader, written from the specification."""

    def __init__(self, data: bytes):
        magic, version, length = struct.unpack_from("<4sII", data)
        assert (magic, version, length) == (b"glTF", 2, len(data))
        size, kind = struct.unpack_from("<I4s", data, 12)
        assert kind == b"JSON"
        self.json = json.loads(data[20 : 20 + size])
        self.bin = data[28 + size :]

    def accessor(self, index: int) -> np.ndarray:
        entry = self.json["accessors"][index]
        view, width = self.json["bufferViews"][entry["bufferView"]], WIDTHS[entry["type"]]
        flat = np.frombuffer(self.bin, DTYPES[entry["componentType"]], entry["count"] * width, view["byteOffset"])
        return flat.reshape(entry["count"], width) if width > 1 else flat

    def attribute(self, name: str) -> np.ndarray:
        return self.accessor(self.json["meshes"][0]["primitives"][0]["attributes"][name])

    def indices(self) -> np.ndarray:
        return self.accessor(self.json["meshes"][0]["primitives"][0]["indices"]).reshape(-1, 3)

    def posed(self, time: float, clip: int = 0) -> np.ndarray:
        """The mesh at `time`, by the equations of the specification, from the file alone."""
        nodes, skin = self.json["nodes"], self.json["skins"][0]
        local = {i: [np.array(n.get("translation", [0, 0, 0])), Rotation.identity()] for i, n in enumerate(nodes)}
        animation = self.json["animations"][clip]
        for channel in animation["channels"]:
            sampler = animation["samplers"][channel["sampler"]]
            times, values = self.accessor(sampler["input"]), self.accessor(sampler["output"])
            nearest = int(np.abs(times - time).argmin())
            if channel["target"]["path"] == "rotation":
                local[channel["target"]["node"]][1] = Rotation.from_quat(values[nearest])
            else:
                local[channel["target"]["node"]][0] = values[nearest]
        world: dict[int, np.ndarray] = {}

        def place(node: int, parent: np.ndarray) -> None:
            matrix = np.eye(4)
            matrix[:3, :3], matrix[:3, 3] = local[node][1].as_matrix(), local[node][0]
            world[node] = parent @ matrix
            for child in nodes[node].get("children", []):
                place(child, world[node])

        for root in self.json["scenes"][0]["nodes"]:
            place(root, np.eye(4))
        inverse = self.accessor(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
        joints = np.stack([world[node] @ bind for node, bind in zip(skin["joints"], inverse, strict=True)])
        blended = (joints[self.attribute("JOINTS_0")] * self.attribute("WEIGHTS_0")[..., None, None]).sum(1)
        points = self.attribute("POSITION")
        return np.einsum("nij,nj->ni", blended[:, :3, :3], points) + blended[:, :3, 3]


@pytest.fixture(scope="module")
def glb(rigged_tube, bend) -> bytes:
    return encode_glb(rigged_tube, [bend], name="tube", author="A. Maker", licence="CC0-1.0", copyright="2026 A. Maker")


@pytest.fixture(scope="module")
def colored(tube) -> Mesh:
    colors = np.random.default_rng(3).random((len(tube.vertices), 3))
    return Mesh(vertices=tube.vertices, faces=tube.faces, vertex_colors=colors)


def faults(report: dict) -> list:
    return [m for m in report["issues"]["messages"] if m["severity"] <= 1]


def test_the_khronos_validator_has_nothing_to_say_about_a_rigged_textured_animated_file(validate, glb):
    report = validate(glb)
    assert faults(report) == []
    assert (report["issues"]["numErrors"], report["issues"]["numWarnings"]) == (0, 0)
    assert report["info"]["animationCount"] == 1
    assert report["info"]["hasTextures"]
    assert report["info"]["hasSkins"]


def test_the_validator_accepts_every_other_kind_of_mesh_too(validate, rigged_tube, tube, colored, bend):
    plain = Mesh(vertices=tube.vertices, faces=tube.faces)
    for file in (
        encode_glb(tube),
        encode_glb(colored),
        encode_glb(plain),
        encode_glb(replace(rigged_tube, mesh=colored), [bend, bend]),
        encode_glb(rigged_tube),
    ):
        assert faults(validate(file)) == []


def test_the_validator_is_awake(validate, glb):
    assert validate(glb[:-40])["issues"]["numErrors"] > 0
    assert validate(glb.replace(b'"VEC4"', b'"VEC3"', 1))["issues"]["numErrors"] > 0


def test_a_reader_of_the_specification_finds_the_motion_that_went_in(glb, rigged_tube, bend, lbs):
    file = Glb(glb)
    mesh = rigged_tube.mesh
    split = np.unique(np.stack((mesh.faces.ravel(), mesh.uv_faces.ravel()), axis=1), axis=0)
    for frame in range(0, 21, 2):
        expected = lbs(rigged_tube, bend, frame)[split[:, 0]]
        np.testing.assert_allclose(file.posed(frame / 30.0), expected, atol=2e-6)


def test_corners_keep_their_place_their_uv_and_their_winding(glb, tube):
    file = Glb(glb)
    indices = file.indices()
    np.testing.assert_array_equal(file.attribute("POSITION")[indices], tube.vertices[tube.faces])
    corner_uvs = tube.uvs[tube.uv_faces]
    np.testing.assert_allclose(file.attribute("TEXCOORD_0")[indices][..., 0], corner_uvs[..., 0], atol=1e-7)
    np.testing.assert_allclose(file.attribute("TEXCOORD_0")[indices][..., 1], 1 - corner_uvs[..., 1], atol=1e-7)


def test_the_seam_costs_one_column_of_vertices_and_shading_does_not_show_it(glb, tube):
    file = Glb(glb)
    # every vertex of the column at the seam is there twice, and nothing else is
    assert len(file.attribute("POSITION")) == len(tube.vertices) + 13
    normals, positions = file.attribute("NORMAL"), file.attribute("POSITION")
    for height in np.unique(positions[:, 1])[1:-1]:
        row = (positions[:, 1] == height) & (np.abs(positions[:, 2]) < 1e-6) & (positions[:, 0] > 0)
        assert row.sum() == 2
        np.testing.assert_array_equal(normals[row][0], normals[row][1])
    side = (positions[:, 1] > 0.05) & (positions[:, 1] < 1.15)
    outward = positions[side] * [1, 0, 1] / 0.1
    assert np.einsum("ij,ij->i", normals[side], outward).min() > 0.999


def test_the_texture_inside_is_the_picture_that_went_in(glb, tube):
    file = Glb(glb)
    view = file.json["bufferViews"][file.json["images"][0]["bufferView"]]
    png = file.bin[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), tube.texture)


def test_trimesh_reads_geometry_and_texture(glb, tube):
    scene = trimesh.load(io.BytesIO(glb), file_type="glb")
    loaded = next(iter(scene.geometry.values()))
    np.testing.assert_allclose(loaded.vertices[loaded.faces], tube.vertices[tube.faces], atol=1e-6)
    assert np.asarray(loaded.visual.material.baseColorTexture.convert("RGB")).tolist() == tube.texture.tolist()
    colors = loaded.visual.to_color().vertex_colors
    upper = (loaded.vertices[:, 1] > 0.7) & (np.asarray(loaded.visual.uv)[:, 0] > 0.2)
    np.testing.assert_array_equal(colors[upper][:, :3], np.tile([200, 40, 30], (upper.sum(), 1)))


def test_vertex_colors_are_stored_linear_and_come_back_as_srgb(colored):
    stored = Glb(encode_glb(colored)).attribute("COLOR_0")[:, :3] / 65535
    srgb = np.where(stored <= 0.0031308, 12.92 * stored, 1.055 * stored ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(srgb, colored.vertex_colors, atol=2e-4)


def test_the_root_path_is_scaled_to_the_legs_of_the_skeleton(glb, rigged_tube, bend):
    file = Glb(glb)
    animation = file.json["animations"][0]
    channel = next(c for c in animation["channels"] if c["target"]["path"] == "translation")
    path = file.accessor(animation["samplers"][channel["sampler"]]["output"])
    np.testing.assert_allclose(path, bend.root_position * 0.5, atol=1e-6)  # 0.3 m of pelvis over the motion's 0.6 m


def test_quaternions_keep_their_sign_through_more_than_a_full_turn(bend):
    quats = continuous_quaternions(bend.rotations)
    assert (quats[1:] * quats[:-1]).sum(-1).min() > 0.9
    np.testing.assert_allclose(np.linalg.norm(quats, axis=-1), 1, atol=1e-6)
    back = Rotation.from_quat(quats.reshape(-1, 4)).as_matrix().reshape(bend.rotations.shape)
    np.testing.assert_allclose(back, bend.rotations, atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_quantized_weights_are_the_four_strongest_and_sum_to_one(seed, joints):
    generator = np.random.default_rng(seed)
    weights = generator.random((20, joints)) ** 6 * (generator.random((20, joints)) < 0.5)
    weights[:, generator.integers(joints)] += 1e-3
    weights /= weights.sum(1, keepdims=True)
    index, share = quantized_weights(weights)
    assert np.abs(share.astype(np.float64).sum(1) - 1).max() <= 1e-7
    assert (share >= 0).all()
    assert (index[share == 0] == 0).all()
    for row in range(20):
        used = index[row][share[row] > 0]
        assert len(set(used.tolist())) == len(used)
        kept = np.sort(weights[row])[::-1][:4].sum()
        np.testing.assert_allclose(share[row][share[row] > 0], weights[row, used] / kept, atol=1e-5)


def test_the_same_input_gives_the_same_bytes(rigged_tube, bend):
    assert encode_glb(rigged_tube, [bend]) == encode_glb(rigged_tube, [bend])


def test_several_clips_have_several_names(rigged_tube, bend):
    wave = replace(bend, name="wave")
    assert clip_names([bend, wave, bend]) == ["bend", "wave", "bend 2"]
    file = Glb(encode_glb(rigged_tube, [bend, wave, bend]))
    assert [a["name"] for a in file.json["animations"]] == ["bend", "wave", "bend 2"]


def test_author_and_licence_stand_in_the_asset(glb):
    asset = Glb(glb).json["asset"]
    assert asset["copyright"] == "2026 A. Maker"
    assert asset["extras"] == {"author": "A. Maker", "licence": "CC0-1.0"}
    assert asset["generator"].startswith("avatargen")


def test_a_motion_of_other_joints_is_refused_by_name(rigged_tube, bend):
    other = replace(bend, joint_names=("root", "elbow", "tip"))
    with pytest.raises(InputError, match="elbow"):
        encode_glb(rigged_tube, [other])
    with pytest.raises(InputError, match="skeleton"):
        encode_glb(rigged_tube.mesh, [bend])


def test_a_joint_that_the_motion_does_not_name_stays_at_rest(rigged_tube, bend, lbs):
    still = replace(bend, rotations=bend.rotations.copy())
    still.rotations[:, 2] = np.eye(3)
    partial = Motion(
        rotations=bend.rotations[:, :2],
        root_position=bend.root_position,
        rest_root_height=0.6,
        joint_names=("root", "middle"),
        fps=30.0,
    )
    a = Glb(encode_glb(rigged_tube, [partial])).posed(0.5)
    np.testing.assert_allclose(a, Glb(encode_glb(rigged_tube, [still])).posed(0.5), atol=1e-6)


def test_a_mesh_without_faces_is_refused(tube):
    with pytest.raises(ValueError, match="no faces"):
        encode_glb(Mesh(vertices=tube.vertices, faces=np.zeros((0, 3), dtype=int)))


@pytest.fixture(scope="module")
def mapped(rigged_tube) -> RiggedMesh:
    pictures = {
        "normal_map": np.full((8, 8, 3), (128, 128, 255), np.uint8),
        "occlusion": np.full((8, 8), 200, np.uint8),
    }
    return replace(rigged_tube, mesh=replace(rigged_tube.mesh, **pictures))


@pytest.fixture(scope="module")
def gltf(mapped, bend, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    return export(mapped, folder / "a tube.gltf", [bend], author="A. Maker", licence="CC0")


def test_the_text_form_names_its_files_and_the_validator_finds_nothing(validate, gltf):
    assert {path.name for path in gltf.parent.iterdir() if path.is_file()} == {
        "a tube.gltf",
        "a tube.bin",
        "a tube_basecolor.png",
        "a tube_normal.png",
        "a tube_occlusion.png",
    }
    report = validate(gltf)
    assert (report["issues"]["numErrors"], report["issues"]["numWarnings"]) == (0, 0), report["issues"]["messages"]
    assert report["info"]["animationCount"] == 1
    (gltf.parent / "a tube.bin").rename(gltf.parent / "away")
    assert validate(gltf)["issues"]["numErrors"] > 0
    (gltf.parent / "away").rename(gltf.parent / "a tube.bin")


def test_text_and_binary_say_the_same(gltf, mapped, bend):
    """By trimesh, and by our own reader with the binary put where a GLB has it."""
    text = json.loads(gltf.read_text())
    binary = Glb(encode_glb(mapped, [bend], name="a tube", author="A. Maker", licence="CC0"))
    assert text["asset"] == binary.json["asset"]
    assert text["animations"][0]["name"] == "bend"
    mixed = Glb.__new__(Glb)
    mixed.json, mixed.bin = text, (gltf.parent / "a tube.bin").read_bytes()
    np.testing.assert_array_equal(mixed.posed(0.3), binary.posed(0.3))
    # trimesh does not decode the %20 of a name with a space, which the specification asks for
    scene = trimesh.load(export(mapped, gltf.parent / "plain" / "tube.gltf", [bend]))
    (mesh,) = scene.geometry.values()
    np.testing.assert_array_equal(mesh.vertices, mixed.attribute("POSITION"))
    assert mesh.visual.material.baseColorTexture.size == (24, 16)
    assert mesh.visual.material.normalTexture.size == (8, 8)


@pytest.mark.blender
def test_blender_moves_the_text_form_as_our_own_skinning_says(blender, gltf, mapped, bend, lbs):
    report, posed = blender(gltf, ".gltf", list(range(0, 21, 5)), "bend")
    source = split_at_seams(mapped.mesh).source
    assert report["bones"] == {"root": None, "middle": "root", "tip": "middle"}
    for row, frame in enumerate(range(0, 21, 5)):
        np.testing.assert_allclose(posed[row], lbs(mapped, bend, frame)[source], atol=1e-4)
