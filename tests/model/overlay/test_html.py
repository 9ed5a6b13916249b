"""The viewer's modules as one script; what it draws is tested in tests/browser."""

import re
from collections import Counter

from model.overlay.html import MODULES, VIEWER_FOLDER, viewer_script


def test_every_module_is_there_after_those_that_it_imports_from() -> None:
    assert {path.stem for path in VIEWER_FOLDER.glob("*.js")} == set(MODULES)
    for place, name in enumerate(MODULES):
        text = (VIEWER_FOLDER / f"{name}.js").read_text(encoding="utf-8")
        imported = re.findall(r'^import [^;]* from "\./(\w+)\.js";', text, re.MULTILINE)
        assert set(imported) <= set(MODULES[:place])


def test_joined_modules_import_nothing_and_name_nothing_twice() -> None:
    script = viewer_script()
    assert re.findall(r"^(import|export)\b", script, re.MULTILINE) == []
    names = re.findall(r"^(?:async )?(?:const|let|function|class) (\w+)", script, re.MULTILINE)
    assert "showViewer" in names
    assert [name for name, times in Counter(names).items() if times > 1] == []
