//! From candidates to an order: how well each thing fits the query, and how sure that is.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Found, Period, QueryTerms};
use crate::search::{Candidate, Candidates, Fit, idf};
use crate::vector::Vector;

/// What the words of the best match weigh at the most, against a cosine of 1.
const WORDS_WEIGHT: f64 = 0.55;
/// The share of the query at which a document's words are half convincing.
const COVERAGE_HALF: f64 = 0.15;
/// How many of the rarest possible words of the query may be missing before its words are half convincing.
const MISSING_HALF: f64 = 3.0;
/// How many of the rarest possible words in common convince by half whatever else is missing.
const COMMON_HALF: f64 = 2.5;
/// Documents from which on it is told by half that nothing has a word.
const EXPECTING_DOCUMENTS: f64 = 200.0;
/// What the better of the passages right before and after adds, and of those one further away.
const NEIGHBOUR_SHARES: [f64; 2] = [0.5, 0.3];
/// What a whole document counts beside its best passage.
const WHOLE_SHARE: f64 = 0.4;
/// What it adds to have happened in the period that the query names.
const PERIOD_BONUS: f64 = 0.3;
/// What being the newest adds at the most; it fades by half every [`RECENCY_HALF_DAYS`].
const RECENCY_BONUS: f64 = 0.01;
const RECENCY_HALF_DAYS: f64 = 30.0;

/// How well something fits a query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// What was found.
    pub found: Found,
    /// When it happened.
    pub when: Timestamp,
    /// When something newer took its place.
    pub retired: Option<Timestamp>,
    /// Orders the hits, 0..: how well its best passage, what stands around that, and the whole fit the query.
    pub score: f64,
    /// 0..=1: how likely it is relevant.
    pub confidence: f64,
    /// How the score came about.
    pub evidence: Evidence,
}

/// What speaks for a hit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// 0..=1: the share of the query's words, each weighed by its rarity in the memory, that it contains.
    pub coverage: f64,
    /// The weight of the words that it contains, in words that are as rare as can be.
    pub common: f64,
    /// The query's words that it contains, by their stems, the rarest first.
    pub matched: Vec<String>,
    /// How many words were searched for.
    pub asked: usize,
    /// 0..=1: its words' BM25 score as a share of the best one's.
    pub words: f64,
    /// −1..=1: the cosine of the query's vector and that of its nearest passage; `None` without a model.
    pub meaning: Option<f64>,
    /// What its neighbours in a sequence added to the score.
    pub neighbours: f64,
    /// Whether it happened in the period that the query names.
    pub in_period: bool,
}

/// A thing in the order of relevance, with what is needed to compare it with others.
#[derive(Clone, Debug)]
pub struct Placed {
    /// How well it fits.
    pub ranked: Ranked,
    /// The vector of its best passage.
    pub vector: Option<Vector>,
}

/// Orders the candidates by relevance.
///
/// A passage's words count by its BM25 score against the best one's, times how convincing they are: a passage that has
/// a good part of the query's rare words convinces, one that shares a chance word of a long question does not. Its
/// meaning counts by its cosine. So the words decide where they are there (names, codes, keywords), the meaning where
/// they are not (paraphrases); no fixed blend does both. In a sequence (a dialogue, a log, a long text) the better
/// neighbours add to a passage. A thing is as good as its best passage and, to a lesser part, the whole of it.
pub fn rank(asked: &QueryTerms, candidates: &Candidates, period: Option<Period>) -> Vec<Placed> {
    let scales = Scales::new(asked, candidates);
    let mut best: HashMap<Found, (f64, f64, &Candidate)> = HashMap::new();
    for candidate in &candidates.proposed {
        let own = scales.passage(&candidate.fit, scales.weight_of(candidate));
        let around = scales.around(candidate);
        let place = best.entry(candidate.found).or_insert((f64::NEG_INFINITY, 0.0, candidate));
        if own + around > place.0 {
            *place = (own + around, around, candidate);
        }
    }
    let newest = candidates.proposed.iter().map(|candidate| candidate.when).max();
    let mut placed: Vec<Placed> = best
        .into_values()
        .map(|(passage, around, candidate)| {
            let mut score = passage;
            if candidate.passages > 1 {
                score += WHOLE_SHARE * (scales.whole(candidate) - passage);
            }
            let in_period = period.is_some_and(|period| period.contains(candidate.when));
            if in_period {
                score += PERIOD_BONUS * score.max(0.0);
            }
            score += recency(candidate.when, newest) * RECENCY_BONUS;
            let evidence = scales.evidence(candidate, around, in_period);
            let Candidate { found, when, retired, vector, .. } = candidate.clone();
            let confidence = confidence(&evidence);
            Placed { ranked: Ranked { found, when, retired, score, confidence, evidence }, vector }
        })
        .collect();
    // Equal scores: the later one first, then by id, so that the order never depends on chance.
    placed.sort_by(|Placed { ranked: a, .. }, Placed { ranked: b, .. }| {
        b.score.total_cmp(&a.score).then(b.when.cmp(&a.when)).then(b.found.cmp(&a.found))
    });
    placed
}

