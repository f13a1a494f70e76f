"""A model that makes one tool call: enough of the Anthropic Messages API, on loopback, for a real agent to talk to."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harness import BEGINNER_TOOLS, EPISODE, QUESTION, check_remembered

CALL, SEARCH = "toolu_call", "toolu_search"  # the ids of the model's tool calls
SEARCH_TOOL = "ToolSearch"  # how Claude Code loads a tool of which it has told the model only the name


def check_two_sessions(ask, prefix):
    """What an agent records in one session it is told in the next.

    `ask(prompt, url)` runs one session of the agent against the model at `url`; the agent puts `prefix` before the
    names of the server's tools.
    """
    recorded = _session(ask, prefix, "create_episode", EPISODE)
    check_remembered(recorded["episode_id"], _session(ask, prefix, "query_memory", QUESTION))


def _session(ask, prefix, tool, arguments):
    """What `tool` answered, as the model got to see it, in a session in which the model calls it."""
    with FakeModel(prefix + tool, arguments) as model:
        ask("Please help.", model.url)
    for name in BEGINNER_TOOLS:
        assert prefix + name in model.prompt, f"the model was not told of {name}"
    assert model.schema is not None, f"the model was not given {tool}"
    assert arguments.keys() <= model.schema["properties"].keys(), f"{tool} came with another schema: {model.schema}"
    assert model.answer is not None, f"{tool} was not answered"
    assert not model.answer.get("is_error"), f"{tool} failed: {model.answer}"
    return json.loads(_plain(model.answer["content"]))


class FakeModel:
    """Calls `tool` once, in the conversation in which an agent offers it, and keeps what it saw."""

    def __init__(self, tool, arguments):
        self.tool, self.arguments = tool, arguments
        self.prompt = ""  # the first request with tools, in full
        self.schema = self.answer = None  # the tool's input schema and its result
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"model": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def reply(self, request):
        """The content block with which the model answers `request`."""
        schemas = {tool["name"]: tool.get("input_schema") for tool in request.get("tools", [])}
        contents = [message["content"] for message in request["messages"] if isinstance(message["content"], list)]
        results = {block["tool_use_id"]: block for content in contents for block in content if "tool_use_id" in block}
        if schemas and not self.prompt:
            self.prompt = json.dumps(request)
        if CALL in results:
            self.answer = results[CALL]
        elif self.tool in schemas:
            self.schema = schemas[self.tool]
            return _tool_use(CALL, self.tool, self.arguments)
        elif SEARCH_TOOL in schemas and SEARCH not in results:
            return _tool_use(SEARCH, SEARCH_TOOL, {"query": f"select:{self.tool}"})
        return {"type": "text", "text": "Done."}


def _tool_use(id, name, arguments):
    return {"type": "tool_use", "id": id, "name": name, "input": arguments}


def _plain(content):
    """A tool result's content as text: agents send either a string or a list of blocks."""
    return content if isinstance(content, str) else "".join(block["text"] for block in content)


def _message(request, block):
    return {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": request.get("model", "fake"),
        "content": [block],
        "stop_reason": "tool_use" if block["type"] == "tool_use" else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }


def _events(message):
    """The same message as the stream of server-sent events that the API would make of it."""
    [block] = message["content"]
    if block["type"] == "tool_use":
        start = block | {"input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    else:
        start = block | {"text": ""}
        delta = {"type": "text_delta", "text": block["text"]}
    yield {"type": "message_start", "message": message | {"content": [], "stop_reason": None}}
    yield {"type": "content_block_start", "index": 0, "content_block": start}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    ending = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": ending, "usage": {"output_tokens": 1}}
    yield {"type": "message_stop"}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        path = self.path.partition("?")[0]
        if path == "/v1/messages/count_tokens":
            self._send("application/json", json.dumps({"input_tokens": 1}))
        elif path == "/v1/messages":
            message = _message(request, self.model.reply(request))
            if request.get("stream"):
                stream = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in _events(message))
                self._send("text/event-stream", "".join(stream))
            else:
                self._send("application/json", json.dumps(message))
        else:
            self.send_error(404)

    def do_HEAD(self):
        self._send("text/plain", "")

    do_GET = do_HEAD

    def _send(self, kind, body):
        body = body.encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
