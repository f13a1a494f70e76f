//! Answers given before, for as long as nothing changes.

use async_trait::async_trait;
use jiff::Timestamp;
use memory_core::port::{AnswerCache, AnswerKey};
use memory_core::retrieve::Answer;

use crate::Cache;
use crate::entries::ANSWER;

#[async_trait]
impl AnswerCache for Cache {
    async fn get(&self, key: &AnswerKey, seq: u64) -> Option<Answer> {
        let key = answer_key(key, seq)?;
        let lookup = self.look_up::<(i64, Answer)>(&key).await?;
        let now = self.source.now();
        let fresh = lookup.value.filter(|(at, _)| self.is_fresh(*at, now));
        self.counts.looked_up(fresh.is_some());
        fresh.map(|(_, answer)| answer)
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