/// How likely something is relevant: logistic models over the evidence, fitted on dialogues, notes and task records with
/// questions to them and to others of them (of things that were given 0.3, 0.25 were relevant; of 0.5, 0.5; of 0.9, 0.9).
fn confidence(evidence: &Evidence) -> f64 {
    let Evidence { coverage, common, .. } = evidence;
    let odds = match evidence.meaning {
        // The more the words say, the less the meaning adds.
        Some(cosine) => -9.2 + 7.4 * coverage + 0.83 * common + (10.4 - 9.2 * coverage) * cosine.max(0.0),
        None => -6.0 + 4.65 * coverage + 1.33 * common,
    };
    1.0 / (1.0 + (-odds).exp())
}

fn recency(when: Timestamp, newest: Option<Timestamp>) -> f64 {
    let Some(newest) = newest else { return 0.0 };
    let days = newest.duration_since(when).as_secs_f64() / 86_400.0;
    (-days * std::f64::consts::LN_2 / RECENCY_HALF_DAYS).exp()
}

/// What scores are measured by.
struct Scales<'a> {
    asked: &'a QueryTerms,
    /// What each term weighs.
    weights: Vec<f64>,
    /// What all terms weigh; guesses only where they are found.
    all: f64,
    /// The same, where a word that nothing has weighs the less the fewer documents there are: that a small memory does not
    /// have it says little.
    all_expected: f64,
    /// What a word that nothing has weighs: the most that one can.
    rarest: f64,
    /// The best BM25 score of a passage, of a whole document.
    best_passage: f64,
    best_whole: f64,
    /// Whether the search had a vector.
    has_vectors: bool,
}

impl<'a> Scales<'a> {
    fn new(asked: &'a QueryTerms, candidates: &Candidates) -> Self {
        let documents = candidates.documents;
        let guesses_from = asked.terms.len() - asked.guesses;
        let weigh = |(place, df): (usize, &u64)| {
            let is_wrong_guess = place >= guesses_from && *df == 0;
            if is_wrong_guess { 0.0 } else { f64::from(idf(documents, *df)) }
        };
        let weights: Vec<f64> = candidates.frequencies.iter().enumerate().map(weigh).collect();
        let expectation = documents as f64 / (documents as f64 + EXPECTING_DOCUMENTS);
        let expected = |(weight, df): (&f64, &u64)| if *df == 0 { weight * expectation } else { *weight };
        // A guess speaks for what has it and never against what has not.
        let all_expected = weights.iter().zip(&candidates.frequencies).take(guesses_from).map(expected).sum();
        let best = |of: fn(&Candidate) -> f32| candidates.proposed.iter().map(of).fold(0.0, f32::max);
        Self {
            asked,
            all: weights.iter().sum(),
            all_expected,
            weights,
            rarest: f64::from(idf(documents, 0)),
            best_passage: f64::from(best(|candidate| candidate.fit.lexical)),
            best_whole: f64::from(best(|candidate| candidate.whole)),
            has_vectors: candidates.proposed.iter().any(|candidate| candidate.fit.dense.is_some()),
        }
    }

    fn weight_of(&self, candidate: &Candidate) -> f64 {
        candidate.matched.iter().filter_map(|place| self.weights.get(usize::from(*place))).sum()
    }

