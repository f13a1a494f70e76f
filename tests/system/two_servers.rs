//! Two windows of an editor: two servers on one data directory.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::server::{Home, Server, run};

const WRITES_EACH: usize = 500;
const ROUNDS: usize = 60;

/// Writes as one window does: of four writes one begins an episode, two add a step to it, one is a note. Returns the
/// ids of the episodes.
fn write(server: &mut Server, window: &str) -> Vec<Value> {
    let mut episodes = Vec::new();
    for number in 0..WRITES_EACH {
        match number % 4 {
            0 => {
                let task = json!({"task": format!("{window} task {number}")});
                episodes.push(server.call("create_episode", task)["episode_id"].take());
            }
            3 => drop(server.call("remember", json!({"text": format!("{window} note {number}")}))),
            step => {
                let last = episodes.last().unwrap();
                let added = server.call("add_episode_step", json!({"episode_id": last, "tool": window}));
                assert_eq!(added["step"], step);
            }
        }
    }
    episodes
}

#[test]
fn no_write_of_two_at_once_is_lost() {
    let home = Home::new();
    let (mut left, mut right) = (home.start(), home.start());
    let (of_left, of_right) = std::thread::scope(|scope| {
        let of_left = scope.spawn(|| write(&mut left, "left"));
        let of_right = write(&mut right, "right");
        (of_left.join().unwrap(), of_right)
    });
    let ids: HashSet<&str> = of_left.iter().chain(&of_right).map(|id| id.as_str().unwrap()).collect();
    let quarter = WRITES_EACH / 4;
    assert_eq!(ids.len(), 2 * quarter, "no id was given twice");
    // Each window finds what the other one wrote.
    for (server, others) in [(&mut left, &of_right), (&mut right, &of_left)] {
        for id in others {
            assert_eq!(server.call("get_episode", json!({"episode_id": id}))["step_count"], 2);
        }
        let counts = server.call("health_check", json!({"detailed": true}))["metrics"]["store"].take();
        let present = ["episodes", "steps", "notes"].map(|what| counts[what].as_u64().unwrap() as usize);
        assert_eq!(present, [2 * quarter, 4 * quarter, 2 * quarter]);
        assert_eq!(present.iter().sum::<usize>(), 2 * WRITES_EACH);
    }
    assert_eq!((left.finish().1, right.finish().1), (Some(0), Some(0)));
    assert_eq!(home.health()["status"], "ok");
}

#[test]
fn what_one_was_told_the_other_knows_at_once() {
    let home = Home::new();
    let (mut writer, mut reader) = (home.start(), home.start());
    for round in 0..ROUNDS {
        let word = format!("zebra{round}");
        let task = format!("{word} stripes");
        let id = writer.call("create_episode", json!({"task": task}))["episode_id"].take();
        let look = |server: &mut Server| {
            let episode = server.call("get_episode", json!({"episode_id": id}));
            (episode["step_count"].as_u64().unwrap(), episode["state"].as_str().unwrap().to_owned())
        };
        // Both have seen, and so may have cached, the state before each change.
        for server in [&mut reader, &mut writer] {
            assert_eq!(look(server), (0, "open".into()));
        }
        writer.call("add_episode_step", json!({"episode_id": id, "tool": "paint"}));
        assert_eq!(look(&mut reader), (1, "open".into()));
        reader.call("add_episode_step", json!({"episode_id": id, "tool": "dry"}));
        assert_eq!(look(&mut writer), (2, "open".into()));
        writer.call("complete_episode", json!({"episode_id": id, "outcome": "success"}));
        assert_eq!(look(&mut reader), (2, "completed".into()));

        let question = json!({"query": format!("okapi{round}"), "kinds": ["note"]});
        assert_eq!(reader.call("query_memory", question.clone())["known"], false);
        writer.call("remember", json!({"text": format!("okapi{round} is shy"), "external_id": "okapi"}));
        assert_eq!(reader.call("query_memory", question.clone())["known"], true);
        reader.call(
            "remember",
            json!({"text": format!("the okapi of round {round} is gone"), "external_id": "okapi"}),
        );
        assert_eq!(writer.call("query_memory", question)["known"], false, "it was superseded");
        std::mem::swap(&mut writer, &mut reader);
    }
}

#[test]
fn one_server_learns_what_the_other_was_told() {
    let home = Home::new();
    let (mut left, mut right) = (home.start(), home.start());
    let steps =
        json!([{"tool": "build", "error": "Error: out of memory"}, {"tool": "clean"}, {"tool": "build"}]);
    for server in [&mut left, &mut right] {
        server.call(
            "create_episode",
            json!({"task": "Build the firmware image", "steps": steps, "outcome": "success"}),
        );
    }
    left.learned();
    let question = json!({"query": "build the firmware image"});
    let (from_left, from_right) =
        (left.call("query_memory", question.clone()), right.call("query_memory", question));
    assert_eq!(from_left, from_right);
    let recovery = &from_left["advice"]["recoveries"][0];
    assert_eq!(recovery["rate"]["episodes"], 2, "both count, each once: {from_left}");
}

#[test]
fn several_that_start_at_once_on_nothing_share_one_memory() {
    // Two windows again and again, since they get in each other's way only at moments; then many at once.
    for windows in [2; 40].into_iter().chain([6]) {
        let home = Home::new();
        let mut servers: Vec<Server> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..windows).map(|_| scope.spawn(|| home.start())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        for (number, server) in servers.iter_mut().enumerate() {
            server.call("remember", json!({"text": format!("Window number {number} was here")}));
        }
        for server in &mut servers {
            assert_eq!(server.call("health_check", json!({}))["metrics"]["store"]["notes"], windows);
        }
    }
}

#[test]
fn short_lived_processes_do_not_get_in_each_others_way() {
    const PROCESSES_EACH: usize = 25;
    let home = Home::new();
    let mut server = home.start();
    let import = |side: usize| {
        for number in 0..PROCESSES_EACH {
            let line =
                json!({"id": format!("{side}-{number}"), "task": "A run of one line", "success": true});
            let ran = run(home.command().args(["import", "jsonl", "-"]), line.to_string().as_bytes());
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
            assert!(ran.stdout.starts_with("1 stored"), "{ran:?}");
        }
    };
    std::thread::scope(|scope| {
        for side in 0..3 {
            scope.spawn(move || import(side));
        }
        for number in 0..PROCESSES_EACH {
            server.call("remember", json!({"text": format!("Meanwhile {number}")}));
        }
    });
    let counts = server.learned()["store"].take();
    assert_eq!((&counts["episodes"], &counts["notes"]), (&json!(3 * PROCESSES_EACH), &json!(PROCESSES_EACH)));
    drop(server);
    assert_eq!(home.health()["status"], "ok");
}
