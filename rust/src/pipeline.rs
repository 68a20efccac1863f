//! Normalise, cut into words, encode each word: what lies between added tokens in every tokenizer but SentencePiece's.

use fancy_regex::Regex;
use tokenizers::tokenizer::normalizer::Range;
use tokenizers::{
    Model, ModelWrapper, NormalizedString, Normalizer, NormalizerWrapper, OffsetReferential, OffsetType,
    PreTokenizedString, PreTokenizer, PreTokenizerWrapper, Token,
};

use crate::added_tokens::{Matcher, Piece};
use crate::bpe::Bpe;
use crate::error::{Error, Result};

pub enum PipelineModel {
    Bpe(Bpe),
    Other(Box<ModelWrapper>),
}

pub enum Words {
    /// Expressions applied one after the other (see `pre_tokenizers`), then byte-level: Bpe::encode_bytes.
    ByteLevel(Vec<Regex>),
    /// Anything else, by the crate; words are then as the vocabulary stores them.
    Other(Option<Box<PreTokenizerWrapper>>),
}

pub struct Pipeline {
    pub normalizer: Option<Box<NormalizerWrapper>>,
    pub words: Words,
    pub model: PipelineModel,
}

/// What the added tokens leave to the pipeline.
pub struct Request<'a> {
    pub text: &'a str,
    pub pieces: &'a [Piece],  // of the text, by the tokens that match it as it is
    pub matcher: &'a Matcher, // the tokens that match normalised text
    pub breaks: &'a [usize],
    pub parse_special: bool,
}

fn failed(error: tokenizers::Error) -> Error {
    Error::invalid(format!("the tokenizer could not encode this text: {error}"))
}

impl PipelineModel {
    pub fn find(&self, stored: &str) -> Option<u32> {
        match self {
            PipelineModel::Bpe(bpe) => bpe.vocab.get(stored),
            PipelineModel::Other(model) => model.token_to_id(stored),
        }
    }
}

impl Pipeline {
    pub fn find(&self, stored: &str) -> Option<u32> {
        self.model.find(stored)
    }

    pub fn normalize(&self, text: &str) -> Option<NormalizedString> {
        let normalizer = self.normalizer.as_ref()?;
        let mut normalized = NormalizedString::from(text);
        normalizer.normalize(&mut normalized).ok()?;
        Some(normalized)
    }

    pub fn encode(&self, request: &Request, ids: &mut Vec<u32>) -> Result<()> {
        match (&self.words, &self.model) {
            (Words::ByteLevel(expressions), PipelineModel::Bpe(bpe)) => {
                let word = |word: &str, ids: &mut Vec<u32>| bpe.encode_bytes(word, ids);
                self.encode_byte_level(
                    request,
                    &|text, ids| each_word(text, expressions, &mut |w| word(w, ids)),
                    ids,
                )
            }
            (Words::ByteLevel(_), PipelineModel::Other(_)) => {
                Err(Error::invalid("a byte-level tokenizer needs a BPE model"))
            }
            (Words::Other(pre_tokenizer), _) => self.encode_by_crate(request, pre_tokenizer.as_deref(), ids),
        }
    }

    fn encode_byte_level(
        &self,
        request: &Request,
        encode: &dyn Fn(&str, &mut Vec<u32>),
        ids: &mut Vec<u32>,
    ) -> Result<()> {
        for piece in request.pieces {
            let text = &request.text[piece.start..piece.end];
            if let Some(id) = piece.id {
                ids.push(id);
                continue;
            }
            let normalized = self.normalize(text);
            let text = normalized.as_ref().map_or(text, NormalizedString::get);
            if request.matcher.is_empty() {
                encode(text, ids);
                continue;
            }
            let local = |b: &usize| (piece.start < *b && *b < piece.end).then(|| *b - piece.start);
            let breaks = request.breaks.iter().filter_map(local);
            let breaks: Vec<usize> = match &normalized {
                Some(n) => breaks.filter_map(|b| normalized_offset(n, b)).collect(),
                None => breaks.collect(),
            };
            for part in request.matcher.split(text, &breaks, request.parse_special) {
                match part.id {
                    Some(id) => ids.push(id),
                    None => encode(&text[part.start..part.end], ids),
                }
            }
        }
        Ok(())
    }

    fn encode_by_crate(
        &self,
        request: &Request,
        pre_tokenizer: Option<&PreTokenizerWrapper>,
        ids: &mut Vec<u32>,
    ) -> Result<()> {
        let mut split = PreTokenizedString::from(request.text);
        split.split(|_, whole| Ok(cut(&whole, request.pieces))).map_err(failed)?;
        split
            .split(|_, mut part| {
                if let Some(normalizer) = &self.normalizer {
                    normalizer.normalize(&mut part)?;
                }
                if request.matcher.is_empty() {
                    return Ok(vec![(part, None)]);
                }
                let (first, end) = part.offsets_original();
                let inside = request.breaks.iter().filter(|&&b| first < b && b < end);
                let breaks: Vec<usize> = inside.filter_map(|b| normalized_offset(&part, b - first)).collect();
                Ok(cut(&part, &request.matcher.split(part.get(), &breaks, request.parse_special)))
            })
            .map_err(failed)?;
        if let Some(pre_tokenizer) = pre_tokenizer {
            pre_tokenizer.pre_tokenize(&mut split).map_err(failed)?;
        }
        for (word, _, tokens) in split.get_splits(OffsetReferential::Original, OffsetType::Byte) {
            match (tokens, &self.model) {
                (Some(tokens), _) => ids.extend(tokens.iter().map(|t| t.id)),
                (None, PipelineModel::Bpe(bpe)) => bpe.encode(word, ids),
                (None, PipelineModel::Other(model)) => {
                    ids.extend(model.tokenize(word).map_err(failed)?.iter().map(|t| t.id))
                }
            }
        }
        Ok(())
    }
}

/// Calls `word` for every word of `text`. Where an expression gives up (a limit on its work), the rest is one word.
pub fn each_word(text: &str, expressions: &[Regex], word: &mut dyn FnMut(&str)) {
    let Some((expression, others)) = expressions.split_first() else {
        if !text.is_empty() {
            word(text);
        }
        return;
    };
    let mut done = 0;
    for found in expression.find_iter(text).map_while(|f| f.ok()) {
        if done < found.start() {
            each_word(&text[done..found.start()], others, word);
        }
        if !found.as_str().is_empty() {
            each_word(found.as_str(), others, word);
        }
        done = found.end();
    }
    if done < text.len() {
        each_word(&text[done..], others, word);
    }
}

fn cut(whole: &NormalizedString, pieces: &[Piece]) -> Vec<(NormalizedString, Option<Vec<Token>>)> {
    let slice = |piece: &Piece| {
        let part = whole.slice(Range::Normalized(piece.start..piece.end))?;
        Some((part, piece.id.map(|id| vec![Token::new(id, String::new(), (0, piece.end - piece.start))])))
    };
    pieces.iter().filter_map(slice).collect()
}

/// Where an offset of the original text (from the part's start) is in the normalised one.
fn normalized_offset(part: &NormalizedString, offset: usize) -> Option<usize> {
    let (first, end) = part.offsets_original();
    part.convert_offsets(Range::Original(offset..end - first)).map(|range| range.start)
}
