"""Every message on the wire, in and out and in both eras, judged by the official JSON schemas of the protocol.

The messages are those of the flows below and, where MEMORY_MCP_TEST_WIRE names the directory in which the tests of
tests/system have kept theirs, what the server said in each of these.
"""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from jsonschema import Draft202012Validator

from harness import BINARY, EPISODE, QUESTION, TIME_LIMIT, TOOLS, report

LEGACY, MODERN = "2025-11-25", "2026-07-28"
META = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}


class Schema:
    """The official schema of one revision."""

    def __init__(self, revision, schema):
        self.revision, self.defs, self.validators = revision, schema["$defs"], {}
        self.methods = {}
        for name, definition in self.defs.items():
            method = definition.get("properties", {}).get("method", {}).get("const")
            if method:
                self.methods[method] = name

    def check(self, name, value, message):
        if name not in self.validators:
            self.validators[name] = Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": self.defs})
        problems = [f"{error.json_path}: {error.message}" for error in self.validators[name].iter_errors(value)]
        assert not problems, f"no {name} of {self.revision}: {problems[:5]} in {json.dumps(message)[:2000]}"

    def check_sent(self, message):
        """A message of the server's or the client's that is no answer."""
        assert message["method"] in self.methods, f"{self.revision} knows no {message['method']}"
        self.check(self.methods[message["method"]], message, message)

    def check_answer(self, method, message):
        if "error" in message:
            self.check("JSONRPCErrorResponse", message, message)
            return
        self.check("JSONRPCResultResponse", message, message)
        request = self.methods.get(method, "")
        result = request.replace("Request", "Result")
        self.check(result if result in self.defs else "EmptyResult", message["result"], message)


def official_schemas():
    bundle = TOOLS / "lib/node_modules/@modelcontextprotocol/conformance/dist/index.js"
    script = Path(__file__).with_name("official_schemas.mjs")
    printed = subprocess.run([TOOLS / "bin/node", script, bundle], check=True, capture_output=True, timeout=TIME_LIMIT)
    return {revision: Schema(revision, schema) for revision, schema in json.loads(printed.stdout).items()}


SCHEMAS = official_schemas()


class Wire:
    """A server that is spoken to line by line; whatever goes over the line is judged."""

    def __init__(self, machine, revision):
        self.schema, self.last_id, self.methods, self.notifications = SCHEMAS[revision], 0, {}, []
        self.is_modern = revision == MODERN
        environment = machine.env | machine.server_env
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([BINARY], env=environment, stdin=pipe, stdout=pipe, text=True)
        self.watchdog = threading.Timer(TIME_LIMIT, self.process.kill)
        self.watchdog.start()

    def send(self, message, is_good=True):
        if is_good:
            self.schema.check_sent(message)
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def post(self, method, params=None, meta=None, is_good=True):
        self.last_id += 1
        params = dict(params or {})
        if self.is_modern or meta:
            params["_meta"] = (META if self.is_modern else {}) | (meta or {})
        self.methods[self.last_id] = method
        self.send({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params}, is_good)
        return self.last_id

    def receive(self):
        line = self.process.stdout.readline()
        assert line, "the server ended"
        message = json.loads(line)
        if "method" in message:
            self.schema.check_sent(message)
            self.notifications.append(message)
        else:
            self.schema.check_answer(self.methods.pop(message["id"]), message)
        return message

    def answer(self, request):
        while True:
            message = self.receive()
            if message.get("id") == request:
                return message

    def ask(self, *request, **how):
        return self.answer(self.post(*request, **how))

    def call(self, tool, arguments, **how):
        return self.ask("tools/call", {"name": tool, "arguments": arguments}, **how)["result"]

    def hear(self, method):
        """Waits for a notification, unless it has come already."""
        while not any(message["method"] == method for message in self.notifications):
            self.receive()
        self.notifications.clear()

    def close(self):
        self.process.stdin.close()
        for line in self.process.stdout:
            message = json.loads(line)
            if "method" not in message:
                self.schema.check_answer(self.methods.pop(message["id"]), message)
        assert self.process.wait(TIME_LIMIT) == 0
        self.watchdog.cancel()
        assert not self.methods, f"never answered: {self.methods}"


def legacy_era(machine):
    wire = Wire(machine, LEGACY)
    client = {"name": "wire", "version": "1"}
    wire.ask("initialize", {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client})
    wire.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
    wire.ask("ping")
    episode = use_memory(wire)
    uri = f"memory://episodes/{episode}"
    wire.ask("resources/subscribe", {"uri": uri})
    wire.call("add_episode_step", {"episode_id": episode, "tool": "bash"})
    wire.hear("notifications/resources/updated")
    wire.ask("resources/unsubscribe", {"uri": uri})
    wire.close()


