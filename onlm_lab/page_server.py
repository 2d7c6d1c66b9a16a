"""The process that serves the pages: standalone Voilà, closed wherever it is open, with a log of no one.

    python -m onlm_lab.page_server FOLDER --Voila.config_file_paths=...      (started by `onlm dashboards`)

Of Voilà's addresses only those stay that a page needs; who has not shown the token gets a form for it and nothing else,
not even a script. The token leaves the address at once, so that no kernel's environment, no log and no other address
ever has it. The access log has the minute, the page and the answer's status; no address, no name, no query.
"""

from __future__ import annotations

import hmac
import html
import inspect
import json
import os
import re
import time
from pathlib import Path
from typing import Any

import tornado.web
from jupyter_server.auth.identity import IdentityProvider, User
from jupyter_server.auth.login import LoginFormHandler
from jupyter_server.base.handlers import FileFindHandler, JupyterHandler
from jupyter_server.services.kernels.handlers import KernelHandler
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from jupyterlab_server.themes_handler import ThemesHandler
from voila.app import Voila
from voila.request_info_handler import RequestInfoSocketHandler
from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler
from voila.static_file_handler import AllowListFileHandler, MultiStaticFileHandler, TemplateStaticFileHandler
from voila.tornado.handler import TornadoVoilaHandler
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

ACCESS_LOG = "ONLM_ACCESS_LOG"  # a file; empty: no log
MOST = "ONLM_MOST_PAGES"  # how many kernels there may be at once; empty: any number
PAGES = "ONLM_PAGES"
COLUMNS = "minute_utc,page,status,seconds"
# Nothing of a page may come from, or go to, another host: 'self' holds its sockets too.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "frame-ancestors 'self'; form-action 'self'; object-src 'none'; base-uri 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
SAYS = {
    401: "That is not the token. Ask who gave you the link.",
    403: "This needs the token. Open the link that you were given.",
    404: "There is no such page here.",
    503: "Too many pages are open here at the moment. Close one that you no longer need, or try again in some minutes.",
}
BROKEN = "This page could not be shown. Tell who gave you the link; the reason stands in the server's log."
_RENDERED = "/voila/render/"
_NOTEBOOK = re.compile(r"([a-z_]{1,30})\.ipynb")
_FORM = """<form method="post" action=""><label>Token <input type="password" name="password" autocomplete="off"
 autofocus></label> <button type="submit">Show the pages</button>{xsrf}</form>"""
