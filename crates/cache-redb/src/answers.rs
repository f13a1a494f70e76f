//! Answers given before, for as long as nothing changes.

use async_trait::async_trait;
use jiff::Timestamp;
use memory_core::port::{AnswerCache, AnswerKey};
use memory_core::retrieve::Answer;

use crate::entries::ANSWER;
use crate::{Cache, Lookup};

#[async_trait]
impl AnswerCache for Cache {
    async fn get(&self, key: &AnswerKey, seq: u64) -> Option<Answer> {
        let key = answer_key(key, seq)?;
        let answer = match self.look_up::<(i64, Answer)>(&key).await {
            Some(Lookup::Hit((at, answer))) if self.is_fresh(at, self.source.now()) => Some(answer),
            _ => None,
        };
        self.counts.looked_up(answer.is_some());
        answer
    }

    async fn put(&self, key: &AnswerKey, seq: u64, answer: &Answer) {
        if let Some(key) = answer_key(key, seq) {
            self.keep(&key, &(self.source.now().as_second(), answer), seq);
        }
    }
}

impl Cache {
    /// A clock that was set back makes an answer's age unknown.
    fn is_fresh(&self, at_second: i64, now: Timestamp) -> bool {
        let age_seconds = now.as_second().saturating_sub(at_second);
        (0..self.place.limits.answer_age_max.as_secs()).contains(&age_seconds)
    }
}

/// The question and the `change_seq` in one, so that an answer cannot be found under another one.
fn answer_key(key: &AnswerKey, seq: u64) -> Option<Vec<u8>> {
    postcard::to_extend(&(seq, key), vec![ANSWER]).ok()
}

#[cfg(test)]
mod tests {
    use memory_core::port::Space;
    use memory_core::retrieve::{Filter, Period};

    use super::*;
    use crate::fixture::{Bench, LIMITS, block_on, episode};

    fn question(query: &str) -> AnswerKey {
        let filter = Filter::default();
        AnswerKey {
            query: query.into(),
            filter,
            limit: 5,
            period: None,
            explain: false,
            space: None,
            domains: None,
        }
    }

    fn answer(known: bool) -> Answer {
        Answer { known, ..Answer::default() }
    }

    #[test]
    fn an_answer_is_repeated_to_the_same_question_only() {
        let bench = Bench::new();
        bench.store.add(episode("something"));
        let cache = bench.open();
        assert_eq!(block_on(cache.get(&question("q"), 1)), None);
        block_on(cache.put(&question("q"), 1, &answer(true)));
        assert_eq!(block_on(cache.get(&question("q"), 1)), Some(answer(true)));
        let day = |day: i64| Timestamp::from_second(day * 86_400).unwrap();
        let space = Space { name: "a".into(), dimensions: 2 };
        let others = [
            question("r"),
            AnswerKey { limit: 6, ..question("q") },
            AnswerKey { filter: Filter { superseded: true, ..Filter::default() }, ..question("q") },
            AnswerKey { filter: Filter { domain: Some("d".into()), ..Filter::default() }, ..question("q") },
            AnswerKey { period: Some(Period { from: day(1), to: day(2) }), ..question("q") },
            AnswerKey { explain: true, ..question("q") },
            AnswerKey { domains: Some(vec!["d".into()]), ..question("q") },
            AnswerKey { domains: Some(vec!["e".into()]), ..question("q") },
            AnswerKey { space: Some(space), ..question("q") },
        ];
        others.iter().for_each(|other| assert_eq!(block_on(cache.get(other, 1)), None, "{other:?}"));
        drop(cache);
        assert_eq!(block_on(bench.open().get(&question("q"), 1)), Some(answer(true)), "after a restart");
    }

    #[test]
    fn an_answer_is_never_given_under_another_seq() {
        let bench = Bench::new();
        let id = bench.store.add(episode("something"));
        let cache = bench.open();
        block_on(cache.get(&question("q"), 1));
        block_on(cache.put(&question("q"), 1, &answer(false)));
        assert_eq!(block_on(cache.get(&question("q"), 0)), None);
        assert_eq!(block_on(cache.get(&question("q"), 2)), None);
        bench.store.retitle(id, "else");
        assert_eq!(block_on(cache.get(&question("q"), 2)), None);
        block_on(cache.put(&question("q"), 1, &answer(false)));
        assert_eq!(block_on(cache.get(&question("q"), 2)), None, "a late answer");
        assert_eq!(cache.status().entries, 0, "answers that nothing can ask for any more are gone");
    }

    #[test]
    fn an_answer_does_not_outlive_the_database_it_came_from() {
        let bench = Bench::new();
        let id = bench.store.add(episode("one"));
        bench.store.retitle(id, "two");
        let cache = bench.open();
        block_on(cache.get(&question("q"), 2));
        block_on(cache.put(&question("q"), 2, &answer(true)));
        bench.store.set_seq(1);
        assert_eq!(block_on(cache.get(&question("q"), 1)), None);
        bench.store.retitle(id, "another two");
        assert_eq!(block_on(cache.get(&question("q"), 2)), None);
    }

    #[test]
    fn an_answer_grows_old() {
        let bench = Bench::new();
        let cache = bench.open();
        let age_max = LIMITS.answer_age_max.as_secs();
        block_on(cache.put(&question("q"), 0, &answer(true)));
        for (age, known) in [(age_max - 1, true), (age_max, false), (-1, false)] {
            bench.clock.set(age);
            assert_eq!(block_on(cache.get(&question("q"), 0)).is_some(), known, "after {age} s");
        }
        assert_eq!((cache.status().counts.hits, cache.status().counts.misses), (1, 2));
    }
}
