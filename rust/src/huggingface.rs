//! Hugging Face's tokenizer.json -> TextTokenizer. The parts are read by the `tokenizers` crate, but for the two where
//! that is slow or not enough: a BPE model (see `bpe`) and the decoder, which is turned into every token's bytes.

use std::collections::HashMap;

use fancy_regex::Regex;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::Value;
use tokenizers::{
    Encoding, Model, ModelWrapper, NormalizerWrapper, PostProcessor, PostProcessorWrapper,
    PreTokenizerWrapper, Token,
};

use crate::added_tokens::AddedToken;
use crate::bpe::Bpe;
use crate::byte_level;
use crate::error::{invalid_json as invalid, Error, Result};
use crate::gguf::byte_value;
use crate::huggingface_bpe;
use crate::pipeline::{Pipeline, PipelineModel, Words};
use crate::tokenizer::{Engine, TextTokenizer, TokenTable, FLAG_ADDED, FLAG_SPECIAL};

const MAX_TOKENS: u32 = 1 << 24;
/// Of a text by normalizer or decoder. Real ones replace a letter by two, or by a mark of three bytes.
const MAX_GROWTH: usize = 256;

#[derive(Deserialize)]
struct File<'a> {
    #[serde(default)]
    added_tokens: Vec<FileToken>,
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    post_processor: Option<PostProcessorWrapper>,
    #[serde(default)]
    decoder: Value,
    #[serde(borrow)]
    model: &'a RawValue,
}

#[derive(Deserialize)]
struct FileToken {
    id: u32,
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default = "yes")]
    normalized: bool,
    #[serde(default)]
    special: bool,
}

/// An added token that another file names.
#[derive(Deserialize)]
struct OtherToken {
    id: Option<u32>,
    content: String,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    special: bool,
    only_if_new: bool,
}

/// The file's own tokens and those of other files.
fn merged(mut tokens: Vec<FileToken>, more: Vec<OtherToken>, model: &PipelineModel) -> Vec<FileToken> {
    let mut places: HashMap<String, usize> =
        tokens.iter().enumerate().map(|(at, token)| (token.content.clone(), at)).collect();
    for other in more {
        let place = places.get(&other.content).copied();
        if place.is_some() && other.only_if_new {
            continue;
        }
        let known = match place {
            Some(at) => Some(tokens[at].id),
            None => model.find(&other.content),
        };
        let Some(id) = known.or(other.id) else { continue };
        let OtherToken { content, single_word, lstrip, rstrip, normalized, special, .. } = other;
        let token = FileToken { id, content, single_word, lstrip, rstrip, normalized, special };
        match place {
            Some(at) => tokens[at] = token,
            None => {
                places.insert(token.content.clone(), tokens.len());
                tokens.push(token);
            }
        }
    }
    tokens
}

fn yes() -> bool {
    true
}

/// How many times as long the steps of a normalizer or decoder can make a text, at most: those that replace something
/// by what may be longer multiply.
fn growth(step: &Value) -> usize {
    let content = || step["content"].as_str().map_or(0, str::len);
    match step["type"].as_str() {
        Some("Replace") => {
            // An expression may match a text of one byte, or none.
            let least = step["pattern"]["String"].as_str().map_or(1, str::len).max(1);
            content().div_ceil(least).max(1)
        }
        Some("Prepend") => step["prepend"].as_str().map_or(1, |p| p.len() + 1),
        _ => ["normalizers", "decoders"]
            .iter()
            .filter_map(|name| step[name].as_array())
            .flatten()
            .fold(1, |all, part| all.saturating_mul(growth(part))),
    }
}

/// `more`: see folio_tokenizer_from_json; may be empty.
pub fn build(json: &[u8], more: &[u8]) -> Result<TextTokenizer> {
    let file: File = serde_json::from_slice(json).map_err(invalid)?;
    for (what, steps) in [("normalizer", file.normalizer.as_ref()), ("decoder", Some(&file.decoder))] {
        if steps.is_some_and(|s| growth(s) > MAX_GROWTH) {
            return Err(Error::limit(format!(
                "tokenizer.json: the {what} makes texts more than {MAX_GROWTH} times as long"
            )));
        }
    }
    let normalizer: Option<NormalizerWrapper> =
        file.normalizer.map(serde_json::from_value).transpose().map_err(invalid)?;
    let decoder = Decoder::read(&file.decoder)?;
    let (prefix, suffix) = added_ends(file.post_processor.as_ref())?;
    let (kind, model) = read_model(file.model)?;
    let more: Vec<OtherToken> =
        if more.is_empty() { Vec::new() } else { serde_json::from_slice(more).map_err(invalid)? };
    let added = added_tokens(merged(file.added_tokens, more, &model))?;
    let table = token_table(&model, &added, &decoder)?;
    let merge_count = if let PipelineModel::Bpe(bpe) = &model { bpe.merge_count() } else { 0 };
    let words = read_words(file.pre_tokenizer, matches!(model, PipelineModel::Bpe(_)))?;
    let pipeline = Pipeline { normalizer: normalizer.map(Box::new), words, model };
    let mut tokenizer = TextTokenizer::new(kind, Engine::Pipeline(pipeline), table, added)?;
    tokenizer.merge_count = merge_count;
    tokenizer.strips_leading_blank = decoder.strips_leading_blank;
    tokenizer.prefix = prefix;
    tokenizer.suffix = suffix;
    Ok(tokenizer)
}

