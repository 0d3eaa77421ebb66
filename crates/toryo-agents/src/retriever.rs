//! The Retriever: finds the files and symbols a subtask needs, and packs them.
//!
//! May search the code index. May not judge or change anything. The model says what to look up; the index decides what
//! is found, and the pack states what was left out.
//!
//! In: the subtask. Out: [`RetrieveOutput`] with the pack the Coder reads.

use crate::ask::Conversation;
use crate::course;
use crate::meaning;
use crate::prompt::Variables;
use crate::replies::RetrievalQuery;
use crate::search;
use crate::states;
use crate::texts;
use crate::tools::Tools;
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use toryo_domain::output::RetrieveOutput;
use toryo_domain::{Output, RepoPath, Role, Subtask};
use toryo_engine::{Agent, Failure, StepContext};
use toryo_index::{Index, Omitted, PackRequest};

/// Most test files named as related.
const MOST_TESTS: usize = 4;
/// Most entries of what was left out.
const MOST_OMITTED: usize = 30;

/// The agent.
pub struct Retriever(pub Arc<Tools>);

#[async_trait]
impl Agent for Retriever {
    fn role(&self) -> Role {
        Role::Retriever
    }

    async fn run(&self, ctx: &StepContext) -> Result<Output, Failure> {
        let tools = &*self.0;
        let subtask = texts::subtask_of(ctx)?;
        let base = states::base(ctx, tools).await?;
        let tree = states::start(ctx, &base, &subtask.id).await?;
        let index = search::index(tools, &tree).await?;
        let variables = Variables::new()
            .with("subtask", texts::subtask(&subtask))
            .with("files", texts::files(&tree.paths()))
            .with("outline", outline(&index, &subtask.target_files))
            .with_some("dead_ends", course::dead_ends(ctx, &subtask.id))
            .with_some("failure", failure(ctx, &subtask.id));
        let query: RetrievalQuery = Conversation::begin(ctx, tools, "retrieve", variables)?.ask().await?;

        let mut request = request(&subtask, &query, &index, tools);
        request.near = meaning::near(ctx, tools, &tree, &index, &request.query).await?;
        let packed = search::pack(&index, &tree, request).await?;
        let files: Vec<RepoPath> = packed.files.iter().map(|file| file.path.clone()).collect();
        let tokens = packed.tokens_estimated;
        ctx.progress(format!("{} files, about {tokens} tokens", files.len())).await?;
        // The pack is an artifact that people read, and not a prompt only.
        let pack = tools.mask(&packed.render());
        Ok(Output::Retrieve(RetrieveOutput {
            pack: ctx.keep("context_pack", "context.md", "text/markdown; charset=utf-8", pack).await?,
            related_tests: related_tests(&index, &files),
            files,
            omitted: packed.omitted.iter().take(MOST_OMITTED).map(omitted).collect(),
            tokens: u32::try_from(tokens).unwrap_or(u32::MAX),
        }))
    }
}

/// What the pack has to hold and what it is searched by.
fn request(subtask: &Subtask, query: &RetrievalQuery, index: &Index, tools: &Tools) -> PackRequest {
    // The plan's files come first; of the model's, those that exist.
    let mut files = subtask.target_files.clone();
    let named = query.paths.iter().filter_map(|path| path.parse::<RepoPath>().ok());
    files.extend(named.filter(|path| index.file(path).is_some()));
    let mut seen = BTreeSet::new();
    files.retain(|path| seen.insert(path.clone()));

    let mut symbols = subtask.target_symbols.clone();
    symbols.extend(query.symbols.iter().cloned());
    let text = format!("{}\n{}\n{}", subtask.title, subtask.description, query.queries.join("\n"));
    PackRequest {
        files,
        symbols,
        budget_tokens: tools.config.pack_tokens,
        max_files: tools.config.pack_files,
        ..PackRequest::new(text)
    }
}

/// What the code has to be looked at again for.
fn failure(ctx: &StepContext, subtask: &str) -> Option<String> {
    let test = ctx.outputs.test(subtask).filter(|test| !test.passed)?;
    let suspects = test.analysis.as_ref().map(texts::analysis).unwrap_or_default();
    Some(format!("{}\n{suspects}", test.digest))
}

fn omitted(one: &Omitted) -> String {
    let path = one.path.as_ref().map(RepoPath::as_str);
    let what = [path, one.symbol.as_deref()].into_iter().flatten().collect::<Vec<_>>().join("::");
    format!("{what}: {}", one.why)
}

fn outline(index: &Index, files: &[RepoPath]) -> String {
    let mut text = String::new();
    for path in files {
        let _ = writeln!(text, "{path}");
        for symbol in index.symbols(path) {
            let _ = writeln!(text, "  {}-{} {}", symbol.first_line, symbol.last_line, symbol.path);
        }
    }
    if text.is_empty() { "(no existing files)".to_owned() } else { text }
}

fn related_tests(index: &Index, files: &[RepoPath]) -> Vec<RepoPath> {
    let mut tests: Vec<RepoPath> = Vec::new();
    for path in files {
        if texts::is_test_path(path) {
            tests.push(path.clone());
        }
        tests.extend(index.tests_for(path).into_iter().take(2).map(|link| link.path));
    }
    let mut seen = BTreeSet::new();
    tests.retain(|path| seen.insert(path.clone()));
    tests.truncate(MOST_TESTS);
    tests
}
