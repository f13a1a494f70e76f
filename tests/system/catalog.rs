//! Keeping the episodes in order: listing them, putting them right, linking them.

use serde_json::{Value, json};

use crate::access::{configure, make, start};
use crate::leak::is_near;
use crate::learning::furnish;
use crate::server::{Home, Server, texts};

const UNKNOWN: &str = "0198c0de-7a3b-7c4d-8e5f-0123456789ab";
const SERVICES: [&str; 6] = ["billing", "payments", "search", "mail", "catalogue", "stock"];
/// Kills after an acknowledgement.
const KILLS: usize = 12;

fn create(server: &mut Server, arguments: Value) -> Value {
    server.call("create_episode", arguments)["episode_id"].take()
}

fn listed(server: &mut Server, arguments: Value) -> Vec<String> {
    let page = server.call("list_episodes", arguments);
    texts(&page["episodes"], "id").into_iter().map(str::to_owned).collect()
}

fn get(server: &mut Server, id: &Value) -> Value {
    server.call("get_episode", json!({"episode_id": id}))
}

/// The ids of what a question finds.
fn found(server: &mut Server, query: &str) -> Vec<String> {
    let answer = server.call("query_memory", json!({"query": query, "kinds": ["episode"]}));
    texts(&answer["hits"], "id").into_iter().map(str::to_owned).collect()
}

fn link(from: &Value, to: &Value, relation: &str) -> Value {
    json!({"from": from, "to": to, "relation": relation})
}

#[test]
fn episodes_are_listed_in_pages_that_stay_as_they_are_while_more_come() {
    let home = Home::new();
    let mut server = home.start();
    assert_eq!(server.call("list_episodes", json!({})), json!({"episodes": []}));
    let mut ids: Vec<String> = (0..25)
        .map(|n| create(&mut server, json!({"task": format!("Task {n}")})).as_str().unwrap().to_owned())
        .collect();
    ids.reverse();
    let first = server.call("list_episodes", json!({}));
    assert_eq!(texts(&first["episodes"], "id"), ids[..20]);
    let mut cursor = json!(null);
    for n in 0..5 {
        let page = server.call("list_episodes", json!({"limit": 5, "cursor": cursor}));
        assert_eq!(texts(&page["episodes"], "id"), ids[5 * n..5 * n + 5]);
        assert_eq!(page["next_cursor"].is_string(), n < 4, "{page}");
        cursor = page["next_cursor"].clone();
        // What comes now stands before the first page; what goes is missing and moves nothing.
        create(&mut server, json!({"task": "One more"}));
        server.call("delete_episode", json!({"episode_id": ids[5 * n + 4]}));
    }
    for (bad, field) in [
        (json!({"cursor": "20"}), "cursor"),
        (json!({"cursor": "7.0198c0de-7a3b-7c4d-8e5f-0123456789ab"}), "cursor"),
        (json!({"cursor": UNKNOWN.to_uppercase()}), "cursor"),
        (json!({"limit": 0}), "limit"),
        (json!({"limit": 101}), "limit"),
        (json!({"outcome": "won"}), "outcome"),
        (json!({"since": "yesterday"}), "since"),
        (json!({"since": "2026-02-01", "until": "2026-01-01"}), "since"),
    ] {
        let error = server.refused("list_episodes", bad);
        assert_eq!(texts(&error["fields"], "field"), [field], "{error}");
    }
    let message = server.refused("list_episodes", json!({"cursor": "20"}))["message"].take();
    assert!(message.as_str().unwrap().contains("next_cursor"), "it says what would be right: {message}");
}

