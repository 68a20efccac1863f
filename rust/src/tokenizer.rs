//! The tokenizer object behind the C handle: added tokens, then either SentencePiece's BPE or a pipeline, and every
//! id's bytes.

use std::sync::OnceLock;

use tokenizers::NormalizedString;

use crate::added_tokens::{AddedToken, Matcher};
use crate::error::{Error, Result};
use crate::marks::ControlTexts;
use crate::pipeline::{Pipeline, Request};
use crate::spm::Spm;

pub enum Engine {
    Spm(Spm),
    Pipeline(Pipeline),
}

pub const FLAG_SPECIAL: u8 = 1;
pub const FLAG_ADDED: u8 = 2;

/// The bytes of every id in running text: those of `id` are `bytes[offsets[id]..offsets[id + 1]]`.
#[derive(Default)]
pub struct TokenTable {
    pub bytes: Vec<u8>,
    pub offsets: Vec<u32>,
    pub flags: Vec<u8>,
}

impl TokenTable {
    pub fn with_capacity(tokens: usize) -> Self {
        let mut table = TokenTable { bytes: Vec::with_capacity(tokens * 8), ..Default::default() };
        table.offsets.reserve(tokens + 1);
        table.offsets.push(0);
        table.flags.reserve(tokens);
        table
    }

    /// Adds the next id; `append` appends its bytes.
    pub fn push(&mut self, flags: u8, append: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        append(&mut self.bytes);
        let end = u32::try_from(self.bytes.len())
            .map_err(|_| Error::limit("the vocabulary has more than 4 GiB of text"))?;
        self.offsets.push(end);
        self.flags.push(flags);
        Ok(())
    }
}

pub struct TextTokenizer {
    pub kind: &'static str,
    pub table: TokenTable,
    pub merge_count: usize,
    pub strips_leading_blank: bool,
    pub prefix: Vec<u32>, // added in front of a text
    pub suffix: Vec<u32>, // and after it
    engine: Engine,
    added: Vec<AddedToken>,
    raw_matcher: Matcher,        // tokens that match the text as it is
    normalized_matcher: Matcher, // tokens that match normalised text
    controls: OnceLock<ControlTexts>,
}

impl TextTokenizer {
    pub fn new(
        kind: &'static str,
        engine: Engine,
        table: TokenTable,
        added: Vec<AddedToken>,
    ) -> Result<Self> {
        let (normalized, raw): (Vec<_>, Vec<_>) = added.iter().cloned().partition(|t| t.normalized);
        let normalize = |token: &AddedToken| {
            match &engine {
                Engine::Pipeline(pipeline) => {
                    pipeline.normalize(&token.content).as_ref().map(|n| NormalizedString::get(n).to_owned())
                }
                Engine::Spm(_) => None,
            }
            .unwrap_or_else(|| token.content.clone())
        };
        Ok(TextTokenizer {
            kind,
            raw_matcher: Matcher::new(raw, |t| t.content.clone())?,
            normalized_matcher: Matcher::new(normalized, normalize)?,
            engine,
            table,
            merge_count: 0,
            strips_leading_blank: false,
            prefix: Vec::new(),
            suffix: Vec::new(),
            added,
            controls: OnceLock::new(),
        })
    }

    /// The control tokens, prepared for marking; made at the first call.
    pub fn control_texts(&self) -> Result<&ControlTexts> {
        match self.controls.get() {
            Some(controls) => Ok(controls),
            None => {
                let made = ControlTexts::new(&self.added)?;
                Ok(self.controls.get_or_init(|| made))
            }
        }
    }

    pub fn find(&self, stored: &str) -> Option<u32> {
        let added = self.added.iter().find(|t| t.content == stored).map(|t| t.id);
        added.or_else(|| match &self.engine {
            Engine::Spm(spm) => spm.find(stored),
            Engine::Pipeline(pipeline) => pipeline.find(stored),
        })
    }

    /// `breaks`: see `added_tokens`.
    pub fn encode(&self, text: &str, breaks: &[usize], parse_special: bool, add: bool) -> Result<Vec<u32>> {
        let mut ids = Vec::with_capacity(text.len() / 3 + 2);
        if add {
            ids.extend(&self.prefix);
        }
        let pieces = self.raw_matcher.split(text, breaks, parse_special);
        match &self.engine {
            Engine::Spm(spm) => {
                for piece in pieces {
                    match piece.id {
                        Some(id) => ids.push(id),
                        None => spm.encode(&text[piece.start..piece.end], &mut ids),
                    }
                }
            }
            Engine::Pipeline(pipeline) => {
                let matcher = &self.normalized_matcher;
                pipeline
                    .encode(&Request { text, pieces: &pieces, matcher, breaks, parse_special }, &mut ids)?;
            }
        }
        if add {
            ids.extend(&self.suffix);
        }
        Ok(ids)
    }
}
