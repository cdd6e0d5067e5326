"""Configuration files of AvatarCLIP (AppearanceGen and AvatarAnimate) in our keys.

What has a meaning here is translated, what has none is named, and a key that neither knows is an error: the original
takes its default for a misspelt key without a word. `{TOREPLACE}` stands for the appearance, in texts and paths.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from avatargen.core.errors import ConfigError

PLACE = "{TOREPLACE}"
TOKEN = "TOREPLACE"
"""What stands for it while a file is parsed: braces are syntax."""
MOST_STEPS = 30010
"""Where the original stops, whatever its configuration says."""

_TEMPLATES = {
    "body": "a 3D rendering of {} in unreal engine",
    "face": "a 3D rendering of the face of {} in unreal engine",
    "back": "a 3D rendering of the back of {} in unreal engine",
}
_ASKED = re.compile(r"^a 3d rendering of (?:the (?:face|back) of )?(.+?) in unreal engine$", re.IGNORECASE)
_ACTED = re.compile(r"^an? rendered 3d (?:man|woman|person|human) is (.+)$", re.IGNORECASE)

_RENAMED: dict[str, str] = {
    "train.learning_rate": "implicit.original.rate",
    "train.learning_rate_alpha": "implicit.original.rate_end",
    "train.warm_up_end": "implicit.original.warm_up",
    "train.max_ray_num": "implicit.original.max_rays",
    "train.use_silhouettes": "implicit.original.silhouettes",
    "train.igr_weight": "implicit.eikonal_weight",
    "train.mask_weight": "implicit.mask_weight",
    "train.save_freq": "implicit.checkpoint_every",
    "train.seed": "seed",
    "model.sdf_network.d_hidden": "implicit.original.width",
    "model.sdf_network.n_layers": "implicit.original.layers",
    "model.sdf_network.skip_in": "implicit.original.skip",
    "model.sdf_network.multires": "implicit.original.octaves",
    "model.sdf_network.bias": "implicit.original.radius",
    "model.variance_network.init_val": "implicit.original.variance",
    "model.rendering_network.d_hidden": "implicit.original.color_width",
    "model.rendering_network.n_layers": "implicit.original.color_layers",
    "model.neus_renderer.n_samples": "implicit.original.uniform",
    "model.neus_renderer.n_importance": "implicit.original.importance",
    "model.neus_renderer.up_sample_steps": "implicit.original.rounds",
    "pose_generator.topk": "motion.top_k",
    "pose_generator.pre_topk": "motion.pre_top",
    "pose_generator.filter_threshold": "motion.duplicate",
    "pose_generator.num_iteration": "motion.candidate_steps",
    "pose_generator.optim_cfg.lr": "motion.candidate_rate",
    "motion_generator.num_iteration": "motion.steps",
    "motion_generator.optim_cfg.lr": "motion.latent_rate",
}
_HANDLED = frozenset(
    {
        "general.text", "clip.prompt", "clip.face_prompt", "clip.back_prompt", "train.end_iter", "train.clip_weight",
        "train.add_no_texture", "train.texture_cast_light", "train.use_face_prompt", "train.use_back_prompt",
        "train.use_bg_aug", "train.use_white_bkgd", "model.neus_renderer.perturb", "pose_generator.type",
        "pose_generator.num_sample", "pose_generator.num_batch", "motion_generator.type", "motion_generator.num_frame",
    }
)  # fmt: skip
_DEAD = frozenset(
    {
        "general.base_exp_dir", "general.recording", "general.pose_type", "general.smpl_model_path", "general.mode",
        "dataset.data_dir", "dataset.template_obj", "train.batch_size", "train.validate_resolution_level",
        "train.anneal_end", "train.val_freq", "train.val_mesh_freq", "train.report_freq", "train.pretrain",
        "train.head_height",
        "model.sdf_network.d_in", "model.sdf_network.d_out", "model.sdf_network.scale",
        "model.sdf_network.geometric_init", "model.sdf_network.weight_norm", "model.rendering_network.d_feature",
        "model.rendering_network.mode", "model.rendering_network.d_in", "model.rendering_network.d_out",
        "model.rendering_network.weight_norm", "model.rendering_network.multires_view",
        "model.rendering_network.squeeze_out", "model.rendering_network.extra_color",
        "model.neus_renderer.n_outside", "model.neus_renderer.extra_color",
        "pose_generator.smpl_path", "pose_generator.vposer_path", "pose_generator.optim_name",
        "pose_generator.codebook_path", "pose_generator.dim", "pose_generator.hdim", "pose_generator.num_block",
        "pose_generator.ckpt_path", "pose_generator.optim_cfg", "motion_generator.anchor_position",
        "motion_generator.latent_dim", "motion_generator.num_layers", "motion_generator.num_heads",
        "motion_generator.ckpt_path", "motion_generator.optim_name", "motion_generator.optim_cfg",
        "motion_generator.recon_coef", "motion_generator.clip_coef", "motion_generator.delta_coef",
        "motion_generator.clip_num_part", "motion_generator.smpl_path", "motion_generator.vposer_path",
        "motion_generator.codebook_path",
    }
)  # fmt: skip
_COUNTS = ("train.end_iter", "motion_generator.num_frame", "pose_generator.num_sample", "pose_generator.num_batch")
_DEAD_SECTIONS = ("model.nerf",)
_FACE_EVERY = 4
_CANDIDATES = {
    "VPoserCodebook": "codebook", "PoseOptimizer": "theta", "VPoserOptimizer": "latent", "VPoserRealNVP": "realnvp",
}  # fmt: skip
_SEQUENCES = {"MotionInterpolation": "interpolation", "MotionOptimizer": "search"}
_FPS = 30.0


@dataclass(frozen=True, kw_only=True)
class Original:
    """What one of its files says, in our terms."""

    changes: Mapping[str, Any]
    """Our dotted keys and their values."""
    preset: bool
    """Whether it is about the avatar: then it starts from `presets/avatarclip.conf`."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """`appearance` or `motion`, where the file says it."""
    dead: tuple[str, ...] = ()
    """Keys that mean nothing here."""

    def tree(self) -> dict[str, Any]:
        """The changes as nested sections."""
        root: dict[str, Any] = {}
        for dotted, value in self.changes.items():
            *sections, name = dotted.split(".")
            node = root
            for section in sections:
                node = node.setdefault(section, {})
            node[name] = value
        return root


def is_original(tree: Mapping[str, Any]) -> bool:
    """Whether a configuration is laid out as one of AvatarCLIP's."""
    avatar = {"clip", "train", "model", "dataset"} & set(tree)
    return ("general" in tree and bool(avatar)) or bool({"pose_generator", "motion_generator"} & set(tree))


