"""What the documents say of the code: the files are there and define what is named."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GUIDES = ("docs/architecture.md", "CONTRIBUTING.md")
PAGES = [str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("docs/**/*.md"))]

NAMED = re.compile(r"`([\w./-]+\.(?:py|js)):([\w.]+)`")
"""`path:name` or `path:Class.name`."""

FILE = re.compile(r"`((?:\.?[\w-]+/)*[\w.-]+\.(?:py|js|css|html|md|toml|yaml|sh)|(?:[\w-]+/)+)`")
"""`path/to/file.py` or `folder/`."""

LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def text(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def names_in(path: Path) -> set[str]:
    """The functions, classes and constants that a file defines, methods and fields as Class.name."""
    if path.suffix == ".js":
        found = re.findall(
            r"^(?:export )?(?:async )?(?:function|class|const|let) (\w+)", path.read_text(), re.MULTILINE
        )
        return set(found)
    return set(_definitions(ast.parse(path.read_text(encoding="utf-8")), ""))


def _definitions(node: ast.AST, prefix: str) -> list[str]:
    found = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            found += [prefix + child.name, *_definitions(child, f"{prefix}{child.name}.")]
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append(prefix + child.name)
        elif isinstance(child, ast.Assign | ast.AnnAssign):
            targets = child.targets if isinstance(child, ast.Assign) else [child.target]
            found += [prefix + target.id for target in targets if isinstance(target, ast.Name)]
    return found


@pytest.mark.parametrize("document", GUIDES)
def test_a_guide_names_what_is_there(document: str) -> None:
    references = NAMED.findall(text(document))
    assert len(references) >= 5
    wrong = [
        f"{path}:{name}"
        for path, name in references
        if not (ROOT / path).is_file() or name not in names_in(ROOT / path)
    ]
    assert not wrong
    assert not [path for path in FILE.findall(text(document)) if not (ROOT / path).exists()]


def test_the_guide_tells_of_every_room() -> None:
    rooms = {path.parent for folder in ("model", "webapp") for path in (ROOT / folder).rglob("__init__.py")}
    rows = re.findall(r"^\| `([\w/]+)/` \| \S", text("docs/architecture.md"), re.MULTILINE)
    assert {str(room.relative_to(ROOT)) for room in rooms} <= set(rows)


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", *PAGES])
def test_links_between_documents_lead_somewhere(document: str) -> None:
    folder = (ROOT / document).parent
    assert not [link for link in LINK.findall(text(document)) if not (folder / link).exists()]
