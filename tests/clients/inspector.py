"""The MCP inspector's command line, which also judges whether other clients can use the tools' schemas."""

import json

from harness import BEGINNER_TOOLS, BINARY, EPISODE, QUESTION, check_remembered, report

TOOL_ERROR = 5  # the inspector's exit status when a tool's result is an error


def legacy_era(machine):
    use_memory(machine, "legacy")


def modern_era(machine):
    use_memory(machine, "modern")


def use_memory(machine, era):
    def inspect(*request, status=0):
        variables = (f"{name}={value}" for name, value in machine.server_env.items())
        options = ("--protocol-era", era, "--format", "json", "-e", *variables)
        return json.loads(machine.run("mcp-inspector", "--cli", BINARY, *options, *request, status=status))

    def call(tool, arguments, **expected):
        request = ("--method", "tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments))
        return inspect(*request, **expected)["result"]

    listing = inspect("--method", "tools/list", "--strict")
    assert {tool["name"] for tool in listing["result"]["tools"]} >= BEGINNER_TOOLS, listing
    assert "schemaFindings" not in listing, json.dumps(listing["schemaFindings"], indent=2)

    recorded = call("create_episode", EPISODE)["structuredContent"]
    check_remembered(recorded["episode_id"], call("query_memory", QUESTION)["structuredContent"])
    assert call("create_episode", {}, status=TOOL_ERROR)["isError"]


if __name__ == "__main__":
    report("inspector", legacy_era, modern_era)
