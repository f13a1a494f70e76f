//! What holds for the extractors whatever the episode.

use std::collections::HashSet;

use jiff::Timestamp;
use memory_core::episode::{Episode, NewStep, Outcome};
use memory_core::extract::{
    Context, DecisionPoint, ErrorRecovery, Extractor, Finding, Pitfall, Registry, ToolSequence,
};
use memory_core::limits::{DETAIL_CHARS_MAX, FINDINGS_MAX, SEQUENCE_TOOLS_MAX};
use memory_core::memory::{NewEnding, NewEpisode};
use memory_core::pattern::{Measure, PatternBody};
use proptest::prelude::*;
use testkit::TestSource;
use testkit::episode::{failed, insertion, ok, open};

fn step() -> impl Strategy<Value = NewStep> {
    let tool = prop::sample::select(vec!["read", "write", "test", "日本", "a b"]);
    let few =
        prop::sample::select(vec!["", "exit 1", "exit 2", "Error: no such file"]).prop_map(str::to_owned);
    let error = prop::option::of(prop_oneof![few, "[a-z]{2}"]);
    let args = prop::option::of(prop_oneof![Just("é".repeat(DETAIL_CHARS_MAX + 1)), Just("{}".to_owned())]);
    (tool, error, args).prop_map(|(tool, error, args)| {
        let step = error.map_or_else(|| ok(tool), |error| failed(tool, &error));
        NewStep { args, ..step }
    })
}

fn episode() -> impl Strategy<Value = Episode> {
    let outcome = prop::option::of(prop::sample::select(Outcome::ALL.to_vec()));
    (prop::collection::vec(step(), 0..300), outcome).prop_map(|(steps, outcome)| {
        let ending = Some(NewEnding { outcome, ..NewEnding::default() });
        let new = NewEpisode { steps, ending, started_at: Some(Timestamp::UNIX_EPOCH), ..open("a task") };
        insertion(&TestSource::default(), new).episode
    })
}

/// All extractors, in the order of the registry.
const ALL: [&dyn Extractor; 5] = [&ToolSequence, &DecisionPoint, &ErrorRecovery, &Context, &Pitfall];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_extractor_finds_the_same_each_time_each_pattern_once_and_within_its_bounds(episode in episode()) {
        for extractor in ALL {
            let found = extractor.extract(&episode);
            prop_assert_eq!(&found, &extractor.extract(&episode), "{}", extractor.name());
            prop_assert!(found.len() <= FINDINGS_MAX);
            let bodies: HashSet<&PatternBody> = found.iter().map(|finding| &finding.body).collect();
            prop_assert_eq!(bodies.len(), found.len());
            for finding in &found {
                prop_assert!((0.0..=1.0).contains(&finding.credit));
                let length = finding.detail.as_ref().map_or(0, |detail| detail.chars().count());
                prop_assert!(length <= DETAIL_CHARS_MAX);
                if let PatternBody::ToolSequence { tools } = &finding.body {
                    prop_assert!((2..=SEQUENCE_TOOLS_MAX).contains(&tools.len()));
                }
            }
        }
    }

    #[test]
    fn the_registry_finds_what_its_extractors_find_and_what_is_usual(episode in episode()) {
        let all = Registry::default().extract(&episode);
        prop_assert_eq!(&all, &Registry::default().extract(&episode));
        let (bases, found): (Vec<Finding>, Vec<Finding>) =
            all.into_iter().partition(|finding| matches!(finding.body, PatternBody::Base { .. }));
        let each: Vec<Finding> = ALL.iter().flat_map(|extractor| extractor.extract(&episode)).collect();
        let measures: HashSet<Measure> = each.iter().map(|finding| finding.body.measure()).collect();
        prop_assert_eq!(found, each);
        for measure in measures {
            let of_it = bases.iter().filter(|base| base.body.measure() == measure).count();
            prop_assert_eq!(of_it, 1, "{:?}", measure);
        }
        let credit = episode.head.outcome().and_then(Outcome::credit);
        let usual = bases.iter().find(|base| base.body.measure() == Measure::Outcome);
        prop_assert_eq!(usual.map(|base| base.credit), credit);
    }

    #[test]
    fn findings_of_different_patterns_have_different_signatures(episode in episode()) {
        let found = Registry::default().extract(&episode);
        let names: HashSet<(&str, String)> =
            found.iter().map(|finding| (finding.body.kind(), finding.body.signature())).collect();
        prop_assert_eq!(names.len(), found.len());
    }
}

/// Two registrations of one extractor are one observation, not two.
#[test]
fn a_pattern_found_by_two_extractors_is_found_once() {
    let new = NewEpisode {
        steps: vec![failed("t", "no"), ok("fix"), ok("t")],
        ending: Some(NewEnding { outcome: Some(Outcome::Partial), ..NewEnding::default() }),
        ..open("a task")
    };
    let episode = insertion(&TestSource::default(), new).episode;
    let once = Registry::new(vec![Box::new(ToolSequence)]);
    let twice = Registry::new(vec![Box::new(ToolSequence), Box::new(ToolSequence)]);
    assert_eq!(twice.extract(&episode), once.extract(&episode));
}
