"""The house stands as architecture.md draws it: light imports, whole names, no way back up."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "onlm_lab"


def loaded_after(code: str) -> set[str]:
    """Names of all modules that are loaded after some code ran in a fresh process."""
    script = f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_loads_nothing_heavy():
    heavy = {"torch", "timm", "pandas", "numpy", "plotly", "lifelines", "pydicom", "scipy", "sklearn", "pandera"}
    assert not heavy & loaded_after("import onlm_lab")


def test_importing_the_package_adds_little_time():
    """Measured beside an interpreter that imports nothing, best of five each, so that a busy machine does not count."""
    script = "import sys, time; t = time.perf_counter(); import onlm_lab; print(time.perf_counter() - t)"
    best = min(
        float(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    )
    assert best <= 0.3


@pytest.mark.parametrize("room", ["analysis", "figures", "panels", "app", "report", "serving", "cohort", "pipeline"])
def test_rooms_without_a_model_never_load_torch(room):
    assert "torch" not in loaded_after(f"import onlm_lab.{room}")


def test_pages_and_report_never_load_a_ct_reader_or_the_grammar_compiler():
    loaded = loaded_after("import onlm_lab.app, onlm_lab.panels.performance, onlm_lab.report")
    assert not {"torch", "pydicom", "SimpleITK", "lark"} & loaded


def test_only_the_oracle_reads_the_truth():
    readers = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "truth.csv" in path.read_text(encoding="utf-8")
    ]
    assert set(readers) <= {"virtual/oracle.py", "virtual/write.py", "virtual/__init__.py", "pipeline.py"}
    pipeline = (PACKAGE / "pipeline.py").read_text(encoding="utf-8")
    assert 'path("truth.csv").is_file()' in pipeline and pipeline.count("truth.csv") == 1


def test_no_module_is_called_utils_helpers_common_or_misc():
    names = {path.stem for path in PACKAGE.rglob("*.py")}
    assert not {"utils", "util", "helpers", "common", "misc"} & names


def test_the_library_neither_prints_nor_shows():
    for path in PACKAGE.rglob("*.py"):
        if path.name in ("cli.py", "__main__.py"):
            continue
        calls = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
        names = [n.func.id for n in calls if isinstance(n.func, ast.Name)]
        shown = [n.func.attr for n in calls if isinstance(n.func, ast.Attribute)]
        assert "print" not in names, path
        assert "show" not in shown, path


def test_nothing_pickled_is_trusted():
    readers = {f"{m}.{f}" for m in ("pickle", "joblib", "dill", "cloudpickle") for f in ("load", "loads", "Unpickler")}
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)):
            name = ast.unparse(call.func)
            assert name not in readers, path
            if name == "torch.load":
                assert any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in call.keywords), path
            if name in ("np.load", "numpy.load"):
                assert any(k.arg == "allow_pickle" and ast.unparse(k.value) == "False" for k in call.keywords), path


def test_no_exception_is_swallowed():
    for path in PACKAGE.rglob("*.py"):
        for handler in (
            n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.ExceptHandler)
        ):
            caught = "" if handler.type is None else ast.unparse(handler.type)
            if caught in ("", "Exception", "BaseException"):
                assert any(isinstance(n, ast.Raise) for n in ast.walk(handler)), f"{path}:{handler.lineno}"


def test_every_public_function_of_a_room_has_a_docstring():
    for room in (
        "analysis",
        "figures",
        "cohort",
        "imaging",
        "learning",
        "panels",
        "report",
        "schema",
        "study",
        "virtual",
    ):
        for path in (PACKAGE / room).rglob("*.py"):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                    assert ast.get_docstring(node), f"{path.relative_to(ROOT)}: {node.name}"


def test_no_path_of_a_machine_is_written_down():
    for path in [*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py"), ROOT / "README.md", ROOT / "Makefile"]:
        text = path.read_text(encoding="utf-8")
        if path.name != "test_layout.py":
            assert not any(word in text for word in ("/root/", "/work/", "/farm/", "/home/")), path
