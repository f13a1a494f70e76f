//! What was learned: asking for it before something is done, judging, correcting and forgetting it.

use memory_core::error::Error;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::{tool, tool_router};

use super::answer;
use crate::server::Server;
use crate::wire::learning::{
    CorrectPatternArgs, DeleteEpisodeArgs, DeleteEpisodeResult, DeletePatternResult, ListPatternsArgs,
    ListPatternsResult, PatternArgs, RecordFeedbackArgs, RecordFeedbackResult, WireExplanation, WirePattern,
};
use crate::wire::parse::id;
use crate::wire::recommend::{CheckActionArgs, CheckActionResult, RecommendArgs, WireRecommendation};

#[tool_router(router = learning_tools, vis = "pub(crate)")]
impl Server {
    /// What to do next, from what was done in such tasks: likely tools, what works, pitfalls, ways out of an error.
    #[tool(
        title = "Recommend what to do",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn recommend(&self, Parameters(args): Parameters<RecommendArgs>) -> CallToolResult {
        answer(self.advise(args).await)
    }

    /// Whether a command or call has failed before, and what helped then. No warning: nothing speaks against it.
    #[tool(
        title = "Check an action",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn check_action(&self, Parameters(args): Parameters<CheckActionArgs>) -> CallToolResult {
        answer(self.check(args).await)
    }

    /// Say what advice or hits were worth after you used them: it changes their rates and their order.
    #[tool(
        title = "Say what helped",
        annotations(
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = false,
            open_world_hint = false
        )
    )]
    async fn record_feedback(&self, Parameters(args): Parameters<RecordFeedbackArgs>) -> CallToolResult {
        answer(self.judge(args).await)
    }

    /// The patterns learned, with their rates.
    #[tool(
        title = "List patterns",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn list_patterns(&self, Parameters(args): Parameters<ListPatternsArgs>) -> CallToolResult {
        answer(self.patterns(args).await)
    }

    /// How a pattern's rate came about, and which episodes show it.
    #[tool(
        title = "Explain a pattern",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn explain_pattern(&self, Parameters(args): Parameters<PatternArgs>) -> CallToolResult {
        answer(self.explain(args).await)
    }

    /// Say what a pattern is to be taken for, in place of what was said before.
    #[tool(
        title = "Correct a pattern",
        annotations(
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn correct_pattern(&self, Parameters(args): Parameters<CorrectPatternArgs>) -> CallToolResult {
        answer(self.correct(args).await)
    }

    /// Delete a pattern for good: it is not told again even if it is seen again.
    #[tool(
        title = "Delete a pattern",
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn delete_pattern(&self, Parameters(args): Parameters<PatternArgs>) -> CallToolResult {
        answer(self.forget_pattern(args).await)
    }

    /// Delete an episode for good, and what was learned from it alone.
    #[tool(
        title = "Delete an episode",
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn delete_episode(&self, Parameters(args): Parameters<DeleteEpisodeArgs>) -> CallToolResult {
        answer(self.forget_episode(args).await)
    }
}

impl Server {
    async fn advise(&self, args: RecommendArgs) -> Result<WireRecommendation, Error> {
        let (asked, tokens_max) = args.parse()?;
        let recommendation = self.memory.recommend(asked).await?;
        Ok(WireRecommendation::fit(&recommendation, tokens_max))
    }

    async fn check(&self, args: CheckActionArgs) -> Result<CheckActionResult, Error> {
        let warnings = self.memory.check_action(args.parse()).await?;
        Ok(CheckActionResult::new(&warnings))
    }

    async fn judge(&self, args: RecordFeedbackArgs) -> Result<RecordFeedbackResult, Error> {
        let (ids, usefulness, comment) = args.parse()?;
        let updated = self.memory.give_feedback(&ids, usefulness, comment).await?;
        Ok(RecordFeedbackResult::new(&updated))
    }

    async fn patterns(&self, args: ListPatternsArgs) -> Result<ListPatternsResult, Error> {
        let (listing, verdict) = args.parse()?;
        let page = self.memory.patterns(listing, verdict).await?;
        Ok(ListPatternsResult::new(&page, self.app.settings().learning.high_success))
    }

    async fn explain(&self, args: PatternArgs) -> Result<WireExplanation, Error> {
        let explanation = self.memory.explain_pattern(args.parse()?).await?;
        Ok(WireExplanation::new(&explanation, self.app.settings().learning.high_success))
    }

    async fn correct(&self, args: CorrectPatternArgs) -> Result<WirePattern, Error> {
        let (id, correction) = args.parse()?;
        self.memory.correct_pattern(id, correction).await?;
        let explanation = self.memory.explain_pattern(id).await?;
        Ok(WirePattern::new(&explanation.review, self.app.settings().learning.high_success))
    }

    async fn forget_pattern(&self, args: PatternArgs) -> Result<DeletePatternResult, Error> {
        let id = args.parse()?;
        self.memory.delete_pattern(id).await?;
        Ok(DeletePatternResult { deleted: true, pattern_id: id.to_string() })
    }

    async fn forget_episode(&self, args: DeleteEpisodeArgs) -> Result<DeleteEpisodeResult, Error> {
        let id = id("episode_id", &args.episode_id)?;
        self.memory.delete_episode(id).await?;
        Ok(DeleteEpisodeResult { deleted: true, episode_id: id.to_string() })
    }
}
