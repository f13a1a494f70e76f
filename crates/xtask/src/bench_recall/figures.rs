//! What was measured in one memory, beside what it is to be.

use std::fmt::{self, Display};
use std::time::Duration;

use crate::latency::Latency;

/// What was measured.
pub(crate) struct Figures {
    pub(crate) notes: usize,
    /// What the vectors are; none where search is by words only.
    pub(crate) vectors: Option<String>,
    /// How busy the machine was before and after.
    pub(crate) load: String,
    /// From the start of the process to its first answer.
    pub(crate) starts: Latency,
    pub(crate) questions: Latency,
    /// What all threads of the server computed for one of them, where the system tells it.
    pub(crate) cpu: Option<Duration>,
    /// Questions that name domain and project.
    pub(crate) filtered: Latency,
    pub(crate) resident: Option<Resident>,
    /// Bytes.
    pub(crate) database: u64,
    /// Bytes.
    pub(crate) index: u64,
    pub(crate) writes: Latency,
    /// The question after each of these writes.
    pub(crate) afterwards: Latency,
}

/// Memory of a process, in bytes.
pub(crate) struct Resident {
    pub(crate) all: u64,
    /// What is not of a file and could not be had again.
    pub(crate) anonymous: u64,
}

/// What is to be had, at the most.
struct Goal {
    notes: usize,
    by_meaning: bool,
    start_ms: Option<f64>,
    question_ms: f64,
    resident_mb: Option<f64>,
}

const fn goal(notes: usize, by_meaning: bool, question_ms: f64) -> Goal {
    Goal { notes, by_meaning, start_ms: None, question_ms, resident_mb: None }
}

const GOALS: [Goal; 6] = [
    goal(10_000, false, 1.5),
    Goal { start_ms: Some(100.0), resident_mb: Some(40.0), ..goal(100_000, false, 4.0) },
    goal(1_000_000, false, 15.0),
    goal(10_000, true, 4.0),
    Goal { start_ms: Some(100.0), resident_mb: Some(180.0), ..goal(100_000, true, 7.0) },
    goal(1_000_000, true, 25.0),
];

const MEGABYTE: f64 = 1e6;

impl Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by_meaning = self.vectors.is_some();
        let goal = GOALS.iter().find(|goal| goal.notes == self.notes && goal.by_meaning == by_meaning);
        let how = self.vectors.as_ref().map_or_else(|| "by words".into(), |what| format!("hybrid ({what})"));
        let of = |goal: Option<f64>, unit| Against { goal, unit };
        let start = of(goal.and_then(|goal| goal.start_ms), "ms");
        let question = of(goal.map(|goal| goal.question_ms), "ms");
        let resident = of(goal.and_then(|goal| goal.resident_mb), "MB");
        writeln!(f, "{} notes, {how}, load {}", self.notes, self.load)?;
        writeln!(f, "  start to first answer: {}{}", self.starts, start.of(self.starts.middle_ms()))?;
        writeln!(f, "  query_memory: {}{}", self.questions, question.of(self.questions.middle_ms()))?;
        if let Some(cpu) = &self.cpu {
            writeln!(f, "  computing for one of them: {:.2} ms", cpu.as_secs_f64() * 1_000.0)?;
        }
        writeln!(f, "  query_memory in one project: {}", self.filtered)?;
        if let Some(Resident { all, anonymous }) = &self.resident {
            let (all, anonymous) = (*all as f64 / MEGABYTE, *anonymous as f64 / MEGABYTE);
            let against = resident.of(all);
            writeln!(f, "  resident memory: {all:.1} MB, {anonymous:.1} MB of it anonymous{against}")?;
        }
        let [database, index] = [self.database, self.index].map(|bytes| bytes as f64 / MEGABYTE);
        writeln!(f, "  on disk: database {database:.1} MB, index {index:.1} MB")?;
        writeln!(f, "  remember: {}", self.writes)?;
        writeln!(f, "  query_memory after each: {}\n", self.afterwards)
    }
}

struct Against {
    goal: Option<f64>,
    unit: &'static str,
}

impl Against {
    fn of(&self, figure: f64) -> String {
        let Some(goal) = self.goal else { return String::new() };
        let verdict = if figure <= goal { "kept" } else { "missed" };
        format!(" (goal {goal} {}: {verdict})", self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_told_beside_its_goal() {
        let goal = Against { goal: Some(4.0), unit: "ms" };
        assert_eq!(goal.of(4.0), " (goal 4 ms: kept)");
        assert_eq!(goal.of(4.1), " (goal 4 ms: missed)");
        assert_eq!(Against { goal: None, unit: "ms" }.of(4.0), "");
    }
}
