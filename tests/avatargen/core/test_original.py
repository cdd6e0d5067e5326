"""Files in AvatarCLIP's layout, written for these tests."""

import pytest

from avatargen.core.config import load_settings, read_original
from avatargen.core.errors import ConfigError
from avatargen.core.original import translate

AVATAR = """
general {
  base_exp_dir = ./exp/smpl/examples/ironman
  recording = [ ./, ./models ]
}
dataset { data_dir = ../ShapeGen/output/stand_pose }
train {
  learning_rate = 4e-4
  learning_rate_alpha = 0.05
  end_iter = 100000
  batch_size = 512
  validate_resolution_level = 1
  warm_up_end = 400
  anneal_end = 0
  use_white_bkgd = False
  save_freq = 1000
  val_freq = 100
  val_mesh_freq = 500
  report_freq = 100
  igr_weight = 0.2
  mask_weight = 0.5
  clip_weight = 0.7
  pretrain = ./pretrained_models/zero_beta_stand_pose.pth
  max_ray_num = 7000
  add_no_texture = True
  texture_cast_light = True
  use_face_prompt = True
  use_back_prompt = True
  use_silhouettes = True
  head_height = 0.65
}
clip {
  prompt = a 3D rendering of Iron Man in unreal engine
  face_prompt = a 3D rendering of the face of Iron Man in unreal engine
  back_prompt = a 3D rendering of the back of Iron Man in unreal engine
}
model {
  nerf { D = 8, d_in = 4, W = 256, skips = [4] }
  sdf_network { d_out = 129, d_in = 3, d_hidden = 128, n_layers = 3, skip_in = [3], multires = 6, bias = 0.4,
    scale = 1.0, geometric_init = True, weight_norm = True }
  variance_network { init_val = 0.25 }
  rendering_network { d_feature = 128, mode = no_view_dir, d_in = 6, d_out = 3, d_hidden = 64, n_layers = 1,
    weight_norm = True, multires_view = 0, squeeze_out = True, extra_color = True }
  neus_renderer { n_samples = 24, n_importance = 16, n_outside = 0, up_sample_steps = 2, perturb = 1.0,
    extra_color = True }
}
"""
MOTION = """
general {
  base_exp_dir = ./exp/motion/run
  mode = motion
  text = a rendered 3d man is running
}
pose_generator { type = VPoserCodebook, topk = 4, pre_topk = 30, filter_threshold = 0.06,
  smpl_path = ./smpl, vposer_path = data/vposer, codebook_path = data/codebook.pth }
motion_generator { type = MotionOptimizer, num_frame = 90, latent_dim = 256, num_layers = 4, num_heads = 4,
  ckpt_path = data/motion_vae.pth, optim_name = Adam, optim_cfg { lr = 0.02 }, num_iteration = 1234,
  recon_coef = [1.0, 0.8, 0.6, 0.4, 0.2], clip_coef = 0.001, delta_coef = 0.01, clip_num_part = 30 }
"""


def written(folder, text, name="original.conf"):
    path = folder / name
    path.write_text(text)
    return path


def test_what_a_file_says_of_the_avatar_becomes_our_settings(tmp_path):
    made = load_settings(config=written(tmp_path, AVATAR)).implicit
    own = made.original
    assert (made.method, made.steps, own.schedule, made.checkpoint_every) == ("original", 30010, 100000, 1000)
    assert (own.rate, own.rate_end, own.warm_up, own.max_rays) == (4e-4, 0.05, 400, 7000)
    assert (made.eikonal_weight, made.mask_weight, made.textured_weight, made.textureless_weight) == (
        0.2,
        0.5,
        0.7,
        0.7,
    )
    assert (own.width, own.layers, own.skip, own.octaves, own.radius) == (128, 3, (3,), 6, 0.4)
    # Their head height is one in another body's frame: the face is looked for where this body has it.
    assert (own.color_width, own.color_layers, own.variance, own.head_height) == (64, 1, 0.25, 0.0)
    assert (own.uniform, own.importance, own.rounds, own.perturb, own.face_every) == (24, 16, 2, True, 4)
    assert (made.pictures.wording, made.pictures.templates, made.pictures.light) == ("original", (), "harsh")
    assert made.pictures.backgrounds == ("white", "noise", "checker", "black")
    assert load_settings(config=tmp_path / "original.conf", overrides=["implicit.steps=9"]).implicit.steps == 9