#[test]
fn episodes_are_listed_by_what_they_are_and_when_they_happened() {
    let home = Home::new();
    let mut server = home.start();
    let all = [
        json!({"task": "Fix the gate\nand the hinge", "domain": "yard", "started_at": "2026-03-03"}),
        json!({"task": "Oil the gate", "domain": "yard.gate", "project": "garden", "started_at": "2026-03-01",
               "outcome": "success", "steps": [{"tool": "oil"}, {"tool": "wipe"}], "external_id": "run-1"}),
        json!({"task": format!("Paint {}", "the long fence ".repeat(30)), "domain": "yards",
               "started_at": "2026-03-02", "outcome": "failure"}),
    ];
    let [open, done, failed] = all.map(|new| create(&mut server, new).as_str().unwrap().to_owned());
    for (filter, expected) in [
        (json!({}), vec![&failed, &done, &open]),
        (json!({"domain": "yard"}), vec![&done, &open]),
        (json!({"project": "garden"}), vec![&done]),
        (json!({"project": "gard"}), vec![]),
        (json!({"state": "open"}), vec![&open]),
        (json!({"state": "completed"}), vec![&failed, &done]),
        (json!({"outcome": "failure"}), vec![&failed]),
        (json!({"since": "2026-03-02"}), vec![&failed, &open]),
        (json!({"until": "2026-03-02"}), vec![&done]),
        (
            json!({"since": "2026-03-01", "until": "2026-03-03T00:00:00Z", "state": "completed"}),
            vec![&failed, &done],
        ),
    ] {
        assert_eq!(listed(&mut server, filter.clone()).iter().collect::<Vec<_>>(), expected, "{filter}");
    }
    let mut page = server.call("list_episodes", json!({}));
    let [of_failed, of_done, of_open] = &mut page["episodes"].as_array_mut().unwrap()[..] else {
        panic!("three")
    };
    assert!(of_done["completed_at"].take().is_string());
    assert_eq!(
        *of_done,
        json!({"id": done, "external_id": "run-1", "task": "Oil the gate", "domain": "yard.gate",
               "project": "garden", "state": "completed", "outcome": "success", "steps": 2,
               "started_at": "2026-03-01T00:00:00Z", "completed_at": null})
    );
    assert_eq!((&of_open["task"], &of_open["outcome"]), (&json!("Fix the gate"), &json!(null)));
    assert!(of_open.get("completed_at").is_none(), "{of_open}");
    let task = of_failed["task"].as_str().unwrap();
    assert!(task.ends_with('…') && task.chars().count() < 200, "{task}");
}

#[test]
fn what_is_corrected_is_told_and_what_is_not_given_stays() {
    let home = Home::new();
    let mut server = home.start();
    furnish(&mut server);
    let id = create(
        &mut server,
        json!({"task": "Reticulate the splines", "domain": "art", "project": "loom", "task_type": "chore",
               "tags": ["a", "b"], "steps": [{"tool": "comb"}], "outcome": "failure", "summary": "Knots.", "reward": 0.25}),
    );
    let before = get(&mut server, &id);
    assert_eq!(found(&mut server, "reticulate splines"), [id.as_str().unwrap()]);
    let mut update = |fields: Value| {
        let mut arguments = fields;
        arguments["episode_id"] = id.clone();
        let done = server.call("update_episode", arguments);
        assert_eq!(done["episode_id"], id);
        (done["changed"].clone(), done["job_id"].is_string())
    };
    assert_eq!(update(json!({"task": "Untangle the quipu"})), (json!(["task"]), true));
    assert_eq!(
        update(json!({"task": "Untangle the quipu", "tags": ["a", "b"]})),
        (json!([]), false),
        "it is so"
    );
    assert_eq!(
        update(json!({"project": "", "task_type": " ", "tags": []})),
        (json!(["project", "task_type", "tags"]), true)
    );
    assert_eq!(
        update(json!({"summary": "Use a wide comb.", "domain": "art.thread"})),
        (json!(["domain", "summary"]), true)
    );
    assert_eq!(update(json!({"outcome": "success"})), (json!(["outcome", "reward"]), true));
    let mut expected = before;
    for (field, value) in [
        ("task", json!("Untangle the quipu")),
        ("project", json!(null)),
        ("task_type", json!(null)),
        ("tags", json!([])),
        ("summary", json!("Use a wide comb.")),
        ("domain", json!("art.thread")),
        ("outcome", json!("success")),
    ] {
        expected[field] = value;
    }
    let mut after = get(&mut server, &id);
    let reward = after["reward"].take();
    expected["reward"] = json!(null);
    assert_eq!(after, expected);
    assert_eq!((&reward["total"], &reward["parts"]["given"]), (&json!(1.0), &json!(null)), "as of a success");
    assert_eq!(found(&mut server, "untangle quipu"), [id.as_str().unwrap()]);
    assert_eq!(found(&mut server, "reticulate splines"), [""; 0], "its old words are gone");
    let secret = ["AKIA", "IOSFODNN", "7EXAMPLE"].concat();
    server.call("update_episode", json!({"episode_id": id, "summary": format!("the key is {secret}")}));
    assert!(!get(&mut server, &id).to_string().contains(&secret));
    server.call("update_episode", json!({"episode_id": id, "domain": ""}));
    assert_eq!(get(&mut server, &id)["domain"], Value::Null);
    assert_eq!(home.health()["status"], "ok");
}

