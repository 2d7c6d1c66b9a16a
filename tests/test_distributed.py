"""A batch shared between two processes teaches what the whole batch teaches one."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import made_networks
import pytest
import torch
from made_networks import CASES, fit_case

from onlm_lab.learning.fabric import make_fabric

SCRIPT = Path(__file__).with_name("made_networks.py")
OF_A_CLUSTER = ("SLURM", "TORCHELASTIC", "LOCAL_RANK", "NODE_RANK", "MASTER_", "WORLD_SIZE")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """What each of two processes has at the end: state by case; Fabric starts the second one and finds a free port."""
    folder = tmp_path_factory.mktemp("shared")
    env = {name: value for name, value in os.environ.items() if not name.startswith(OF_A_CLUSTER)}
    env |= {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder)], env=env, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return [torch.load(folder / f"process{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("case", CASES)
def test_two_processes_with_half_a_batch_each_learn_what_one_learns(case, shared, tmp_path):
    alone = fit_case(tmp_path, case=case, fabric=make_fabric(accelerator="cpu", precision="32"))
    before = made_networks.make_model(CASES[case][0]).state_dict()
    first, second = (process[case] for process in shared)
    for name, value in alone.items():
        torch.testing.assert_close(first[name], value, rtol=1e-5, atol=1e-5, msg=partial("{}: {}".format, name))
        assert torch.equal(first[name], second[name]), f"{name} differs between the two processes"
    moved = [float((alone[name] - value).abs().max()) for name, value in before.items() if value.is_floating_point()]
    assert max(moved) > 1e-3, "nothing was learnt"


def test_two_processes_that_were_stopped_go_on_to_the_same_weights(shared):
    for process in shared:
        whole, resumed = process["layer norm"], process["resumed"]
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_disk_that_is_full_for_one_process_stops_both_with_the_sentence(shared):
    for process in shared:
        assert "no space is left on the disk" in process["full disk"]