    /// A weight in words that are as rare as can be.
    fn in_rarest(&self, weight: f64) -> f64 {
        weight / self.rarest.max(f64::MIN_POSITIVE)
    }

    /// 0..=1: how much words of this weight in common with the query are to be believed.
    fn conviction(&self, weight: f64) -> f64 {
        let common = self.in_rarest(weight);
        let missing = (self.in_rarest(self.all) - common).max(0.0);
        let coverage = share(weight, self.all);
        let by_share = (1.0 + COVERAGE_HALF.powi(2)) * rising(coverage, COVERAGE_HALF, 2);
        let by_missing = 1.0 - rising(missing, MISSING_HALF, 4);
        let by_common = rising(common, COMMON_HALF, 4);
        (by_share * by_missing).max(by_common)
    }

    fn words(&self, score: f32, best: f64) -> f64 {
        if best > 0.0 { f64::from(score) / best } else { 0.0 }
    }

    /// How well a passage fits, for itself, if the words that it has in common with the query weigh this much.
    fn passage(&self, fit: &Fit, weight: f64) -> f64 {
        self.fuse(self.words(fit.lexical, self.best_passage), fit.dense, weight)
    }

    fn whole(&self, candidate: &Candidate) -> f64 {
        let words = self.words(candidate.whole, self.best_whole);
        self.fuse(words, candidate.fit.dense, self.weight_of(candidate))
    }

    fn fuse(&self, words: f64, dense: Option<f32>, weight: f64) -> f64 {
        if !self.has_vectors {
            return words;
        }
        let words = words * self.conviction(weight);
        // What has no vector is judged by its words alone, as if its meaning fitted as well as they do.
        let meaning = dense.map_or(words, f64::from);
        WORDS_WEIGHT * words + meaning
    }

    /// What the passages around a candidate add.
    fn around(&self, candidate: &Candidate) -> f64 {
        let mut best = [0.0_f64; NEIGHBOUR_SHARES.len()];
        for near in &candidate.neighbours {
            let place = usize::from(near.distance.unsigned_abs()).saturating_sub(1);
            if let Some(best) = best.get_mut(place) {
                // A text of average length has about as high a BM25 score as its words weigh.
                let weight = f64::from(near.fit.lexical).min(self.all);
                *best = best.max(self.passage(&near.fit, weight) * f64::from(near.cohesion));
            }
        }
        best.iter().zip(NEIGHBOUR_SHARES).map(|(best, share)| best * share).sum()
    }

    fn evidence(&self, candidate: &Candidate, neighbours: f64, in_period: bool) -> Evidence {
        let known = |place: &u16| {
            self.asked.terms.get(usize::from(*place)).zip(self.weights.get(usize::from(*place)))
        };
        let mut matched: Vec<(&String, &f64)> = candidate.matched.iter().filter_map(known).collect();
        matched.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let wrong_guesses = self.weights.iter().filter(|weight| **weight == 0.0).count();
        Evidence {
            coverage: share(self.weight_of(candidate), self.all_expected),
            common: self.in_rarest(self.weight_of(candidate)),
            matched: matched.into_iter().map(|(term, _)| term.clone()).collect(),
            asked: self.asked.terms.len() - wrong_guesses,
            words: self.words(candidate.whole, self.best_whole),
            meaning: candidate.fit.dense.map(f64::from),
            neighbours,
            in_period,
        }
    }
}

/// The share of a part, 0..=1.
fn share(part: f64, all: f64) -> f64 {
    if all > 0.0 { (part / all).min(1.0) } else { 0.0 }
}

