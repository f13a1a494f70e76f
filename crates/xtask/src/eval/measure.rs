//! What is measured on one answer: a ranked list of ids against what should have been found.

use std::collections::HashSet;

/// What a question should find.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Gold {
    /// Relevant ids and how relevant they are; 1 where nobody graded them.
    pub(crate) grades: Vec<(String, f64)>,
    /// Ids of what is no longer true and must not come before what is.
    pub(crate) stale: Vec<String>,
}

impl Gold {
    /// Ids that are all equally relevant, each counted once.
    pub(crate) fn of(ids: impl IntoIterator<Item = String>) -> Self {
        let mut seen = HashSet::new();
        let grades = ids.into_iter().filter(|id| seen.insert(id.clone())).map(|id| (id, 1.0)).collect();
        Self { grades, stale: Vec::new() }
    }

    pub(crate) fn grade(&self, id: &str) -> Option<f64> {
        self.grades.iter().find(|(gold, _)| gold == id).map(|(_, grade)| *grade)
    }
}

/// One measure. Each is a number from 0 to 1 for a question, or nothing where it does not apply; its value for a set is
/// the mean over the questions to which it applies. All but [`Measure::Precision`] and [`Measure::Exact`] apply only to
/// questions that have gold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Share of the gold that is among the first so many.
    Recall(usize),
    /// The same out of as much gold as so many places can hold.
    CappedRecall(usize),
    /// Whether any gold is among the first so many; precision at 1 for 1.
    Hit(usize),
    /// One divided by the rank of the first gold, 0 without any: its mean is the MRR.
    ReciprocalRank,
    /// Normalized discounted cumulative gain of the first so many: the gain is the grade, the ideal order that of the
    /// gold's grades.
    Ndcg(usize),
    /// Whether gold was found, and nothing stale before it.
    UpToDate,
    /// Share of what was returned that is gold. Without gold 0 if anything was returned, else not applicable; with
    /// gold 0 if nothing was.
    Precision,
    /// Share of the gold that is anywhere in what was returned.
    RecallOfAll,
    /// Whether all of the gold was returned and nothing else.
    Exact,
}

impl Measure {
    /// What the tables call it.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Recall(k) => format!("recall@{k}"),
            Self::CappedRecall(k) => format!("capped@{k}"),
            Self::Hit(k) => format!("hit@{k}"),
            Self::ReciprocalRank => "MRR".into(),
            Self::Ndcg(k) => format!("NDCG@{k}"),
            Self::UpToDate => "up to date".into(),
            Self::Precision => "precision".into(),
            Self::RecallOfAll => "recall".into(),
            Self::Exact => "exact".into(),
        }
    }

    /// Its value for one question; `ranked` is what was returned, the best first.
    pub(crate) fn of(self, gold: &Gold, ranked: &[&str]) -> Option<f64> {
        let total = gold.grades.len();
        match self {
            Self::Precision if total == 0 && ranked.is_empty() => return None,
            Self::Precision => return Some(share(found(gold, ranked, ranked.len()), ranked.len())),
            Self::Exact => {
                return Some(truth(ranked.len() == total && found(gold, ranked, ranked.len()) == total));
            }
            _ if total == 0 => return None,
            _ => {}
        }
        Some(match self {
            Self::Recall(k) => share(found(gold, ranked, k), total),
            Self::CappedRecall(k) => share(found(gold, ranked, k), total.min(k)),
            Self::Hit(k) => truth(found(gold, ranked, k) > 0),
            Self::ReciprocalRank => first(gold, ranked).map_or(0.0, |place| 1.0 / (place + 1) as f64),
            Self::Ndcg(k) => ndcg(gold, ranked, k),
            Self::UpToDate => truth(first(gold, ranked).is_some_and(|place| {
                !ranked[..place].iter().any(|id| gold.stale.iter().any(|stale| stale == id))
            })),
            Self::RecallOfAll | Self::Precision | Self::Exact => {
                share(found(gold, ranked, ranked.len()), total)
            }
        })
    }
}

/// How many of the first `k` are gold. An id that comes twice counts once.
fn found(gold: &Gold, ranked: &[&str], k: usize) -> usize {
    let first: HashSet<&str> = ranked.iter().take(k).copied().collect();
    first.into_iter().filter(|id| gold.grade(id).is_some()).count()
}

/// The place of the first gold, from 0.
fn first(gold: &Gold, ranked: &[&str]) -> Option<usize> {
    ranked.iter().position(|id| gold.grade(id).is_some())
}

