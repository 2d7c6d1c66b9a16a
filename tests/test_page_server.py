"""The running server, asked by hand: what it gives to whom, and what a page's socket may ask of its kernel."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import subprocess
import sys
import time
import uuid
from datetime import UTC
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import websocket
from made_run import write_run
from waiting import eventually

from onlm_lab import page_server, server_files, serving

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
TOKEN = "a-token-of-twenty-letters"
BASE = "/onlm"
REFUSED = {302, 401, 403, 404, 405}
SECRETS = ("predictions", "risk", "voila.json", "A made-up study", "Traceback", "site-packages")
RULES = """
import json, sys
from onlm_lab.page_server import PageServer
from voila.app import Voila
app = PageServer()
app.initialize([sys.argv[1], f"--Voila.config_file_paths={sys.argv[2]}"])
app.voila_configuration.preheat_kernel = False
app.init_settings()
ours = app.init_handlers()
app.voila_configuration.preheat_kernel = app.voila_configuration.progressive_rendering = True
print(json.dumps([[rule[0] for rule in ours], [rule[0] for rule in Voila.init_handlers(app)]]))
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("log") / "access.csv"


@pytest.fixture(scope="module")
def server(tmp_path_factory, free_port, log):
    """A server of two studies in shared mode, below a base URL, as a proxy would have it."""
    pytest.importorskip("voila", reason="voila is not installed: its server was NOT tested")
    folder = tmp_path_factory.mktemp("served")
    studies = [write_run(folder / name, n_surgery=60, n_sbrt=20).folder for name in ("one", "two")]
    how = serving.Sharing(shared=True, access_log=log, base_url=f"{BASE}/", idle_s=300)
    with serving.serving(studies, port=free_port(), token=TOKEN, sharing=how) as running:
        yield running


