"""JupyterHub in front of onlm_lab: each reader signs in by name and gets a server of shared pages, no notebook.

    ONLM_STUDY=/srv/onlm/study ONLM_COMMAND=/opt/onlm_lab/.venv/bin/onlm jupyterhub -f jupyterhub_config.py

jupyter-standaloneproxy asks the hub who the visitor is, and shows `onlm dashboards` a token that no reader ever sees.
For more than one machine put another spawner (systemd, Kubernetes, batch) in the place of LocalProcessSpawner.
"""

import os
import secrets
import sys
from pathlib import Path

from jupyterhub.spawner import LocalProcessSpawner

STUDY = os.environ["ONLM_STUDY"]  # readable by every reader's account, writable by none
ONLM = os.environ["ONLM_COMMAND"]  # of onlm_lab's own environment, which may be another than the hub's
HERE = Path(__file__).resolve().parent


class Pages:
    """The pages of a study in the place of a notebook server: no terminal, no code."""

    cmd = [  # noqa: RUF012
        str(Path(sys.executable).parent / "jupyter-standaloneproxy"), f"--config={HERE / 'standalone_config.py'}", "--",
        ONLM, "dashboards", STUDY, "--shared", "--port", "{port}", "--base-url", "{base_url}", "--preheat", "0",
        "--most", "6", "--idle", "300",
    ]  # fmt: skip

    def get_env(self):
        return super().get_env() | {"ONLM_TOKEN": secrets.token_urlsafe(32)}


class PagesSpawner(Pages, LocalProcessSpawner):
    """As the reader's own account of this machine."""


c = get_config()  # noqa: F821
c.JupyterHub.spawner_class = PagesSpawner
c.Spawner.start_timeout = c.Spawner.http_timeout = 120
c.Spawner.default_url = ""
c.JupyterHub.cookie_max_age_days = 1
# Who may come in: c.Authenticator.allowed_users = {...}, or a group of the hospital's directory (ldap, OAuth).
# TLS: a proxy as in ../nginx.conf, with `location /` and port 8000; c.JupyterHub.bind_url = "http://127.0.0.1:8000".
