//! Tokens that are found in a text before anything else: control tokens and user-defined ones.
//!
//! Matching follows the `tokenizers` crate: leftmost-longest; first the tokens that match the text as it is, then, in
//! what is left, after normalisation, those that match normalised text. One thing is added: *breaks*, offsets that no
//! match may contain inside. Between two breaks the text is searched as if it stood alone.

use aho_corasick::{AhoCorasick, MatchKind};

use crate::error::{Error, Result};
use crate::search::searcher;

const MAX_BYTES: usize = 64 << 10; // of one; searching takes some 40 bytes for each
const MAX_BYTES_TOGETHER: usize = 4 << 20;

#[derive(Clone, Debug, Default)]
pub struct AddedToken {
    pub id: u32,
    pub content: String,
    pub special: bool,
    pub single_word: bool,
    pub strip_left: bool,
    pub strip_right: bool,
    pub normalized: bool,
}

/// A piece of the text: ordinary (`id` is None) or one token.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    pub start: usize,
    pub end: usize,
    pub id: Option<u32>,
}

pub struct Matcher {
    automaton: Option<AhoCorasick>,
    tokens: Vec<AddedToken>,
}

impl Matcher {
    /// `pattern` gives the text that a token matches (its content, or that normalised).
    pub fn new(tokens: Vec<AddedToken>, pattern: impl Fn(&AddedToken) -> String) -> Result<Self> {
        let (tokens, patterns): (Vec<_>, Vec<_>) = tokens
            .into_iter()
            .map(|t| {
                let p = pattern(&t);
                (t, p)
            })
            .filter(|(_, p)| !p.is_empty())
            .unzip();
        if let Some(long) = patterns.iter().find(|p| p.len() > MAX_BYTES) {
            return Err(Error::limit(format!(
                "an added token of this tokenizer has {} bytes, the limit is {MAX_BYTES}",
                long.len()
            )));
        }
        if patterns.iter().map(String::len).sum::<usize>() > MAX_BYTES_TOGETHER {
            return Err(Error::limit(format!(
                "the added tokens of this tokenizer have more than {MAX_BYTES_TOGETHER} bytes together"
            )));
        }
        let automaton = if patterns.is_empty() {
            None
        } else {
            Some(searcher(MatchKind::LeftmostLongest, &patterns, "added tokens")?)
        };
        Ok(Matcher { automaton, tokens })
    }

    pub fn is_empty(&self) -> bool {
        self.automaton.is_none()
    }

    /// Splits `text` into pieces that cover it. With `parse_special` false, control tokens are not recognised.
    pub fn split(&self, text: &str, breaks: &[usize], parse_special: bool) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut done = 0; // text before this is in `pieces`
        if let Some(automaton) = &self.automaton {
            let mut segment_start = 0;
            for segment_end in breaks.iter().copied().chain(std::iter::once(text.len())) {
                let segment_end = segment_end.min(text.len());
                if segment_end <= segment_start || !text.is_char_boundary(segment_end) {
                    continue;
                }
                for found in automaton.find_iter(&text[segment_start..segment_end]) {
                    let token = &self.tokens[found.pattern().as_usize()];
                    let (start, end) = (segment_start + found.start(), segment_start + found.end());
                    // A break right before a token of one character stands for a break inside it.
                    let broken =
                        start == segment_start && start != 0 && text[start..end].chars().count() == 1;
                    if start < done
                        || broken
                        || (token.special && !parse_special)
                        || !token.fits(text, start, end)
                    {
                        continue;
                    }
                    let start =
                        if token.strip_left { text[done..start].trim_end().len() + done } else { start };
                    let rest = &text[end..];
                    let end =
                        if token.strip_right { end + rest.len() - rest.trim_start().len() } else { end };
                    if done < start {
                        pieces.push(Piece { start: done, end: start, id: None });
                    }
                    pieces.push(Piece { start, end, id: Some(token.id) });
                    done = end;
                }
                segment_start = segment_end;
            }
        }
        if done < text.len() {
            pieces.push(Piece { start: done, end: text.len(), id: None });
        }
        pieces
    }
}

impl AddedToken {
    fn fits(&self, text: &str, start: usize, end: usize) -> bool {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        !self.single_word
            || (!text[..start].chars().next_back().is_some_and(is_word)
                && !text[end..].chars().next().is_some_and(is_word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher() -> Matcher {
        let token = |id, content: &str, special| AddedToken {
            id,
            content: content.into(),
            special,
            ..Default::default()
        };
        let tokens = vec![
            token(1, "<end>", true),
            token(2, "<end>x", true),
            token(3, "<think>", false),
            token(4, "§", true),
        ];
        Matcher::new(tokens, |t| t.content.clone()).unwrap()
    }

    fn ids(text: &str, breaks: &[usize], parse: bool) -> Vec<u32> {
        matcher().split(text, breaks, parse).iter().filter_map(|p| p.id).collect()
    }

    #[test]
    fn longest_of_the_leftmost_wins() {
        assert_eq!(ids("a<end>xb<end>", &[], true), [2, 1]);
    }

    #[test]
    fn as_text_keeps_only_ordinary_added_tokens() {
        assert_eq!(ids("<end><think>", &[], false), [3]);
    }

    #[test]
    fn a_break_inside_a_token_makes_it_text() {
        assert_eq!(ids("<end><end>", &[1], true), [1]);
        assert_eq!(ids("<end><end>", &[6], true), [1]);
        assert_eq!(ids("<end><end>", &[5], true), [1, 1]);
        assert_eq!(ids("<end>x", &[5], true), [1]); // the longer one is broken, the shorter one is whole
        assert_eq!(ids("a§§", &[1], true), [4]);
    }

    #[test]
    fn pieces_cover_the_text() {
        let text = "ab<end>cd§<think>";
        let mut at = 0;
        for piece in matcher().split(text, &[], true) {
            assert_eq!(piece.start, at);
            at = piece.end;
        }
        assert_eq!(at, text.len());
    }

    #[test]
    fn stripping_takes_white_space_with_the_token() {
        let token = AddedToken {
            id: 7,
            content: "|".into(),
            strip_left: true,
            strip_right: true,
            ..Default::default()
        };
        let matcher = Matcher::new(vec![token], |t| t.content.clone()).unwrap();
        let pieces = matcher.split("a  | \n b", &[], true);
        assert_eq!(pieces[1], Piece { start: 1, end: 7, id: Some(7) });
    }
}
