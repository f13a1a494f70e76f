"""OpenCode: it connects, and what it records in one session it is told in the next."""

import json

from fake_model import check_two_sessions
from harness import BINARY, report

QUIET = {"OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1"}


def connects(machine):
    configure(machine)
    listing = machine.run("opencode", "mcp", "list", **QUIET)  # exits with 0 whether or not it connects
    assert "✓ memory" in listing and "connected" in listing, listing


def remembers(machine):
    def ask(prompt, url):
        options = {"baseURL": f"{url}/v1", "apiKey": "none"}
        provider = {"npm": "@ai-sdk/anthropic", "options": options, "models": {"fake": {}}}
        configure(machine, model="local/fake", provider={"local": provider})
        machine.run("opencode", "run", "--format", "json", prompt, **QUIET)

    check_two_sessions(ask, "memory_")


def configure(machine, **settings):
    server = {"type": "local", "command": [BINARY], "environment": machine.server_env, "enabled": True}
    (machine.project / "opencode.json").write_text(json.dumps({"mcp": {"memory": server}, **settings}))


if __name__ == "__main__":
    report("opencode", connects, remembers)