def test_its_text_is_the_appearance_and_its_dead_keys_are_named(tmp_path):
    found = read_original(written(tmp_path, AVATAR))
    assert found.texts == {"appearance": "Iron Man"}
    assert "model.nerf" in found.dead
    assert {"general.base_exp_dir", "train.pretrain", "train.head_height", "model.neus_renderer.n_outside"} <= set(
        found.dead
    )
    assert not {key for key in found.dead if key.startswith(("clip.", "model.nerf."))}
    assert "train.learning_rate" not in found.dead


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        ("add_no_texture = False", "textureless_weight", 0.0),
        ("texture_cast_light = False", "pictures.light", "none"),
        ("use_bg_aug = False", "pictures.backgrounds", ("black",)),
        ("use_bg_aug = False\n use_white_bkgd = True", "pictures.backgrounds", ("white",)),
        ("use_face_prompt = False", "original.face_every", 0),
        ("use_silhouettes = False", "original.silhouettes", False),
        ("end_iter = 2000", "steps", 2000),
        ("use_back_prompt = False", "pictures.templates", ("back: a 3D rendering of {} in unreal engine",)),
    ],
)
def test_each_switch_switches_its_part(tmp_path, change, key, value):
    path = written(tmp_path, AVATAR + f"\ntrain {{ {change} }}\n")
    node = load_settings(config=path).implicit
    for name in key.split("."):
        node = getattr(node, name)
    assert node == value


def test_toreplace_is_filled_in_prompts_and_paths(tmp_path):
    text = AVATAR.replace("examples/ironman", "examples/{TOREPLACE}").replace("Iron Man", "{TOREPLACE}")
    path = written(tmp_path, text)
    assert read_original(path, "a red knight").texts == {"appearance": "a red knight"}
    assert load_settings(config=path, appearance="a red knight").implicit.pictures.templates == ()
    with pytest.raises(ConfigError, match=r"\{TOREPLACE\} has to stand for something"):
        load_settings(config=path)


def test_other_prompts_are_kept_as_templates(tmp_path):
    text = AVATAR.replace("a 3D rendering of Iron Man in", "a clay statue of {TOREPLACE} made in")
    templates = load_settings(config=written(tmp_path, text), appearance="Thor").implicit.pictures.templates
    assert templates[0] == "body: a clay statue of {} made in unreal engine"
    verbatim = AVATAR.replace("a 3D rendering of Iron Man in unreal engine", "some hero")
    path = written(tmp_path, verbatim, "own.conf")
    assert read_original(path).texts == {"appearance": "some hero"}
    assert load_settings(config=path).implicit.pictures.templates[0] == "body: {}"


def test_what_a_file_says_of_the_motion_becomes_our_settings(tmp_path):
    path = written(tmp_path, MOTION)
    found = read_original(path)
    assert found.texts == {"motion": "running"}
    assert not found.preset
    made = load_settings(config=path)
    assert made.implicit.method == "band"
    motion = made.motion
    assert (motion.seconds, motion.steps, motion.latent_rate) == (3.0, 1234, 0.02)
    assert (motion.pre_top, motion.duplicate) == (30, 0.06)
    assert (motion.top_k, motion.candidates, motion.sequence, motion.losses) == (4, "codebook", "search", "original")
    assert {"motion_generator.latent_dim", "pose_generator.smpl_path", "general.mode"} <= set(found.dead)


def test_what_is_translated_to_a_setting_that_is_not_there_counts_as_dead():
    tree = {"pose_generator": {"type": "VPoserCodebook", "topk": 4}}
    found = translate(tree, "x", ours=lambda key: key != "motion.top_k")
    assert found.changes == {"motion.candidates": "codebook"}
    assert found.dead == ("pose_generator.topk",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            AVATAR + "\ntrain.max_ray_nums = 3",
            "'train.max_ray_nums' is no key of AvatarCLIP's; did you mean 'train.max_ray_num'",
        ),
        (MOTION + "\npose_generator.type = Guess", "pose_generator.type = 'Guess' is not known"),
        (AVATAR + "\ntrain.learning_rate = fast", "must be a number"),
    ],
)
def test_a_wrong_key_or_value_is_an_error(tmp_path, text, words):
    with pytest.raises(ConfigError, match=words):
        load_settings(config=written(tmp_path, text))


def test_our_own_files_are_not_taken_for_theirs(tmp_path):
    assert read_original(written(tmp_path, "seed = 3\nimplicit.steps = 5\n")) is None
