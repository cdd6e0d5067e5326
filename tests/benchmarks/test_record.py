"""A record says what was asked, whatever kinds of values the command line gave."""

import json
from argparse import Namespace
from pathlib import Path

import record


def test_a_record_holds_figures_and_where_they_come_from(tmp_path):
    asked = Namespace(runs=[Path("a"), Path("b")], json=Path("o.json"), repeats=3, only="", keep=None, quick=False)
    record.save(tmp_path / "o.json", {"ratio": 0.5}, asked)
    found = json.loads((tmp_path / "o.json").read_text())
    assert found["figures"] == {"ratio": 0.5}
    assert found["arguments"] == vars(asked) | {"runs": ["a", "b"], "json": "o.json"}
    assert found["machine"]["cores"] >= 1
    assert found["versions"]["torch"]
    record.save(None, {"ratio": object()}, asked)  # nobody asked for a file


def test_work_of_children_counts(tmp_path):
    import subprocess
    import sys

    before = record.processor_seconds()
    subprocess.run([sys.executable, "-c", "sum(range(5_000_000))"], check=True)
    assert record.processor_seconds() > before + 0.02
