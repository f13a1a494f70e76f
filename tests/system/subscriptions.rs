//! Being told when what can be read changes, in both eras, whichever process changed it.

use serde_json::{Value, json};

use crate::server::{Home, Server};

fn open(server: &mut Server, task: &str) -> String {
    let episode = server.call("create_episode", json!({"task": task, "project": "garden"}));
    episode["episode_id"].as_str().unwrap().to_owned()
}

fn step(server: &mut Server, id: &str) {
    server.call("add_episode_step", json!({"episode_id": id, "tool": "spade"}));
}

/// The URI that the next notification is about.
fn updated(server: &mut Server) -> String {
    let notification = server.notification();
    assert_eq!(notification["method"], "notifications/resources/updated", "{notification}");
    notification["params"]["uri"].as_str().unwrap().to_owned()
}

/// Opens a subscription of the new protocol; returns its id and what it is accepted for.
fn listen(server: &mut Server, notifications: Value) -> (u64, Value) {
    let id = server.post("subscriptions/listen", json!({"notifications": notifications}));
    let acknowledged = server.notification();
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged", "{acknowledged}");
    assert_eq!(subscription(&acknowledged), &json!(id));
    (id, acknowledged["params"]["notifications"].clone())
}

fn subscription(notification: &Value) -> &Value {
    &notification["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"]
}

#[test]
fn a_legacy_client_hears_of_what_it_subscribed_to_and_of_nothing_else() {
    let home = Home::new();
    let mut server = home.start_expert();
    let (watched, other) = (open(&mut server, "Dig the bed"), open(&mut server, "Dig the pond"));
    let uri = format!("memory://episodes/{watched}");
    // Said twice, it is still one client.
    server.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    assert_eq!(server.ask("resources/subscribe", json!({"uri": uri}))["result"], json!({}));
    step(&mut server, &other);
    step(&mut server, &watched);
    assert_eq!(updated(&mut server), uri);
    // Another process on the same memory.
    let mut neighbour = home.start_expert();
    step(&mut neighbour, &other);
    neighbour.call("complete_episode", json!({"episode_id": watched, "outcome": "success"}));
    assert_eq!(updated(&mut server), uri);

    let summary = "memory://project/garden/summary";
    server.ask("resources/subscribe", json!({"uri": summary}));
    assert_eq!(server.ask("resources/unsubscribe", json!({"uri": uri}))["result"], json!({}));
    neighbour.call("delete_episode", json!({"episode_id": watched}));
    assert_eq!(updated(&mut server), summary);
    let again = server.ask("resources/unsubscribe", json!({"uri": uri}));
    assert_eq!(again["error"]["code"], -32602, "{again}");
    let unknown = server.ask("resources/subscribe", json!({"uri": uri}));
    assert_eq!(unknown["error"]["code"], -32002, "{unknown}");
    let listen = server.ask("subscriptions/listen", json!({"notifications": {}}));
    assert_eq!(listen["error"]["code"], -32601, "it belongs to the new protocol: {listen}");
}

#[test]
fn a_pattern_tells_when_it_is_corrected() {
    let home = Home::new();
    let mut server = home.start_expert();
    let steps =
        json!([{"tool": "bash", "args": "make", "error": "no such file"}, {"tool": "bash", "args": "make"}]);
    server.call("create_episode", json!({"task": "Build", "steps": steps, "outcome": "success"}));
    server.learned();
    let pattern = server.call("list_patterns", json!({"limit": 1}))["patterns"][0]["id"].take();
    let uri = format!("memory://patterns/{}", pattern.as_str().unwrap());
    server.ask("resources/subscribe", json!({"uri": uri}));
    server.call("correct_pattern", json!({"pattern_id": pattern, "note": "only on Mondays"}));
    // The level of its user may have risen by the calls.
    loop {
        let notification = server.notification();
        if notification["method"] == "notifications/resources/updated" {
            assert_eq!(notification["params"]["uri"], uri);
            break;
        }
    }
}

