//! What there is to read beside the tools: episodes, patterns and summaries of projects, by their addresses. They say what
//! the tools say, as JSON: what is quoted in it cannot be mistaken for anything else.

use std::str::FromStr;

use memory_core::error::Error;
use memory_core::id::{EpisodeId, PatternId};
use memory_core::port::{EpisodeListing, Listing, Naming};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rmcp::ErrorData;
use rmcp::model::{CompletionInfo, Resource, ResourceTemplate};
use serde::Serialize;
use serde_json::json;

use crate::limits::{
    COMPLETIONS_MAX, RESOURCE_NAME_CHARS, RESOURCES_LISTED_MAX, RESOURCES_PAGE, URI_BYTES_MAX,
};
use crate::server::Server;
use crate::wire::answer::{first_line, to_the_second};
use crate::wire::episode::WireEpisode;
use crate::wire::excerpt;
use crate::wire::learning::WireExplanation;
use crate::wire::project::WireProject;

/// The type of all that can be read.
pub(crate) const MIME_TYPE: &str = "application/json";

const EPISODES: &str = "memory://episodes/";
const PATTERNS: &str = "memory://patterns/";
const PROJECTS: &str = "memory://project/";
const SUMMARY: &str = "/summary";

/// What may stand in a URI as it is (RFC 3986, unreserved).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The templates of all addresses: the template, the name, a title, what is behind it.
const TEMPLATES: [(&str, &str, &str, &str); 3] = [
    (
        "memory://episodes/{id}",
        "episode",
        "Episode",
        "A recorded task: its steps, how it ended, what was learned.",
    ),
    (
        "memory://patterns/{id}",
        "pattern",
        "Pattern",
        "Something learned from episodes, and how its rate came about.",
    ),
    (
        "memory://project/{name}/summary",
        "project_summary",
        "Summary of a project",
        "How its tasks ended, what works and fails in it, notes and the latest tasks.",
    ),
];

/// What can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Episode(EpisodeId),
    Pattern(PatternId),
    Project(String),
}

impl FromStr for Address {
    type Err = ();

    fn from_str(uri: &str) -> Result<Self, ()> {
        if uri.len() > URI_BYTES_MAX {
            return Err(());
        }
        if let Some(id) = uri.strip_prefix(EPISODES) {
            return id.parse().map(Self::Episode).map_err(drop);
        }
        if let Some(id) = uri.strip_prefix(PATTERNS) {
            return id.parse().map(Self::Pattern).map_err(drop);
        }
        let name = uri.strip_prefix(PROJECTS).and_then(|rest| rest.strip_suffix(SUMMARY)).ok_or(())?;
        let name = percent_decode_str(name).decode_utf8().map_err(drop)?;
        if name.is_empty() { Err(()) } else { Ok(Self::Project(name.into_owned())) }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Episode(id) => write!(f, "{EPISODES}{id}"),
            Self::Pattern(id) => write!(f, "{PATTERNS}{id}"),
            Self::Project(name) => write!(f, "{PROJECTS}{}{SUMMARY}", utf8_percent_encode(name, RESERVED)),
        }
    }
}

/// The templates as clients see them.
pub fn templates() -> Vec<ResourceTemplate> {
    let template = |(uri, name, title, description): (&str, &str, &str, &str)| {
        ResourceTemplate::new(uri, name)
            .with_title(title)
            .with_description(description)
            .with_mime_type(MIME_TYPE)
    };
    TEMPLATES.into_iter().map(template).collect()
}

/// Where a page of the list begins: how many of its kind were listed before, and after which one.
#[derive(Clone, Debug, PartialEq)]
enum Place {
    Projects(usize, Option<String>),
    Episodes(usize, Option<EpisodeId>),
    Patterns(usize, Option<(u32, PatternId)>),
}

impl Place {
    /// The place as a cursor. Clients take it as it is.
    fn cursor(&self) -> String {
        let after = |after: Option<String>| after.unwrap_or_default();
        match self {
            Self::Projects(listed, name) => format!("projects/{listed}/{}", after(name.clone())),
            Self::Episodes(listed, id) => format!("episodes/{listed}/{}", after(id.map(|id| id.to_string()))),
            Self::Patterns(listed, place) => {
                let place = place.map(|(episodes, id)| format!("{episodes}.{id}"));
                format!("patterns/{listed}/{}", after(place))
            }
        }
    }

