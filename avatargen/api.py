"""Three texts to a finished run: the only place where both packages meet.

from avatargen import generate
result = generate(shape="tall", appearance="Saitama", motion="punching", quality="draft")
result.folder          # outputs/tall-saitama-punching
result.avatar.mesh     # vertices, faces, uvs, texture
"""

import dataclasses
import itertools
import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch

import avatargen
from avatargen import finishing, pipeline
from avatargen.body.controls import asked_of, controls_of
from avatargen.body.posing import shape_body
from avatargen.core import here
from avatargen.core.characters import Description, describe
from avatargen.core.config import load_settings, read_original, to_tree
from avatargen.core.curves import Curves, Recording, kept_curves
from avatargen.core.errors import InputError
from avatargen.core.files import cache_key, digest_file, write_whole
from avatargen.core.locks import Hold, locked
from avatargen.core.memory import release_memory
from avatargen.core.progress import Reporter, Silent, Stopwatch
from avatargen.core.runs import (
    Stored,
    avatar_name,
    check_text,
    finished_stage,
    pack_motion,
    pack_rigged,
    pack_shape,
    slug,
    unpack_motion,
    unpack_rigged,
    unpack_shape,
    write_json,
)
from avatargen.core.settings import Settings
from avatargen.core.stopping import left
from avatargen.core.values import Mesh, Motion, RiggedMesh, Shape
from avatargen.core.viewing import Viewer
from avatargen.evaluate.report import short_report
from avatargen.export.files import Delivery
from avatargen.export.page import run_page
from avatargen.export.process import Process
from avatargen.export.video import find_ffmpeg
from avatargen.implicit.fit import Pictures
from avatargen.mesh.levels import levels_of_detail
from avatargen.pipeline import Tools, load_tools

T = TypeVar("T")


@dataclass(frozen=True)
class Costs:
    """What each stage has cost so far."""

    seconds: dict[str, float] = field(default_factory=dict)
    peak_mb: dict[str, int] = field(default_factory=dict)
    """The process's largest memory from its start to the end of the stage."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """Everything one run made."""

    folder: Path
    shape: Shape
    body: Mesh
    """The coarse body in T-pose."""
    avatar: RiggedMesh
    motion: Motion | None
    """Scaled to the avatar; None if no motion was asked for."""
    description: Description | None
    files: dict[str, str] = field(default_factory=dict)
    """File name -> what it is."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Stage -> wall-clock seconds."""


