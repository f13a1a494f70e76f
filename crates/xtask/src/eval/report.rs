//! From answers to figures: by set, category and measure, for the server and for BM25.

use std::fmt::{self, Display};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::collection::{Answered, Collection};
use super::interval::Estimate;
use super::measure::Measure;
use crate::latency::Latency;

/// The category of all questions that have an answer.
const ALL: &str = "all";

/// The questions of one set, answered.
pub(crate) struct SetRun {
    pub(crate) set: String,
    pub(crate) measures: Vec<Measure>,
    pub(crate) answered: Vec<Answered>,
    loads: Vec<Duration>,
    queries: Vec<Duration>,
    settling: Duration,
}

impl SetRun {
    pub(crate) fn new(set: impl Into<String>, measures: &[Measure]) -> Self {
        let (answered, loads, queries, settling) = Default::default();
        Self { set: set.into(), measures: measures.to_vec(), answered, loads, queries, settling }
    }

    /// Takes over how long the calls of a store took, and closes it.
    pub(crate) fn close(&mut self, collection: Collection) {
        self.loads.extend(&collection.store.loads);
        self.queries.extend(&collection.store.queries);
        self.settling += collection.store.settling;
    }

    pub(crate) fn report(&self) -> SetReport {
        let all = self.answered.iter().filter(|one| !one.question.unanswerable).collect();
        let mut rows = vec![self.row(ALL, all)];
        let mut categories: Vec<&String> = Vec::new();
        for category in self.answered.iter().flat_map(|one| &one.question.categories) {
            if !categories.contains(&category) {
                categories.push(category);
            }
        }
        for category in categories {
            let of = |one: &&Answered| one.question.categories.contains(category);
            rows.push(self.row(category, self.answered.iter().filter(of).collect()));
        }
        SetReport {
            set: self.set.clone(),
            questions: self.answered.len(),
            unknown: self.answered.iter().filter(|one| !one.known).count(),
            omitted: self.answered.iter().map(|one| one.omitted).sum(),
            load: Latency::of(&self.loads),
            query: Latency::of(&self.queries),
            settling_s: self.settling.as_secs_f64(),
            rows,
        }
    }

    fn row(&self, category: &str, answered: Vec<&Answered>) -> Row {
        let estimate = |measure: Measure, ranked: &dyn Fn(&Answered) -> Option<f64>| {
            let values: Vec<f64> = answered.iter().filter_map(|one| ranked(one)).collect();
            (measure.name(), Estimate::of(&values))
        };
        let of = |measure: &Measure| {
            let (name, server) = estimate(*measure, &|one| value(*measure, one, &one.ranked()));
            let bm25: &dyn Fn(&Answered) -> Option<f64> =
                &|one| value(*measure, one, &one.bm25.iter().map(String::as_str).collect::<Vec<_>>());
            let (_, bm25) = estimate(*measure, bm25);
            Figure { measure: name, server, bm25 }
        };
        let unknown = answered.iter().filter(|one| !one.known).count();
        let figures = self.measures.iter().map(of).collect();
        Row { category: category.into(), questions: answered.len(), unknown, figures }
    }

    /// A line of JSON for each question, to look at what was found and why not.
    pub(crate) fn dump(&self) -> impl Iterator<Item = Value> {
        self.answered.iter().map(|one| {
            let question = &one.question;
            let hits: Vec<Value> =
                one.hits.iter().map(|hit| json!([hit.external_id, hit.score, hit.confidence])).collect();
            let gold: Vec<Value> =
                question.gold.grades.iter().map(|(id, grade)| json!([id, grade])).collect();
            json!({
                "set": self.set, "categories": question.categories, "query": question.query, "gold": gold,
                "stale": question.gold.stale, "known": one.known, "hits": hits, "bm25": one.bm25,
            })
        })
    }
}

fn value(measure: Measure, one: &Answered, ranked: &[&str]) -> Option<f64> {
    if one.question.unanswerable { None } else { measure.of(&one.question.gold, ranked) }
}

impl Answered {
    /// What the server found. A hit without an id of ours is none of what we stored and counts as a wrong one.
    fn ranked(&self) -> Vec<&str> {
        self.hits.iter().map(|hit| hit.external_id.as_deref().unwrap_or_default()).collect()
    }
}

/// The figures of one set.
#[derive(Debug, Serialize)]
pub(crate) struct SetReport {
    pub(crate) set: String,
    pub(crate) questions: usize,
    /// How many answers said that nothing relevant is known.
    pub(crate) unknown: usize,
    /// Hits that did not fit into the budget of an answer.
    pub(crate) omitted: u64,
    pub(crate) load: Latency,
    pub(crate) query: Latency,
    /// How long background work was waited for between loading and asking, in all stores.
    pub(crate) settling_s: f64,
    pub(crate) rows: Vec<Row>,
}

/// The figures of one category.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) category: String,
    pub(crate) questions: usize,
    /// How many answers said that nothing relevant is known.
    pub(crate) unknown: usize,
    pub(crate) figures: Vec<Figure>,
}

/// One measure of the server and of BM25; nothing where it applies to no question.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) measure: String,
    pub(crate) server: Option<Estimate>,
    pub(crate) bm25: Option<Estimate>,
}

