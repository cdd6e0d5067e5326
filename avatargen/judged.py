"""Finished runs to a report of honest figures, as JSON and as a page with pictures.

from avatargen.judged import evaluate_runs
report = evaluate_runs(["outputs/tall-saitama-punching"], out="report")
"""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from avatargen.body.load import load_body_model
from avatargen.body.model import BodyModel
from avatargen.core import here
from avatargen.core.config import apply_tree
from avatargen.core.errors import InputError
from avatargen.core.files import write_whole
from avatargen.core.finished import Finished, read_finished
from avatargen.core.progress import Reporter, Silent, stage
from avatargen.core.settings import Settings
from avatargen.core.version import VERSION
from avatargen.evaluate.report import diversity, full_report, part_color_share
from avatargen.guidance.clip import MODELS, weights_on_disk
from avatargen.guidance.load import load_guidance
from avatargen.guidance.model import Guidance

LOOKS = ("textured", "textureless")


def evaluate_runs(
    runs: Sequence[str | Path],
    out: str | Path = "evaluation",
    judge: str | None = None,
    distractors: Sequence[str] = (),
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Measure finished runs and write `evaluation.json` and `evaluation.html` into `out`.

    Args:
        runs: folders.
        out: folder of the report.
        judge: a guidance model that did not guide, e.g. "clip:ViT-B/32"; None: CLIP if its weights are here.
        distractors: texts among which the models look for the right one; None: the shipped characters.
        reporter: receives progress.

    Raises:
        AvatarGenError: a run is missing or damaged, was made with another body, or the judge cannot be had.
    """
    told = reporter or Silent()
    finished = [read_finished(Path(run)) for run in runs]
    settings = [_settings_of(run) for run in finished]
    bodies = [_body_of(run, its) for run, its in zip(finished, settings, strict=True)]
    loaded: dict[str, Guidance] = {}

    def model(name: str, its: Settings) -> Guidance:
        if name not in loaded:
            loaded[name] = load_guidance(replace(its.guidance, model=name), "cpu", told)
        return loaded[name]

    reports = []
    with stage(told, "evaluate", len(finished)):
        for run, its, body in zip(finished, settings, bodies, strict=True):
            guided = run.record.get("guidance", {}).get("name", its.guidance.model)
            models = {"guiding": model(guided, its)}
            if other := _other_judge(guided, judge):
                models["other"] = model(other, its)
            reports.append(full_report(run, body, models, distractors))
            told.step()
    if not any("other" in report["judges"] for report in reports):
        told.note(
            "no text-image model that did not guide is here (avatargen models fetch clip:ViT-B/32, or --judge NAME); "
            "only measured colors give a second opinion"
        )
    record = {
        "avatargen": VERSION,
        "machine": here.machine(),
        "versions": here.versions(),
        "summary": summary(reports),
        "diversity": diversity(finished),
        "runs": reports,
    }
    folder = Path(out)
    write_whole(folder / "evaluation.json", json.dumps(record, indent=1, allow_nan=False).encode())
    write_whole(folder / "evaluation.html", page(record, finished).encode())
    told.note(f"wrote {folder / 'evaluation.html'} and {folder / 'evaluation.json'}")
    return record


def summary(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Over all runs: how often each judge puts the own text first, parts with their color, how many files are sound."""
    found: dict[str, Any] = {"runs": len(reports)}
    others = sorted({r["judges"]["other"]["model"] for r in reports if "other" in r["judges"]})
    found["model_that_did_not_guide"] = ", ".join(others) or "none at hand"
    for role in ("guiding", "other", "measured"):
        for look in LOOKS:
            ranks = [r["judges"][role][look]["rank"] for r in reports if look in r["judges"].get(role, {})]
            if ranks:
                found[f"{role}_{look}_r_precision"] = round(sum(rank == 1 for rank in ranks) / len(ranks), 3)
    parts = [part for r in reports for part in r["part_colors"] or []]
    if parts:
        found["parts_with_their_color"] = round(sum(p["right"] for p in parts) / len(parts), 3)
    checked = [r["validator"] for r in reports if "errors" in r["validator"]]
    found["validated"] = len(checked)
    found["validator_errors"] = sum(v["errors"] for v in checked)
    found["validator_warnings"] = sum(v["warnings"] for v in checked)
    broken = ("pieces_besides_the_first", "open_edges", "non_manifold_edges", "degenerate_faces")
    found["sound_meshes"] = sum(not any(r["mesh"][name] for name in broken) for r in reports)
    return found


def _settings_of(run: Finished) -> Settings:
    tree = run.record.get("settings", {})
    known = {name: tree[name] for name in ("body", "guidance") if name in tree}
    return apply_tree(Settings(), known, str(run.folder / "run.json"))


def _body_of(run: Finished, settings: Settings) -> BodyModel:
    body = load_body_model(settings.body)
    if f"{body.kind}-{body.version}" != run.shape.body:
        raise InputError(
            f"{run.folder} was made with the body {run.shape.body}, here is {body.kind}-{body.version}; "
            "its betas mean something else\n  Make the run again with this version."
        )
    return body


def _other_judge(guided: str, asked: str | None) -> str | None:
    if asked is not None:
        return asked
    here = [f"clip:{name}" for name in MODELS if weights_on_disk(name)]
    return next((name for name in here if name != guided), None)


def page(record: dict[str, Any], runs: Sequence[Finished]) -> str:
    """The report as one HTML file that needs nothing besides."""
    table = "".join(f"<tr><td>{_words(k)}<td>{escape(str(v))}" for k, v in record["summary"].items())
    for row in record["diversity"]:
        between = _flat({name: row[name] for name in ("joint_distance", "look_distance", "beta_distance")})
        table += f"<tr><td>between seeds of {escape(row['texts'])}<td>{between}"
    cards = "\n".join(_card(report, run) for report, run in zip(record["runs"], runs, strict=True))
    return _PAGE.format(summary=table, cards=cards, version=escape(record["avatargen"]))


def _card(report: dict[str, Any], run: Finished) -> str:
    texts = ", ".join(f"{k}: {v}" for k, v in report["texts"].items() if v)
    rows = []
    for role, verdict in report["judges"].items():
        for look in (look for look in LOOKS if look in verdict):
            v = verdict[look]
            rows.append((f"{role} {verdict['model']}, {look}", f"score {v['score']}, rank {v['rank']} of {v['among']}"))
    share = part_color_share(report)
    if share is not None:
        wrong = [f"{p['part']} {p['got']} for {p['asked']}" for p in report["part_colors"] if not p["right"]]
        rows.append(("parts with their color", f"{share:.0%}" + (f" (wrong: {'; '.join(wrong)})" if wrong else "")))
    for name in ("mesh", "texels_per_cm", "rig", "validator", "motion", "seconds", "peak_memory_mb_after", "versions"):
        if report[name]:
            rows.append((name, _flat(report[name])))
    rows.append(("GPU memory", f"{report['gpu_memory_mb']} MB" if report["gpu_memory_mb"] else "no GPU was used"))
    rows.append(("seed, quality", f"{report['seed']}, {report['quality']}"))
    body = "".join(f"<tr><td>{_words(k)}<td>{escape(str(v))}" for k, v in rows)
    picture = _picture(run.folder / "preview.png")
    return f"<section><h2>{escape(texts)}</h2>{picture}<table>{body}</table></section>"


def _flat(value: dict[str, Any]) -> str:
    parts = [
        f"{k.replace('_', ' ')} {'(' + _flat(v) + ')' if isinstance(v, dict) else v}"
        for k, v in value.items()
        if v != []
    ]
    return ", ".join(parts)


def _words(name: str) -> str:
    return escape(name.replace("_", " "))


def _picture(path: Path) -> str:
    if not path.is_file():
        return ""
    with Image.open(path) as image:
        image.thumbnail((1000, 1000))
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "JPEG", quality=85)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="" src="data:image/jpeg;base64,{data}">'


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Evaluation</title>
<style>
body {{ font: 15px system-ui, sans-serif; margin: 2rem; background: #f4f4f4; color: #222 }}
section {{ margin: 1rem 0; padding: 1rem; background: white; border-radius: .4rem }}
h2 {{ font-size: 1.1rem; margin: 0 0 .5rem }} img {{ max-width: 100% }}
table {{ border-collapse: collapse }} td {{ padding: .2rem 1rem .2rem 0; vertical-align: top }}
td:first-child {{ white-space: nowrap; color: #666 }}
</style>
<h1>Evaluation <small>avatargen {version}</small></h1>
<table>{summary}</table>
{cards}
</html>
"""
