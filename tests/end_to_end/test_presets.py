"""The original's recipe, tiny, from words to files; and one of its own configuration files through the whole chain."""

import json

import pytest

TINY_ORIGINAL = (
    "implicit.steps=2",
    "implicit.image_size=32",
    "implicit.distance_mm=12",
    "implicit.detail_mm=6",
    "implicit.original.template_steps=120",
    "implicit.original.template_rays=1024",
    "implicit.original.template_warm_up=10",
)


@pytest.mark.slow
def test_the_originals_small_recipe_makes_an_avatar(cache, tiny, tmp_path, validate):
    from avatargen import generate

    notes = []

    class Told:
        def start(self, stage, total): ...
        def step(self, n=1, **values): ...
        def finish(self): ...

        def note(self, line):
            notes.append(line)

    path = tmp_path / "original.conf"
    path.write_text("""
general { base_exp_dir = ./exp/{TOREPLACE} }
train { end_iter = 2, max_ray_num = 400, use_silhouettes = True, add_no_texture = True, texture_cast_light = True }
clip {
  prompt = a 3D rendering of {TOREPLACE} in unreal engine
}
model {
  sdf_network { d_hidden = 64, n_layers = 2, skip_in = [2], multires = 6 }
  rendering_network { d_hidden = 32, n_layers = 1 }
}
""")
    made = generate(
        appearance="a man in a red shirt", quality="draft", guidance="embedded", device="cpu", config=path,
        overrides=[*tiny, *TINY_ORIGINAL], out=tmp_path / "run", reporter=Told(),
    )  # fmt: skip
    assert any("without meaning here: general.base_exp_dir" in line for line in notes)
    record = json.loads((made.folder / "run.json").read_text())
    assert record["settings"]["implicit"]["method"] == "original"
    assert record["settings"]["implicit"]["original"]["width"] == 64
    assert len(made.avatar.mesh.faces) > 1000
    report = validate((made.folder / "avatar.glb").read_bytes())
    assert report["issues"]["numErrors"] == 0