def translate(
    tree: Mapping[str, Any], source: str, appearance: str | None = None, ours: Callable[[str], bool] = lambda _: True
) -> Original:
    """What one of AvatarCLIP's configurations says, in our terms.

    Args:
        tree: the file's plain nested values, with `TOKEN` for `{TOREPLACE}`.
        source: its name, for errors.
        appearance: what `{TOREPLACE}` stands for.
        ours: whether a dotted key of ours exists; what is translated to others counts as dead.

    Raises:
        ConfigError: an unknown key, or `{TOREPLACE}` without an appearance.
    """
    given = dict(_leaves(tree))
    for key in given:
        _check_known(key, source)
    for key in _COUNTS:
        if not isinstance(given.get(key, 0), int | float):
            raise ConfigError(f"{source}: {key!r} must be a number, not {given[key]!r}")
    if appearance is None and any(TOKEN in str(value) for value in given.values()):
        raise ConfigError(f'{source}: {PLACE} has to stand for something\n  Say what, e.g. --appearance "Iron Man".')
    changes = {_RENAMED[key]: value for key, value in given.items() if key in _RENAMED}
    texts: dict[str, str] = {}
    avatar = bool({"clip", "train", "model"} & set(tree))
    if avatar:
        changes |= _sculpting(given, texts, appearance)
    changes |= _moving(given, texts, source)
    lost = {key for key, our in _RENAMED.items() if key in given and not ours(our)}
    dead = [key for key in given if key not in _RENAMED and key not in _HANDLED] + sorted(lost)
    return Original(
        changes={key: value for key, value in changes.items() if ours(key)},
        preset=avatar,
        texts=texts,
        dead=tuple(dead),
    )


