//! A GGUF file's vocabulary -> TextTokenizer.

use ahash::AHashMap;
use fancy_regex::Regex;

use crate::added_tokens::AddedToken;
use crate::bpe::{Bpe, Unknown, Vocab};
use crate::byte_level;
use crate::error::{Error, Kind, Result};
use crate::pipeline::{Pipeline, PipelineModel, Words};
use crate::pre_tokenizers::{self, Family};
use crate::spm::{Entry, Spm, BLANK};
use crate::tokenizer::{Engine, TextTokenizer, TokenTable, FLAG_ADDED, FLAG_SPECIAL};

const UNKNOWN_TYPE: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;
const BYTE: i32 = 6;

pub struct Vocabulary<'a> {
    pub model: &'a str,
    pub pre: &'a str,
    pub tokens: Vec<&'a str>,
    pub scores: Option<&'a [f32]>,
    pub types: Option<&'a [i32]>,
    pub merges: Vec<&'a str>,
    pub bos: Option<u32>,
    pub eos: Option<u32>,
    pub unk: Option<u32>,
    pub add_bos: Option<bool>,
    pub add_eos: Option<bool>,
    pub add_space_prefix: Option<bool>,
    pub remove_extra_whitespaces: Option<bool>,
    pub strip_after_control: bool,
}

impl Vocabulary<'_> {
    fn kind(&self, id: usize) -> i32 {
        self.types.map_or(1, |types| types[id])
    }
}

pub fn build(vocabulary: &Vocabulary) -> Result<TextTokenizer> {
    if vocabulary.tokens.is_empty() {
        return Err(Error::invalid("tokenizer.ggml.tokens is empty"));
    }
    match vocabulary.model {
        "llama" => build_spm(vocabulary),
        "gpt2" => build_byte_level(vocabulary),
        other => Err(Error::unsupported(format!(
            "tokenizer.ggml.model is \"{other}\"; supported are \"llama\" (SentencePiece BPE), \"gpt2\" (byte-level BPE) \
             and \"none\""
        ))),
    }
}

fn added_tokens(vocabulary: &Vocabulary) -> Vec<AddedToken> {
    let is_added = |&id: &usize| matches!(vocabulary.kind(id), CONTROL | USER_DEFINED);
    let token = |id: usize| AddedToken {
        id: id as u32,
        content: vocabulary.tokens[id].to_owned(),
        special: vocabulary.kind(id) == CONTROL,
        strip_right: vocabulary.strip_after_control
            && strips_after(vocabulary.tokens[id], vocabulary.kind(id)),
        ..Default::default()
    };
    (0..vocabulary.tokens.len()).filter(is_added).map(token).collect()
}

/// The Phi-3 family's tokenizer.json: all control tokens but these, and `</s>`.
fn strips_after(text: &str, kind: i32) -> bool {
    text == "</s>" || (kind == CONTROL && !matches!(text, "<unk>" | "<s>" | "<|endoftext|>"))
}

fn flags(kind: i32) -> u8 {
    match kind {
        CONTROL => FLAG_SPECIAL | FLAG_ADDED,
        USER_DEFINED => FLAG_ADDED,
        _ => 0,
    }
}

fn set_ends(tokenizer: &mut TextTokenizer, vocabulary: &Vocabulary, add_bos: bool) {
    let chosen =
        |add: Option<bool>, usual: bool, id: Option<u32>| if add.unwrap_or(usual) { id } else { None };
    tokenizer.prefix = chosen(vocabulary.add_bos, add_bos, vocabulary.bos).into_iter().collect();
    tokenizer.suffix = chosen(vocabulary.add_eos, false, vocabulary.eos).into_iter().collect();
}

// ---- byte-level BPE ----

pub fn expressions(family: &Family) -> Result<Vec<Regex>> {
    let compile = |expression: &&str| {
        Regex::new(expression)
            .map_err(|e| Error { kind: Kind::Bug, message: format!("expression {expression}: {e}") })
    };
    family.expressions.iter().map(compile).collect()
}

fn build_byte_level(vocabulary: &Vocabulary) -> Result<TextTokenizer> {
    let family = find_family(vocabulary.pre)?;
    if vocabulary.merges.is_empty() {
        return Err(Error::invalid("the byte-level BPE vocabulary has no tokenizer.ggml.merges"));
    }
    let words = Words::ByteLevel(expressions(family)?);
    let bpe = byte_level_model(vocabulary, family)?;
    let merge_count = bpe.merge_count();
    let mut table = TokenTable::with_capacity(vocabulary.tokens.len());
    for (id, token) in vocabulary.tokens.iter().enumerate() {
        let flags = flags(vocabulary.kind(id));
        table.push(flags, |out| {
            if flags & FLAG_ADDED != 0 {
                out.extend_from_slice(token.as_bytes())
            } else {
                byte_level::append_bytes(token, out)
            }
        })?;
    }
    let engine = Engine::Pipeline(Pipeline { normalizer: None, words, model: PipelineModel::Bpe(bpe) });
    let mut tokenizer = TextTokenizer::new("byte-level BPE", engine, table, added_tokens(vocabulary))?;
    tokenizer.merge_count = merge_count;
    set_ends(&mut tokenizer, vocabulary, family.add_bos);
    Ok(tokenizer)
}

fn find_family(pre: &str) -> Result<&'static Family> {
    pre_tokenizers::find(pre).ok_or_else(|| {
        let known = pre_tokenizers::names().collect::<Vec<_>>().join(", ");
        let found = if pre.is_empty() { "missing".to_owned() } else { format!("\"{pre}\", which is unknown") };
        Error::unsupported(format!(
            "tokenizer.ggml.pre is {found}, so the text cannot be split as the model learned it; known are: {known}"
        ))
    })
}

