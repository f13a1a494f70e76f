"""What the tests of all clients share: the machine a client runs on, the episode it records, and the report."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

BINARY, TOOLS = sys.argv[1], Path(sys.argv[2])
TIME_LIMIT = 60  # seconds, for any one process

BEGINNER_TOOLS = {"query_memory", "create_episode"}
EPISODE = {
    "task": "Make the flaky CSV parser test pass",
    "domain": "testing",
    "steps": [
        {
            "tool": "bash",
            "action": "run the test ten times",
            "observation": "three of ten runs fail",
            "ok": False,
            "error": "assertion failed: rows differ",
        },
        {"tool": "edit", "action": "sort the rows before comparing them", "ok": True},
        {"tool": "bash", "action": "run the test ten times", "observation": "ten of ten runs pass", "ok": True},
    ],
    "outcome": "success",
    "summary": "The rows came in hash order. What worked: sort the rows before comparing them.",
}
QUESTION = {"query": "the CSV parser test is flaky"}


class Machine:
    """A home, a project and a memory that start empty and are thrown away after the test."""

    def __init__(self, root):
        self.home, self.project, data = (root / name for name in ("home", "project", "data"))
        self.home.mkdir()
        self.project.mkdir()
        self.env = {"HOME": str(self.home), "PATH": f"{TOOLS}/bin:{os.environ['PATH']}", "LANG": "C.UTF-8"}
        self.server_env = {"MEMORY_MCP_DATA_DIR": str(data)}

    def run(self, *command, status=0, **env):
        """What `command` prints, once it has exited with `status`; whatever it started and left running is ended."""
        out, err = self.home / "stdout", self.home / "stderr"  # files: a pipe stays open as long as an orphan has it
        with out.open("w") as stdout, err.open("w") as stderr:
            process = subprocess.Popen(
                command,
                cwd=self.project,
                env=self.env | env,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
            try:
                ended, ending = process.wait(TIME_LIMIT), signal.SIGTERM
            except subprocess.TimeoutExpired:
                ended, ending = f"nothing in {TIME_LIMIT} s", signal.SIGKILL
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, ending)
        printed = out.read_text()
        assert ended == status, f"{command[0]} ended with {ended}, not {status}\n{printed}{err.read_text()}"
        return printed


def check_remembered(episode_id, answer):
    """`answer`, what `query_memory` said to `QUESTION`, tells of the `EPISODE` recorded as `episode_id`."""
    assert answer["known"] is True, f"it knows nothing: {answer}"
    hit = next((hit for hit in answer["hits"] if hit["id"] == episode_id), None)
    assert hit, f"{episode_id} is not among the hits: {answer['hits']}"
    assert hit["kind"] == "episode" and hit["outcome"] == "success", f"not the episode as it was recorded: {hit}"
    assert "sort the rows" in json.dumps(answer).lower(), f"it does not say what worked: {answer}"


def report(client, *tests):
    """Runs each test on a machine of its own and prints how it went, on a line that starts with PASS or FAIL."""
    for test in tests:
        name = f"{client} {test.__name__}".replace("_", " ")
        started = time.monotonic()
        try:
            with tempfile.TemporaryDirectory(prefix="memory-mcp-", ignore_cleanup_errors=True) as root:
                test(Machine(Path(root)))
        except Exception as error:
            while nested := getattr(error, "exceptions", None):  # a task group has wrapped it
                [error, *_] = nested
            trace = "".join(traceback.format_tb(error.__traceback__))
            print(f"FAIL {name}: {type(error).__name__}: {error}\n{trace}", flush=True)
        else:
            print(f"PASS {name} ({time.monotonic() - started:.1f} s)", flush=True)
