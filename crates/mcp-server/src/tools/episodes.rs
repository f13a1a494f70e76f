//! Recording a task.

use memory_core::error::Error;
use memory_core::id::EpisodeId;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::{tool, tool_router};

use super::answer;
use crate::server::Server;
use crate::wire::answer::WireHit;
use crate::wire::episode::{
    AddStepArgs, AddStepResult, CompleteEpisodeArgs, CompleteEpisodeResult, CreateEpisodeArgs,
    CreateEpisodeResult, GetEpisodeArgs, WireEpisode, state,
};
use crate::wire::parse::id;

#[tool_router(router = episode_tools, vis = "pub(crate)")]
impl Server {
    /// Record a task. Finished: give steps, outcome and summary in this one call. Just begun: no outcome, steps later.
    #[tool(
        title = "Record a task",
        annotations(
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = false,
            open_world_hint = false
        )
    )]
    async fn create_episode(&self, Parameters(args): Parameters<CreateEpisodeArgs>) -> CallToolResult {
        answer(self.create(args).await)
    }

    /// Add a step to an open episode: one tool call and what came of it.
    #[tool(
        title = "Add a step",
        annotations(
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = false,
            open_world_hint = false
        )
    )]
    async fn add_episode_step(&self, Parameters(args): Parameters<AddStepArgs>) -> CallToolResult {
        answer(self.add_step(args).await)
    }

    /// Finish an open episode; patterns are learned from it in the background.
    #[tool(
        title = "Finish an episode",
        annotations(
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = false,
            open_world_hint = false
        )
    )]
    async fn complete_episode(&self, Parameters(args): Parameters<CompleteEpisodeArgs>) -> CallToolResult {
        answer(self.complete(args).await)
    }

    /// One episode in full, its steps in pages.
    #[tool(
        title = "Read an episode",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn get_episode(&self, Parameters(args): Parameters<GetEpisodeArgs>) -> CallToolResult {
        answer(self.page(args).await)
    }
}

impl Server {
    async fn create(&self, args: CreateEpisodeArgs) -> Result<CreateEpisodeResult, Error> {
        let created = self.memory.create(args.parse()?).await?;
        let completion = created.head.completion.as_ref();
        Ok(CreateEpisodeResult {
            episode_id: created.id.to_string(),
            state: state(completion.is_some()),
            basis: completion.map(|completion| completion.basis.into()),
            disputed: completion.is_some_and(|completion| completion.disputed),
            existing: created.existing,
            job_id: created.job.map(|id| id.to_string()),
            similar: created.similar.iter().map(WireHit::pointer).collect(),
        })
    }

    async fn add_step(&self, args: AddStepArgs) -> Result<AddStepResult, Error> {
        let (episode_id, step) = args.parse()?;
        let step = self.memory.add_step(id("episode_id", &episode_id)?, step).await?;
        Ok(AddStepResult { step })
    }

    async fn complete(&self, args: CompleteEpisodeArgs) -> Result<CompleteEpisodeResult, Error> {
        let (episode_id, ending) = args.parse();
        let (completion, job) = self.memory.complete(id("episode_id", &episode_id)?, ending).await?;
        Ok(CompleteEpisodeResult::new(&completion, job))
    }

    async fn page(&self, args: GetEpisodeArgs) -> Result<WireEpisode, Error> {
        let id: EpisodeId = id("episode_id", &args.episode_id)?;
        let episode = self.memory.episode(id).await?;
        // No episode has that many steps, so a larger number means the same.
        let from = args.steps_from.map_or(1, |from| u32::try_from(from).unwrap_or(u32::MAX));
        let links = self.memory.links(id).await?;
        Ok(WireEpisode::page(episode, from, args.steps_limit).linked(&links))
    }
}
