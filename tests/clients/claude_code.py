"""Claude Code: it connects, and what it records in one session it is told in the next."""

import json

from fake_model import check_two_sessions
from harness import BINARY, report

QUIET = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}


def connects(machine):
    variables = (f"--env={name}={value}" for name, value in machine.server_env.items())
    machine.run("claude", "mcp", "add", "--scope", "user", "memory", *variables, "--", BINARY, **QUIET)
    listing = machine.run("claude", "mcp", "list", **QUIET)  # exits with 0 whether or not it connects
    assert "✔ Connected" in listing, listing


def remembers(machine):
    server = {"type": "stdio", "command": BINARY, "args": [], "env": machine.server_env}
    config = machine.project / "servers.json"
    config.write_text(json.dumps({"mcpServers": {"memory": server}}))

    def ask(prompt, url):
        options = ("--strict-mcp-config", "--mcp-config", str(config), "--allowedTools=mcp__memory")
        endpoint = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "none"}
        machine.run("claude", "--print", prompt, *options, **QUIET, **endpoint)

    check_two_sessions(ask, "mcp__memory__")


if __name__ == "__main__":
    report("claude code", connects, remembers)
