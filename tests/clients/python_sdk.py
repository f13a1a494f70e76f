"""The official Python SDK, in both eras of the protocol."""

import json
import uuid

import anyio
from mcp import Client, StdioServerParameters
from mcp_types import ResourceTemplateReference

from harness import BEGINNER_TOOLS, BINARY, EPISODE, QUESTION, TIME_LIMIT, check_remembered, report


def legacy_era(machine):
    anyio.run(use_memory, machine, "legacy", "2025-11-25")


def modern_era(machine):
    anyio.run(use_memory, machine, "auto", "2026-07-28")


async def use_memory(machine, mode, revision):
    shown = ["--tools-level", "expert"]  # it judges the results of those tools only that it is shown
    parameters = StdioServerParameters(command=BINARY, args=shown, env=machine.env | machine.server_env)
    with anyio.fail_after(TIME_LIMIT):
        async with Client(parameters, mode=mode) as client:
            assert client.protocol_version == revision, client.protocol_version
            listed = {tool.name for tool in (await client.list_tools()).tools}
            assert listed >= BEGINNER_TOOLS, listed
            recorded = await call(client, "create_episode", EPISODE)
        async with Client(parameters, mode=mode) as client:  # a new process over the same memory
            check_remembered(recorded["episode_id"], await call(client, "query_memory", QUESTION))
            await read_episode(client, recorded["episode_id"])
            await read_resources(client, recorded["episode_id"])
            await get_prompts(client)
            await hear_of_progress(client)
            await record_step_by_step(client)
            await remember_note(client)
            assert (await call(client, "health_check", {"detailed": True}))["status"]
            await make_bad_calls(client)


async def read_episode(client, episode_id):
    episode = json.dumps(await call(client, "get_episode", {"episode_id": episode_id}))
    for said in (episode_id, EPISODE["task"], EPISODE["summary"], *(step["action"] for step in EPISODE["steps"])):
        assert said in episode, f"{said!r} is missing: {episode}"


async def read_resources(client, episode_id):
    uri = f"memory://episodes/{episode_id}"
    assert uri in [resource.uri for resource in (await client.list_resources()).resources]
    [template, *_] = (await client.list_resource_templates()).resource_templates
    [contents] = (await client.read_resource(uri)).contents
    assert EPISODE["summary"] in contents.text, contents
    reference = ResourceTemplateReference(uri=template.uri_template)
    completed = await client.complete(reference, {"name": "id", "value": episode_id[:8]})
    assert completed.completion.values == [episode_id], completed


async def get_prompts(client):
    names = [prompt.name for prompt in (await client.list_prompts()).prompts]
    assert names == ["recall", "reflect", "handoff"], names
    [guide, records] = (await client.get_prompt("recall", {"task": EPISODE["task"]})).messages
    assert EPISODE["task"] in guide.content.text and "sort the rows" in records.content.text.lower(), records


async def hear_of_progress(client):
    heard = []

    async def hear(progress, _total, _message):
        heard.append(progress)

    await client.call_tool("query_memory", QUESTION, progress_callback=hear)
    assert heard[:1] == [0], heard


async def record_step_by_step(client):
    episode = await call(client, "create_episode", {"task": "Rename the parser module"})
    step = {"episode_id": episode["episode_id"], "tool": "bash", "action": "git mv parse.rs csv.rs", "ok": True}
    assert (await call(client, "add_episode_step", step))["step"] == 1
    assert (await call(client, "add_episode_step", step | {"action": "cargo test"}))["step"] == 2
    ending = {"episode_id": episode["episode_id"], "outcome": "success", "summary": "Renamed."}
    reward = (await call(client, "complete_episode", ending))["reward"]
    assert isinstance(reward["total"], (int, float)) and reward["parts"], reward


async def remember_note(client):
    note = await call(client, "remember", {"text": "The staging database lives on port 6432."})
    answer = await call(client, "query_memory", {"query": "staging database port", "kinds": ["note"]})
    assert note["note_id"] in [hit["id"] for hit in answer["hits"]], answer


async def make_bad_calls(client):
    await refuse(client, "query_memory", QUESTION | {"limmit": 3}, "limmit")  # unknown
    await refuse(client, "query_memory", {"query": ["CSV"]}, "query")  # of the wrong type
    await refuse(client, "create_episode", {"domain": "testing"}, "task")  # missing
    await refuse(client, "complete_episode", {"episode_id": str(uuid.uuid4())}, "outcome")  # missing
    await refuse(client, "get_episode", {"episode_id": str(uuid.uuid4())}, "episode")  # no such episode


async def call(client, tool, arguments):
    """The result of a call that succeeds, which says the same in its text as in its structured content."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, f"{tool} failed: {result.content}"
    [block] = result.content
    assert json.loads(block.text) == result.structured_content, f"{tool} says two things: {result}"
    return result.structured_content


async def refuse(client, tool, arguments, field):
    """A call that comes back as a tool error, not a protocol error, and names the field at fault."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, f"{tool} accepted {arguments}"
    assert field in result.content[0].text, f"{field} is not named: {result.content[0].text}"


if __name__ == "__main__":
    report("python sdk", legacy_era, modern_era)
