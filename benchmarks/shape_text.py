"""How often does a shape text come true?

`python benchmarks/shape_text.py [--guidance embedded] [--sheets DIR] [--json FILE]`

Reads rows `kind,split,text,expectation`; expectations are percentiles over the body's population, joined by ";".
The texts of the split "tuned" were looked at while the lexicon and the search were made; those of "seen" were
written without looking, and the gaps that they showed were then closed; those of "held out" were never tuned on.
Prints a line per text and the share of each split that comes true; `--json` writes the same. The time of a text is told
beside that of a plain loop over the codebook: every entry drawn and looked at anew (reckoned from eight of them).
"""

import argparse
import csv
import re
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from record import save

from avatargen.body.load import load_body_model
from avatargen.body.measure import measure_many
from avatargen.body.model import BodyModel
from avatargen.body.open_body import phenotype_names, phenotypes_from_betas
from avatargen.body.posing import shape_body
from avatargen.core.config import load_settings
from avatargen.core.progress import Terminal
from avatargen.core.rng import stream
from avatargen.core.settings import BodySettings, GuidanceSettings, ShapeSettings
from avatargen.guidance.load import load_guidance
from avatargen.shape.codebook import image_features, linear_space
from avatargen.shape.search import find_shape
from avatargen.shape.sheet import contact_sheet
from avatargen.shape.vae import load_shape_space

STANDARD = load_settings(quality="standard").shape
TEXTS = Path(__file__).with_name("shape_texts.csv")
_PART = re.compile(r"(?P<name>[a-z /]+?)\s*(?P<sign>>=|<=)\s*(?P<percent>\d+)th percentile")
_ALL = re.compile(r"all within (?P<low>\d+)th to (?P<high>\d+)th percentile")


def quantities(body: BodyModel, betas: np.ndarray) -> dict[str, np.ndarray]:
    rows = []
    for chunk in np.array_split(betas, max(1, len(betas) // 32)):
        vertices, joints = shape_body(body, torch.from_numpy(chunk))
        names, table = measure_many(
            vertices.double().numpy(), body.faces.numpy(), body.weights.numpy(), joints.double().numpy()
        )
        rows.append(table)
    m = dict(zip(names, np.concatenate(rows).T, strict=True))
    p = dict(zip(phenotype_names(), phenotypes_from_betas(betas.astype(np.float64)).T, strict=True))
    girth = (m["chest_girth"] + m["waist_girth"] + m["hip_girth"]) / 3
    return {
        "height": m["height"],
        "girth": girth,
        "girth / height": girth / m["height"],
        "muscle": p["muscle"],
        "age": p["age"],
        "female": p["gender"],
        "shoulder width / height": m["shoulder_width"] / m["height"],
        "leg length / height": m["leg_length"] / m["height"],
        "hip width / height": m["hip_girth"] / m["height"],
    }


def judge(expectation: str, percent: dict[str, float]) -> tuple[bool, list[str]]:
    """Whether each clause holds, and a word on each."""
    told, good = [], True
    for clause in (part.strip() for part in expectation.split(";")):
        if clause in ("male", "female"):
            value = percent["female"]
            holds = value > 50 if clause == "female" else value < 50
            told.append(f"female {value:.0f}{'' if holds else ' !'}")
        elif match := _ALL.fullmatch(clause):
            low, high = float(match["low"]), float(match["high"])
            out = {k: round(v) for k, v in percent.items() if not low <= v <= high}
            holds = not out
            told.append("all near the middle" if holds else f"off: {out} !")
        elif match := _PART.fullmatch(clause):
            value, bar = percent[match["name"]], float(match["percent"])
            holds = value >= bar if match["sign"] == ">=" else value <= bar
            told.append(f"{match['name']} {value:.0f} ({match['sign']} {bar:.0f}){'' if holds else ' !'}")
        else:
            raise ValueError(f"cannot read the expectation {clause!r}")
        good &= holds
    return good, told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=TEXTS, help="CSV with columns kind, text, expectation and split")
    parser.add_argument("--guidance", default="embedded")
    parser.add_argument("--entries", type=int, default=STANDARD.codebook_size)
    parser.add_argument("--refine", type=int, default=STANDARD.refine_steps)
    parser.add_argument("--views", type=int, default=STANDARD.views)
    parser.add_argument("--query", default=STANDARD.query)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--relative-girth", action="store_true", help="read girth as girth / height")
    parser.add_argument("--only", default="", help="texts that contain this")
    parser.add_argument("--sheets", type=Path, help="folder for contact sheets")
    parser.add_argument("--json", type=Path, help="figures")
    args = parser.parse_args()
    body = load_body_model(BodySettings())
    guidance = load_guidance(GuidanceSettings(model=args.guidance), "cpu", Terminal())
    settings = ShapeSettings(codebook_size=args.entries, refine_steps=args.refine, views=args.views, query=args.query)
    drawn = torch.randn(600, body.num_betas, generator=stream(0, "benchmark/population")).numpy()
    people = quantities(body, drawn)
    with args.data.open(newline="") as stream_:
        rows = [r for r in csv.DictReader(stream_) if r["kind"] == "shape" and args.only in r["text"]]
    results, seconds = [], []
    for row in rows:
        start = time.process_time()
        shape = find_shape(row["text"], body, guidance, settings, args.seed, Terminal() if not results else None)
        seconds.append(time.process_time() - start)
        one = quantities(body, shape.betas[None])
        percent = {name: float((people[name] < value[0]).mean() * 100) for name, value in one.items()}
        if args.relative_girth:
            percent["girth"] = percent["girth / height"]
        holds, told = judge(row["expectation"], percent)
        split = row.get("split") or "tuned"
        found = {"text": row["text"], "split": split, "holds": holds, "score": shape.score, "percentiles": percent}
        results.append(found)
        print(f"{'  ' if holds else 'NO'} {row['text']:<26} {shape.score or 0:6.3f}  {'; '.join(told)}", flush=True)
        if args.sheets:
            sheet = contact_sheet(shape, body, row["text"])
            args.sheets.mkdir(parents=True, exist_ok=True)
            Image.fromarray(sheet).save(args.sheets / f"{re.sub(r'[^a-z]+', '_', row['text'].lower())}.png")
    shares = {}
    for split in dict.fromkeys(r["split"] for r in results):
        came = [r["holds"] for r in results if r["split"] == split]
        shares[split] = sum(came) / len(came)
        print(f"{split}: {shares[split]:.1%} of {len(came)} texts come true")
    space, start = load_shape_space(body) or linear_space(body), time.process_time()
    with torch.no_grad():
        image_features(body, space.decode(space.codebook[:8]), guidance, args.views)
    loop = (time.process_time() - start) / 8 * args.entries
    print(
        f"{guidance.name} {guidance.version}; query {args.query}, {args.entries} entries, {args.views} views; "
        f"median {np.median(seconds):.1f} processor seconds a text, {np.median(seconds) / loop:.2f} of a plain loop's"
    )
    report = {
        "shares": shares,
        "guidance": f"{guidance.name} {guidance.version}",
        "body": body.version,
        "seconds_median": float(np.median(seconds)),
        "baseline": "plain loop over the codebook",
        "seconds_plain_loop": loop,
        "ratio": float(np.median(seconds) / loop),
        "results": results,
    }
    save(args.json, report, args)


if __name__ == "__main__":
    main()