#[test]
fn a_correction_that_cannot_be_made_says_what_can() {
    let home = Home::new();
    let mut server = home.start();
    let open = create(&mut server, json!({"task": "Not yet done"}));
    let error = server.refused("update_episode", json!({"episode_id": open}));
    assert_eq!(error["kind"], "invalid_arguments");
    for field in ["task", "domain", "project", "task_type", "tags", "summary", "outcome", "reward"] {
        assert!(error["message"].as_str().unwrap().contains(field), "{field}: {error}");
    }
    let ended = json!({"episode_id": open, "task": "x", "outcome": "success", "summary": "s", "reward": 0.5});
    let error = server.refused("update_episode", ended);
    assert_eq!(texts(&error["fields"], "field"), ["summary", "outcome", "reward"]);
    assert!(error["message"].as_str().unwrap().contains("complete_episode"), "{error}");
    assert_eq!(get(&mut server, &open)["task"], "Not yet done", "nothing of it was made");
    for (bad, field) in [(json!(" "), "task"), (json!(["a", " "]), "tags"), (json!(2), "reward")] {
        let mut arguments = json!({"episode_id": open});
        arguments[field] = bad;
        let error = server.refused("update_episode", arguments);
        assert!(texts(&error["fields"], "field")[0].starts_with(field), "{error}");
    }
    let updated =
        server.call("update_episode", json!({"episode_id": open, "task": "Almost done", "domain": "yard"}));
    assert_eq!(
        updated,
        json!({"episode_id": open, "changed": ["task", "domain"]}),
        "nothing to learn from yet"
    );
    server.call("complete_episode", json!({"episode_id": open, "outcome": "success"}));
    assert_eq!(server.learned()["jobs"]["dead"], 0);
    // A name is that of one episode in a domain.
    let named = |domain| json!({"task": "Named", "external_id": "run-1", "domain": domain});
    let one = start_in_turn(&home, named("yard"));
    let error = server.refused("update_episode", json!({"episode_id": one.1, "domain": "yard"}));
    assert_eq!(texts(&error["fields"], "field"), ["domain"]);
    assert!(
        error["message"].as_str().unwrap().contains(one.0.as_str().unwrap()),
        "it names the other: {error}"
    );
}

/// Two episodes of one name in two domains, as two that cannot see each other's make them.
fn start_in_turn(home: &Home, new: Value) -> (Value, Value) {
    let keys = [make(home, "yard", "yard", &[]), make(home, "attic", "attic", &[])];
    let config = configure(home, &[&keys[0], &keys[1]]);
    let mut ids = keys.iter().zip(["yard", "attic"]).map(|(key, domain)| {
        let mut new = new.clone();
        new["domain"] = json!(domain);
        create(&mut start(home, &config, key), new)
    });
    (ids.next().unwrap(), ids.next().unwrap())
}

/// Episodes of which much is learned; what the last of them is like is up to the test.
fn deployed(server: &mut Server, last: Value) -> Value {
    furnish(server);
    for (day, service) in (1..).zip(SERVICES) {
        let task = format!("Deploy the {service} service to production");
        for (way, tools, outcome) in [
            ("", ["plan", "stage", "release"], "success"),
            (" in a hurry", ["guess", "force", "rollback"], "failure"),
        ] {
            let steps: Vec<Value> = tools.iter().map(|tool| json!({"tool": tool})).collect();
            let new = json!({"task": format!("{task}{way}"), "domain": "ops.deploy", "steps": steps, "outcome": outcome,
                             "started_at": format!("2026-01-{day:02}T10:00:00Z")});
            create(server, new);
        }
    }
    create(server, last)
}

fn last(change: impl FnOnce(&mut Value)) -> Value {
    let mut last = json!({
        "task": "Deploy the invoices service to production", "domain": "ops.deploy", "outcome": "success",
        "task_type": "release", "tags": ["night"], "summary": "Went well.", "started_at": "2026-02-01T10:00:00Z",
        "steps": [{"tool": "plan"}, {"tool": "stage", "error": "Error: no room"}, {"tool": "stage"}, {"tool": "release"}],
    });
    change(&mut last);
    last
}

