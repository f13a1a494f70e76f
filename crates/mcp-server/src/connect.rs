//! How to connect a client, for somebody who starts the server by hand.

/// What is printed when the server is started from a terminal.
pub(crate) fn help(program: &str, data_dir: &str) -> String {
    format!(
        "memory-mcp is an MCP server: a coding agent starts it and talks to it over stdin and stdout.\n\
         It is waiting for one now; press Ctrl-D to end it.\n\
         \n\
         Connect a client:\n\
         \x20 Claude Code   claude mcp add memory -- {program}\n\
         \x20 OpenCode      opencode.json:       {{\"mcp\": {{\"memory\": {{\"type\": \"local\", \"command\": [\"{program}\"]}}}}}}\n\
         \x20 Cursor        .cursor/mcp.json:    {{\"mcpServers\": {{\"memory\": {{\"command\": \"{program}\"}}}}}}\n\
         \x20 VS Code       .vscode/mcp.json:    {{\"servers\": {{\"memory\": {{\"type\": \"stdio\", \"command\": \"{program}\"}}}}}}\n\
         \x20 Codex         ~/.codex/config.toml: [mcp_servers.memory] command = \"{program}\"\n\
         \n\
         Everything is stored in {data_dir}\n\
         See it work:  {program} demo\n\
         More:         {program} --help\n"
    )
}