_PLAIN = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>onlm_lab</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body {{ margin: 0; background: #f4f6f9; color: #1c2733; font: 16px/1.5 system-ui, sans-serif; }}
main {{ max-width: 34rem; margin: 12vh auto 0; padding: 1.5rem 2rem; background: #fff; border: 1px solid #d8dee6; }}
h1 {{ font-size: 1.2rem; }} input, button {{ font: inherit; padding: .3rem .6rem; margin: .2rem 0; }}
:focus-visible {{ outline: 3px solid #0072B2; outline-offset: 2px; }}</style>
<main><h1>onlm_lab</h1><p role="status">{sentence}</p>{more}</main></html>
"""


def plain_page(sentence: str, *, more: str = "") -> str:
    """A page of one sentence, from nothing but itself; `more` is HTML."""
    return _PLAIN.format(sentence=html.escape(sentence), more=more)


class Visitors(IdentityProvider):
    """Who has shown the token. There is no password that somebody could set, and no name."""

    @property
    def auth_enabled(self) -> bool:
        return True

    def process_login_form(self, handler: Any) -> User | None:
        shown = handler.get_argument("password", default="")
        same = bool(self.token) and hmac.compare_digest(shown.encode(), self.token.encode())
        return self.generate_anonymous_user(handler) if same else None

    def set_login_cookie(self, handler: Any, user: User) -> None:
        # A link in a mail must work, so Lax; behind a proxy with TLS the cookie never travels without it.
        secure = handler.request.headers.get("X-Forwarded-Proto", handler.request.protocol) == "https"
        self.cookie_options = {"samesite": "Lax", "httponly": True} | ({"secure": True} if secure else {})
        super().set_login_cookie(handler, user)


class Kernels(AsyncMappingKernelManager):
    """Kernels of pages. Those that wait ready are not idle: nobody fills their place when they are culled.

    One that was just given to a visitor has been idle for as long as it waited, and its page is still on its way: its
    time begins when it is first seen outside the pool.
    """

    def __init__(self, **kwargs: Any) -> None:
        self.met: set[str] = set()
        self.given: dict[str, float] = {}  # not met yet: when it was first seen to wait no more
        super().__init__(**kwargs)

    def notify_connect(self, kernel_id: str) -> None:
        self.met.add(kernel_id)
        super().notify_connect(kernel_id)

    def remove_kernel(self, kernel_id: str) -> Any:
        self.met.discard(kernel_id)
        self.given.pop(kernel_id, None)
        return super().remove_kernel(kernel_id)

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        if self._waits(kernel_id):
            return
        if kernel_id not in self.met:
            given = self.given.setdefault(kernel_id, time.monotonic())
            if time.monotonic() - given < self.cull_idle_timeout:
                return
        await super().cull_kernel_if_idle(kernel_id)

    def _waits(self, kernel_id: str) -> bool:
        pooled = [task for pool in getattr(self, "_pools", {}).values() for task in pool]
        done = [task for task in pooled if task.done() and not task.cancelled() and task.exception() is None]
        if kernel_id in {task.result()["kernel_id"] for task in done}:
            return True
        return kernel_id not in self.met and len(done) < len(pooled)  # it may be one that is being made ready


class _Said:
    """Errors as one sentence: nothing of an exception, no path, no traceback."""

    def write_error(self: Any, status_code: int, **_: Any) -> None:
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(plain_page(SAYS.get(status_code, BROKEN)))


class _ForVisitors(_Said):
    """A file that goes to those who have shown the token."""

    def set_default_headers(self: Any) -> None:
        for name, value in (HEADERS | {"Cache-Control": "private, no-cache"}).items():
            self.set_header(name, value)

    async def prepare(self: Any) -> None:
        user = self.settings["identity_provider"].get_user_cookie(self)
        if (await user if inspect.isawaitable(user) else user) is None:
            raise tornado.web.HTTPError(403)


class TemplateFile(_ForVisitors, TemplateStaticFileHandler):
    """A script of a template."""

    def parse_url_path(self, path: str) -> str:
        if len(parts := path.split("/", 2)) < 3 or parts[1] != "static":
            raise tornado.web.HTTPError(404)  # where Voilà asserts
        return super().parse_url_path(path)


class StaticFile(_ForVisitors, MultiStaticFileHandler):
    """A script of Voilà."""


class Theme(_ForVisitors, ThemesHandler):
    """A style sheet of JupyterLab."""


class Extension(_ForVisitors, FileFindHandler):
    """A script of a widget."""


class ServedFile(_ForVisitors, AllowListFileHandler):
    """plotly.js."""


class Kernel(_Said, KernelHandler):
    """Whether a page's kernel is there."""


class Socket(VoilaKernelWebsocketHandler):
    """Between a page and its kernel. What it may ask is Voilà's list: nothing that runs code."""


class Shutdown(_Said, VoilaShutdownKernelHandler):
    """A page that is closed ends its kernel."""


class NotFound(_Said, tornado.web.RequestHandler):
    """Every other address."""

    def set_default_headers(self) -> None:
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        raise tornado.web.HTTPError(404)


def first_page() -> str:
    """Where the bare address leads: the start page, or the one that stands alone."""
    return (json.loads(os.environ.get(PAGES, "[]")) or ["start"])[0]


class ToStart(_Said, JupyterHandler):
    """The bare address leads to the start page, or to the one that stands alone."""

    @tornado.web.authenticated
    def get(self) -> None:
        self.redirect(f"{self.base_url.rstrip('/')}{_RENDERED}{first_page()}.ipynb")


class Login(_Said, LoginFormHandler):
    """A form for the token; what stands behind the # of the address stays while it is filled in."""

    def _render(self, message: Any = None) -> None:
        sentence = SAYS[401] if message else SAYS[403]
        self.set_header("Referrer-Policy", "same-origin")  # with none at all a browser says that the form is of no site
        self.finish(plain_page(sentence, more=_FORM.format(xsrf=self.xsrf_form_html())))


class Page(_Said, TornadoVoilaHandler):
    """A page with a kernel of its own."""

    @tornado.web.authenticated
    async def get(self, path: str | None = None) -> None:
        named = _NOTEBOOK.fullmatch(path or "")
        if not named or named[1] not in json.loads(os.environ.get(PAGES, "[]")):
            raise tornado.web.HTTPError(404)
        if self.request.query:  # the cookie has the token from now on: no kernel's environment shall
            self.redirect(f"{self.base_url.rstrip('/')}{_RENDERED}{named[0]}", status=303)
            return
        most = int(os.environ.get(MOST, "") or 0)
        if most and len(self.kernel_manager.list_kernel_ids()) >= most:
            raise tornado.web.HTTPError(503)
        _ = self.xsrf_token  # sets its cookie, without which a page that is closed may not end its kernel
        await super().get(named[0])
        RequestInfoSocketHandler._cache.clear()  # our pages ask for nothing of a request; it would grow for ever


OURS = {
    KernelHandler: Kernel,
    VoilaKernelWebsocketHandler: Socket,
    TemplateStaticFileHandler: TemplateFile,
    MultiStaticFileHandler: StaticFile,
    ThemesHandler: Theme,
    FileFindHandler: Extension,
    AllowListFileHandler: ServedFile,
    VoilaShutdownKernelHandler: Shutdown,
    TornadoVoilaHandler: Page,
}


class PageServer(Voila):
    """Voilà for our pages."""

    name = "voila"

    def init_settings(self) -> dict[str, Any]:
        self.identity_provider_class = Visitors
        self.voila_configuration.multi_kernel_manager_class = Kernels
        settings = super().init_settings()
        ours = {"headers": HEADERS, "log_function": _log, "default_handler_class": NotFound,
                "xsrf_cookie_kwargs": {"samesite": "Lax"}}  # fmt: skip
        self.tornado_settings = ours | self.tornado_settings
        return settings

    def init_handlers(self) -> list[Any]:
        """Ours in the place of Voilà's; what we do not know is left out."""
        rules = [rule for rule in super().init_handlers() if isinstance(rule, tuple) and rule[1] in OURS]
        kept = [(rule[0], OURS[rule[1]], *rule[2:]) for rule in rules]
        base = self.server_url.rstrip("/")
        return [*kept, (rf"{base}/login", Login), (rf"{base}/?", ToStart)]


def _log(handler: tornado.web.RequestHandler) -> None:
    """A line for each page that was opened, and for each request that was refused."""
    path, status = handler.request.path, handler.get_status()
    named = os.environ.get(ACCESS_LOG, "")
    if not named or status == 303 or not (_RENDERED in path or status >= 400):
        return
    page = _NOTEBOOK.fullmatch(path.partition(_RENDERED)[2])
    known = page and page[1] in json.loads(os.environ.get(PAGES, "[]"))
    minute = time.strftime("%Y-%m-%dT%H:%M", time.gmtime())
    line = f"{minute},{page[1] if page and known else 'other'},{status},{handler.request.request_time():.1f}\n"
    log = Path(named)
    new = not log.exists() or not log.stat().st_size
    with open(log, "a", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as stream:
        stream.write(f"{COLUMNS}\n{line}" if new else line)


if __name__ == "__main__":
    PageServer.launch_instance()