fn byte_level_model(vocabulary: &Vocabulary, family: &Family) -> Result<Bpe> {
    let mut texts = Vocab::with_capacity(vocabulary.tokens.len());
    for (id, token) in vocabulary.tokens.iter().enumerate() {
        // Control tokens are found before the model sees the text, and must not come out of merges.
        if vocabulary.kind(id) != CONTROL && !texts.insert(token, id as u32) {
            return Err(Error::limit("the vocabulary has more than 4 GiB of text"));
        }
    }
    let mut merges = Vec::with_capacity(vocabulary.merges.len());
    for (index, merge) in vocabulary.merges.iter().enumerate() {
        let Some(parts) = merge.split_once(' ') else {
            return Err(Error::invalid(format!(
                "tokenizer.ggml.merges[{index}] is not two texts with a blank between"
            )));
        };
        merges.push(parts);
    }
    Ok(Bpe::new(texts, merges.into_iter(), family.ignore_merges, Unknown::default()))
}

// ---- SentencePiece BPE ----

fn build_spm(vocabulary: &Vocabulary) -> Result<TextTokenizer> {
    let Some(scores) = vocabulary.scores else {
        return Err(Error::invalid("the SentencePiece vocabulary has no tokenizer.ggml.scores"));
    };
    let mut pieces = AHashMap::with_capacity(vocabulary.tokens.len());
    let mut bytes = Box::new([u32::MAX; 256]);
    let mut table = TokenTable::with_capacity(vocabulary.tokens.len());
    for (id, &token) in vocabulary.tokens.iter().enumerate() {
        let kind = vocabulary.kind(id);
        let byte = if kind == BYTE { byte_value(token) } else { None };
        if let Some(byte) = byte {
            bytes[byte as usize] = id as u32;
        } else if !matches!(kind, UNKNOWN_TYPE | CONTROL | BYTE) {
            pieces
                .insert(Box::from(token), Entry { id: id as u32, score: scores[id], unused: kind == UNUSED });
        }
        table.push(flags(kind), |out| match byte {
            Some(byte) => out.push(byte),
            None => append_spm_bytes(token, out),
        })?;
    }
    let bytes = if bytes.contains(&u32::MAX) { None } else { Some(bytes) };
    let mut spm = Spm::new(pieces, bytes, vocabulary.unk);
    spm.add_space_prefix = vocabulary.add_space_prefix.unwrap_or(true);
    spm.remove_extra_whitespaces = vocabulary.remove_extra_whitespaces.unwrap_or(false);
    let strips_leading_blank = spm.add_space_prefix;
    let mut tokenizer = TextTokenizer::new("SPM", Engine::Spm(spm), table, added_tokens(vocabulary))?;
    tokenizer.strips_leading_blank = strips_leading_blank;
    set_ends(&mut tokenizer, vocabulary, true);
    Ok(tokenizer)
}

pub fn append_spm_bytes(stored: &str, out: &mut Vec<u8>) {
    let mut utf8 = [0; 4];
    for c in stored.chars() {
        out.extend_from_slice(if c == BLANK { b" " } else { c.encode_utf8(&mut utf8).as_bytes() });
    }
}

/// `<0x41>` -> 0x41.
pub fn byte_value(stored: &str) -> Option<u8> {
    let hex = stored.strip_prefix("<0x")?.strip_suffix('>')?;
    if hex.len() == 2 && hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        u8::from_str_radix(hex, 16).ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary<'a>(
        model: &'a str,
        pre: &'a str,
        tokens: &[&'a str],
        merges: &[&'a str],
    ) -> Vocabulary<'a> {
        Vocabulary {
            model,
            pre,
            tokens: tokens.to_vec(),
            scores: None,
            types: None,
            merges: merges.to_vec(),
            bos: None,
            eos: None,
            unk: None,
            add_bos: None,
            add_eos: None,
            add_space_prefix: None,
            remove_extra_whitespaces: None,
            strip_after_control: false,
        }
    }

    #[test]
    fn unknown_names_are_refused() {
        for (model, pre) in [("bert", ""), ("gpt2", "no-such"), ("gpt2", "")] {
            let error = build(&vocabulary(model, pre, &["a", "b", "ab"], &["a b"])).err().unwrap();
            assert_eq!(error.kind, crate::error::Kind::Unsupported, "{model} {pre}");
        }
    }

    #[test]
    fn merges_that_make_no_token_are_left_out() {
        let tokenizer =
            build(&vocabulary("gpt2", "gpt-2", &["a", "b", "ab"], &["a b", "ab a", "x y", "b x"])).unwrap();
        assert_eq!(tokenizer.encode("ab", &[], true, false).unwrap(), [2]);
    }

    #[test]
    fn control_tokens_never_come_out_of_text() {
        let types = [1, 1, 3];
        let mut v = vocabulary("gpt2", "gpt-2", &["a", "b", "ab"], &["a b"]);
        v.types = Some(&types);
        let tokenizer = build(&v).unwrap();
        assert_eq!(tokenizer.encode("ab", &[], true, false).unwrap(), [2]);
        assert_eq!(tokenizer.encode("ab", &[], false, false).unwrap(), [0, 1]);
    }

    #[test]
    fn byte_names() {
        assert_eq!(byte_value("<0x0A>"), Some(10));
        assert_eq!(byte_value("<0x0a>"), Some(10));
        assert_eq!(byte_value("<0x+A>"), None);
        assert_eq!(byte_value("<0x100>"), None);
    }
}
