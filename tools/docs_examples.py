"""For mkdocs: each numbered example becomes a page of the site, its docstring as text and the rest as code."""

import ast
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[1] / "examples"


def page_of(source: str) -> str:
    """Markdown: the docstring's first line as title, the rest as text with the usage as code, then the code."""
    tree = ast.parse(source)
    title, *about = (ast.get_docstring(tree) or "").splitlines()
    text = "\n".join(f"    {line.removeprefix('Usage: ')}" if line.startswith("Usage: ") else line for line in about)
    code = "".join(source.splitlines(keepends=True)[tree.body[0].end_lineno :]).strip()
    return f"# {title.rstrip('.')}\n\n{text.strip(chr(10))}\n\n```python\n{code}\n```\n"


def on_files(files: Any, config: Any) -> Any:
    """Called by mkdocs once it has found its files."""
    from mkdocs.structure.files import File

    for path in sorted(EXAMPLES.glob("[0-9]*.py")):
        name = f"examples/{path.stem}.md"
        files.append(File.generated(config, name, content=page_of(path.read_text(encoding="utf-8"))))
    return files
