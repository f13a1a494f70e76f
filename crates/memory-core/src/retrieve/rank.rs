//! From candidates to hits.

use serde::{Deserialize, Serialize};

use super::{Candidate, Candidates, Found, Part};

/// Weight of a term in the title against one in the body.
const TITLE_WEIGHT: f64 = 3.0;
/// Saturation: how fast a term in the title outweighs several in the body (BM25's k₁).
const SATURATION: f64 = 1.2;
/// Share of the query, by weight, that a hit must cover to count as relevant.
const RELEVANT_COVERAGE: f64 = 0.25;
/// Share that an episode must cover for its lessons to become advice: advice from unlike tasks does harm.
pub(super) const ADVICE_COVERAGE: f64 = 0.35;

/// How well something fits a query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// What was found.
    pub found: Found,
    /// 0..1: the share of the query's weight that it covers, less what stands only in its body. It orders the hits.
    pub score: f64,
    /// 0..=1: the share of the query's words, each weighted by its rarity in the store, that it contains.
    pub coverage: f64,
    /// The query's terms that it contains, the rarest first.
    pub matched: Vec<String>,
    /// How many terms the query has.
    pub asked: usize,
}

/// Orders the candidates by relevance and drops those that are not relevant.
///
/// Each term of the query weighs its inverse document frequency (Robertson and Spärck Jones, with the +1 that keeps it
/// positive). A candidate's coverage is the weight of the terms it contains, by the weight of all; its score counts
/// a term in the title more than one in the body, by BM25's saturation w / (w + k₁). Both are shares of the
/// question, so they can be compared between queries, which raw BM25 cannot. A hit is relevant if it covers a quarter
/// of the question and more than one of its words (where it has more than one).
pub fn rank(terms: &[String], candidates: &Candidates) -> Vec<Ranked> {
    let weights: Vec<f64> = candidates.frequencies.iter().map(|df| idf(candidates.documents, *df)).collect();
    let all: f64 = weights.iter().sum();
    if all <= 0.0 {
        return Vec::new();
    }
    let mut ranked: Vec<(Ranked, &Candidate)> = candidates
        .proposed
        .iter()
        .map(|candidate| (assess(terms, &weights, all, candidate), candidate))
        .filter(|(ranked, _)| is_relevant(ranked))
        .collect();
    // Equal scores: the later one first, then by id, so that the order never depends on chance.
    ranked.sort_by(|(a, of_a), (b, of_b)| {
        b.score.total_cmp(&a.score).then(of_b.when.cmp(&of_a.when)).then(b.found.cmp(&a.found))
    });
    ranked.into_iter().map(|(ranked, _)| ranked).collect()
}

fn is_relevant(ranked: &Ranked) -> bool {
    ranked.coverage >= RELEVANT_COVERAGE && ranked.matched.len() >= ranked.asked.min(2)
}

fn assess(terms: &[String], weights: &[f64], all: f64, candidate: &Candidate) -> Ranked {
    let (mut score, mut covered) = (0.0, 0.0);
    let mut matched: Vec<(f64, &String)> = Vec::new();
    for ((term, weight), place) in terms.iter().zip(weights).zip(&candidate.places) {
        let field = match place {
            Some(Part::Title) => TITLE_WEIGHT,
            Some(Part::Body) => 1.0,
            None => continue,
        };
        covered += weight;
        score += weight * field / (field + SATURATION);
        matched.push((*weight, term));
    }
    matched.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    Ranked {
        found: candidate.found,
        score: score / all,
        coverage: covered / all,
        matched: matched.into_iter().map(|(_, term)| term.clone()).collect(),
        asked: terms.len(),
    }
}

/// Inverse document frequency. A term that stands nowhere weighs as much as one that stands in a single document.
fn idf(documents: u64, frequency: u64) -> f64 {
    let (n, df) = (documents as f64, frequency.max(1).min(documents.max(1)) as f64);
    (1.0 + (n - df + 0.5) / (df + 0.5)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EpisodeId;
    use jiff::Timestamp;
    use uuid::Uuid;

    /// What has this id, with each term of the query in its title (`t`), its body (`b`) or nowhere.
    fn candidate(id: u128, places: &str) -> Candidate {
        let place = |c| match c {
            't' => Some(Part::Title),
            'b' => Some(Part::Body),
            _ => None,
        };
        Candidate {
            found: Found::Episode(EpisodeId(Uuid::from_u128(id))),
            when: Timestamp::UNIX_EPOCH,
            places: places.chars().map(place).collect(),
        }
    }

    fn order(frequencies: &[u64], proposed: Vec<Candidate>) -> Vec<u128> {
        let terms: Vec<String> = (0..frequencies.len()).map(|n| format!("term{n}")).collect();
        let candidates = Candidates { documents: 1_000, frequencies: frequencies.to_vec(), proposed };
        let id = |ranked: Ranked| match ranked.found {
            Found::Episode(id) => id.0.as_u128(),
            other => unreachable!("{other:?}"),
        };
        rank(&terms, &candidates).into_iter().map(id).collect()
    }

    #[test]
    fn rare_words_count_more_than_common_ones_and_titles_more_than_bodies() {
        let proposed = vec![candidate(1, "t-b"), candidate(2, "-bt"), candidate(3, "-tt")];
        assert_eq!(order(&[900, 3, 500], proposed), [3, 2]);
    }

    #[test]
    fn a_chance_word_in_common_is_not_relevance() {
        assert!(order(&[5, 5, 5, 5], vec![candidate(1, "t---")]).is_empty());
        assert_eq!(order(&[5], vec![candidate(1, "t")]), [1]);
    }
}