/// From 0 to 1 as `x` rises from 0, half of it at `half`, the more suddenly the higher the power.
fn rising(x: f64, half: f64, power: i32) -> f64 {
    let x = (x / half).powi(power);
    x / (1.0 + x)
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use uuid::Uuid;

    use super::*;
    use crate::id::NoteId;
    use crate::search::Neighbour;

    const DOCUMENTS: u64 = 1_000;

    fn found(id: u128) -> Found {
        Found::Note(NoteId(Uuid::from_u128(id)))
    }

    /// A thing of one passage.
    fn candidate(id: u128, lexical: f32, matched: &[u16], dense: Option<f32>) -> Candidate {
        Candidate {
            found: found(id),
            when: Timestamp::UNIX_EPOCH,
            retired: None,
            passage: 0,
            passages: 1,
            fit: Fit { lexical, dense },
            whole: lexical,
            matched: matched.to_vec(),
            neighbours: Vec::new(),
            vector: None,
        }
    }

    fn near(mut candidate: Candidate, cohesion: f32, fit: Fit) -> Candidate {
        candidate.neighbours.push(Neighbour { distance: 1, fit, cohesion });
        candidate
    }

    fn ranked(frequencies: &[u64], proposed: Vec<Candidate>, period: Option<Period>) -> Vec<Ranked> {
        let terms = (0..frequencies.len()).map(|n| format!("term{n}")).collect();
        let spelled = vec![None; frequencies.len()];
        let candidates =
            Candidates { documents: DOCUMENTS, frequencies: frequencies.to_vec(), spelled, proposed };
        let placed = rank(&QueryTerms { terms, guesses: 0 }, &candidates, period);
        placed.into_iter().map(|placed| placed.ranked).collect()
    }

    fn order(frequencies: &[u64], proposed: Vec<Candidate>) -> Vec<Found> {
        ranked(frequencies, proposed, None).into_iter().map(|ranked| ranked.found).collect()
    }

    #[test]
    fn an_exact_name_beats_a_likely_meaning() {
        let proposed = vec![candidate(1, 6.0, &[0], Some(0.2)), candidate(2, 0.0, &[], Some(0.6))];
        assert_eq!(order(&[1], proposed), [found(1), found(2)]);
    }

    #[test]
    fn a_meaning_beats_a_chance_word_of_a_long_question() {
        let rare = [0, 0, 0, 0, 0, 40];
        let proposed = vec![candidate(1, 3.0, &[5], Some(0.1)), candidate(2, 0.0, &[], Some(0.5))];
        assert_eq!(order(&rare, proposed), [found(2), found(1)]);
    }

    #[test]
    fn without_vectors_words_decide() {
        let proposed = vec![candidate(1, 2.0, &[1], None), candidate(2, 4.0, &[0], None)];
        assert_eq!(order(&[3, 40, 0, 0, 0, 0], proposed), [found(2), found(1)]);
    }

    #[test]
    fn what_has_no_vector_yet_is_not_held_back() {
        let proposed = vec![candidate(1, 6.0, &[0, 1], None), candidate(2, 2.0, &[1], Some(0.4))];
        assert_eq!(order(&[2, 20], proposed), [found(1), found(2)]);
    }

    #[test]
    fn a_matching_neighbour_counts_in_a_sequence_only() {
        let fit = Fit { lexical: 6.0, dense: None };
        let alone = candidate(2, 3.0, &[0], None);
        let beside = |cohesion| near(candidate(1, 2.5, &[0], None), cohesion, fit);
        assert_eq!(order(&[5], vec![beside(1.0), alone.clone()]), [found(1), found(2)]);
        assert_eq!(order(&[5], vec![beside(0.0), alone]), [found(2), found(1)]);
    }

    #[test]
    fn the_period_that_is_named_counts_without_cutting_off_the_rest() {
        let (from, to) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH + 24.hours());
        let mut later = candidate(1, 4.0, &[0], None);
        later.when = to + 24.hours();
        let proposed = vec![later, candidate(2, 3.5, &[0], None)];
        let ranked = ranked(&[5], proposed, Some(Period { from, to }));
        assert_eq!(ranked.iter().map(|ranked| ranked.found).collect::<Vec<_>>(), [found(2), found(1)]);
        assert!(ranked[0].evidence.in_period && !ranked[1].evidence.in_period);
    }

    #[test]
    fn of_equals_the_newer_comes_first() {
        let mut newer = candidate(1, 4.0, &[0], None);
        newer.when = Timestamp::UNIX_EPOCH + 48.hours();
        assert_eq!(order(&[5], vec![candidate(2, 4.0, &[0], None), newer]), [found(1), found(2)]);
    }
}