def _leaves(tree: Mapping[str, Any], path: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in tree.items():
        dotted = f"{path}{key}"
        if isinstance(value, Mapping) and dotted not in _DEAD_SECTIONS:
            found += _leaves(value, f"{dotted}.")
        else:
            found.append((dotted, value))
    return found


def _check_known(key: str, source: str) -> None:
    known = {*_RENAMED, *_HANDLED, *_DEAD, *_DEAD_SECTIONS}
    if key in known or key.startswith(("pose_generator.optim_cfg.", "motion_generator.optim_cfg.")):
        return
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ConfigError(f"{source}: {key!r} is no key of AvatarCLIP's{hint}")


def _sculpting(given: Mapping[str, Any], texts: dict[str, str], appearance: str | None) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if "train.end_iter" in given:
        changes["implicit.original.schedule"] = given["train.end_iter"]
        changes["implicit.steps"] = min(given["train.end_iter"], MOST_STEPS)
    weight = given.get("train.clip_weight", 1.0)
    changes["implicit.textured_weight"] = weight
    changes["implicit.textureless_weight"] = weight if given.get("train.add_no_texture", True) else 0.0
    if not given.get("train.texture_cast_light", True):
        changes["implicit.pictures.light"] = "none"
    if not given.get("train.use_bg_aug", True):
        changes["implicit.pictures.backgrounds"] = ["white" if given.get("train.use_white_bkgd") else "black"]
    changes["implicit.original.face_every"] = _FACE_EVERY if given.get("train.use_face_prompt", True) else 0
    if "model.neus_renderer.perturb" in given:
        changes["implicit.original.perturb"] = bool(given["model.neus_renderer.perturb"])
    return changes | _prompts(given, texts, appearance)


def _prompts(given: Mapping[str, Any], texts: dict[str, str], appearance: str | None) -> dict[str, Any]:
    """The prompts as templates around the appearance, where they are not the usual ones."""
    said = {view: given.get(key) for view, key in
            (("body", "clip.prompt"), ("face", "clip.face_prompt"), ("back", "clip.back_prompt"))}  # fmt: skip
    body = str(said["body"] or "").strip()
    match = _ASKED.match(body)
    subject = TOKEN if TOKEN in body else match.group(1) if match else body
    if subject and subject != TOKEN:
        texts["appearance"] = subject
    elif appearance:
        texts["appearance"] = appearance
    worded = {
        view: str(prompt).strip().replace(TOKEN, "{}").replace(subject or TOKEN, "{}")
        for view, prompt in said.items()
        if prompt
    }
    if not given.get("train.use_back_prompt", True):
        worded["back"] = worded.get("body", _TEMPLATES["body"])
    own = [f"{view}: {words}" for view, words in worded.items() if words != _TEMPLATES[view]]
    return {"implicit.pictures.templates": own} if own else {}


def _moving(given: Mapping[str, Any], texts: dict[str, str], source: str) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if "general.text" in given:
        text = str(given["general.text"]).strip()
        acted = _ACTED.match(text)
        texts["motion"] = acted.group(1) if acted else text
    for key, ours, known in (
        ("pose_generator.type", "motion.candidates", _CANDIDATES),
        ("motion_generator.type", "motion.sequence", _SEQUENCES),
    ):
        if key in given:
            if str(given[key]) not in known:
                raise ConfigError(f"{source}: {key} = {given[key]!r} is not known\n  There are: {', '.join(known)}")
            changes[ours] = known[str(given[key])]
    if given.get("motion_generator.type") == "MotionOptimizer":
        changes["motion.losses"] = "original"
    if "motion_generator.num_frame" in given:
        changes["motion.seconds"] = given["motion_generator.num_frame"] / _FPS
    if "pose_generator.num_sample" in given:
        changes["motion.flow_samples"] = given["pose_generator.num_sample"] * given.get("pose_generator.num_batch", 1)
    return changes
