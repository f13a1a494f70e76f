"""The official conformance suite against `memory-mcp serve --http`, in the revisions of both eras.

The suite was written for a reference server whose tools, resources and prompts have names that it knows. What asks for one of
those cannot apply to another server; it stands below with its reason and is printed. Whatever else the suite checks must
pass, and what is listed must really not apply: an entry that is not needed any more fails.
"""

import contextlib
import json
import re
import subprocess

from harness import BINARY, EPISODE, report

# Scenarios of which nothing but the messages themselves can be judged.
REFERENCE_TOOL = "calls a tool of the reference server, which this server does not have"
REFERENCE_RESOURCE = "reads a resource of the reference server, which this server does not have"
REFERENCE_PROMPT = "gets a prompt of the reference server, which this server does not have"
ASKS_BACK = "calls a tool of the reference server that asks its client back; no tool of this server does"
NO_LOGGING = "is about the logging capability, which this server does not declare: it logs to stderr"
CUSTOM_HEADERS = "needs a tool with arguments that are sent as headers (x-mcp-header); no tool of this server has any"
INAPPLICABLE = {
    "logging-set-level": NO_LOGGING,
    "completion-complete": "completes an argument of a prompt of the reference server",
    "json-schema-2020-12": REFERENCE_TOOL,
    "tools-call-simple-text": REFERENCE_TOOL,
    "tools-call-image": REFERENCE_TOOL,
    "tools-call-audio": REFERENCE_TOOL,
    "tools-call-embedded-resource": REFERENCE_TOOL,
    "tools-call-mixed-content": REFERENCE_TOOL,
    "tools-call-with-logging": REFERENCE_TOOL,
    "tools-call-error": REFERENCE_TOOL,
    "tools-call-with-progress": REFERENCE_TOOL,
    "tools-call-sampling": ASKS_BACK,
    "tools-call-elicitation": ASKS_BACK,
    "elicitation-sep1034-defaults": ASKS_BACK,
    "elicitation-sep1330-enums": ASKS_BACK,
    "resources-read-text": REFERENCE_RESOURCE,
    "resources-read-binary": REFERENCE_RESOURCE,
    "resources-templates-read": REFERENCE_RESOURCE,
    "resources-subscribe": REFERENCE_RESOURCE,
    "resources-unsubscribe": REFERENCE_RESOURCE,
    "prompts-get-simple": REFERENCE_PROMPT,
    "prompts-get-with-args": REFERENCE_PROMPT,
    "prompts-get-embedded-resource": REFERENCE_PROMPT,
    "prompts-get-with-image": REFERENCE_PROMPT,
    "http-custom-header-server-validation": CUSTOM_HEADERS,
    "input-required-result-basic-elicitation": ASKS_BACK,
    "input-required-result-basic-sampling": ASKS_BACK,
    "input-required-result-basic-list-roots": ASKS_BACK,
    "input-required-result-request-state": ASKS_BACK,
    "input-required-result-multiple-input-requests": ASKS_BACK,
    "input-required-result-multi-round": ASKS_BACK,
    "input-required-result-non-tool-request": ASKS_BACK,
    "input-required-result-result-type": ASKS_BACK,
    "input-required-result-tampered-state": ASKS_BACK,
    "input-required-result-capability-check": ASKS_BACK,
}
# Checks of scenarios that apply otherwise.
INAPPLICABLE_CHECKS = {
    "sep-2575-server-rejects-undeclared-capability": REFERENCE_TOOL,
    "sep-2575-missing-capability-http-400": REFERENCE_TOOL,
    "sep-2575-http-server-no-independent-requests-on-stream": REFERENCE_TOOL,
    "sep-2575-server-no-log-without-loglevel": REFERENCE_TOOL,
}
# What must be among what passes: without it the suite did not do what it is here for.
EXPECTED = {
    "2025-11-25": {
        "server-initialize", "server-session-lifecycle", "ping", "tools-list", "resources-list", "prompts-list",
        "dns-rebinding-protection", "server-sse-polling", "server-sse-multiple-streams",
    },
    "2026-07-28": {
        "server-stateless", "tools-list", "resources-list", "prompts-list", "dns-rebinding-protection", "caching",
        "http-header-validation", "sep-2164-resource-not-found", "server-sse-multiple-streams",
    },
}  # fmt: skip


@contextlib.contextmanager
def served(machine):
    """The address of a server that holds a finished episode."""
    lines = "".join(json.dumps(line) + "\n" for line in [EPISODE | {"id": "run-1"}])
    runs = machine.project / "runs.jsonl"
    runs.write_text(lines)
    machine.run(BINARY, "import", "jsonl", str(runs), **machine.server_env)
    server = subprocess.Popen(
        [BINARY, "--tools-level", "expert", "serve", "--http", "127.0.0.1:0"],
        env=machine.env | machine.server_env,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        told = server.stderr.readline()
        address = re.search(r"http://\S+/mcp", told)
        assert address, f"it does not serve: {told}"
        yield address[0]
    finally:
        server.terminate()
        assert server.wait(30) == 0


def check(machine, revision):
    results = machine.project / "results"
    with served(machine) as url:
        options = ("--url", url, "--suite", "all", "--spec-version", revision, "--output-dir", str(results))
        with contextlib.suppress(AssertionError):  # it exits with 1, since not all of it applies
            machine.run("conformance", "server", *options)
    passed, excused, failed = set(), {}, []
    for folder in sorted(results.iterdir()):
        scenario = re.fullmatch(r"server-(.+)-\d{4}-\d\d-\d\dT.*", folder.name)[1]
        failures = [check for check in json.loads((folder / "checks.json").read_text()) if check["status"] == "FAILURE"]
        for check in failures:
            # Whatever a message is about, its form is judged.
            reason = INAPPLICABLE.get(scenario) or INAPPLICABLE_CHECKS.get(check["id"])
            if reason is None or check["id"].startswith("wire-schema"):
                failed.append(f"{scenario}: {check['id']}: {check.get('errorMessage')}")
            else:
                excused[scenario if scenario in INAPPLICABLE else check["id"]] = reason
        if scenario not in excused:
            passed.add(scenario)
            if scenario in INAPPLICABLE:
                failed.append(f"{scenario} applies: take it out of the list")
    print(f"     {revision}: {len(passed)} scenarios pass: {', '.join(sorted(passed))}")
    for name, reason in sorted(excused.items()):
        print(f"     {revision}: {name} is inapplicable: it {reason}")
    assert not failed, "\n".join(failed)
    assert passed >= EXPECTED[revision], f"{EXPECTED[revision] - passed} did not pass"


def revision_2025_11_25(machine):
    check(machine, "2025-11-25")


def revision_2026_07_28(machine):
    check(machine, "2026-07-28")


if __name__ == "__main__":
    report("conformance", revision_2025_11_25, revision_2026_07_28)
