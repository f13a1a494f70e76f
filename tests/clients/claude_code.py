"""Claude Code: it connects, what it records in one session it is told in the next, and prompts are commands."""

import json

from fake_model import FakeModel, check_two_sessions
from harness import BINARY, report

QUIET = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}


def connects(machine):
    variables = (f"--env={name}={value}" for name, value in machine.server_env.items())
    machine.run("claude", "mcp", "add", "--scope", "user", "memory", *variables, "--", BINARY, **QUIET)
    listing = machine.run("claude", "mcp", "list", **QUIET)  # exits with 0 whether or not it connects
    assert "✔ Connected" in listing, listing


def configure(machine):
    server = {"type": "stdio", "command": BINARY, "args": [], "env": machine.server_env}
    config = machine.project / "servers.json"
    config.write_text(json.dumps({"mcpServers": {"memory": server}}))
    return config


def run(machine, config, prompt, url):
    options = ("--strict-mcp-config", "--mcp-config", str(config), "--allowedTools=mcp__memory")
    endpoint = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "none"}
    machine.run("claude", "--print", prompt, *options, **QUIET, **endpoint)


def remembers(machine):
    config = configure(machine)
    check_two_sessions(lambda prompt, url: run(machine, config, prompt, url), "mcp__memory__")


def offers_prompts_as_commands(machine):
    config = configure(machine)
    with FakeModel("none", {}) as model:
        run(machine, config, "/mcp__memory__recall flaky", model.url)
    assert "The task: flaky" in model.prompt and "Nothing relevant is known" in model.prompt, model.prompt[:2000]


if __name__ == "__main__":
    report("claude code", connects, remembers, offers_prompts_as_commands)