def generate(
    shape: str | None = None,
    appearance: str | None = None,
    motion: str | None = None,
    *,
    quality: str = "standard",
    out: str | Path | None = None,
    seed: int | None = None,
    body: str | None = None,
    guidance: str | None = None,
    device: str | None = None,
    describe_as: str | None = None,
    height: float | None = None,
    weight_kg: float | None = None,
    age: float | None = None,
    gender: float | None = None,
    muscle: float | None = None,
    config: str | Path | None = None,
    overrides: Sequence[str] = (),
    resume: bool = False,
    reporter: Reporter | None = None,
    viewer: Viewer | None = None,
) -> Result:
    """Make an avatar from up to three texts and write it into a folder.

    Args:
        shape: the body in words; None for the neutral body.
        appearance: a description or a known name; None for the plain body.
        motion: the action in words, several separated by semicolons; None for no motion.
        quality: draft | standard | high.
        out: the folder; `outputs/<slug of the texts>` if None.
        seed: the same seed gives the same files.
        body: open | smpl | smplx.
        guidance: auto | embedded | clip:NAME | openclip:NAME:PRETRAINED.
        device: auto | cpu | cuda.
        describe_as: visual words that replace the appearance text for the guidance.
        height: of the body, metres; over what the texts say, as the next four.
        weight_kg: of the body, kilograms.
        age: 0 a teenager, 1/3 a young adult, 1 old; open body only.
        gender: 0 male, 1 female; open body only.
        muscle: 0 weak, 1 strong; open body only.
        config: a HOCON file with the keys to change, or one of AvatarCLIP's own.
        overrides: `key=value` strings.
        resume: take finished stages from the folder where their inputs are the same.
        reporter: receives progress; silent if None.
        viewer: is shown the avatar while it is made, and changes nothing; see `avatargen.preview`.

    Raises:
        AvatarGenError: with what, where, and what to do.
    """
    changes = list(overrides)
    named = {"seed": seed, "body.kind": body, "guidance.model": guidance, "device": device}
    controls = {"height": height, "weight_kg": weight_kg, "age": age, "gender": gender, "muscle": muscle}
    named |= {f"controls.{name}": value for name, value in controls.items()}
    changes = [f"{key}={value}" for key, value in named.items() if value is not None] + changes
    file = Path(config) if config else None
    settings = load_settings(quality=quality, config=file, overrides=changes, appearance=appearance)
    foreign = read_original(file, appearance) if file else None
    if foreign is not None:
        appearance, motion = appearance or foreign.texts.get("appearance"), motion or foreign.texts.get("motion")
    texts = {
        "shape": check_text("shape", shape),
        "appearance": check_text("appearance", appearance),
        "motion": _each_checked(check_text("motion", motion)),
    }
    given = check_text("describe", describe_as)
    asked = [f"{name} {value:g}" for name, value in asked_of(settings.controls).items()] + _pictured(settings)
    if not any(texts.values()) and given is None and not asked:
        raise InputError('say at least one of --shape, --appearance, --motion, e.g. avatargen --appearance "a knight"')
    looks = None
    if texts["appearance"] or given:
        own = Path(settings.characters) if settings.characters else None
        looks = describe(texts["appearance"] or given or "", given=given, own=own)
    pictures = pipeline.prompt_pictures(settings, said=looks is not None)
    if looks is not None and pictures is None:
        looks = pipeline.fully_dressed(looks, settings)
    if pictures is not None and looks is None:
        looks = Description(text="a person", source="the picture")
    folder = Path(out) if out is not None else Path("outputs") / slug(*texts.values(), given, *asked)
    told, costs = reporter or Silent(), Costs()
    if foreign is not None and foreign.dead:
        told.note(f"{config}: without meaning here: {', '.join(foreign.dead)}")
    if folder.exists():
        with locked(folder):  # a run that cannot have the folder is refused before it loads anything
            pass
    find_ffmpeg()
    # Names of bodies, models and devices are checked before the folder is made.
    tools = _timed("load", costs, lambda: load_tools(settings, told, viewer))
    try:
        with locked(folder) as hold:
            return _run(texts, looks, pictures, tools, quality, hold, resume, costs)
    finally:
        release_memory()


def _each_checked(motion: str | None) -> str | None:
    """The motion text, once each motion it names can be used."""
    from motiongen.candidates import action, texts_of

    for words in texts_of(motion) if motion else ():
        action(words)
    return motion


def _pictured(settings: Settings) -> list[str]:
    """Names of the image prompts, for a folder's name."""
    return [Path(file).stem for file in (settings.guidance.image, settings.guidance.face_image) if file]


