//! PrecisionMemBench (tenurehq): short queries against a few beliefs, where what is returned beside the right ones
//! counts as much as what is missing.
//!
//! Its definitions are kept: what is expected (`shouldOnlyInclude`, else `mustInclude` without pinned beliefs),
//! precision and recall of the retrieved beliefs and when they are undefined, pinned beliefs taking their places
//! first, no search for an empty query, users who share nothing. It is left in these points:
//!
//! * Superseded, resolved and pinned beliefs are not stored. The benchmark stores all and takes out the pinned facts
//!   that it shows by itself; an agent would have retired the others with `supersedes`.
//! * A belief is its content, tagged with its name and aliases; the benchmark joins them, and why it matters, to one
//!   text.
//! * At most 12 beliefs are retrieved where the benchmark takes up to 20.
//! * A case with several scopes searches all of them; the benchmark gives its stores the first alone.
//! * The participants of a retrieved relation are not added by the harness.
//! * In sessions, too, returning nothing where something was expected is a precision of 0; the benchmark leaves such
//!   turns out.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::eval::collection::{Collection, Note, Question, Reach};
use crate::eval::data::document;
use crate::eval::measure::{Gold, Measure};
use crate::eval::report::SetRun;
use crate::launch::Launch;

const LIMIT: usize = 12;
/// Beliefs that a context holds, pinned ones included, where a case does not say.
const CONTEXT_BELIEFS: usize = 20;
/// The user of cases that name none.
const USER: &str = "test-user";
const MEASURES: [Measure; 3] = [Measure::Precision, Measure::RecallOfAll, Measure::Exact];

