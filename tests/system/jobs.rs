//! What is left to learn: it is seen, and what was given up is learned once it is tried again.

use serde_json::{Value, json};

use crate::access::{command, configure, make};
use crate::disclosure::fits;
use crate::server::{Home, Server, texts, wait_until};

const UNKNOWN: &str = "0198c0de-7a3b-7c4d-8e5f-0123456789ab";
/// Where the episodes are filed.
const DOMAINS: [&str; 4] = ["web", "web.shop", "web", "ops"];

const SOUND: &str = r#"["brittle"]"#;
const BROKEN: &str = r#"["brittle"!"#;

/// Changes what the database has of some episodes, which nobody has open.
fn alter(home: &Home, from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let mut bytes = std::fs::read(home.database()).unwrap();
    let places: Vec<usize> =
        (0..bytes.len()).filter(|at| bytes[*at..].starts_with(from.as_bytes())).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    std::fs::write(home.database(), bytes).unwrap();
}

/// Episodes of these domains that cannot be read, so that everything that is tried on them fails.
fn spoil(home: &Home, domains: &[&str]) -> Vec<Value> {
    let mut server = home.start();
    let episodes = domains.iter().enumerate().map(|(n, domain)| {
        let steps = json!([{"tool": format!("first{n}")}, {"tool": format!("second{n}")}]);
        let task = format!("Mend part {n}");
        let episode = json!({"task": task, "domain": domain, "tags": ["brittle"], "steps": steps, "outcome": "success"});
        server.call("create_episode", episode)["episode_id"].take()
    });
    let episodes = episodes.collect();
    server.learned();
    assert_eq!(server.finish().1, Some(0));
    alter(home, SOUND, BROKEN);
    let ran = home.run(&["relearn"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    episodes
}

/// Waits until so many jobs are given up; returns them.
fn given_up(server: &mut Server, count: usize) -> Vec<Value> {
    let mut dead = Vec::new();
    wait_until("they are given up", || {
        dead = jobs(server, json!({"state": "dead"}));
        dead.len() == count
    });
    dead
}

/// An episode of each of these domains and its job, which was given up. There is nothing wrong with the episodes any more.
pub(crate) fn dead_letters(home: &Home, domains: &[&str]) -> Vec<(String, String)> {
    let episodes = spoil(home, domains);
    let mut server = home.start();
    let dead = given_up(&mut server, domains.len());
    assert_eq!(server.finish().1, Some(0));
    alter(home, BROKEN, SOUND);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    episodes.iter().map(|episode| (text(episode), text(&job_of(&dead, episode)["job_id"]))).collect()
}

fn jobs(server: &mut Server, arguments: Value) -> Vec<Value> {
    server.call("list_jobs", arguments)["jobs"].as_array().unwrap().clone()
}

fn job_of(jobs: &[Value], episode: &Value) -> Value {
    let found = jobs.iter().find(|job| job["episode_id"] == *episode);
    found.unwrap_or_else(|| panic!("none of {episode} in {jobs:?}")).clone()
}

/// Whether something is learned from the episode of this number.
fn is_learned(server: &mut Server, number: usize) -> bool {
    let patterns = server.call("list_patterns", json!({"kind": "tool_sequence", "limit": 200}));
    texts(&patterns["patterns"], "text").contains(&&*format!("first{number} → second{number}"))
}

#[test]
fn what_was_given_up_is_told_with_the_reason_and_learned_when_it_is_tried_again() {
    let home = Home::new();
    let episodes = spoil(&home, &DOMAINS);
    let keys = [
        make(&home, "all", "*", &[]),
        make(&home, "web", "web", &[]),
        make(&home, "reader", "web", &["--read-only"]),
    ];
    let config = configure(&home, &keys.iter().collect::<Vec<_>>());
    let [mut all, mut web, mut reader] =
        keys.each_ref().map(|key| Server::start(&mut command(&home, &config, key)));
    let dead = given_up(&mut all, DOMAINS.len());
    let by_number: Vec<Value> = episodes.iter().map(|episode| job_of(&dead, episode)).collect();
    for job in &dead {
        assert_eq!(
            (&job["state"], &job["attempts"], &job["priority"]),
            (&json!("dead"), &json!(5), &json!("low"))
        );
        assert!(job["error"].as_str().unwrap().contains("the database reported"), "{job}");
    }
    let health = all.call("health_check", json!({}));
    let queue = health["components"].as_array().unwrap().iter().find(|part| part["name"] == "queue").unwrap();
    assert_eq!(queue["status"], "degraded");
    assert!(queue["detail"].as_str().unwrap().contains("4 job(s) were given up; list_jobs"), "{queue}");

    only_own_ones_are_told(&mut web, &mut reader, &episodes, &by_number);

    // It fails as before, and has all of its attempts again.
    let again = json!({"job_id": by_number[0]["job_id"]});
    assert_eq!(web.call("retry_job", again.clone()), json!({"job_id": again["job_id"], "state": "queued"}));
    let state = web.call("retry_job", again)["state"].take();
    assert!(["queued", "running"].contains(&state.as_str().unwrap()), "nothing to be done: {state}");
    wait_until("it is tried again", || {
        let job = job_of(&jobs(&mut all, json!({})), &episodes[0]);
        assert_ne!(job["state"], "dead", "after one attempt");
        job["error"].is_string()
    });
    for server in [reader, web, all] {
        assert_eq!(server.finish().1, Some(0));
    }

    alter(&home, BROKEN, SOUND);
    let mut web = Server::start(&mut command(&home, &config, &keys[1]));
    assert!(!is_learned(&mut web, 1));
    let retried = web.call("retry_job", json!({"job_id": by_number[1]["job_id"]}));
    assert_eq!(retried["state"], "queued");
    web.kill();
    let mut all = Server::start(&mut command(&home, &config, &keys[0]));
    wait_until("what was acknowledged is learned", || is_learned(&mut all, 0) && is_learned(&mut all, 1));
    let left = jobs(&mut all, json!({}));
    let mut expected = vec![by_number[2].clone(), by_number[3].clone()];
    expected.sort_by_key(|job| job["job_id"].as_str().unwrap().to_owned());
    assert_eq!(left, expected);
    let done = all.refused("retry_job", json!({"job_id": by_number[1]["job_id"]}));
    assert!(done["message"].as_str().unwrap().contains("it is done"), "{done}");
    assert_eq!(all.finish().1, Some(0));
    the_command_line_shows_and_retries(&home, &by_number[2..]);
    let mut server = home.start();
    assert!((0..DOMAINS.len()).all(|number| is_learned(&mut server, number)));
}

/// Who may not see everything is told of the own ones, and not of what may name files.
fn only_own_ones_are_told(web: &mut Server, reader: &mut Server, episodes: &[Value], by_number: &[Value]) {
    let own = jobs(web, json!({}));
    assert_eq!(own.len(), 3);
    for (job, episode) in [(&by_number[0], &episodes[0]), (&by_number[1], &episodes[1])] {
        let mut expected = job.clone();
        expected["error"] = Value::Null;
        assert_eq!(job_of(&own, episode), expected);
    }
    assert_eq!(jobs(reader, json!({})), own);
    let page = web.call("list_jobs", json!({"limit": 2}));
    assert_eq!(page["jobs"].as_array().unwrap()[..], own[..2]);
    let last = web.call("list_jobs", json!({"limit": 2, "cursor": page["next_cursor"]}));
    assert_eq!(
        (last["jobs"].as_array().unwrap()[..].to_vec(), last.get("next_cursor")),
        (own[2..].to_vec(), None)
    );
    assert_eq!(jobs(web, json!({"state": "running"})), Vec::<Value>::new());
    let refusal = |server: &mut Server, id: &Value| {
        let error = server.refused("retry_job", json!({"job_id": id}));
        (error["kind"].clone(), error["message"].as_str().unwrap().replace(id.as_str().unwrap(), UNKNOWN))
    };
    let unknown = refusal(web, &UNKNOWN.into());
    assert_eq!(unknown.0, "not_found");
    assert_eq!(refusal(web, &by_number[3]["job_id"]), unknown);
    assert_eq!(refusal(reader, &by_number[0]["job_id"]).0, "forbidden");
}

/// Two dead letters, nothing else.
fn the_command_line_shows_and_retries(home: &Home, dead: &[Value]) {
    let ids: Vec<&str> = dead.iter().map(|job| job["job_id"].as_str().unwrap()).collect();
    let ran = home.run(&["jobs", "--state", "dead"]);
    for shown in [ids[0], ids[1], "the database reported", "0 queued, 0 running, 2 dead"] {
        assert!(ran.stdout.contains(shown), "{shown} in {ran:?}");
    }
    assert_eq!(home.run(&["jobs", "--state", "queued"]).stdout, "0 queued, 0 running, 2 dead\n");
    assert_eq!(home.run(&["jobs", "--json"]).json()["jobs"].as_array().unwrap().len(), 2);
    let ran = home.run(&["jobs", "retry", UNKNOWN]);
    assert!(ran.code == Some(1) && ran.stderr.contains("no job is left that has the id"), "{ran:?}");
    for wrong in [&["jobs", "retry"][..], &["jobs", "retry", ids[0], "--all"], &["jobs", "--state", "lost"]] {
        assert_eq!(home.run(wrong).code, Some(2), "{wrong:?}");
    }
    let ran = home.run(&["jobs", "retry", ids[0]]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stdout.contains("is queued") && ran.stdout.contains("0 queued, 0 running, 1 dead"),
        "{ran:?}"
    );
    let ran = home.run(&["jobs", "retry", "--all"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stdout.contains("1 put back") && ran.stdout.contains("0 queued, 0 running, 0 dead"),
        "{ran:?}"
    );
}

#[test]
fn the_metrics_are_those_of_a_detailed_health_check() {
    let home = Home::new();
    let (web, all) = (make(&home, "web", "web", &[]), make(&home, "all", "*", &["--read-only"]));
    let config = configure(&home, &[&web, &all]);
    for (key, is_everything) in [(&web, false), (&all, true)] {
        let mut server = Server::start(&mut command(&home, &config, key));
        server.call("query_memory", json!({"query": "anything"}));
        let mut of_health = server.call("health_check", json!({"detailed": true}))["metrics"].take();
        let mut alone = server.call("get_metrics", json!({}))["metrics"].take();
        assert_eq!(alone["process"].is_object(), is_everything, "{alone}");
        if is_everything {
            // What the health check itself did.
            let calls = &alone["process"]["tools"]["health_check"]["calls"];
            assert_eq!((calls, &alone["sandbox"]["runs"]), (&json!(1), &json!(1)));
            for metrics in [&mut of_health, &mut alone] {
                metrics["process"]["tools"].as_object_mut().unwrap().remove("health_check");
                metrics["sandbox"].take();
                metrics["cache"].take();
            }
        }
        assert_eq!(alone, of_health);
    }
}

#[test]
fn a_retried_job_is_answered_in_the_form_that_is_announced() {
    let home = Home::new();
    let episodes = spoil(&home, &DOMAINS);
    let mut server = home.start_expert();
    let list = server.ask("tools/list", json!({}))["result"]["tools"].take();
    let job = job_of(&jobs(&mut server, json!({})), &episodes[0]);
    let result = server.call("retry_job", json!({"job_id": job["job_id"]}));
    let tool = list.as_array().unwrap().iter().find(|tool| tool["name"] == "retry_job").unwrap();
    let fields = tool["outputSchema"]["properties"].as_object().unwrap();
    assert!(!fields.is_empty());
    for (name, schema) in fields {
        assert!(fits(schema, &result[name]), "{name}: {result}");
    }
}