def _run(
    texts: dict[str, str | None],
    looks: Description | None,
    pictures: Pictures | None,
    tools: Tools,
    quality: str,
    hold: Hold,
    resume: bool,
    costs: Costs,
) -> Result:
    folder = hold.folder
    told, curves = Recording(tools.reporter), Curves()
    tools = dataclasses.replace(tools, reporter=told)
    clock, settings = Stopwatch(), tools.settings
    told.note(
        f"guidance: {tools.guidance.name}   body: {tools.body.kind}   device: {tools.device}   seed: {settings.seed}"
    )
    if looks is not None and looks.source != "text":
        told.note(f"appearance: {looks.text}   (from {looks.source})")
    base, stages = _base_key(tools), {}

    def kept(name: str, inputs: object, make: Callable[[], T], pack: Callable[[T], Stored], unpack: Any) -> T:
        key, path = cache_key(stage=name, base=base, inputs=inputs), folder / ".work" / f"{name}-curves.json"

        def made() -> T:
            value = make()
            hold.check()
            kept_curves(path, key, told.take())  # before the result, so that no kill comes between
            return value

        value, stages[name] = _timed(
            name,
            costs,
            lambda: finished_stage(hold, name, key, resume=resume, make=made, pack=pack, unpack=unpack, reporter=told),
        )
        curves.update(kept_curves(path, key, {}))
        return value

    figure = pipeline.figure_text(texts["shape"], looks.text if looks else None, tools)
    if figure != texts["shape"]:
        told.note(f"shape: {figure}   (with the appearance's words for a build)")
    shape_inputs = (figure, settings.shape, settings.controls)
    shape = kept("shape", shape_inputs, lambda: pipeline.coarse_shape(figure, tools), pack_shape, unpack_shape)
    body = pipeline.body_mesh(shape, tools)
    shown = [digest_file(Path(f).expanduser()) for f in (settings.guidance.image, settings.guidance.face_image) if f]
    asked = (looks.text if looks else None, shown, settings.guidance.image_weight if shown else None)
    look_inputs = (shape_inputs, asked, settings.implicit, settings.mesh)
    process = _process(looks is not None, tools, hold, cache_key(base=base, inputs=look_inputs), resume)
    tools = dataclasses.replace(tools, reporter=process or told, viewer=process or tools.viewer)
    avatar = _avatar(looks, pictures, shape, look_inputs, tools, kept, hold, base, resume)
    clips = [
        pipeline.animated(kept(name, (words, settings.motion), make, pack_motion, unpack_motion), avatar)
        for name, words, make in _motion_stages(texts["motion"], tools, told)
    ]
    clip = clips[0] if clips else None
    pipeline.show(avatar, tools, clips)
    _, joints = shape_body(tools.body, torch.from_numpy(shape.betas)[None].to(tools.device))
    delivery = Delivery(
        name=avatar_name(texts),
        avatar=avatar,
        body=body,
        betas=shape.betas,
        body_kind=shape.body,
        rest_root=joints[0, 0].cpu().numpy(),
        gender=settings.body.gender,
        author=settings.export.author,
        copyright=settings.export.copyright,
        licence=settings.export.licence or tools.body.licence,
        motion=clip,
        more_motions=tuple(clips[1:]),
        levels=levels_of_detail(avatar, settings.mesh),
    )
    files = _timed("export", costs, lambda: pipeline.deliver(delivery, folder, tools))
    if process is not None:
        files |= _timed("process video", costs, lambda: pipeline.process_film(process, folder, tools))
    hold.check()
    if shape.candidates:
        write_whole(folder / "shape_candidates.png", pipeline.candidates_picture(figure or "", shape, tools))
        files["shape_candidates.png"] = "the coarse body and its runners-up"
    costs.seconds["total"] = clock.seconds + costs.seconds["load"]
    files["report.html"] = "this run on one page, with the avatar in 3D; needs no network"
    files["run.json"] = "texts, settings, versions, timings, scores, licences"
    record = _record(texts, looks, figure, tools, quality, shape, avatar, clip, files, costs)
    record["evaluation"] = short_report(
        looks.text if looks else None,
        shape,
        avatar,
        clip,
        tools.body.to("cpu"),
        outfit=pipeline.dressed(tools.settings),
    )
    record["stages"], record["left_undone"] = stages, list(left())
    write_whole(folder / "report.html", run_page(folder, record, curves))
    write_json(folder / "run.json", record)
    told.note(f"wrote {folder}/ in {clock.seconds:.0f} s:")
    for name, what in files.items():
        told.note(f"  {folder / name}  {what}")
    return Result(
        folder=folder,
        shape=shape,
        body=body,
        avatar=avatar,
        motion=clip,
        description=looks,
        files=files,
        seconds=costs.seconds,
    )


def _process(described: bool, tools: Tools, hold: Hold, key: str, resume: bool) -> Process | None:
    """What remembers how the avatar comes to be, where a film of it is asked for."""
    if not tools.settings.video.process:
        return None
    if not described:
        tools.reporter.note("no process video: without an appearance nothing is optimised")
        return None
    path = hold.folder / ".work" / "process.safetensors"
    if not resume:
        path.unlink(missing_ok=True)
    return Process(tools.reporter, tools.viewer, path, key)


def _avatar(
    looks: Description | None,
    pictures: Pictures | None,
    shape: Shape,
    look_inputs: object,
    tools: Tools,
    kept: Callable[..., RiggedMesh],
    hold: Hold,
    base: object,
    resume: bool,
) -> RiggedMesh:
    """The avatar: sculpted, then refined and patterned where that is asked for, as stages that are kept (`kept`)."""

    def checkpoint(name: str, inputs: object) -> Path:
        path = hold.folder / ".work" / f"{name}-{cache_key(base=base, inputs=inputs)}.safetensors"
        if not resume:
            path.unlink(missing_ok=True)
        return path

    def stage(name: str, inputs: object, make: Callable[[], RiggedMesh], path: Path | None = None) -> RiggedMesh:
        avatar = kept(name, inputs, make, pack_rigged, unpack_rigged)
        if path is not None and not left():  # what was stopped early goes on from there
            path.unlink(missing_ok=True)
        pipeline.show(avatar, tools)
        return avatar

    if looks is None:
        return stage("avatar", look_inputs, lambda: pipeline.plain_avatar(shape, tools))
    (words, patterns), path = pipeline.plain_words(looks, tools.settings), checkpoint("implicit", look_inputs)

    def sculpted() -> RiggedMesh:
        return pipeline.finish_mesh(pipeline.sculpt(words, shape, tools, path, pictures), shape, tools)

    avatar = refined = stage("avatar", look_inputs, sculpted, path)
    inputs = (look_inputs, tools.settings.refine)
    if tools.settings.refine.steps or tools.settings.refine.crisp:
        again = checkpoint("refine", inputs)
        refined = stage(
            "refined", inputs, lambda: finishing.refine(words, avatar, shape, tools, again, pictures), again
        )
    if not patterns:
        return refined
    hair = pictures is None
    return stage("patterned", inputs, lambda: finishing.pattern(words, patterns, refined, shape, tools, hair))


