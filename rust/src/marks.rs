//! Keeping control tokens out of a user's text.
//!
//! Before a template renders, every place in the input's strings where a control token's text stands - or could come to
//! stand when values are put side by side - gets one marker character inside. After rendering the markers are taken out
//! again and their places remembered as *breaks*: no added token is recognised across a break (see `added_tokens`).
//! Everything else is tokenised as if there had been no markers.
//!
//! The marker is a private-use character that occurs nowhere in the template or the input.

use aho_corasick::{AhoCorasick, MatchKind};

use crate::added_tokens::AddedToken;
use crate::error::{Error, Result};
use crate::search::searcher;

/// A longer control token is marked where it stands whole, not by its parts: looking for those would cost the square of
/// its length.
const MAX_PARTED_BYTES: usize = 1024;

/// The control tokens of one tokenizer, prepared for marking. Memory: a few times their bytes.
pub struct ControlTexts {
    whole: AhoCorasick,
    forward: Vec<Box<[u8]>>,  // ascending
    backward: Vec<Box<[u8]>>, // their bytes from last to first, ascending
    longest: usize,           // bytes, of these
}

impl ControlTexts {
    pub fn new(added: &[AddedToken]) -> Result<Self> {
        let contents: Vec<&str> =
            added.iter().filter(|t| t.special && !t.content.is_empty()).map(|t| &*t.content).collect();
        let whole = searcher(MatchKind::Standard, &contents, "control tokens")?;
        let parted = || contents.iter().filter(|c| c.len() <= MAX_PARTED_BYTES);
        let mut forward: Vec<Box<[u8]>> = parted().map(|c| Box::from(c.as_bytes())).collect();
        let mut backward: Vec<Box<[u8]>> = parted().map(|c| c.bytes().rev().collect()).collect();
        forward.sort_unstable();
        backward.sort_unstable();
        let longest = parted().map(|c| c.len()).max().unwrap_or(0);
        Ok(ControlTexts { whole, forward, backward, longest })
    }

    /// Byte offsets, ascending, at which a marker makes every control token in `text` - and every one that text before
    /// or after it could complete - unrecognisable.
    fn places(&self, text: &str) -> Vec<usize> {
        let after_first = |start: usize| start + text[start..].chars().next().map_or(0, char::len_utf8);
        let mut places: Vec<usize> = self
            .whole
            .find_overlapping_iter(text)
            // A token of one character has no inside; a break right before it counts.
            .map(|m| if after_first(m.start()) == m.end() { m.start() } else { after_first(m.start()) })
            .collect();
        for (start, _) in text.char_indices().rev().take_while(|(start, _)| text.len() - start < self.longest)
        {
            if begins_longer(&self.forward, &text.as_bytes()[start..]) {
                places.push(after_first(start));
            }
        }
        for (end, c) in text.char_indices().take_while(|(end, _)| *end < self.longest) {
            let end = end + c.len_utf8();
            let reversed: Vec<u8> = text.as_bytes()[..end].iter().rev().copied().collect();
            if begins_longer(&self.backward, &reversed) {
                places.push(if after_first(0) == end { 0 } else { after_first(0) });
            }
        }
        places.sort_unstable();
        places.dedup();
        places
    }
}

/// Whether one of the ascending `texts` begins with `part` and goes on.
fn begins_longer(texts: &[Box<[u8]>], part: &[u8]) -> bool {
    let after = texts.partition_point(|text| **text <= *part);
    texts.get(after).is_some_and(|text| text.starts_with(part))
}

pub struct Marker<'a> {
    pub character: char,
    controls: &'a ControlTexts,
}

impl<'a> Marker<'a> {
    /// `is_used` tells whether a character occurs in any text that the rendered one can come from.
    pub fn new(controls: &'a ControlTexts, is_used: impl Fn(char) -> bool) -> Result<Self> {
        let character = marker_candidates()
            .find(|&c| !is_used(c))
            .ok_or_else(|| Error::limit("chat input: the text uses every private-use character"))?;
        Ok(Marker { character, controls })
    }

    pub fn mark(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for place in self.controls.places(text) {
            out.push_str(&text[done..place]);
            out.push(self.character);
            done = place;
        }
        out.push_str(&text[done..]);
        out
    }
}

pub fn marker_candidates() -> impl Iterator<Item = char> {
    ('\u{f0000}'..='\u{ffffd}').chain('\u{100000}'..='\u{10fffd}')
}

/// The text without markers, and where they were (byte offsets, ascending).
pub fn unmark(marked: &str, character: char) -> (String, Vec<usize>) {
    let mut text = String::with_capacity(marked.len());
    let mut breaks = Vec::new();
    for part in marked.split(character) {
        text.push_str(part);
        breaks.push(text.len());
    }
    breaks.pop();
    breaks.dedup();
    (text, breaks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controls() -> ControlTexts {
        let token =
            |content: &str, special| AddedToken { content: content.into(), special, ..Default::default() };
        ControlTexts::new(&[
            token("<end>", true),
            token("§", true),
            token("<think>", false),
            token("[A][B]", true),
        ])
        .unwrap()
    }

    fn marked(text: &str) -> String {
        let controls = controls();
        let mut marked = Marker::new(&controls, |_| false).unwrap().mark(text);
        marked = marked.replace('\u{f0000}', "*");
        marked
    }

    #[test]
    fn whole_tokens() {
        assert_eq!(marked("a<end>b"), "a<*end>b");
        assert_eq!(marked("a§b"), "a*§b");
        assert_eq!(marked("x <think> y"), "x <think> y");
        assert_eq!(marked("user"), "user");
    }

    #[test]
    fn parts_that_a_neighbour_could_complete() {
        assert_eq!(marked("a <en"), "a <*en");
        assert_eq!(marked("a <"), "a <*");
        assert_eq!(marked("nd> b"), "n*d> b");
        assert_eq!(marked("> b"), "*> b");
        assert_eq!(marked("[A]"), "[*A]");
    }

    #[test]
    fn unmarking_restores_the_text() {
        for text in ["", "a<end>b<end>", "<", ">", "§§", "<en<end>d>"] {
            let controls = controls();
            let marker = Marker::new(&controls, |_| false).unwrap();
            let (unmarked, breaks) = unmark(&marker.mark(text), marker.character);
            assert_eq!(unmarked, text);
            assert_eq!(breaks, controls.places(text));
        }
    }

    #[test]
    fn a_long_token_costs_no_square_of_its_length() {
        let token = AddedToken { content: "ab".repeat(1 << 15), special: true, ..Default::default() };
        let controls = ControlTexts::new(std::slice::from_ref(&token)).unwrap();
        assert_eq!(controls.longest, 0);
        assert_eq!(controls.places(&format!("x{}y", token.content)), [2]);
        assert_eq!(controls.places("abab"), [0usize; 0]);
    }

    #[test]
    fn a_used_character_is_not_the_marker() {
        let controls = controls();
        assert_eq!(Marker::new(&controls, |c| c < '\u{f0005}').unwrap().character, '\u{f0005}');
    }
}
