"""Where the dashboards' server listens: at this machine alone unless somebody says otherwise, and then not lightly."""

from __future__ import annotations

import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
from made_run import write_run

from onlm_lab import serving
from onlm_lab.errors import OnlmError
from onlm_lab.serving import Sharing

TOKEN = "a" * 20


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("listening") / "run", n_surgery=20, n_sbrt=5)


@pytest.mark.parametrize("said", ["hospital.example", "::", "0.0.0", "256.1.1.1", ""])
def test_only_an_address_is_taken(said, run, free_port):
    with (
        pytest.raises(OnlmError, match=r"--host is '.*'; wanted an IPv4 address: 127\.0\.0\.1"),
        serving.serving(run.folder, port=free_port(), token=TOKEN, sharing=Sharing(host=said)),
    ):
        pass


def test_an_address_of_another_machine_is_refused(run, free_port):
    with (
        pytest.raises(OnlmError, match=r"--host is 192\.0\.2\.1, which is no address of this machine"),
        serving.serving(run.folder, port=free_port(), token=TOKEN, sharing=Sharing(host="192.0.2.1")),
    ):
        pass


def test_who_opens_it_to_a_network_needs_a_long_token(run, free_port):
    with (
        pytest.raises(OnlmError, match="The token has 5 letters; one that others use wants 16 or more"),
        serving.serving(run.folder, port=free_port(), token="short", sharing=Sharing(host="0.0.0.0")),
    ):
        pass


def test_at_every_address_it_answers_there_and_still_asks_for_the_token(run, free_port):
    port = free_port()
    with serving.serving(run.folder, port=port, token=TOKEN, sharing=Sharing(host="0.0.0.0")) as server:
        assert server.url.startswith(f"http://127.0.0.1:{port}/?token=")
        for host in ("127.0.0.1", "127.0.0.2"):  # every address of 127/8 is this machine's
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"http://{host}:{port}/voila/files/public/plotly.min.js", timeout=30)
            assert refused.value.code == 403
            refused.value.close()


class _Stopped:
    """A process that somebody ends by Ctrl-C."""

    def wait(self) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("host", "words"),
    [("127.0.0.1", "Only this machine can reach it"), ("0.0.0.0", "It listens at 0.0.0.0, unencrypted")],
)
def test_the_person_at_the_terminal_is_told_who_can_reach_it(host, words, monkeypatch, tmp_path):
    @contextmanager
    def running(*_, **__):
        yield serving.Server("http://127.0.0.1:1/?token=x", TOKEN, 1, _Stopped(), tmp_path / "voila.log")

    said = []
    monkeypatch.setattr(serving, "serving", running)
    serving.serve(tmp_path, sharing=Sharing(host=host), say=said.append)
    assert [line for line in said if line.startswith(words)] and said[-1] == "Dashboard stopped."