fn ndcg(gold: &Gold, ranked: &[&str], k: usize) -> f64 {
    let sum = |gains: &mut dyn Iterator<Item = f64>| -> f64 {
        gains.take(k).enumerate().map(|(place, gain)| gain / (place as f64 + 2.0).log2()).sum()
    };
    let mut ideal: Vec<f64> = gold.grades.iter().map(|(_, grade)| *grade).collect();
    ideal.sort_by(|a, b| b.total_cmp(a));
    let best = sum(&mut ideal.into_iter());
    let got = sum(&mut ranked.iter().map(|id| gold.grade(id).unwrap_or(0.0)));
    if best > 0.0 { got / best } else { 0.0 }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn truth(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gold(ids: &[&str]) -> Gold {
        Gold::of(ids.iter().map(ToString::to_string))
    }

    #[test]
    fn recall_is_out_of_all_gold_or_out_of_what_the_places_can_hold() {
        let gold = gold(&["a", "b", "c", "d"]);
        let ranked = ["a", "x", "b", "y", "c"];
        assert_eq!(Measure::Recall(1).of(&gold, &ranked), Some(0.25));
        assert_eq!(Measure::Recall(5).of(&gold, &ranked), Some(0.75));
        assert_eq!(Measure::CappedRecall(1).of(&gold, &ranked), Some(1.0));
        assert_eq!(Measure::CappedRecall(2).of(&gold, &ranked), Some(0.5));
        assert_eq!(Measure::CappedRecall(5).of(&gold, &ranked), Some(0.75));
        assert_eq!(Measure::Recall(5).of(&gold, &[]), Some(0.0));
    }

    #[test]
    fn an_id_named_twice_counts_once() {
        assert_eq!(gold(&["a", "a", "b"]), gold(&["a", "b"]));
        assert_eq!(Measure::Recall(5).of(&gold(&["a", "b"]), &["a", "a"]), Some(0.5));
    }

    #[test]
    fn the_first_gold_decides_hit_and_reciprocal_rank() {
        let (gold, ranked) = (gold(&["a", "b"]), ["x", "y", "b", "a"]);
        assert_eq!(Measure::Hit(2).of(&gold, &ranked), Some(0.0));
        assert_eq!(Measure::Hit(3).of(&gold, &ranked), Some(1.0));
        assert_eq!(Measure::ReciprocalRank.of(&gold, &ranked), Some(1.0 / 3.0));
        assert_eq!(Measure::ReciprocalRank.of(&gold, &["x"]), Some(0.0));
    }

    #[test]
    fn gain_is_the_grade_against_the_best_order() {
        let grades = vec![("a".to_owned(), 6.0), ("b".to_owned(), 10.0)];
        let gold = Gold { grades, stale: Vec::new() };
        // 6 / log2(2) + 10 / log2(4) against 10 / log2(2) + 6 / log2(4).
        let expected = (6.0 + 10.0 / 2.0) / (10.0 + 6.0 / 3f64.log2());
        let got = Measure::Ndcg(10).of(&gold, &["a", "x", "b"]).unwrap();
        assert!((got - expected).abs() < 1e-12, "{got} instead of {expected}");
        assert_eq!(Measure::Ndcg(10).of(&gold, &["b", "a", "x"]), Some(1.0));
        assert_eq!(Measure::Ndcg(1).of(&gold, &["a", "b"]), Some(0.6));
    }

    #[test]
    fn what_is_stale_must_not_come_first() {
        let gold = Gold { stale: vec!["old".into(), "older".into()], ..gold(&["new"]) };
        assert_eq!(Measure::UpToDate.of(&gold, &["x", "new", "old"]), Some(1.0));
        assert_eq!(Measure::UpToDate.of(&gold, &["older", "new", "old"]), Some(0.0));
        assert_eq!(Measure::UpToDate.of(&gold, &["x", "y"]), Some(0.0));
    }

    #[test]
    fn precision_is_undefined_only_if_nothing_was_expected_and_nothing_returned() {
        let (some, none) = (gold(&["a", "b"]), gold(&[]));
        assert_eq!(Measure::Precision.of(&some, &["a", "x", "y", "z"]), Some(0.25));
        assert_eq!(Measure::Precision.of(&some, &[]), Some(0.0));
        assert_eq!(Measure::Precision.of(&none, &["x"]), Some(0.0));
        assert_eq!(Measure::Precision.of(&none, &[]), None);
        assert_eq!(Measure::RecallOfAll.of(&some, &["x", "a"]), Some(0.5));
        assert_eq!(Measure::Exact.of(&some, &["b", "a"]), Some(1.0));
        assert_eq!(Measure::Exact.of(&some, &["b", "a", "x"]), Some(0.0));
        assert_eq!(Measure::Exact.of(&none, &[]), Some(1.0));
    }

    #[test]
    fn a_question_without_gold_is_left_out() {
        for measure in [Measure::Recall(5), Measure::Hit(1), Measure::ReciprocalRank, Measure::Ndcg(10)] {
            assert_eq!(measure.of(&gold(&[]), &["x"]), None, "{}", measure.name());
        }
    }
}