def _motion_stages(text: str | None, tools: Tools, told: Reporter) -> list[tuple[str, str, Callable[[], Motion]]]:
    """Name of the stage, words and maker of each motion that the text asks for."""
    if not text:
        return []
    from motiongen.candidates import texts_of
    from motiongen.generate import generate_motion

    settings = tools.settings

    def maker(words: str) -> Callable[[], Motion]:
        return lambda: generate_motion(words, tools.body, tools.guidance, settings.motion, settings.seed, reporter=told)

    names = ("motion" if number == 1 else f"motion_{number}" for number in itertools.count(1))
    return [(name, words, maker(words)) for name, words in zip(names, texts_of(text), strict=False)]


def _timed(name: str, costs: Costs, work: Callable[[], T]) -> T:
    clock = Stopwatch()
    value = work()
    costs.seconds[name], costs.peak_mb[name] = clock.seconds, _peak_mb()
    return value


def _peak_mb() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _gpu_memory_mb(device: str) -> int | None:
    return round(torch.cuda.max_memory_allocated() / 2**20) if device.startswith("cuda") else None


def _base_key(tools: Tools) -> object:
    """What every stage depends on."""
    body, guidance = tools.body, tools.guidance
    return (tools.settings.seed, body.kind, body.version, guidance.name, guidance.version, avatargen.__version__)


def _record(
    texts: dict[str, str | None],
    looks: Description | None,
    figure: str | None,
    tools: Tools,
    quality: str,
    shape: Shape,
    avatar: RiggedMesh,
    motion: Motion | None,
    files: dict[str, str],
    costs: Costs,
) -> dict[str, Any]:
    used = ["motion"] if motion is not None else []
    return {
        "avatargen": avatargen.__version__,
        "texts": texts,
        "description": dataclasses.asdict(looks) if looks else None,
        "seed": tools.settings.seed,
        "quality": quality,
        "guidance": {"name": tools.guidance.name, "version": tools.guidance.version},
        "body": {
            "kind": tools.body.kind,
            "version": tools.body.version,
            "words": figure,
            "betas": [round(float(b), 5) for b in shape.betas],
            "measures": {name: round(float(value), 4) for name, value in shape.measures.items()},
            "controls": {
                "asked": asked_of(tools.settings.controls),
                "reached": {name: round(value, 4) for name, value in _reached(shape, tools).items()},
            },
        },
        "scores": {
            "shape": shape.score,
            "shape_runner_ups": [candidate.score for candidate in shape.candidates],
            "appearance": _appearance_score(looks, avatar, tools),
        },
        "mesh": {
            "vertices": len(avatar.mesh.vertices),
            "faces": len(avatar.mesh.faces),
            "texture": list(avatar.mesh.texture.shape[:2]) if avatar.mesh.texture is not None else None,
        },
        "motion": None
        if motion is None
        else {"frames": len(motion.rotations), "fps": motion.fps, "seconds": len(motion.rotations) / motion.fps},
        "seconds": {name: round(value, 2) for name, value in costs.seconds.items()},
        "peak_memory_mb": _peak_mb(),
        "peak_memory_mb_after": costs.peak_mb,
        "gpu_memory_mb": _gpu_memory_mb(tools.device),
        "device": tools.device,
        "machine": here.machine(),
        "versions": here.versions(),
        "licences": pipeline.licences(tools, used),
        "settings": to_tree(tools.settings),
        "files": files,
    }


def _reached(shape: Shape, tools: Tools) -> dict[str, float]:
    return controls_of(tools.body, torch.from_numpy(shape.betas))


def _appearance_score(looks: Description | None, avatar: RiggedMesh, tools: Tools) -> dict[str, float] | None:
    return None if looks is None else pipeline.appearance_score(looks.text, avatar, tools)
