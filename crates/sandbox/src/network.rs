//! The second layer: there is no network. No function of the host opens a socket or resolves a name, and an engine module that
//! asks for one is refused before it is made.

/// What is wrong with what a module asks of the host, by the names of the module and the function.
pub(crate) fn objection(module: &str, function: &str) -> Option<String> {
    let asks = module.contains("sock")
        || module.contains("http")
        || module.contains("net")
        || function.starts_with("sock_")
        || ["fetch", "connect", "listen", "accept", "resolve", "send", "recv"]
            .iter()
            .any(|word| function.contains(word));
    asks.then(|| format!("the engine asks for the network: {module}.{function}"))
}

#[cfg(test)]
mod tests {
    use crate::report::Refusal;
    use crate::sandbox::tests::{hostile, only, value};
    use crate::sandbox::{Layers, Sandbox};

    const ALONE: Layers = Layers { network: true, ..Layers::NONE };

    #[tokio::test]
    async fn an_engine_that_asks_for_a_socket_is_not_made() {
        let sandbox = Sandbox::of_module(ALONE, hostile::NETWORK);
        let refusal = sandbox.evaluate("1").await.unwrap_err();
        assert!(matches!(&refusal, Refusal::Broken(why) if why.contains("sock_open")), "{refusal}");
        let without = Sandbox::of_module(Layers::NONE, hostile::NETWORK).evaluate("1").await.unwrap_err();
        assert!(!without.to_string().contains("asks for the network"), "{without}");
    }

    #[tokio::test]
    async fn a_program_finds_no_way_to_the_network() {
        let sandbox = only(ALONE);
        for name in
            ["fetch", "XMLHttpRequest", "WebSocket", "EventSource", "navigator", "require", "process", "Deno"]
        {
            assert_eq!(value(&sandbox, &format!("typeof {name}")).await, "\"undefined\"", "{name}");
        }
        let report = sandbox.evaluate("await import('https://example.com/x.js')").await.unwrap();
        assert!(report.stopped.unwrap().message.contains("no module"));
    }
}