fn read_model(json: &RawValue) -> Result<(&'static str, PipelineModel)> {
    if let Some(bpe) = huggingface_bpe::read(json)? {
        return Ok(("Hugging Face BPE", PipelineModel::Bpe(bpe)));
    }
    match serde_json::from_str(json.get()).map_err(invalid)? {
        model @ ModelWrapper::BPE(_) => Ok(("Hugging Face BPE", PipelineModel::Other(Box::new(model)))),
        model @ ModelWrapper::Unigram(_) => {
            Ok(("Hugging Face Unigram", PipelineModel::Other(Box::new(model))))
        }
        _ => Err(Error::unsupported(
            "tokenizer.json: the model is neither BPE nor Unigram, which are the supported kinds",
        )),
    }
}

/// A list of `Split` steps with isolated matches, then `ByteLevel` without an expression of its own, has a fast path.
fn read_words(pre_tokenizer: Option<Value>, is_bpe: bool) -> Result<Words> {
    let Some(json) = pre_tokenizer else { return Ok(Words::Other(None)) };
    if is_bpe {
        if let Some(expressions) = byte_level_expressions(&json) {
            return Ok(Words::ByteLevel(expressions));
        }
    }
    let pre_tokenizer: PreTokenizerWrapper = serde_json::from_value(json).map_err(invalid)?;
    Ok(Words::Other(Some(Box::new(pre_tokenizer))))
}

fn byte_level_expressions(json: &Value) -> Option<Vec<Regex>> {
    let steps = json["pretokenizers"].as_array()?;
    let (last, splits) = steps.split_last()?;
    let is_plain =
        last["type"] == "ByteLevel" && last["add_prefix_space"] == false && last["use_regex"] == false;
    if json["type"] != "Sequence" || !is_plain {
        return None;
    }
    let expression = |step: &Value| {
        let is_isolated =
            step["type"] == "Split" && step["behavior"] == "Isolated" && step["invert"] == false;
        let expression = step["pattern"]["Regex"].as_str().filter(|_| is_isolated)?;
        Regex::new(expression).ok()
    };
    splits.iter().map(expression).collect()
}

fn added_tokens(tokens: Vec<FileToken>) -> Result<Vec<AddedToken>> {
    let mut added: Vec<AddedToken> = Vec::with_capacity(tokens.len());
    for token in tokens {
        if token.id >= MAX_TOKENS {
            return Err(invalid(format!(
                "added token {:?} has id {}, the limit is {MAX_TOKENS}",
                token.content, token.id
            )));
        }
        added.push(AddedToken {
            id: token.id,
            content: token.content,
            special: token.special,
            single_word: token.single_word,
            strip_left: token.lstrip,
            strip_right: token.rstrip,
            normalized: token.normalized,
        });
    }
    added.sort_by_key(|t| t.id);
    added.dedup_by_key(|t| t.id);
    Ok(added)
}

/// What the post-processor puts before and after a text.
fn added_ends(processor: Option<&PostProcessorWrapper>) -> Result<(Vec<u32>, Vec<u32>)> {
    let Some(processor) = processor else { return Ok((Vec::new(), Vec::new())) };
    let text = Encoding::from_tokens(vec![Token::new(u32::MAX, "x".to_owned(), (0, 1))], 0);
    let processed = processor.process(text, None, true).map_err(invalid)?;
    let ids = processed.get_ids();
    let Some(at) = ids.iter().position(|&id| id == u32::MAX) else {
        return Err(Error::unsupported("tokenizer.json: the post-processor does not keep the text's tokens"));
    };
    Ok((ids[..at].to_vec(), ids[at + 1..].to_vec()))
}

/// Every id's text as the model stores it; ids need not be dense.
fn stored_texts(model: &PipelineModel) -> Result<Vec<Option<String>>> {
    let vocab: Vec<(String, u32)> = match model {
        PipelineModel::Bpe(bpe) => return stored_bpe_texts(bpe),
        PipelineModel::Other(model) => model.get_vocab().into_iter().collect(),
    };
    let size = check_size(vocab.iter().map(|(_, id)| *id).max())?;
    let mut texts = vec![None; size];
    for (text, id) in vocab {
        texts[id as usize] = Some(text);
    }
    Ok(texts)
}

fn stored_bpe_texts(bpe: &Bpe) -> Result<Vec<Option<String>>> {
    let mut texts = vec![None; check_size(bpe.vocab.iter().map(|(_, id)| id).max())?];
    for (text, id) in bpe.vocab.iter() {
        texts[id as usize] = Some(text.to_owned());
    }
    Ok(texts)
}