#[test]
fn the_number_of_subscriptions_is_bounded() {
    let home = Home::new();
    let mut server = home.start_expert();
    let uris: Vec<String> = (0..101)
        .map(|number| format!("memory://episodes/{}", open(&mut server, &format!("{number}"))))
        .collect();
    for uri in &uris[..100] {
        assert_eq!(server.ask("resources/subscribe", json!({"uri": uri}))["result"], json!({}));
    }
    assert_eq!(
        server.ask("resources/subscribe", json!({"uri": uris[0]}))["result"],
        json!({}),
        "it is there already"
    );
    let refused = server.ask("resources/subscribe", json!({"uri": uris[100]}));
    assert!(refused["error"]["message"].as_str().unwrap().contains("unsubscribe"), "{refused}");
    server.ask("resources/unsubscribe", json!({"uri": uris[5]}));
    assert_eq!(server.ask("resources/subscribe", json!({"uri": uris[100]}))["result"], json!({}));

    let mut modern = home.start_modern();
    let (_, accepted) = listen(&mut modern, json!({"resourceSubscriptions": uris}));
    assert_eq!(accepted["resourceSubscriptions"].as_array().unwrap().len(), 100);
    let (_, accepted) =
        listen(&mut modern, json!({"resourceSubscriptions": ["file:///etc/passwd", uris[3]]}));
    assert_eq!(accepted["resourceSubscriptions"], json!([uris[3]]), "others cannot change");
    for _ in 2..8 {
        listen(&mut modern, json!({}));
    }
    let (id, _) = listen(&mut modern, json!({}));
    let refused = modern.answer(&json!(id));
    assert!(refused["error"]["message"].as_str().unwrap().contains("cancel"), "{refused}");
}

#[test]
fn a_modern_client_hears_what_it_listens_for_until_it_cancels_that() {
    let home = Home::new();
    let mut server = home.start_modern();
    let watched = open(&mut server, "Dig the bed");
    let uri = format!("memory://episodes/{watched}");
    let wanted =
        json!({"resourceSubscriptions": [uri], "promptsListChanged": true, "toolsListChanged": true});
    let (first, accepted) = listen(&mut server, wanted);
    assert_eq!(
        accepted,
        json!({"resourceSubscriptions": [uri], "toolsListChanged": true}),
        "prompts never change"
    );
    let (second, _) = listen(&mut server, json!({"resourcesListChanged": true}));

    step(&mut server, &watched);
    // A change that comes while the list is looked at for the first time may be told of as one of the list.
    let told = std::iter::repeat_with(|| server.notification())
        .find(|told| told["method"] != "notifications/resources/list_changed")
        .unwrap();
    assert_eq!(
        (&told["method"], subscription(&told)),
        (&json!("notifications/resources/updated"), &json!(first))
    );
    assert_eq!(told["params"]["uri"], uri);
    let mut neighbour = home.start_expert();
    open(&mut neighbour, "Dig the pond");
    let told = server.notification();
    assert_eq!(told["method"], "notifications/resources/list_changed");
    assert_eq!(subscription(&told), &json!(second));

    let cancelled =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": first}});
    server.send(&cancelled.to_string());
    server.ask("tools/list", json!({}));
    step(&mut neighbour, &watched);
    open(&mut neighbour, "Dig the well");
    let told = server.notification();
    assert_eq!(subscription(&told), &json!(second), "nothing of what was cancelled: {told}");
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        let refused = server.ask(method, json!({"uri": uri}));
        assert_eq!(refused["error"]["code"], -32601, "it belongs to the old protocol: {refused}");
    }
    let (rest, code) = server.finish();
    assert_eq!(code, Some(0));
    let [end] = rest.as_slice() else { panic!("only the end of the one that is still open: {rest:?}") };
    assert_eq!((&end["id"], &end["result"]["resultType"]), (&json!(second), &json!("complete")));
}
