"""What the dashboards' server may give out, and what it says when it cannot start."""

from __future__ import annotations

import json
import re
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from made_run import write_run

from onlm_lab import serving
from onlm_lab.errors import OnlmError


def test_the_served_folder_holds_the_notebook_and_plotly_and_nothing_else(tmp_path):
    folder = serving.write_served_folder(tmp_path / "served")
    files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert files == ["performance.ipynb", "public/plotly.min.js"]


def test_the_configuration_is_closed_by_default(tmp_path):
    path = serving.write_config(tmp_path, port=8866, token="abc")
    said = json.loads(path.read_text(encoding="utf-8"))
    voila, page = said["Voila"], said["VoilaConfiguration"]
    assert voila["ip"] == "127.0.0.1" and voila["token"] == "abc" and voila["port_retries"] == 0
    assert page["show_tracebacks"] is False
    allowed = page["file_allowlist"]
    assert any(re.fullmatch(a, "public/plotly.min.js") for a in allowed)
    for asked in ("a.png", "public/a.png", "predictions.csv", "performance.ipynb", "x.js", "../voila.json"):
        assert not any(re.fullmatch(a, asked) for a in allowed)
    kernels = said["AsyncMappingKernelManager"]
    assert kernels["cull_idle_timeout"] > 0 and kernels["cull_interval"] > 0


def test_the_file_with_the_token_is_readable_by_its_owner_only(tmp_path):
    path = serving.write_config(tmp_path, port=8866, token="abc")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_page_template_names_no_other_host(tmp_path):
    serving.write_config(tmp_path, port=8866, token="abc")
    text = next(tmp_path.rglob("index.html.j2")).read_text(encoding="utf-8")
    assert "http" not in text and "super.super()" in text


def test_a_port_in_use_is_said_with_a_free_one(tmp_path):
    run = write_run(tmp_path / "run", n_surgery=20, n_sbrt=5)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OnlmError, match=rf"Port {port} is already in use .* Try --port \d+, which is free"):
            serving.serve(run.folder, port=port)


def test_a_port_that_does_not_exist_is_refused(tmp_path):
    run = write_run(tmp_path / "run", n_surgery=20, n_sbrt=5)
    with pytest.raises(OnlmError, match="Port 70000 does not exist"):
        serving.serve(run.folder, port=70000)


def test_an_empty_token_is_refused(tmp_path):
    run = write_run(tmp_path / "run", n_surgery=20, n_sbrt=5)
    with pytest.raises(OnlmError, match="The token is empty"):
        serving.serve(run.folder, port=8866 + 411, token="")


def test_a_folder_without_a_run_is_refused_before_anything_starts(tmp_path):
    with pytest.raises(OnlmError, match="holds no run"):
        serving.serve(tmp_path)


def test_a_server_that_is_told_to_end_takes_its_page_along(tmp_path):
    run = write_run(tmp_path / "run", n_surgery=60, n_sbrt=20)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "onlm_lab.cli", "dashboards", str(run.folder), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if "http://" in line:
            break
    process.terminate()
    process.communicate(timeout=60)
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/login", timeout=5)