/// What a memory tells of what it learned, without the ids of episodes.
fn learned(server: &mut Server) -> Value {
    server.learned();
    let mut patterns = server.call("list_patterns", json!({"limit": 200}))["patterns"].take();
    let texts = json!(patterns.as_array().unwrap().len());
    let task = "Deploy the newsletter service to production";
    let told = server.call("recommend", json!({"task": task, "domain": "ops", "max_tokens": 20_000}));
    let rated = |part: &str| -> Vec<Value> {
        let items = told[part].as_array().unwrap().iter();
        items.map(|item| json!([item["id"], item["text"], item["rate"]])).collect()
    };
    let warnings = server.call("check_action", json!({"action": "stage", "tool": "stage", "domain": "ops"}));
    let warned = warnings["warnings"].as_array().unwrap().iter().map(|w| json!([w["why"], w["confidence"]]));
    let warned: Vec<Value> = warned.collect();
    patterns.as_array_mut().unwrap().sort_by_key(|pattern| pattern["id"].to_string());
    json!({"count": texts, "patterns": patterns, "next": told["next"], "success": told["success_rate"],
           "pitfalls": rated("pitfalls"), "recoveries": rated("recoveries"), "warnings": warned})
}

#[test]
fn what_was_corrected_teaches_as_if_it_had_been_recorded_so_from_the_start() {
    let expected = Home::new();
    let mut server = expected.start();
    deployed(&mut server, last(|_| ()));
    let expected = learned(&mut server);
    let wrong: [(Value, Value); 3] = [
        (last(|new| new["outcome"] = json!("failure")), json!({"outcome": "success"})),
        (last(|new| new["domain"] = json!("cooking")), json!({"domain": "ops.deploy"})),
        (
            last(|new| {
                new["task"] = json!("Bake the invoices");
                (new["task_type"], new["tags"], new["project"]) =
                    (json!(null), json!(["day"]), json!("bakery"));
            }),
            json!({"task": "Deploy the invoices service to production", "task_type": "release", "tags": ["night"],
                   "project": ""}),
        ),
    ];
    for (wrong, correction) in wrong {
        let home = Home::new();
        let mut server = home.start();
        let id = deployed(&mut server, wrong);
        let before = learned(&mut server);
        assert!(!is_near(&before, &expected), "it was learned otherwise: {correction}");
        let mut arguments = correction.clone();
        arguments["episode_id"] = id.clone();
        server.call("update_episode", arguments);
        let after = learned(&mut server);
        assert!(is_near(&after, &expected), "{correction}:\n{after:#}\nis not\n{expected:#}");
        drop(server);
        // To learn everything anew changes nothing.
        assert_eq!(home.run(&["relearn"]).code, Some(0));
        let anew = learned(&mut home.start());
        assert!(is_near(&anew, &expected), "{correction}:\n{anew:#}\nis not\n{expected:#}");
    }
}

#[test]
fn an_episode_can_be_corrected_before_it_was_learned_from() {
    let expected = Home::new();
    let mut server = expected.start();
    deployed(&mut server, last(|_| ()));
    let expected = learned(&mut server);
    let home = Home::new();
    let mut server = home.start();
    let id = deployed(&mut server, json!({"task": "An open one"}));
    server.call("delete_episode", json!({"episode_id": id}));
    // One right after the other, whether the worker has begun or not.
    let new = last(|new| new["outcome"] = json!("failure"));
    let id = create(&mut server, new);
    let corrections =
        [json!({"domain": "cooking"}), json!({"outcome": "success"}), json!({"domain": "ops.deploy"})];
    let mut jobs: Vec<Value> = corrections
        .into_iter()
        .map(|mut correction| {
            correction["episode_id"] = id.clone();
            server.call("update_episode", correction)["job_id"].take()
        })
        .collect();
    jobs.dedup();
    assert_eq!(jobs.len(), 3, "each brings a job of its own");
    let after = learned(&mut server);
    assert!(is_near(&after, &expected), "{after:#}\nis not\n{expected:#}");
}