def modern_era(machine):
    wire = Wire(machine, MODERN)
    wire.ask("server/discover")
    episode = use_memory(wire)
    uri = f"memory://episodes/{episode}"
    wanted = {"resourceSubscriptions": [uri], "resourcesListChanged": True, "toolsListChanged": True}
    listening = wire.post("subscriptions/listen", {"notifications": wanted})
    wire.hear("notifications/subscriptions/acknowledged")
    wire.call("add_episode_step", {"episode_id": episode, "tool": "bash"})
    wire.hear("notifications/resources/updated")
    wire.call("create_episode", {"task": "Another"})
    wire.hear("notifications/resources/list_changed")
    cancelled = wire.post("subscriptions/listen", {"notifications": {}})
    wire.hear("notifications/subscriptions/acknowledged")
    cancel = {"requestId": cancelled, "reason": "enough"}
    wire.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel})
    del wire.methods[cancelled]
    assert listening in wire.methods, "it is answered at the end"
    wire.close()


def use_memory(wire):
    """What both eras have; returns an open episode."""
    for method in ("tools/list", "prompts/list", "resources/list", "resources/templates/list"):
        wire.ask(method)
    finished = wire.call("create_episode", EPISODE, meta={"progressToken": "p-1"})["structuredContent"]["episode_id"]
    wire.hear("notifications/progress")
    task = {"task": "Rename the parser module", "project": "parser"}
    episode = wire.call("create_episode", task)["structuredContent"]["episode_id"]
    for tool, arguments in (
        ("query_memory", QUESTION),
        ("query_memory", {"query": "nothing of the kind"}),
        ("get_episode", {"episode_id": finished}),
        ("remember", {"text": "The parser lives in src/csv.rs.", "project": "parser"}),
        ("recommend", {"task": EPISODE["task"]}),
        ("check_action", {"action": "cargo test"}),
        ("record_feedback", {"ids": [finished], "verdict": "helped"}),
        ("list_patterns", {}),
        ("health_check", {"detailed": True}),
    ):
        assert not wire.call(tool, arguments)["isError"], tool
    for tool, arguments in (("query_memory", {}), ("get_episode", {"episode_id": "7"})):
        assert wire.call(tool, arguments)["isError"], tool
    wire.ask("resources/list")
    for uri in (f"memory://episodes/{finished}", "memory://project/parser/summary", "memory://project/none/summary"):
        wire.ask("resources/read", {"uri": uri})
    for name, arguments in (
        ("recall", {"task": "the flaky test"}),
        ("reflect", {"episode_id": episode}),
        ("handoff", {"project": "parser"}),
        ("recall", {}),
    ):
        wire.ask("prompts/get", {"name": name, "arguments": arguments})
    template = {"type": "ref/resource", "uri": "memory://project/{name}/summary"}
    for reference, argument in ((template, "name"), ({"type": "ref/prompt", "name": "handoff"}, "project")):
        wire.ask("completion/complete", {"ref": reference, "argument": {"name": argument, "value": "p"}})
    wire.ask("tools/call", {"name": "no_such_tool", "arguments": {}})
    wire.ask("no/such/method", is_good=False)
    wire.ask("tools/call", {"name": 7}, is_good=False)
    return episode


def kept_by_the_system_tests(_machine):
    directory = os.environ.get("MEMORY_MCP_TEST_WIRE")
    messages = 0
    for file in sorted(Path(directory).glob("*.jsonl")):
        messages += check_kept(file)
    assert messages > 0, f"nothing is kept in {directory}"


def check_kept(file):
    """Judges what the server said on one connection. What was said to it is often wrong on purpose."""
    methods, revision, messages = {}, None, 0
    for line in file.read_text().splitlines():
        kept = json.loads(line)
        message = kept["message"]
        if kept["from"] == "client":
            if not isinstance(message, dict) or not isinstance(message.get("method"), str) or "id" not in message:
                continue
            params = message.get("params")
            meta = params.get("_meta") if isinstance(params, dict) else None
            asked = meta.get("io.modelcontextprotocol/protocolVersion") if isinstance(meta, dict) else None
            if message["method"] == "initialize":
                revision = None
            elif asked:
                revision = asked
            methods[json.dumps(message["id"])] = (message["method"], revision)
            continue
        if "method" in message:
            schema = SCHEMAS[MODERN if revision == MODERN else LEGACY]
            schema.check_sent(message)
        elif "id" in message:
            method, asked = methods.get(json.dumps(message["id"]), ("", None))
            SCHEMAS[MODERN if asked == MODERN else LEGACY].check_answer(method, message)
        messages += 1
    return messages


if __name__ == "__main__":
    flows = [legacy_era, modern_era]
    if os.environ.get("MEMORY_MCP_TEST_WIRE"):
        flows.append(kept_by_the_system_tests)
    else:
        print("SKIP wire schemas kept by the system tests: MEMORY_MCP_TEST_WIRE is not set", file=sys.stdout, flush=True)
    report("wire schemas", *flows)