#[derive(Debug, Deserialize)]
struct Belief {
    #[serde(rename = "_id")]
    id: String,
    user_id: String,
    #[serde(rename = "type")]
    kind: String,
    canonical_name: String,
    #[serde(default)]
    aliases: Vec<String>,
    content: String,
    scope: Vec<String>,
    epistemic_status: String,
    #[serde(default)]
    pinned: bool,
    #[serde(default)]
    resolved_at: Value,
    #[serde(default)]
    superseded_by: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    category: String,
    user_id: Option<String>,
    scope: Vec<String>,
    query: String,
    budget: Option<Budget>,
    expect: Expect,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Budget {
    max_beliefs: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expect {
    #[serde(default)]
    relevant_beliefs: Expected,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expected {
    should_only_include: Option<Vec<String>>,
    #[serde(default)]
    must_include: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Session {
    turns: Vec<Turn>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Turn {
    label: String,
    scope: Vec<String>,
    user_message: String,
    expect: Expect,
    create_belief_at_turn: Option<Belief>,
    update_belief_at_turn: Option<Update>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Update {
    belief_id: String,
    #[serde(default)]
    add_aliases: Vec<String>,
}

impl Belief {
    /// Whether it is to be found by searching.
    fn is_stored(&self) -> bool {
        !self.pinned && self.is_current()
    }

    fn is_current(&self) -> bool {
        self.epistemic_status != "superseded" && self.superseded_by.is_null() && self.resolved_at.is_null()
    }

    /// Whether it takes a place in every context of these scopes.
    fn is_shown(&self, user: &str, scope: &[String]) -> bool {
        self.pinned
            && self.kind != "open_question"
            && self.is_current()
            && self.user_id == user
            && self.scope.iter().any(|name| scope.contains(name))
    }

    fn note(&self) -> Note {
        Note {
            id: self.id.clone(),
            text: self.content.clone(),
            tags: [&self.canonical_name].into_iter().chain(&self.aliases).cloned().collect(),
            domain: self.scope.first().map(|scope| domain(scope)),
        }
    }
}

/// What a scope is called as a domain: `code` for `domain:code`.
fn domain(scope: &str) -> String {
    scope.rsplit(':').next().unwrap_or(scope).to_owned()
}

/// The memories of all users.
struct Minds<'a> {
    launch: &'a Launch,
    beliefs: Vec<Belief>,
    collections: BTreeMap<String, Collection>,
}

impl<'a> Minds<'a> {
    fn open(launch: &'a Launch, dir: &Path) -> anyhow::Result<Self> {
        let seed: Vec<Belief> = document(&dir.join("beliefs.seed.json"))?;
        let mut minds = Self { launch, beliefs: Vec::new(), collections: BTreeMap::new() };
        for belief in seed {
            minds.learn(belief)?;
        }
        Ok(minds)
    }

    /// The memory of a user; a new one if nothing is known of the user.
    fn of(&mut self, user: &str) -> anyhow::Result<&mut Collection> {
        match self.collections.entry(user.into()) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => Ok(unknown.insert(Collection::open(self.launch, &[])?)),
        }
    }

    fn learn(&mut self, belief: Belief) -> anyhow::Result<()> {
        if belief.is_stored() {
            self.of(&belief.user_id)?.remember(&belief.note())?;
        }
        self.beliefs.push(belief);
        Ok(())
    }

    fn add_aliases(&mut self, update: Update) -> anyhow::Result<()> {
        let Some(place) = self.beliefs.iter().position(|belief| belief.id == update.belief_id) else {
            return Ok(());
        };
        let mut belief = self.beliefs.remove(place);
        belief.aliases.extend(update.add_aliases);
        self.learn(belief)
    }

    /// How many beliefs may be retrieved into a context.
    fn room(&self, user: &str, scope: &[String], budget: Option<usize>) -> usize {
        let shown = self.beliefs.iter().filter(|belief| belief.is_shown(user, scope)).count();
        budget.unwrap_or(CONTEXT_BELIEFS).saturating_sub(shown).min(LIMIT)
    }

    fn expected(&self, expect: Expect) -> Gold {
        let Expected { should_only_include, must_include } = expect.relevant_beliefs;
        let pinned = |id: &String| {
            self.beliefs.iter().any(|belief| belief.id == *id && belief.pinned && belief.user_id == USER)
        };
        Gold::of(
            should_only_include
                .unwrap_or_else(|| must_include.into_iter().filter(|id| !pinned(id)).collect()),
        )
    }

    fn ask(&mut self, case: Case, run: &mut SetRun) -> anyhow::Result<()> {
        let user = case.user_id.as_deref().unwrap_or(USER);
        let limit = self.room(user, &case.scope, case.budget.and_then(|budget| budget.max_beliefs));
        let domains = case.scope.iter().map(|scope| domain(scope)).collect();
        let reach = Reach { kind: "note", limit, domains };
        let gold = self.expected(case.expect);
        let categories = vec![case.category];
        let question = Question { categories, query: case.query, gold, unanswerable: false };
        run.answered.push(self.of(user)?.ask(question, &reach)?);
        Ok(())
    }

    fn close(self, run: &mut SetRun) {
        self.collections.into_values().for_each(|collection| run.close(collection));
    }
}

/// The cases that stand alone.
pub(crate) fn cases(launch: &Launch, dir: &Path) -> anyhow::Result<SetRun> {
    let mut run = SetRun::new("precision", &MEASURES);
    let mut minds = Minds::open(launch, dir)?;
    for case in document::<Vec<Case>>(&dir.join("retrieval.cases.json"))? {
        minds.ask(case, &mut run)?;
    }
    minds.close(&mut run);
    Ok(run)
}

/// Conversations that wander, in which beliefs are added and get new names; the categories are the labels of their
/// turns.
pub(crate) fn sessions(launch: &Launch, dir: &Path) -> anyhow::Result<SetRun> {
    let mut run = SetRun::new("precision-sessions", &MEASURES);
    let mut minds = Minds::open(launch, dir)?;
    let sessions: Vec<Session> = document(&dir.join("session-retrieval.cases.json"))?;
    for turn in sessions.into_iter().flat_map(|session| session.turns) {
        let Turn { label, scope, user_message, expect, create_belief_at_turn, update_belief_at_turn } = turn;
        let (query, category) = (user_message, label);
        minds.ask(Case { category, user_id: None, scope, query, budget: None, expect }, &mut run)?;
        create_belief_at_turn.map(|belief| minds.learn(belief)).transpose()?;
        update_belief_at_turn.map(|update| minds.add_aliases(update)).transpose()?;
    }
    minds.close(&mut run);
    Ok(run)
}
