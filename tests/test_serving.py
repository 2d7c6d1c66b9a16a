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

from onlm_lab import answering, server_files, serving
from onlm_lab.errors import OnlmError


def test_the_configuration_is_closed_by_default(tmp_path):
    path = server_files.write_config(tmp_path, port=8866, token="abc", sharing=serving.Sharing())
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
    path = server_files.write_config(tmp_path, port=8866, token="abc", sharing=serving.Sharing())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_page_template_names_no_other_host(tmp_path):
    server_files.write_config(tmp_path, port=8866, token="abc", sharing=serving.Sharing())
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
    with pytest.raises(OnlmError, match=r"study\.toml"):
        serving.serve(tmp_path)
    write_run(tmp_path / "study", n_surgery=20, n_sbrt=5)
    for name in ("patients.csv", "predictions.csv"):
        (tmp_path / "study" / name).unlink()
    with pytest.raises(OnlmError, match="holds no run"):
        serving.serve(tmp_path / "study", page="performance")


@pytest.mark.waits
def test_a_server_that_is_told_to_end_takes_its_page_along(tmp_path, free_port):
    run = write_run(tmp_path / "run", n_surgery=60, n_sbrt=20)
    port = free_port()
    command = [sys.executable, "-m", "onlm_lab.cli", "dashboards", str(run.folder), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if "http://" in line:
            break
    process.terminate()
    process.communicate(timeout=60)
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/login", timeout=5)


def test_every_page_is_served_beside_plotly_and_nothing_else_and_an_unknown_one_is_refused(tmp_path):
    folder = server_files.write_served_folder(tmp_path / "served", pages=("start", "outcomes"))
    files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert files == ["outcomes.ipynb", "public/plotly.min.js", "start.ipynb"]
    run = write_run(tmp_path / "run", n_surgery=20, n_sbrt=5)
    with pytest.raises(OnlmError, match="No page is called 'outcome'; wanted one of start, cohort"):
        serving.serve(run.folder, page="outcome")


def test_shared_pages_leave_out_what_changes_a_study_and_single_patients_unless_it_allows_them(tmp_path):
    run = write_run(tmp_path / "run", n_surgery=20, n_sbrt=5)
    assert "cases" in serving.pages_for([run.folder], shared=False)
    shared = serving.pages_for([run.folder], shared=True)
    assert "cases" not in shared and "training" not in shared and "performance" in shared
    with pytest.raises(OnlmError, match=r"in shared mode: study\.toml lets no page show single patients"):
        serving.serve(run.folder, page="cases", sharing=serving.Sharing(shared=True))
    said = (run.folder / "study.toml").read_text(encoding="utf-8")
    (run.folder / "study.toml").write_text(said.replace("[study]", "[study]\npatient_pages = true"), encoding="utf-8")
    assert "cases" in serving.pages_for([run.folder], shared=True)


def test_nothing_to_serve_is_said():
    with pytest.raises(OnlmError, match="No study was named"):
        serving.pages_for([], shared=False)


@pytest.mark.parametrize(("said", "path"), [("/", ""), ("", ""), ("/onlm", "/onlm"), ("/a/b-c/", "/a/b-c")])
def test_a_base_url_is_a_path(said, path):
    assert server_files.base_path(said) == path


@pytest.mark.parametrize("said", ["onlm", "/a b", "/../x", "//evil.example", "https://x.example/", "/(.*)", "/a?b"])
def test_a_base_url_that_is_none_is_refused(said, tmp_path):
    with pytest.raises(OnlmError, match=r"--base-url is .*; wanted a path such as /onlm/"):
        serving.serve(tmp_path, sharing=serving.Sharing(base_url=said))


def test_a_token_from_a_file_must_be_there_hidden_and_not_empty(tmp_path):
    path = tmp_path / "token"
    with pytest.raises(OnlmError, match="there is no file 'token'"):
        serving.read_token(path)
    path.write_text("\n", encoding="utf-8")
    path.chmod(0o600)
    with pytest.raises(OnlmError, match="'token' is empty"):
        serving.read_token(path)
    path.write_text("a-token-of-its-own\n", encoding="utf-8")
    assert serving.read_token(path) == "a-token-of-its-own"
    path.chmod(0o644)
    with pytest.raises(OnlmError, match=r"every user may read 'token'.*chmod o= token"):
        serving.read_token(path)


def test_others_do_not_share_a_short_token(tmp_path):
    run = write_run(tmp_path / "run", n_surgery=20, n_sbrt=5)
    with pytest.raises(OnlmError, match="The token has 6 letters; one that others use wants 16 or more"):
        serving.serve(run.folder, port=8866, token="secret", sharing=serving.Sharing(shared=True))
    with pytest.raises(OnlmError, match="The token is empty"):
        serving.serve(run.folder, port=8866, token="")


def test_no_token_of_the_caller_reaches_the_servers_environment(monkeypatch, tmp_path):
    for name in ("ONLM_TOKEN", "JUPYTER_TOKEN"):
        monkeypatch.setenv(name, "of-the-caller")
    found = serving._environment(tmp_path, folders=[tmp_path], pages=["start"], sharing=serving.Sharing())
    assert "of-the-caller" not in found.values() and found["ONLM_SERVED"]


def test_kernels_talk_through_files_of_their_owner_and_only_our_extensions_run(tmp_path):
    path = server_files.write_config(tmp_path, port=8866, token="abc", sharing=serving.Sharing(most_pages=3))
    said = json.loads(path.read_text(encoding="utf-8"))
    assert said["KernelManager"]["transport"] == "ipc" and len(said["Voila"]["connection_dir_root"]) <= 35
    assert "@voila-dashboards/widgets-manager8" in said["VoilaConfiguration"]["extension_allowlist"]
    assert said["VoilaExecutor"]["cell_error_instruction"] == server_files.BROKEN


@pytest.mark.parametrize("missing", ["voila", "tornado", "jupyter_server"])
def test_where_the_extra_that_serves_is_missing_it_is_named(missing, tmp_path):
    log = tmp_path / "voila.log"
    log.write_text(f"Traceback ...\nModuleNotFoundError: No module named '{missing}.app'\n", encoding="utf-8")
    assert answering.last_words(log).endswith('Install it with: pip install "onlm_lab[lab]"')
    log.write_text("ModuleNotFoundError: No module named 'elsewhere'\n", encoding="utf-8")
    assert answering.last_words(log) == "ModuleNotFoundError: No module named 'elsewhere'"