#[test]
fn what_one_server_corrects_and_links_the_other_tells_at_once() {
    let home = Home::new();
    let (mut left, mut right) = (home.start(), home.start());
    furnish(&mut left);
    let other = create(&mut left, json!({"task": "Something else"}));
    for round in 0..10 {
        let id = create(&mut left, json!({"task": format!("okapi{round} stripes"), "outcome": "failure"}));
        // Both have seen, and so may have cached, the state before each change.
        for server in [&mut left, &mut right] {
            assert_eq!(get(server, &id)["outcome"], "failure");
            assert_eq!(found(server, &format!("okapi{round}")), [id.as_str().unwrap()]);
        }
        left.call(
            "update_episode",
            json!({"episode_id": id, "task": format!("zebra{round} dots"), "outcome": "success"}),
        );
        let seen = get(&mut right, &id);
        assert_eq!(
            (&seen["task"], &seen["outcome"]),
            (&json!(format!("zebra{round} dots")), &json!("success"))
        );
        assert_eq!(found(&mut right, &format!("zebra{round}")), [id.as_str().unwrap()]);
        assert_eq!(found(&mut right, &format!("okapi{round}")), [""; 0]);
        assert!(seen.get("links").is_none(), "{seen}");
        left.call("link_episodes", link(&id, &other, "retries"));
        let links = json!([{"episode_id": other, "relation": "retries", "direction": "out"}]);
        assert_eq!(get(&mut right, &id)["links"], links);
        assert_eq!(get(&mut right, &other)["links"][0]["episode_id"], id, "the last link is told first");
        let mut gone = link(&id, &other, "retries");
        gone["remove"] = json!(true);
        if round % 2 == 0 {
            right.call("link_episodes", gone);
            assert!(get(&mut left, &id).get("links").is_none());
        }
        std::mem::swap(&mut left, &mut right);
    }
}

#[test]
fn a_link_is_told_by_both_ends_until_one_of_them_is_gone() {
    let home = Home::new();
    let mut server = home.start();
    let [a, b, c] = ["a", "b", "c"].map(|task| create(&mut server, json!({"task": task})));
    for _ in 0..2 {
        assert_eq!(server.call("link_episodes", link(&b, &a, "continues")), json!({"linked": true}));
        assert_eq!(server.call("link_episodes", link(&c, &b, "duplicates")), json!({"linked": true}));
    }
    let out =
        |to: &Value, relation: &str| json!({"episode_id": to, "relation": relation, "direction": "out"});
    let back =
        |to: &Value, relation: &str| json!({"episode_id": to, "relation": relation, "direction": "in"});
    assert_eq!(get(&mut server, &a)["links"], json!([back(&b, "continues")]));
    assert_eq!(get(&mut server, &b)["links"], json!([back(&c, "duplicates"), out(&a, "continues")]));
    let read =
        server.ask("resources/read", json!({"uri": format!("memory://episodes/{}", c.as_str().unwrap())}));
    let text = read["result"]["contents"][0]["text"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap()["links"], json!([out(&b, "duplicates")]));
    for (from, to) in [(&a, &json!(UNKNOWN)), (&json!(UNKNOWN), &a)] {
        let error = server.refused("link_episodes", link(from, to, "relates"));
        assert_eq!(error["kind"], "not_found");
        assert!(error["message"].as_str().unwrap().contains(UNKNOWN), "{error}");
    }
    let error = server.refused("link_episodes", link(&a, &a, "relates"));
    assert_eq!(texts(&error["fields"], "field"), ["to"]);
    let mut never = link(&a, &c, "relates");
    never["remove"] = json!(true);
    assert_eq!(server.call("link_episodes", never), json!({"linked": false}));
    server.call("delete_episode", json!({"episode_id": b}));
    for id in [&a, &c] {
        assert!(get(&mut server, id).get("links").is_none());
    }
    drop(server);
    assert_eq!(home.health()["status"], "ok");
}

