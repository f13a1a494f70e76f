"""The MCP inspector's command line, which also judges whether other clients can use the tools' schemas."""

import json

from harness import BEGINNER_TOOLS, BINARY, EPISODE, QUESTION, check_remembered, report

TOOL_ERROR = 5  # the inspector's exit status when a tool's result is an error


def legacy_era(machine):
    use_memory(machine, "legacy")


def modern_era(machine):
    use_memory(machine, "modern")


def auto_era(machine):
    use_memory(machine, "auto")


def use_memory(machine, era):
    def inspect(*request, status=0, arguments=()):
        variables = (f"{name}={value}" for name, value in machine.server_env.items())
        options = ("--protocol-era", era, "--format", "json", "-e", *variables)
        return json.loads(machine.run("mcp-inspector", "--cli", BINARY, *arguments, *options, *request, status=status))

    def call(tool, arguments, **expected):
        request = ("--method", "tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments))
        return inspect(*request, **expected)["result"]

    for level, count in (("beginner", 2), ("expert", None)):
        listing = inspect("--method", "tools/list", "--strict", arguments=("--tools-level", level))
        names = {tool["name"] for tool in listing["result"]["tools"]}
        assert names >= BEGINNER_TOOLS and (count is None or len(names) == count), listing
        assert "schemaFindings" not in listing, json.dumps(listing["schemaFindings"], indent=2)

    recorded = call("create_episode", EPISODE)["structuredContent"]
    check_remembered(recorded["episode_id"], call("query_memory", QUESTION)["structuredContent"])
    assert call("create_episode", {}, status=TOOL_ERROR)["isError"]

    uri = f"memory://episodes/{recorded['episode_id']}"
    assert uri in [resource["uri"] for resource in inspect("--method", "resources/list")["result"]["resources"]]
    assert len(inspect("--method", "resources/templates/list")["result"]["resourceTemplates"]) == 3
    [contents] = inspect("--method", "resources/read", "--uri", uri)["result"]["contents"]
    assert EPISODE["summary"] in contents["text"], contents
    prompts = inspect("--method", "prompts/list")["result"]["prompts"]
    assert [prompt["name"] for prompt in prompts] == ["recall", "reflect", "handoff"], prompts
    request = ("--method", "prompts/get", "--prompt-name", "recall", "--prompt-args", f"task={EPISODE['task']}")
    messages = inspect(*request)["result"]["messages"]
    assert recorded["episode_id"] in messages[-1]["content"]["text"], messages


if __name__ == "__main__":
    report("inspector", legacy_era, modern_era, auto_era)