fn check_size(largest: Option<u32>) -> Result<usize> {
    match largest {
        Some(id) if id >= MAX_TOKENS => {
            Err(invalid(format!("a token has id {id}, the limit is {MAX_TOKENS}")))
        }
        largest => Ok(largest.map_or(0, |id| id as usize + 1)),
    }
}

fn token_table(model: &PipelineModel, added: &[AddedToken], decoder: &Decoder) -> Result<TokenTable> {
    let mut texts = stored_texts(model)?;
    texts.resize(texts.len().max(added.last().map_or(0, |t| t.id as usize + 1)), None);
    let mut table = TokenTable::with_capacity(texts.len());
    let mut next_added = added.iter().peekable();
    for (id, stored) in texts.into_iter().enumerate() {
        let (flags, stored) = match next_added.next_if(|t| t.id as usize == id) {
            Some(token) => {
                (FLAG_ADDED | if token.special { FLAG_SPECIAL } else { 0 }, Some(token.content.clone()))
            }
            None => (0, stored),
        };
        table.push(flags, |out| {
            if let Some(stored) = stored {
                decoder.append_bytes(stored, out);
            }
        })?;
    }
    Ok(table)
}

/// A `decoder` of tokenizer.json, as far as it works token by token.
#[derive(Default)]
struct Decoder {
    byte_level: bool,
    replacements: Vec<(String, String)>,
    byte_fallback: bool,
    strips_leading_blank: bool,
}

impl Decoder {
    fn read(json: &Value) -> Result<Decoder> {
        let mut decoder = Decoder::default();
        let mut fused = false;
        decoder.add(json, &mut fused)?;
        Ok(decoder)
    }

    fn add(&mut self, step: &Value, fused: &mut bool) -> Result<()> {
        let kind = step["type"].as_str().unwrap_or("none");
        let unsupported = || {
            Error::unsupported(format!(
                "tokenizer.json: a decoder of type {kind} like this one is not supported"
            ))
        };
        match kind {
            "ByteLevel" => self.byte_level = true,
            "ByteFallback" => self.byte_fallback = true,
            "Fuse" => *fused = true,
            "Sequence" => {
                for part in step["decoders"].as_array().into_iter().flatten() {
                    self.add(part, fused)?;
                }
            }
            "Replace" if !*fused => {
                let pattern = step["pattern"]["String"].as_str().ok_or_else(unsupported)?;
                let content = step["content"].as_str().ok_or_else(unsupported)?;
                self.replacements.push((pattern.to_owned(), content.to_owned()));
            }
            "Strip" if *fused && step["content"] == " " && step["start"] == 1 && step["stop"] == 0 => {
                self.strips_leading_blank = true;
            }
            "Metaspace" => {
                let replacement = step["replacement"].as_str().ok_or_else(unsupported)?;
                self.replacements.push((replacement.to_owned(), " ".to_owned()));
                self.strips_leading_blank = step["prepend_scheme"] != "never";
            }
            _ => return Err(unsupported()),
        }
        Ok(())
    }

    fn append_bytes(&self, mut stored: String, out: &mut Vec<u8>) {
        if self.byte_level {
            return byte_level::append_bytes(&stored, out);
        }
        if self.byte_fallback {
            if let Some(byte) = byte_value(&stored) {
                return out.push(byte);
            }
        }
        for (pattern, content) in &self.replacements {
            if !pattern.is_empty() && stored.contains(pattern.as_str()) {
                stored = stored.replace(pattern.as_str(), content);
            }
        }
        out.extend_from_slice(stored.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn replacements_multiply() {
        let replace = |pattern: &str, content: &str| json!({"type": "Replace", "pattern": {"String": pattern}, "content": content});
        assert_eq!(growth(&Value::Null), 1);
        assert_eq!(growth(&replace(" ", "\u{2581}")), 3);
        assert_eq!(growth(&replace("``", "\"")), 1);
        assert_eq!(growth(&json!({"type": "Replace", "pattern": {"Regex": "x*"}, "content": "abcd"})), 4);
        let bomb = replace("a", &"a".repeat(1000));
        let steps = json!({"type": "Sequence", "normalizers": [bomb, {"type": "Sequence", "normalizers": [bomb]}, bomb]});
        assert_eq!(growth(&steps), 1_000_000_000);
    }

    #[test]
    fn a_bomb_is_refused() {
        let text = |content: usize| {
            json!({"normalizer": {"type": "Replace", "pattern": {"String": "a"}, "content": "b".repeat(content)},
                   "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}})
            .to_string()
        };
        let refused = build(text(MAX_GROWTH + 1).as_bytes(), b"").err().expect("refused");
        assert!(
            refused.message.contains("the normalizer makes texts more than 256 times as long"),
            "{}",
            refused.message
        );
        if let Err(other) = build(text(MAX_GROWTH).as_bytes(), b"") {
            assert!(!other.message.contains("times as long"), "{}", other.message);
        }
    }
}