def _ask(server, path, *, method="GET", cookie="", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
    sent = {name.replace("_", "-"): value for name, value in headers.items()} | ({"Cookie": cookie} if cookie else {})
    try:
        connection.request(method, path, body=body, headers=sent)
        answer = connection.getresponse()
        return SimpleNamespace(
            status=answer.status, headers=answer.headers, text=answer.read().decode("utf-8", "replace")
        )
    finally:
        connection.close()


def _cookies(answer):
    return [said.partition(";")[0] for said in answer.headers.get_all("Set-Cookie", [])]


@pytest.fixture(scope="module")
def cookie(server):
    """Of somebody who has shown the token."""
    return "; ".join(_cookies(_ask(server, f"{BASE}/?token={TOKEN}")))


@pytest.fixture(scope="module")
def opened(server, cookie):
    """An open page: its HTML, and its kernel's id."""
    answer = _ask(server, f"{BASE}/voila/render/start.ipynb", cookie=cookie)
    assert answer.status == 200, answer.text
    kernel = re.search(r'"kernelId": ?"([0-9a-f-]{36})"', answer.text)
    assert kernel, answer.text[:2000]
    return SimpleNamespace(html=answer.text, kernel=kernel[1], headers=answer.headers)


@pytest.fixture(scope="module")
def rules(server, tmp_path_factory):
    """Patterns of the addresses that there are, and of those that Voilà has."""
    place = Path(server.log).parent
    words = [sys.executable, "-c", RULES, str(place / "served"), str(place)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300, cwd=place)
    return json.loads(done.stdout.splitlines()[-1])


def _addresses(pattern):
    """Addresses that a pattern matches, hostile ones among them."""
    kernel = re.sub(r"\(\?P<kernel_id>[^)]*\)", str(uuid.uuid4()), pattern)
    ends = ("start.ipynb", "performance.ipynb", "voila.js", "public/plotly.min.js", "lab/static/voila.js", "x.png",
            "../voila.json", "..%2f..%2fvoila.json", "%2e%2e/voila.log", "", "anywidget/package.json")  # fmt: skip
    rest = re.compile(r"\(\.\*\)|\(\?P<path>.*\)$")
    found = [rest.sub(lambda _, end=end: end, kernel) for end in ends] if rest.search(kernel) else [kernel]
    return [one.replace("/?", "/") for one in found]


def test_no_address_of_voila_or_ours_gives_anything_without_the_token(server, rules):
    ours, theirs = rules
    asked = 0
    for pattern in {*ours, *theirs}:
        for path in _addresses(pattern):
            for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
                for token in ("", "?token=", "?token=wrong"):
                    if token and method != "GET":
                        continue
                    answer = _ask(server, path + token, method=method)
                    asked += 1
                    if path == f"{BASE}/login" and method == "GET":
                        assert answer.status == 200 and "This needs the token" in answer.text
                    elif method == "OPTIONS" and answer.status in (200, 204):
                        assert not answer.text
                    else:
                        assert answer.status in REFUSED, (method, path, answer.status, answer.text[:200])
                    if answer.status == 302:
                        assert answer.headers["Location"].startswith(f"{BASE}/login?next=")
                    assert not any(secret in answer.text for secret in SECRETS), (path, answer.text)
    assert len(ours) >= 10 and asked > 300


def test_what_voila_has_beyond_our_pages_is_gone_even_with_the_token(server, rules, cookie):
    ours, theirs = rules
    left_out = {pattern for pattern in theirs if pattern not in ours and pattern.rstrip("/") != BASE}
    said = " ".join(left_out)
    assert "voila/tree" in said and "voila/api/contents" in said and "voila/query" in said and "voila/execution" in said
    for pattern in left_out:
        for path in _addresses(pattern):
            if path not in ("/login", f"{BASE}/login"):
                assert _ask(server, path, cookie=cookie).status == 404, path


@pytest.mark.parametrize("path", [
    "x.png", "a.jpg", "a.gif", "a.svg", "start.ipynb", "predictions.csv", "../voila.json", "..%2fvoila.json",
    "%2e%2e/voila.json", "public/../../voila.json", "public/..%2f..%2fvoila.json.js", "public/%2e%2e/x.js",
    "public/x.js", "/etc/passwd", "public//etc/x.js", "public/plotly.min.js%00.png", "public/plotly.min.js/x.js",
])  # fmt: skip
def test_no_file_is_given_but_plotly_even_with_the_token(server, cookie, path):
    answer = _ask(server, f"{BASE}/voila/files/{path}", cookie=cookie)
    assert answer.status in (400, 403, 404), (path, answer.status)
    assert TOKEN not in answer.text and "root:" not in answer.text


def test_plotly_and_the_scripts_are_given_to_who_has_the_token(server, cookie):
    for path in ("files/public/plotly.min.js", "static/voila.js", "templates/onlm/static/voila-style.js",
                 "labextensions/anywidget/package.json"):  # fmt: skip
        answer = _ask(server, f"{BASE}/voila/{path}", cookie=cookie)
        assert answer.status == 200 and len(answer.text) > 100, path
        assert "no-cache" in answer.headers["Cache-Control"] and answer.headers["X-Content-Type-Options"]


@pytest.mark.parametrize("path", ["templates/x", "templates/lab/other/x", "templates/../static/x", "static/../../x"])
def test_an_address_that_voila_stumbles_over_is_a_sentence(server, cookie, path):
    answer = _ask(server, f"{BASE}/voila/{path}", cookie=cookie)
    assert answer.status in (403, 404) and "Traceback" not in answer.text and "site-packages" not in answer.text


def test_the_token_leaves_the_address_at_once_and_becomes_a_cookie_that_no_script_reads(server):
    answer = _ask(server, f"{BASE}/voila/render/performance.ipynb?token={TOKEN}")
    assert answer.status == 303 and answer.headers["Location"] == f"{BASE}/voila/render/performance.ipynb"
    said = answer.headers.get_all("Set-Cookie")
    assert len(said) == 1 and "HttpOnly" in said[0] and "SameSite=Lax" in said[0] and f"Path={BASE}/" in said[0]
    assert "Secure" not in said[0] and TOKEN not in said[0]
    behind = _ask(server, f"{BASE}/?token={TOKEN}", X_Forwarded_Proto="https")
    assert "Secure" in behind.headers["Set-Cookie"]
    assert behind.status == 302 and behind.headers["Location"] == f"{BASE}/voila/render/start.ipynb"


def test_the_form_takes_the_token_and_nothing_else_and_leads_to_no_other_host(server):
    form = _ask(server, f"{BASE}/login?next=%2Fonlm%2Fvoila%2Frender%2Fstart.ipynb")
    assert "http" not in form.text.replace("http-equiv", "") and "<script" not in form.text
    xsrf = re.search(r'name="_xsrf" value="([^"]+)"', form.text)[1]
    jar = "; ".join(_cookies(form))
    kind = {"Content_Type": "application/x-www-form-urlencoded"}

    def give(token, *, to="", jar=jar):
        query = f"?next={to}" if to else ""
        body = f"password={token}&_xsrf={xsrf.replace('|', '%7C')}&new_password=mine"
        return _ask(server, f"{BASE}/login{query}", method="POST", body=body, cookie=jar, **kind)

    wrong = give("wrong")
    assert wrong.status == 401 and "That is not the token" in wrong.text
    assert give(TOKEN, jar="").status == 403, "a form of another site"
    right = give(TOKEN, to="%2Fonlm%2Fvoila%2Frender%2Fstart.ipynb")
    assert right.status == 302 and right.headers["Location"] == f"{BASE}/voila/render/start.ipynb"
    assert give("mine").status == 401, "nobody sets a password"
    for elsewhere in ("https://example.org/", "//example.org/x", "/\\example.org", "https:///example.org"):
        assert give(TOKEN, to=elsewhere.replace("/", "%2F")).headers["Location"].startswith(f"{BASE}/")


def test_an_answer_names_no_other_host_and_lets_nothing_of_another_in(opened):
    policy = opened.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'self'" in policy and "http" not in policy
    assert opened.headers["Referrer-Policy"] == "no-referrer" and opened.headers["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in opened.headers["Cache-Control"]
    sources = re.findall(r"(?:src|href)=[\"']([^\"']+)", opened.html)
    assert sources and not [one for one in sources if one.startswith(("http", "//"))], sources
    assert TOKEN not in opened.html


@pytest.mark.parametrize("path", ["cases.ipynb", "x.ipynb", "../voila.json", "public/plotly.min.js", "START.ipynb", ""])
def test_a_page_that_is_not_served_is_a_sentence(server, cookie, path):
    answer = _ask(server, f"{BASE}/voila/render/{path}", cookie=cookie)
    assert answer.status == 404 and "There is no such page here." in answer.text


def _kernels(server):
    found = []
    for child in psutil.Process(server.process.pid).children():
        with contextlib.suppress(psutil.Error):  # one that has just ended
            if "ipykernel" in " ".join(child.cmdline()):
                found.append(child)
    return found


def test_no_kernel_knows_the_token(server, opened):
    kernels = _kernels(server)
    assert kernels
    for kernel in kernels:
        assert TOKEN not in " ".join([*kernel.cmdline(), *kernel.environ().values()])
        connection = Path(kernel.cmdline()[-1])
        said = json.loads(connection.read_text(encoding="utf-8"))
        assert said["transport"] == "ipc", "at a TCP port every user of the machine could listen"
        assert connection.stat().st_mode & 0o077 == 0 and connection.parent.stat().st_mode & 0o077 == 0
    assert TOKEN not in " ".join(psutil.Process(server.process.pid).cmdline())


def _socket(server, kernel, *, cookie="", origin=None):
    return websocket.create_connection(
        f"ws://127.0.0.1:{server.port}{BASE}/api/kernels/{kernel}/channels?session_id={uuid.uuid4().hex}",
        cookie=cookie or None, origin=origin or f"http://127.0.0.1:{server.port}", timeout=120,
    )  # fmt: skip


def _message(kind, content, *, channel="shell"):
    header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "username": "", "session": "s", "version": "5.3",
              "date": "2026-01-01T00:00:00Z"}  # fmt: skip
    body = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": channel}
    return header["msg_id"], json.dumps(body)


CODE = "open('onlm_was_here', 'w').close()"
FORBIDDEN = {
    "execute_request": {"code": CODE, "silent": False, "store_history": False, "user_expressions": {"a": CODE},
                        "allow_stdin": False, "stop_on_error": True},
    "inspect_request": {"code": "app", "cursor_pos": 3, "detail_level": 1},
    "complete_request": {"code": "app.", "cursor_pos": 4},
    "history_request": {"output": True, "raw": True, "hist_access_type": "tail", "n": 10},
    "is_complete_request": {"code": "1"},
    "debug_request": {"type": "request", "command": "evaluate", "arguments": {"expression": CODE}},
    "input_reply": {"value": CODE},
    "create_subshell_request": {},
    "usage_request": {},
}  # fmt: skip


def test_a_pages_socket_cannot_run_code_nor_look_into_the_kernel(server, opened, cookie):
    heard, ids = [], {}
    socket = _socket(server, opened.kernel, cookie=cookie)
    try:
        for kind, content in FORBIDDEN.items():
            for channel in ("shell", "control", "stdin"):
                ids[(number := _message(kind, content, channel=channel))[0]] = kind
                socket.send(number[1])
        last, text = _message("kernel_info_request", {})
        socket.send(text)
        until = time.monotonic() + 120
        while time.monotonic() < until:
            message = json.loads(socket.recv())
            heard.append(message)
            if message["parent_header"].get("msg_id") == last and message["msg_type"] == "kernel_info_reply":
                break
        assert heard[-1]["msg_type"] == "kernel_info_reply"
    finally:
        socket.close()
    answered = {ids.get(m["parent_header"].get("msg_id")) for m in heard} - {None}
    assert not answered, f"the kernel answered {answered}"
    assert not list(Path(server.log).parent.rglob("onlm_was_here"))


def test_a_socket_wants_the_token_and_a_page_of_this_server(server, opened, cookie):
    for how in ({}, {"cookie": cookie, "origin": "https://example.org"}):
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            _socket(server, opened.kernel, **how)
    with pytest.raises(websocket.WebSocketBadStatusException, match="404"):
        _socket(server, str(uuid.uuid4()), cookie=cookie)


def test_a_page_that_is_closed_ends_its_kernel_and_no_other_site_can(server, cookie):
    answer = _ask(server, f"{BASE}/voila/render/start.ipynb", cookie=cookie)
    kernel = re.search(r'"kernelId": ?"([0-9a-f-]{36})"', answer.text)[1]
    where = f"{BASE}/voila/api/shutdown/{kernel}"
    xsrf = next(one for one in _cookies(answer) if one.startswith("_xsrf="))
    body = "_xsrf=" + xsrf.partition("=")[2].replace("|", "%7C")
    kind = {"Content_Type": "application/x-www-form-urlencoded"}
    assert _ask(server, where, method="POST", cookie=f"{cookie}; {xsrf}", **kind).status == 403
    assert _ask(server, where, method="POST", cookie=xsrf, body=body, **kind).status == 403, "without the token"
    assert _ask(server, where, method="POST", cookie=f"{cookie}; {xsrf}", body=body, **kind).status == 204
    assert _ask(server, f"{BASE}/api/kernels/{kernel}", cookie=cookie).status == 404


def _logged(log, *last):
    """The log's lines once its last ones say so: a line is written after its answer was sent."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    ends = [",".join(line.split(",")[1:3]) for line in lines[-len(last) :]]
    return lines if ends == list(last) else []


def test_the_access_log_has_the_minute_the_page_and_the_status_and_nobody(server, opened, log, cookie):
    _ask(server, f"{BASE}/voila/render/P0001.ipynb?token=wrong&patient=P0001")
    _ask(server, f"{BASE}/nothing")
    lines = eventually(lambda: _logged(log, "other,302", "other,404"), what="the lines of what was asked for last")
    assert lines[0] == page_server.COLUMNS and len(lines) > 2
    for line in lines[1:]:
        assert re.fullmatch(
            r"\d{4}-\d\d-\d\dT\d\d:\d\d,(start|cohort|performance|outcomes|other),\d{3},\d+\.\d", line
        ), line
    assert any(",start,200," in line for line in lines) and log.stat().st_mode & 0o077 == 0
    log.rename(log.with_suffix(".1"))  # as logrotate does
    _ask(server, f"{BASE}/nothing")
    again = eventually(lambda: _logged(log, "other,404"), what="a new log in the place of the one that was put away")
    assert again[0] == page_server.COLUMNS


def test_the_servers_own_log_has_no_token(server, opened):
    assert TOKEN not in server.log.read_text(encoding="utf-8")


@pytest.mark.waits
def test_too_many_open_pages_are_a_sentence_and_not_the_end_of_the_machine(tmp_path, free_port):
    run = write_run(tmp_path / "run", n_surgery=20, n_sbrt=5)
    how = serving.Sharing(most_pages=1)
    with serving.serving(run.folder, port=free_port(), token=TOKEN, sharing=how) as running:
        jar = "; ".join(_cookies(_ask(running, f"/?token={TOKEN}")))
        assert _ask(running, "/voila/render/start.ipynb", cookie=jar).status == 200
        second = _ask(running, "/voila/render/start.ipynb", cookie=jar)
        assert second.status == 503 and "Too many pages are open here at the moment." in second.text


def test_a_page_that_breaks_says_so_in_a_sentence_and_nothing_of_the_error(server, cookie):
    page = Path(server.log).parent / "served" / "cohort.ipynb"
    whole = page.read_text(encoding="utf-8")
    notebook = json.loads(whole)
    notebook["cells"][0]["source"] = "raise ValueError('P0001 in ' + __name__)"
    try:
        page.write_text(json.dumps(notebook), encoding="utf-8")
        answer = _ask(server, f"{BASE}/voila/render/cohort.ipynb", cookie=cookie)
    finally:
        page.write_text(whole, encoding="utf-8")
    assert answer.status == 200 and server_files.BROKEN.split(".")[0] in answer.text
    for word in ("Traceback", "site-packages", "ValueError", "P0001", "--debug", "--show_tracebacks"):
        assert word not in answer.text


async def _culled(kernels, one):
    asked = []

    async def stop(kernel_id):
        asked.append(kernel_id)

    kernels.shutdown_kernel = stop
    await kernels.cull_kernel_if_idle(one)
    return asked


def test_a_kernel_that_waits_ready_or_is_just_given_is_not_culled_and_one_that_was_left_is(monkeypatch):
    import asyncio
    from datetime import datetime, timedelta

    now = [1000.0]
    monkeypatch.setattr(page_server, "time", SimpleNamespace(monotonic=lambda: now[0]))

    async def told():
        kernels = page_server.Kernels(cull_idle_timeout=5)
        long_ago = datetime.now(UTC) - timedelta(hours=1)
        for name in ("waits", "left", "made"):
            spec = SimpleNamespace(metadata={})
            kernels._kernels[name] = SimpleNamespace(
                last_activity=long_ago, execution_state="idle", kernel_name="x", kernel_spec=spec
            )
            kernels._kernel_connections[name] = 0
        kernels.met.add("left")
        done, coming = asyncio.get_running_loop().create_future(), asyncio.get_running_loop().create_future()
        done.set_result({"kernel_id": "waits"})
        kernels._pools = {"start.ipynb": [done, coming]}
        found = [await _culled(kernels, name) for name in ("waits", "left", "made")]
        kernels._pools = {"start.ipynb": [done]}
        found.append(await _culled(kernels, "made"))
        kernels._pools = {"start.ipynb": []}
        found.append(await _culled(kernels, "waits"))  # given to a visitor whose page has not reached it yet
        now[0] += 4
        found += [await _culled(kernels, name) for name in ("waits", "made")]
        now[0] += 2
        found += [await _culled(kernels, name) for name in ("waits", "made")]
        kernels._kernels.clear()
        return found

    assert asyncio.run(told()) == [[], ["left"], [], [], [], [], [], ["waits"], ["made"]]