    fn parse(cursor: &str) -> Option<Self> {
        let mut parts = cursor.splitn(3, '/');
        let (kind, listed, after) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
        let after = Some(after).filter(|after| !after.is_empty());
        match kind {
            "projects" => Some(Self::Projects(listed, after.map(Into::into))),
            "episodes" => Some(Self::Episodes(listed, after.map(str::parse).transpose().ok()?)),
            "patterns" => {
                let place = |text: &str| {
                    let (episodes, id) = text.split_once('.')?;
                    Some((episodes.parse().ok()?, id.parse().ok()?))
                };
                let after = match after {
                    Some(text) => Some(place(text)?),
                    None => None,
                };
                Some(Self::Patterns(listed, after))
            }
            _ => None,
        }
    }
}

/// An error of a use case that cannot be the result of a tool.
pub(crate) fn protocol_error(error: &Error) -> ErrorData {
    match error {
        Error::Store(_) => {
            tracing::error!(%error, "a request failed");
            ErrorData::internal_error(error.to_string(), None)
        }
        _ => ErrorData::invalid_params(error.to_string(), None),
    }
}

impl Server {
    /// A page of the list of resources, and the cursor of the next one: projects by name, then episodes, those first that
    /// were stored last, then patterns, those first that more episodes show.
    pub(crate) async fn resources(
        &self,
        cursor: Option<&str>,
    ) -> Result<(Vec<Resource>, Option<String>), ErrorData> {
        let place = match cursor {
            None => Some(Place::Projects(0, None)),
            Some(cursor) => Place::parse(cursor),
        };
        let Some(mut place) = place else {
            let message = "`cursor` is none that this server gave; leave it out to begin anew";
            return Err(ErrorData::invalid_params(message, None));
        };
        let mut page = Vec::new();
        loop {
            let room = RESOURCES_PAGE - page.len();
            let next =
                self.list_from(place, room, &mut page).await.map_err(|error| protocol_error(&error))?;
            match next {
                None => return Ok((page, None)),
                Some(next) if page.len() >= RESOURCES_PAGE => return Ok((page, Some(next.cursor()))),
                Some(next) => place = next,
            }
        }
    }

    /// Lists up to `room` things of one kind; returns where to go on.
    async fn list_from(
        &self,
        place: Place,
        room: usize,
        page: &mut Vec<Resource>,
    ) -> Result<Option<Place>, Error> {
        let memory = &self.memory;
        let left = |listed: usize| room.min(RESOURCES_LISTED_MAX.saturating_sub(listed));
        Ok(match place {
            Place::Projects(listed, after) => {
                let max = left(listed);
                let names = memory.names(Naming::Projects, "", after.as_deref(), max).await?;
                let is_last = max < room || names.len() < room;
                let next = Place::Projects(listed + names.len(), names.last().cloned());
                page.extend(names.into_iter().map(project));
                Some(if is_last { Place::Episodes(0, None) } else { next })
            }
            Place::Episodes(listed, before) => {
                let max = left(listed);
                let heads =
                    memory.episodes(EpisodeListing { before, max, ..EpisodeListing::default() }).await?;
                let is_last = max < room || heads.len() < room;
                let next = Place::Episodes(listed + heads.len(), heads.last().map(|head| head.id));
                page.extend(heads.iter().map(|head| {
                    let outcome = head.outcome().map_or("open or unknown", |outcome| outcome.name());
                    let when = to_the_second(head.started_at);
                    Resource::new(Address::Episode(head.id).to_string(), named(&head.brief.task))
                        .with_description(format!("{outcome}, {} step(s), {when}", head.step_count))
                        .with_mime_type(MIME_TYPE)
                }));
                Some(if is_last { Place::Patterns(0, None) } else { next })
            }
            Place::Patterns(listed, after) => {
                let max = left(listed);
                if max == 0 {
                    return Ok(None);
                }
                let listing = Listing { after, max, ..Listing::default() };
                let found = memory.patterns(listing, None).await?;
                page.extend(found.patterns.iter().map(|review| {
                    let pattern = &review.pattern;
                    let said = format!("{}, {} episode(s)", pattern.body.kind(), pattern.tally.episodes);
                    Resource::new(Address::Pattern(pattern.id).to_string(), named(&pattern.body.describe()))
                        .with_description(said)
                        .with_mime_type(MIME_TYPE)
                }));
                let is_all = listed + found.patterns.len() >= RESOURCES_LISTED_MAX;
                found
                    .next
                    .filter(|_| !is_all)
                    .map(|next| Place::Patterns(listed + found.patterns.len(), Some(next)))
            }
        })
    }

