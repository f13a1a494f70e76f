//! Acknowledged means kept: the server is killed straight after it acknowledged something, and in the middle of much.

use std::time::Duration;

use serde_json::{Value, json};

use crate::server::{Home, Server};

/// Kills after an acknowledgement.
const KILLS: usize = 200;
/// Kills in the middle of a burst, and requests in each burst.
const BURSTS: usize = 8;
const BURST_REQUESTS: usize = 60;

/// What the memory was told and acknowledged of one episode.
struct Told {
    id: Value,
    task: String,
    steps: usize,
    completed: bool,
}

/// The episode as the server shows it, in full and among the hits of a query, is the one acknowledged.
fn check(server: &mut Server, told: &Told) {
    let episode = server.call("get_episode", json!({"episode_id": told.id}));
    assert_eq!(episode["task"], told.task.as_str());
    let numbers: Vec<u64> =
        episode["steps"].as_array().unwrap().iter().map(|step| step["step"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=told.steps as u64).collect::<Vec<_>>(), "{episode}");
    assert_eq!(episode["step_count"], told.steps);
    let state = if told.completed { "completed" } else { "open" };
    assert_eq!(episode["state"], state);
    let answer = server.call("query_memory", json!({"query": told.task, "kinds": ["episode"]}));
    let hits = answer["hits"].as_array().unwrap();
    let hit = hits.iter().find(|hit| hit["id"] == told.id).unwrap_or_else(|| panic!("not found: {answer}"));
    assert_eq!(hit["outcome"] == "success", told.completed, "{hit}");
    if !told.completed {
        assert!(hit["text"].as_str().unwrap().contains(&format!("{} step", told.steps)), "{hit}");
    }
}

/// One round is create, add a step, complete, remember; each is followed by a kill. Every server first looks at what
/// was acknowledged before it, so that the cache holds that when the next change comes: in memory, and in every other
/// round in its file too.
#[test]
fn whatever_was_acknowledged_survives_a_kill_right_after() {
    let home = Home::new();
    let mut episodes: Vec<Told> = Vec::new();
    let mut notes: Vec<String> = Vec::new();
    for kill in 0..KILLS {
        let mut server = home.start();
        if let Some(told) = episodes.last() {
            check(&mut server, told);
        }
        if let Some(note) = notes.last() {
            let answer = server.call("query_memory", json!({"query": note, "kinds": ["note"]}));
            assert_eq!(answer["hits"][0]["text"], note.as_str());
        }
        if kill % 8 < 4 {
            // What it has looked at is in the cache file now.
            assert_eq!(server.finish().1, Some(0));
            server = home.start();
        }
        match (kill % 4, episodes.last_mut()) {
            (1, Some(told)) => {
                let step = json!({"episode_id": told.id, "tool": "pytest", "error": "Error: flaky"});
                assert_eq!(server.call("add_episode_step", step)["step"], 2);
                told.steps = 2;
            }
            (2, Some(told)) => {
                let end = json!({"episode_id": told.id, "outcome": "success"});
                assert_eq!(server.call("complete_episode", end)["reward"]["parts"]["steps_ok"], 0.5);
                told.completed = true;
            }
            (3, _) => {
                let text = format!("quokka{kill} prefers lemma{kill}");
                assert!(server.call("remember", json!({"text": text}))["note_id"].is_string());
                notes.push(text);
            }
            _ => {
                let task = format!("wombat{kill} burrows through ledger{kill}");
                let new =
                    json!({"task": task, "steps": [{"tool": "read", "observation": "x".repeat(3_000)}]});
                let id = server.call("create_episode", new)["episode_id"].take();
                episodes.push(Told { id, task, steps: 1, completed: false });
            }
        }
        server.kill();
    }
    let mut server = home.start();
    episodes.iter().for_each(|told| check(&mut server, told));
    // Jobs that were in hand when their process died are due again once their lease has ended.
    let metrics = server.learned();
    let counts = &metrics["store"];
    assert_eq!(counts["episodes"], episodes.len());
    assert_eq!(counts["notes"], notes.len());
    assert_eq!(counts["open_episodes"], 0);
    let answer = server.call("query_memory", json!({"query": episodes[0].task}));
    let items = ["steps", "pitfalls", "recoveries"].map(|part| answer["advice"][part].as_array().unwrap());
    let mut learned = items.into_iter().flatten().filter(|item| item["id"].is_string()).peekable();
    assert!(learned.peek().is_some(), "{answer}");
    assert!(learned.all(|item| item["evidence"] == json!([episodes[0].id])), "{answer}");
    let patterns = server.call("query_memory", json!({"query": "read then pytest", "kinds": ["pattern"]}));
    let learned = format!("over {} episode(s)", episodes.len());
    assert!(
        patterns["hits"][0]["text"].as_str().unwrap().contains(&learned),
        "each of them once: {patterns}"
    );
    assert_eq!(server.finish().1, Some(0));
    let found = home.health();
    assert_eq!(found["status"], "ok", "{found}");
}

#[test]
fn whatever_was_acknowledged_before_a_kill_in_the_middle_is_there() {
    let home = Home::new();
    let mut acknowledged: Vec<(Value, String)> = Vec::new();
    for burst in 0..BURSTS {
        let mut server = home.start();
        let first = (0..BURST_REQUESTS)
            .map(|number| {
                let task = format!("burst{burst} element{number}");
                let arguments =
                    json!({"task": task, "steps": [{"tool": "x"}, {"tool": "y"}], "outcome": "success"});
                server.post("tools/call", json!({"name": "create_episode", "arguments": arguments}))
            })
            .min()
            .unwrap();
        // A different number of answers is waited for each time; the others are still being worked on.
        let awaited = burst * BURST_REQUESTS / (BURSTS + 2);
        let mut answers: Vec<Value> = (0..awaited).map(|_| server.receive().unwrap()).collect();
        answers.extend(server.kill());
        assert!(answers.len() >= awaited);
        for answer in &answers {
            let id = crate::server::succeeded(answer)["episode_id"].take();
            let number = answer["id"].as_u64().unwrap() - first;
            acknowledged.push((id, format!("burst{burst} element{number}")));
        }
    }
    assert!(!acknowledged.is_empty());
    let mut server = home.start();
    for (id, task) in &acknowledged {
        let episode = server.call("get_episode", json!({"episode_id": id}));
        assert_eq!((&episode["task"], &episode["step_count"]), (&json!(task), &json!(2)));
    }
    let counts = server.learned()["store"].take();
    let stored = counts["episodes"].as_u64().unwrap();
    assert!(stored >= acknowledged.len() as u64);
    // Each is there whole or not at all.
    assert_eq!((counts["steps"].as_u64(), counts["open_episodes"].as_u64()), (Some(2 * stored), Some(0)));
    assert_eq!(server.finish().1, Some(0));
    assert_eq!(home.health()["status"], "ok");
}

#[test]
fn a_start_that_is_killed_at_any_moment_is_no_obstacle_to_the_next() {
    for moment in 0..30 {
        let home = Home::new();
        // Twice: the second time something half-made may be there.
        for _ in 0..2 {
            let server = Server::spawn(&mut home.command());
            std::thread::sleep(Duration::from_millis(moment));
            server.kill();
        }
        let mut server = home.start();
        server.call("remember", json!({"text": "Up at last"}));
        assert_eq!(server.call("health_check", json!({"detailed": true}))["status"], "ok");
    }
}