#[test]
fn nobody_corrects_links_or_lists_what_it_may_not_see() {
    let home = Home::new();
    let [web, both, all] = [("web", "web"), ("both", "web,api"), ("all", "*")]
        .map(|(name, domains)| make(&home, name, domains, &[]));
    let config = configure(&home, &[&web, &both, &all]);
    let mut server = start(&home, &config, &all);
    let new = |domain: &str| json!({"task": format!("in {domain}"), "domain": domain, "outcome": "success"});
    let [own, second, theirs] = ["web", "web.shop", "api"].map(|domain| create(&mut server, new(domain)));
    for (from, to) in [(&own, &theirs), (&theirs, &own), (&second, &own)] {
        server.call("link_episodes", link(from, to, "relates"));
    }
    assert_eq!(get(&mut server, &own)["links"].as_array().unwrap().len(), 3);

    let mut server = start(&home, &config, &web);
    let page = server.call("list_episodes", json!({"limit": 2}));
    assert_eq!(texts(&page["episodes"], "id"), [second.as_str().unwrap(), own.as_str().unwrap()]);
    assert!(page.get("next_cursor").is_none(), "nothing of another domain counts: {page}");
    assert_eq!(listed(&mut server, json!({"domain": "api"})), [""; 0]);
    assert_eq!(listed(&mut server, json!({"cursor": theirs})).len(), 2);
    let links = json!([{"episode_id": second, "relation": "relates", "direction": "in"}]);
    assert_eq!(get(&mut server, &own)["links"], links);
    let answers = [&theirs, &json!(UNKNOWN)].map(|id| {
        let mut answers = vec![
            server.refused("update_episode", json!({"episode_id": id, "task": "mine"})),
            server.refused("update_episode", json!({"episode_id": id, "domain": "web"})),
            server.refused("link_episodes", link(&own, id, "relates")),
            server.refused("link_episodes", link(id, &own, "relates")),
        ];
        let mut gone = link(&own, id, "relates");
        gone["remove"] = json!(true);
        answers.push(server.refused("link_episodes", gone));
        json!(answers).to_string().replace(id.as_str().unwrap(), "it")
    });
    assert_eq!(answers[0], answers[1], "it is not there");
    let outside = server.refused("update_episode", json!({"episode_id": own, "domain": "api"}));
    assert_eq!(outside["kind"], "forbidden", "{outside}");
    assert!(outside["message"].as_str().unwrap().contains("give web"), "{outside}");
    // Without a domain it goes where what is new goes.
    let done = server.call("update_episode", json!({"episode_id": second, "domain": ""}));
    assert_eq!(done["changed"], json!(["domain"]));
    assert_eq!(get(&mut server, &second)["domain"], "web");

    let mut server_of_both = start(&home, &config, &both);
    server_of_both.call("update_episode", json!({"episode_id": own, "domain": "api"}));
    let gone = server.refused("get_episode", json!({"episode_id": own}));
    assert_eq!(gone["kind"], "not_found", "it has moved: {gone}");
    assert!(get(&mut server, &second).get("links").is_none(), "and its links are out of sight");
    assert_eq!(get(&mut server_of_both, &own)["links"].as_array().unwrap().len(), 3);
}

#[test]
fn what_was_corrected_and_linked_survives_a_kill_right_after() {
    let home = Home::new();
    let mut server = home.start();
    let id = deployed(&mut server, last(|_| ()));
    let other = create(&mut server, json!({"task": "Something else", "domain": "ops.deploy"}));
    let mut outcome = "success";
    for kill in 0..KILLS {
        if kill % 2 == 0 {
            outcome = if outcome == "success" { "failure" } else { "success" };
            let task = format!("Deploy the wombat{kill} service to production");
            server.call("update_episode", json!({"episode_id": id, "task": task, "outcome": outcome}));
        } else {
            let mut new = link(&id, &other, "continues");
            new["remove"] = json!(kill % 4 == 3);
            server.call("link_episodes", new);
        }
        server.kill();
        server = home.start();
        let episode = get(&mut server, &id);
        let wombat = format!("wombat{}", kill - kill % 2);
        assert!(episode["task"].as_str().unwrap().contains(&wombat), "{episode}");
        assert_eq!(episode["outcome"], outcome);
        assert_eq!(episode.get("links").is_some(), kill % 4 == 1 || kill > 1 && kill % 4 == 2, "{kill}");
        assert_eq!(found(&mut server, &wombat), [id.as_str().unwrap()]);
    }
    let mut right = json!({"episode_id": id, "task": last(|_| ())["task"]});
    right["outcome"] = json!("success");
    server.call("update_episode", right);
    server.kill();
    // What is to be learned anew is learned by the next one.
    let after = learned(&mut home.start());
    let expected = Home::new();
    let mut server = expected.start();
    deployed(&mut server, last(|_| ()));
    let expected = learned(&mut server);
    assert!(is_near(&after, &expected), "{after:#}\nis not\n{expected:#}");
    assert_eq!(home.health()["status"], "ok");
}