    /// What is behind an address, as JSON.
    ///
    /// # Errors
    /// [`Error::NotFound`] if nothing is, [`Error::Store`].
    pub(crate) async fn read(&self, uri: &str) -> Result<String, Error> {
        let memory = &self.memory;
        let Ok(address) = uri.parse() else {
            return Err(Error::NotFound { what: "resource", id: excerpt(uri, RESOURCE_NAME_CHARS) });
        };
        Ok(match address {
            Address::Episode(id) => {
                let episode = WireEpisode::page(memory.episode(id).await?, 1, None);
                json_of(&episode.linked(&memory.links(id).await?))
            }
            Address::Pattern(id) => json_of(&WireExplanation::new(
                &memory.explain_pattern(id).await?,
                self.app.settings().learning.high_success,
            )),
            Address::Project(name) => json_of(&WireProject::fit(&memory.project_summary(&name).await?)),
        })
    }

    /// What an argument of this kind may be, given its beginning.
    pub(crate) async fn completion(&self, naming: Naming, prefix: &str) -> Result<CompletionInfo, ErrorData> {
        let names = self.memory.names(naming, prefix, None, COMPLETIONS_MAX + 1).await;
        let mut names = names.map_err(|error| protocol_error(&error))?;
        let has_more = names.len() > COMPLETIONS_MAX;
        names.truncate(COMPLETIONS_MAX);
        CompletionInfo::with_pagination(names, None, has_more)
            .map_err(|error| ErrorData::internal_error(error, None))
    }
}

/// What an argument of a template stands for.
pub(crate) fn argument(template: &str, name: &str) -> Result<Naming, ErrorData> {
    let known = TEMPLATES.map(|(uri, ..)| uri);
    let (naming, argument) = match known.iter().position(|uri| *uri == template) {
        Some(0) => (Naming::Episodes, "id"),
        Some(1) => (Naming::Patterns, "id"),
        Some(2) => (Naming::Projects, "name"),
        _ => {
            let message = format!("there is no template {template:?}; there are {}", known.join(", "));
            return Err(ErrorData::invalid_params(message, None));
        }
    };
    if name == argument {
        return Ok(naming);
    }
    let message = format!("{template} has no argument {name:?}; it has {argument:?}");
    Err(ErrorData::invalid_params(message, None))
}

/// The error for an address behind which there is nothing.
pub(crate) fn not_found(uri: &str, error: &Error) -> ErrorData {
    match error {
        Error::NotFound { .. } => {
            let known = TEMPLATES.map(|(uri, ..)| uri).join(", ");
            let message = format!("{error}; resources are {known}");
            ErrorData::resource_not_found(message, Some(json!({"uri": uri})))
        }
        error => protocol_error(error),
    }
}

fn project(name: String) -> Resource {
    let title = format!("Summary of {}", excerpt(&name, RESOURCE_NAME_CHARS));
    Resource::new(Address::Project(name).to_string(), title)
        .with_description("What is known of the project.")
        .with_mime_type(MIME_TYPE)
}

fn named(text: &str) -> String {
    excerpt(first_line(text), RESOURCE_NAME_CHARS)
}

fn json_of<T: Serialize>(value: &T) -> String {
    // It is made of texts and numbers, which can always be written.
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_what_it_was_made_of() {
        let id = "0198c0de-7a3b-7c4d-8e5f-0123456789ab";
        let addresses = [
            Address::Episode(id.parse().unwrap()),
            Address::Pattern(id.parse().unwrap()),
            Address::Project("acme/shop summary?ü%2F#".into()),
            Address::Project("..".into()),
        ];
        for address in addresses {
            let uri = address.to_string();
            assert!(uri.is_ascii() && !uri.contains(' '), "{uri}");
            assert_eq!(uri.parse(), Ok(address), "{uri}");
        }
    }

    #[test]
    fn what_is_no_address_names_nothing() {
        let long = format!("memory://project/{}/summary", "a".repeat(URI_BYTES_MAX));
        let none = [
            "",
            "memory://episodes/",
            "memory://episodes/7",
            "file:///etc/passwd",
            "memory://project//summary",
        ];
        for uri in none.into_iter().chain(["memory://project/a", "memory://project/%ff/summary", &long]) {
            assert_eq!(uri.parse::<Address>(), Err(()), "{uri}");
        }
    }

    #[test]
    fn a_cursor_is_a_place_and_nothing_else_is() {
        let id: EpisodeId = "0198c0de-7a3b-7c4d-8e5f-0123456789ab".parse().unwrap();
        let places = [
            Place::Projects(3, Some("a/b".into())),
            Place::Episodes(0, None),
            Place::Episodes(50, Some(id)),
            Place::Patterns(0, None),
            Place::Patterns(7, Some((3, PatternId(id.0)))),
        ];
        for place in places {
            assert_eq!(Place::parse(&place.cursor()), Some(place));
        }
        for cursor in
            ["", "projects", "episodes/1/x", "episodes/-1/", "patterns/1/7", "notes/0/", "episodes/x/"]
        {
            assert_eq!(Place::parse(cursor), None, "{cursor}");
        }
    }
}
