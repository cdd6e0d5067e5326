"""The Khronos glTF validator, where node and the npm package `gltf-validator` are at hand."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from avatargen.core.files import cache_dir

_SCRIPT = """
const fs = require("fs"), validator = require("gltf-validator");
validator.validateBytes(new Uint8Array(fs.readFileSync(process.argv[1])), {maxIssues: 20})
  .then((r) => console.log(JSON.stringify({version: r.validatorVersion, issues: r.issues})))
  .catch((e) => { console.error(String(e)); process.exitCode = 2; });
"""
_SECONDS = 120


def validator_report(path: Path) -> dict[str, Any]:
    """Errors, warnings and their codes; or `{"skipped": why}`.

    `gltf-validator` is looked for where node looks, in the folder that AVATARGEN_GLTF_VALIDATOR names, and where the
    project's tests install it.
    """
    node = shutil.which("node")
    if node is None:
        return {"skipped": "node is not installed (Debian: apt-get install nodejs npm)"}
    places = [os.environ.get("NODE_PATH", ""), os.environ.get("AVATARGEN_GLTF_VALIDATOR", ""), "node_modules"]
    places += [str(found) for found in sorted(cache_dir().glob("node-*/node_modules"))]
    environment = os.environ | {"NODE_PATH": os.pathsep.join(str(Path(p).absolute()) for p in places if p)}
    command = [node, "-e", _SCRIPT, str(path.absolute())]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, env=environment, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"skipped": f"the validator did not run: {error}"}
    if done.returncode or not done.stdout:
        if "gltf-validator" in done.stderr:
            return {"skipped": "npm's gltf-validator is not installed (npm install gltf-validator)"}
        return {"skipped": f"the validator did not run: {done.stderr.strip()[-200:]}"}
    found = json.loads(done.stdout)
    issues = found["issues"]
    return {
        "version": found["version"],
        "errors": issues["numErrors"],
        "warnings": issues["numWarnings"],
        "codes": sorted({message["code"] for message in issues["messages"] if message["severity"] < 2}),
    }