impl Display for SetReport {
    /// A table with a line for each category and one for its baseline. Figures are in percent; where a measure applies
    /// to some of the questions only, their number follows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} questions, {} answered as unknown", self.set, self.questions, self.unknown)?;
        writeln!(f, "  loading: {}; waiting: {:.1} s", self.load, self.settling_s)?;
        writeln!(f, "  asking: {}; {} hits cut off", self.query, self.omitted)?;
        let measures = self.rows.first().map_or(&[][..], |row| &row.figures);
        let names = measures.iter().map(|figure| figure.measure.clone());
        let head = ["", "n", "unknown"].map(String::from).into_iter().chain(names).collect();
        let table: Vec<Vec<String>> =
            [head].into_iter().chain(self.rows.iter().flat_map(Row::lines)).collect();
        write_table(f, &table)
    }
}

/// Writes lines of cells, each column as wide as its longest cell. All lines have as many cells as the first.
pub(crate) fn write_table(f: &mut fmt::Formatter<'_>, table: &[Vec<String>]) -> fmt::Result {
    let width = |column: usize| table.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..table.first().map_or(0, Vec::len)).map(width).collect();
    for line in table {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(f, "  {}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

impl Row {
    fn lines(&self) -> Vec<Vec<String>> {
        let unknown = 100.0 * self.unknown as f64 / self.questions.max(1) as f64;
        let server = [self.category.clone(), self.questions.to_string(), format!("{unknown:.1} %")];
        let server = server.into_iter().chain(self.figures.iter().map(|figure| self.cell(figure.server)));
        let mut lines = vec![server.collect()];
        if self.figures.iter().any(|figure| figure.bm25.is_some()) {
            let bm25 = ["  BM25", "", ""].map(String::from);
            let bm25 = bm25.into_iter().chain(self.figures.iter().map(|figure| self.cell(figure.bm25)));
            lines.push(bm25.collect());
        }
        lines
    }

    fn cell(&self, estimate: Option<Estimate>) -> String {
        let Some(known) = estimate else { return "-".into() };
        let of = if known.n == self.questions { String::new() } else { format!(" of {}", known.n) };
        format!("{known}{of}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::collection::Question;
    use crate::eval::measure::Gold;
    use crate::eval::store::Hit;

    fn answered(category: &str, gold: &str, hits: &[&str], bm25: &[&str], unanswerable: bool) -> Answered {
        let hit = |id: &&str| Hit { external_id: Some((*id).into()), score: 0.5, confidence: 0.25 };
        Answered {
            question: Question {
                categories: vec![category.into()],
                query: "?".into(),
                gold: Gold::of([gold.to_owned()]),
                unanswerable,
            },
            known: !hits.is_empty(),
            hits: hits.iter().map(hit).collect(),
            omitted: 0,
            bm25: bm25.iter().map(ToString::to_string).collect(),
        }
    }

    fn run() -> SetRun {
        let mut run = SetRun::new("tiny", &[Measure::Hit(1), Measure::ReciprocalRank]);
        run.answered = vec![
            answered("easy", "a", &["a"], &["x", "a"], false),
            answered("hard", "b", &["x", "b"], &["b"], false),
            answered("trick", "c", &[], &["c"], true),
        ];
        run
    }

    #[test]
    fn a_question_without_an_answer_counts_only_as_known_or_not() {
        let report = run().report();
        let rows: Vec<_> =
            report.rows.iter().map(|row| (row.category.as_str(), row.questions, row.unknown)).collect();
        assert_eq!(rows, [("all", 2, 0), ("easy", 1, 0), ("hard", 1, 0), ("trick", 1, 1)]);
        let mean = |row: usize, figure: usize| {
            let figure = &report.rows[row].figures[figure];
            (figure.server.map(|server| server.mean), figure.bm25.map(|bm25| bm25.mean))
        };
        assert_eq!(mean(0, 0), (Some(0.5), Some(0.5)));
        assert_eq!(mean(0, 1), (Some(0.75), Some(0.75)));
        assert_eq!(mean(1, 1), (Some(1.0), Some(0.5)));
        assert_eq!(mean(3, 0), (None, None));
    }

    #[test]
    fn the_table_has_a_line_for_each_category_and_its_baseline() {
        let table = run().report().to_string();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "tiny: 3 questions, 1 answered as unknown");
        assert_eq!(lines.len(), 3 + 1 + 2 * 3 + 1, "{table}");
        assert_eq!(lines[3], "          n  unknown  hit@1                MRR");
        assert_eq!(lines[5], "    BM25              50.0 [0.0 100.0]     75.0 [50.0 100.0]");
        assert_eq!(lines[10], "  trick   1  100.0 %  -                    -");
    }

    #[test]
    fn a_dumped_question_names_its_hits_with_their_scores() {
        let line = run().dump().nth(1).unwrap();
        assert_eq!(line["hits"], json!([["x", 0.5, 0.25], ["b", 0.5, 0.25]]));
        assert_eq!((&line["set"], &line["gold"]), (&json!("tiny"), &json!([["b", 1.0]])));
    }
}
