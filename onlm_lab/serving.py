"""Serving the dashboards: standalone Voilà on this machine alone, behind a token, without any other host.

Standalone Voilà restricts what a page may ask of its kernel; as an extension of a Jupyter server the same token would
open terminals. What is served lies in a folder of its own: copies of the notebooks and plotly.js. Studies and runs stay
where they are and are read by the kernels only.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from onlm_lab import page_names, served
from onlm_lab.answering import end, last_words, wait_for_answer
from onlm_lab.errors import OnlmError
from onlm_lab.runs import open_run
from onlm_lab.server_files import BUNDLE, HOST, Sharing, base_path, write_config, write_served_folder
from onlm_lab.study import load_study

PAGES = tuple(page.name for page in page_names.PAGES)
SHORTEST = 16  # letters of a token in shared mode
_START_S, _STOP_S = 90, 10


@dataclass(frozen=True)
class Server:
    """A dashboard that answers at `url` (token included) until its process ends."""

    url: str
    token: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path


def serve(
    folders: str | Path | Sequence[str | Path],
    *,
    port: int = 8866,
    token: str | None = None,
    page: str = "start",
    sharing: Sharing | None = None,
    say: Callable[[str], None] | None = None,
) -> None:
    """Serve the dashboards of studies and runs until Ctrl-C.

    Args:
        folders: of studies, whose newest run is shown first, or of runs.
        port: port on 127.0.0.1.
        token: what a visitor must show; None makes a fresh one.
        page: which of PAGES the address leads to.
        sharing: None: to the owner of the files alone.
        say: takes the sentences for the person at the terminal, the address among them.

    Raises:
        OnlmError: no study or run there, the port is taken, or the server does not start.
    """
    tell, how = say or (lambda _: None), sharing or Sharing()
    tell("Starting the dashboards; this takes about ten seconds.")
    with serving(folders, port=port, token=token, page=page, sharing=how) as server:
        # A token of the caller's own stays out of what a service manager keeps of our words.
        tell(f"Dashboard: {server.url if token is None else server.url.partition('?')[0]}")
        reach = "Only this machine can reach it" if only_this_machine(how) else f"It listens at {how.host}, unencrypted"
        tell(f"{reach}, and only with the token. Stop it with Ctrl-C.")
        try:
            server.process.wait()
        except KeyboardInterrupt:
            tell("Dashboard stopped.")
            return
        raise OnlmError(f"The dashboard's server ended by itself: {last_words(server.log)}")


@contextmanager
def serving(
    folders: str | Path | Sequence[str | Path], *, port: int = 8866, token: str | None = None, page: str = "start",
    sharing: Sharing | None = None,
) -> Iterator[Server]:  # fmt: skip
    """A running server, stopped and cleared away at the end of the block."""
    sharing = sharing or Sharing()
    base_path(sharing.base_url)
    given = [Path(one) for one in ([folders] if isinstance(folders, str | Path) else folders)]
    pages = pages_for(given, shared=sharing.shared, page=page)
    if page not in pages:
        why = " in shared mode: study.toml lets no page show single patients" if page in PAGES else ""
        raise OnlmError(f"No page is called '{page}'{why}; wanted one of {', '.join(pages)}.")
    if next(p.needs_run for p in page_names.PAGES if p.name == page):
        for folder in given:
            open_run(folder)  # a study without a run is said here, not on the page
    require_free(port, host=require_address(sharing.host))
    token = secrets.token_urlsafe(24) if token is None else token
    if not token:
        raise OnlmError("The token is empty, and without one the page would be open to every user of this machine.")
    if (sharing.shared or not only_this_machine(sharing)) and len(token) < SHORTEST:
        raise OnlmError(f"The token has {len(token)} letters; one that others use wants {SHORTEST} or more: "
                        "leave it out for a fresh one, or make one with `openssl rand -hex 24`.")  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="onlm_dashboard_") as name:
        place = Path(name)
        shown = write_served_folder(place / "served", pages=pages)
        config = write_config(place, port=port, token=token, sharing=sharing)
        log = place / "voila.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "onlm_lab.page_server", str(shown),
                 f"--Voila.config_file_paths={config.parent}"],
                stdout=stream, stderr=stream, stdin=subprocess.DEVNULL, cwd=place,
                env=_environment(place, folders=given, pages=pages, sharing=sharing), start_new_session=True,
            )  # fmt: skip
        try:
            base = f"http://{HOST if sharing.host == '0.0.0.0' else sharing.host}:{port}{base_path(sharing.base_url)}"
            wait_for_answer(process, url=f"{base}/login", log=log, what="The dashboard's server", seconds=_START_S)
            where = "" if page == "start" else f"voila/render/{page}.ipynb"
            yield Server(f"{base}/{where}?{urllib.parse.urlencode({'token': token})}", token, port, process, log)
        finally:
            end(process, patience_s=_STOP_S)


def only_this_machine(sharing: Sharing) -> bool:
    """Whether only this machine reaches the server."""
    return ipaddress.ip_address(sharing.host).is_loopback


def require_address(said: str) -> str:
    """The address to listen at; a name is refused, for who looks it up decides who is let in."""
    try:
        return str(ipaddress.IPv4Address(said))
    except ipaddress.AddressValueError as error:
        raise OnlmError(f"--host is '{said}'; wanted an IPv4 address: 127.0.0.1 (this machine alone) or, in a "
                        "container, 0.0.0.0.") from error  # fmt: skip


def pages_for(folders: Sequence[Path], *, shared: bool, page: str = "start") -> tuple[str, ...]:
    """The pages that a server of these studies and runs shows; a study that cannot be read is said here.

    Args:
        folders: of studies and runs.
        shared: whether they go to people who may see no single patient.
        page: to which the address leads; one that stands alone is served by itself, and beside no other.

    Raises:
        OnlmError: there is no study, or one is faulty.
    """
    if not folders:
        raise OnlmError("No study was named. Wanted the folder of a study or a run: `onlm dashboards STUDY`.")
    allowed = [load_study(folder).study.patient_pages for folder in folders]
    listed = any(allowed)
    kept = [p for p in page_names.PAGES if not shared or (not p.changes and (listed or not p.single_patients))]
    alone = [p.name for p in kept if p.alone]
    return (page,) if page in alone else tuple(p.name for p in kept if not p.alone)


def read_token(path: Path) -> str:
    """The token in a file that not everybody may read: on a command line every user of the machine could see it.

    Raises:
        OnlmError: the file is not there, is empty, or everybody may read it.
    """
    if not path.is_file():
        raise OnlmError(f"--token-file: there is no file '{path.name}'. Make one: openssl rand -hex 24 > {path.name}")
    if (
        os.name == "posix" and path.stat().st_mode & 0o007
    ):  # a group is somebody's choice, and what systemd hands over has one
        raise OnlmError(f"--token-file: every user may read '{path.name}'. Change that first: chmod o= {path.name}")
    token = path.read_text(encoding="utf-8").strip()
    if not token:
        raise OnlmError(f"--token-file: '{path.name}' is empty. Make a token: openssl rand -hex 24 > {path.name}")
    return token


def _environment(place: Path, *, folders: Sequence[Path], pages: Sequence[str], sharing: Sharing) -> dict[str, str]:
    paths = [str(place / "jupyter"), os.environ.get("JUPYTER_PATH", "")]
    kept = {name: value for name, value in os.environ.items() if name not in ("ONLM_TOKEN", "JUPYTER_TOKEN")}
    return kept | {
        "JUPYTER_PATH": os.pathsep.join(p for p in paths if p),
        served.VARIABLE: served.variable(folders),
        served.PAGES: json.dumps(list(pages)),
        served.SHARED: "1" if sharing.shared else "",
        "ONLM_ACCESS_LOG": str(sharing.access_log.resolve()) if sharing.access_log else "",
        "ONLM_MOST_PAGES": str(sharing.most_pages),
        "ONLM_PLOTLY": f"voila/files/{BUNDLE}",
        "PYTHONUNBUFFERED": "1",
    }


def require_free(port: int, *, host: str = HOST) -> None:
    """Raise if the port does not exist or somebody uses it; the message offers the next free one."""
    if not 1 <= port <= 65535:
        raise OnlmError(f"Port {port} does not exist; wanted 1 to 65535, such as 8866.")
    if _free(port, host=host):
        return
    other = next((p for p in range(port + 1, min(port + 100, 65536)) if _free(p, host=host)), None)
    hint = f" Try --port {other}, which is free." if other else " Name another with --port."
    raise OnlmError(f"Port {port} is already in use on this machine.{hint}")


def _free(port: int, *, host: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise OnlmError(f"--host is {host}, which is no address of this machine.") from error
            return False
    return True
