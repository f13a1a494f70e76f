"""mcp-fuzzer, with a fixed seed and without a network: calls of every tool and messages of every kind, broken in many ways.

Of what it finds, a crash, a hang and an answer that breaks the protocol are failures. It also reports what was accepted
although it looks malicious to it, such as a note with a `<script>` in it: text is data here. That is a failure where the
schema of the tool does not admit what was accepted.
"""

import json
import subprocess

import jsonschema
from harness import BINARY, TOOLS, report

SEED = "20260728"
RUNS = ("--runs", "40", "--runs-per-type", "25")
# What is no failure by itself.
JUDGED = {"accepted_malformed", "injection_reflection"}


def schemas(machine):
    """The schema of each tool's arguments."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    command = [BINARY, "--tools-level", "expert"]
    env = machine.env | machine.server_env
    ran = subprocess.run(command, input=json.dumps(request), env=env, capture_output=True, text=True, timeout=30)
    return {tool["name"]: tool["inputSchema"] for tool in json.loads(ran.stdout)["result"]["tools"]}


def fuzz(machine, revision):
    out = machine.project / "out"
    machine.run(
        str(TOOLS / "venv/bin/mcp-fuzzer"),
        *("--mode", "all", "--phase", "both", "--protocol-phase", "aggressive", *RUNS, "--seed", SEED),
        *("--protocol", "stdio", "--endpoint", f"{BINARY} --tools-level expert", "--no-network", "--no-corpus"),
        *("--spec-schema-version", revision, "--timeout", "10", "--fs-root", str(machine.project / "files")),
        *("--output-dir", str(out)),
        **machine.server_env,
    )
    [results] = out.glob("sessions/*/*fuzzing_results.json")
    data = json.loads(results.read_text())["data"]
    tools = data["tools_tested"]
    runs = sum(tool["runs"] for tool in tools)
    count = lambda outcome: sum(tool["outcomes"][outcome] for tool in tools)  # noqa: E731
    summary = json.loads((out / "run_summary.json").read_text())
    messages = sum(kind["total_runs"] for kind in summary["protocols"]["by_type"].values())
    findings = json.loads((out / "findings.json").read_text())["findings"]
    print(
        f"     {revision}: {runs} calls of {len(tools)} tools: {count('server_rejected')} refused, {count('crashed')} crashes,"
        f" {count('anomaly')} transport or protocol errors, {count('exceptions')} exceptions;"
        f" {messages} messages of {len(summary['protocols']['by_type'])} kinds; {len(findings)} findings"
    )
    assert len(tools) >= 16 and runs >= 1_000 and messages >= 400, "it did not do what it is here for"
    for outcome in ("crashed", "anomaly", "exceptions"):
        assert count(outcome) == 0, f"{outcome}: {[tool for tool in tools if tool['outcomes'][outcome]]}"
    others = [finding for finding in findings if finding["category"] not in JUDGED]
    assert not others, json.dumps(others, indent=2)
    known = schemas(machine)
    accepted = [finding for finding in findings if finding["category"] == "accepted_malformed"]
    for finding in (finding for finding in accepted if finding["kind"] == "tool"):
        # Null is how many clients leave an argument out; what the fuzzer takes for a secret it does not report.
        unknown = (None, "[REDACTED]")
        arguments = {name: value for name, value in finding["evidence"]["input"].items() if value not in unknown}
        jsonschema.validate(arguments, known[finding["target"]])
    # What it wrote is all there and the database is sound.
    machine.run(BINARY, "health", "--detailed", **machine.server_env)


def revision_2025_11_25(machine):
    fuzz(machine, "2025-11-25")


def revision_2026_07_28(machine):
    fuzz(machine, "2026-07-28")


if __name__ == "__main__":
    report("mcp-fuzzer", revision_2025_11_25, revision_2026_07_28)
