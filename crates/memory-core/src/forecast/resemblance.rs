//! How much alike two tasks are.

use std::collections::BTreeSet;

use crate::limits::{QUERY_TERMS_MAX, RESEMBLANCE_CHARS_MAX};
use crate::retrieve::analyze::{count_terms, is_stop_word};

/// From here on two tasks are taken for the same one: they have the same words, but for endings and stop words. Tasks that
/// differ in one word of thirty may end quite otherwise.
pub(crate) const SAME_TASK: f64 = 0.999;

/// A task, to be compared with others.
#[derive(Clone, Debug)]
pub(crate) struct Resemblance(BTreeSet<String>);

impl Resemblance {
    /// To this task.
    pub(crate) fn to(task: &str) -> Self {
        Self(terms(task))
    }

    /// The cosine of the sets of words of both, 0 to 1.
    pub(crate) fn of(&self, task: &str) -> f64 {
        let other = terms(task);
        let common = self.0.intersection(&other).count() as f64;
        let size = (self.0.len() as f64 * other.len() as f64).sqrt();
        if size > 0.0 { common / size } else { 0.0 }
    }
}

fn terms(task: &str) -> BTreeSet<String> {
    let end = task.char_indices().nth(RESEMBLANCE_CHARS_MAX).map_or(task.len(), |(end, _)| end);
    let terms = count_terms(&task[..end], QUERY_TERMS_MAX).into_iter().map(|(term, _)| term);
    terms.filter(|term| !is_stop_word(term)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_task_is_recognized_and_one_with_another_number_is_not() {
        let task = Resemblance::to("Fix the flaky checkout test of the shop and run the whole suite again");
        assert!(
            task.of("fix the flaky checkout test of the shop, and run the whole suite again!") >= SAME_TASK
        );
        assert!(task.of("Fix the flaky payment test of the shop and run the whole suite again") < SAME_TASK);
        assert_eq!(task.of("zzz"), 0.0);
        assert_eq!(Resemblance::to("").of(""), 0.0);
    }
}
