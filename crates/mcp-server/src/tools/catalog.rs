//! Keeping the episodes in order: listing them, putting them right, linking them.

use memory_core::error::Error;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::{tool, tool_router};

use super::answer;
use crate::server::Server;
use crate::wire::catalog::{
    LinkEpisodesArgs, LinkEpisodesResult, ListEpisodesArgs, ListEpisodesResult, UpdateEpisodeArgs,
    UpdateEpisodeResult,
};
use crate::wire::parse::id;

#[tool_router(router = catalog_tools, vis = "pub(crate)")]
impl Server {
    /// Newest first.
    #[tool(
        title = "List episodes",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn list_episodes(&self, Parameters(args): Parameters<ListEpisodesArgs>) -> CallToolResult {
        answer(self.episodes(args).await)
    }

    /// Correct the record; "" or [] clears.
    #[tool(
        title = "Correct an episode",
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn update_episode(&self, Parameters(args): Parameters<UpdateEpisodeArgs>) -> CallToolResult {
        answer(self.update(args).await)
    }

    /// Say how one episode relates to another, or take it back.
    #[tool(
        title = "Link episodes",
        annotations(
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn link_episodes(&self, Parameters(args): Parameters<LinkEpisodesArgs>) -> CallToolResult {
        answer(self.link(args).await)
    }
}

impl Server {
    async fn episodes(&self, args: ListEpisodesArgs) -> Result<ListEpisodesResult, Error> {
        let mut listing = args.parse()?;
        let limit = listing.max;
        // One more tells whether there is a next page.
        listing.max += 1;
        Ok(ListEpisodesResult::new(self.memory.episodes(listing).await?, limit))
    }

    async fn update(&self, args: UpdateEpisodeArgs) -> Result<UpdateEpisodeResult, Error> {
        let (episode_id, correction) = args.parse();
        let id = id("episode_id", &episode_id)?;
        Ok(UpdateEpisodeResult::new(id, self.memory.update(id, correction).await?))
    }

    async fn link(&self, args: LinkEpisodesArgs) -> Result<LinkEpisodesResult, Error> {
        let (link, is_linked) = args.parse()?;
        self.memory.link_episodes(link, is_linked).await?;
        Ok(LinkEpisodesResult { linked: is_linked })
    }
}
