//! SentencePiece's BPE: of all neighbouring pairs whose join is a piece, the one with the best score is merged, the
//! leftmost of equals. Working from the scores themselves (not from a list of merges derived from them) gives exactly
//! SentencePiece's answer, also where pieces share a score.
//!
//! Blanks are U+2581 in pieces. A character that is no piece becomes its bytes' tokens `<0xNN>`, or the unknown token
//! (a run of them: one) in a vocabulary without byte tokens.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use ahash::AHashMap;

pub const BLANK: char = '\u{2581}';

pub struct Spm {
    pieces: AHashMap<Box<str>, Entry>,
    bytes: Option<Box<[u32; 256]>>,
    unknown: Option<u32>,
    /// No piece goes on with a blank after something else, so that no merge crosses the start of a word.
    words_are_independent: bool,
    pub add_space_prefix: bool,
    pub remove_extra_whitespaces: bool,
}

#[derive(Clone, Copy)]
pub struct Entry {
    pub id: u32,
    pub score: f32,
    /// Merged on the way to longer pieces, but taken apart again when it is left over.
    pub unused: bool,
}

struct Symbol {
    start: usize,
    end: usize, // == start: merged into its left neighbour
    prev: usize,
    next: usize,
}

const NONE: usize = usize::MAX;

struct Candidate {
    score: f32,
    left: usize,
    right: usize,
    bytes: usize, // of the join; differs when one side has changed since
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then_with(|| other.left.cmp(&self.left))
    }
}
impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Candidate {}

impl Spm {
    pub fn new(
        pieces: AHashMap<Box<str>, Entry>,
        bytes: Option<Box<[u32; 256]>>,
        unknown: Option<u32>,
    ) -> Self {
        let words_are_independent = !pieces.keys().any(|piece| word_starts(piece).next().is_some());
        Spm {
            pieces,
            bytes,
            unknown,
            words_are_independent,
            add_space_prefix: true,
            remove_extra_whitespaces: false,
        }
    }

    pub fn find(&self, piece: &str) -> Option<u32> {
        self.pieces.get(piece).map(|e| e.id)
    }

    /// Appends the ids of a piece of text between added tokens (or of a whole text).
    pub fn encode(&self, text: &str, ids: &mut Vec<u32>) {
        let text = self.normalize(text);
        let mut fuse_unknown = false;
        let mut start = 0;
        let ends =
            word_starts(&text).filter(|_| self.words_are_independent).chain(std::iter::once(text.len()));
        for end in ends {
            self.encode_normalized(&text[start..end], &mut fuse_unknown, ids);
            start = end;
        }
    }

    fn encode_normalized(&self, text: &str, fuse_unknown: &mut bool, ids: &mut Vec<u32>) {
        let mut taken_apart = AHashMap::new();
        for (start, end) in self.merge(text, &mut taken_apart) {
            self.append_piece(text, start, end, &taken_apart, fuse_unknown, ids);
        }
    }

    fn normalize(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + text.len() / 2 + 3);
        let trimmed = if self.remove_extra_whitespaces { text.trim_matches(' ') } else { text };
        if self.add_space_prefix && !trimmed.is_empty() {
            out.push(BLANK);
        }
        let mut after_blank = false;
        for c in trimmed.chars() {
            if c == ' ' {
                if !(after_blank && self.remove_extra_whitespaces) {
                    out.push(BLANK);
                }
            } else {
                out.push(c);
            }
            after_blank = c == ' ';
        }
        out
    }

    fn merge<'t>(&self, text: &'t str, taken_apart: &mut AHashMap<&'t str, usize>) -> Vec<(usize, usize)> {
        let mut symbols: Vec<Symbol> = Vec::with_capacity(text.len());
        for (start, c) in text.char_indices() {
            let i = symbols.len();
            symbols.push(Symbol { start, end: start + c.len_utf8(), prev: i.wrapping_sub(1), next: i + 1 });
        }
        if let Some(last) = symbols.last_mut() {
            last.next = NONE;
        }
        let mut heap = BinaryHeap::new();
        for i in 1..symbols.len() {
            self.add_candidate(text, &symbols, i - 1, i, &mut heap, taken_apart);
        }
        while let Some(best) = heap.pop() {
            let (left, right) = (best.left, best.right);
            let lengths = [left, right].map(|i| symbols[i].end - symbols[i].start);
            if lengths[0] == 0 || lengths[1] == 0 || lengths[0] + lengths[1] != best.bytes {
                continue;
            }
            symbols[left].end = symbols[right].end;
            symbols[right].start = symbols[right].end;
            let next = symbols[right].next;
            symbols[left].next = next;
            if next != NONE {
                symbols[next].prev = left;
                self.add_candidate(text, &symbols, left, next, &mut heap, taken_apart);
            }
            let prev = symbols[left].prev;
            if prev != NONE {
                self.add_candidate(text, &symbols, prev, left, &mut heap, taken_apart);
            }
        }
        symbols.iter().filter(|s| s.start < s.end).map(|s| (s.start, s.end)).collect()
    }

    fn add_candidate<'t>(
        &self,
        text: &'t str,
        symbols: &[Symbol],
        left: usize,
        right: usize,
        heap: &mut BinaryHeap<Candidate>,
        taken_apart: &mut AHashMap<&'t str, usize>,
    ) {
        let join = &text[symbols[left].start..symbols[right].end];
        if let Some(entry) = self.pieces.get(join) {
            if entry.unused {
                taken_apart.insert(join, symbols[right].start - symbols[left].start);
            }
            heap.push(Candidate { score: entry.score, left, right, bytes: join.len() });
        }
    }

    fn append_piece(
        &self,
        text: &str,
        start: usize,
        end: usize,
        taken_apart: &AHashMap<&str, usize>,
        fuse_unknown: &mut bool,
        ids: &mut Vec<u32>,
    ) {
        let mut parts = vec![(start, end)]; // the next one last
        while let Some((start, end)) = parts.pop() {
            let piece = &text[start..end];
            match self.pieces.get(piece) {
                Some(entry) => match taken_apart.get(piece) {
                    Some(&split) if entry.unused => {
                        parts.push((start + split, end));
                        parts.push((start, start + split));
                    }
                    _ => {
                        ids.push(entry.id);
                        *fuse_unknown = false;
                    }
                },
                None => match (&self.bytes, self.unknown) {
                    (Some(bytes), _) => ids.extend(piece.bytes().map(|b| bytes[b as usize])),
                    (None, Some(unknown)) if !*fuse_unknown => {
                        ids.push(unknown);
                        *fuse_unknown = true;
                    }
                    _ => {}
                },
            }
        }
    }
}

/// Offsets of the blanks that follow something else.
fn word_starts(text: &str) -> impl Iterator<Item = usize> + '_ {
    text.match_indices(BLANK).map(|(at, _)| at).filter(|&at| at > 0 && !text[..at].ends_with(BLANK))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spm(pieces: &[(&str, f32)]) -> Spm {
        let map = pieces
            .iter()
            .enumerate()
            .map(|(i, (p, score))| {
                (Box::from(*p), Entry { id: i as u32, score: *score, unused: p.starts_with('u') })
            })
            .collect();
        let mut spm = Spm::new(map, None, Some(99));
        spm.add_space_prefix = false;
        spm
    }

    fn ids(spm: &Spm, text: &str) -> Vec<u32> {
        let mut out = Vec::new();
        spm.encode(text, &mut out);
        out
    }

    #[test]
    fn the_best_score_is_merged_first() {
        let spm = spm(&[("a", 0.0), ("b", 0.0), ("c", 0.0), ("ab", -2.0), ("bc", -1.0)]);
        assert_eq!(ids(&spm, "abc"), [0, 4]);
    }

    #[test]
    fn of_equal_scores_the_leftmost() {
        let spm = spm(&[("a", 0.0), ("aa", -1.0), ("aaa", -2.0)]);
        assert_eq!(ids(&spm, "aaa"), [2]);
        assert_eq!(ids(&spm, "aaaaa"), [1, 2]); // aa aa a: "aa a" joins, "aaaa" is no piece
    }

    #[test]
    fn blanks_and_prefix() {
        let mut spm = spm(&[("▁", 0.0), ("a", 0.0), ("▁a", -1.0)]);
        assert_eq!(ids(&spm, " a"), [2]);
        spm.add_space_prefix = true;
        assert_eq!(ids(&spm, "a  a"), [2, 0, 2]);
        assert!(ids(&spm, "").is_empty());
        spm.remove_extra_whitespaces = true;
        assert_eq!(ids(&spm, " a  a "), [2, 2]);
    }

    #[test]
    fn a_piece_across_words_is_found() {
        let across = spm(&[("▁", 0.0), ("a", 0.0), ("b", 0.0), ("a▁", -1.0), ("a▁b", -2.0), ("▁b", -3.0)]);
        assert_eq!(ids(&across, "a b"), [4]);
        let within = spm(&[("▁", 0.0), ("a", 0.0), ("b", 0.0), ("▁b", -3.0)]);
        assert!(within.words_are_independent && !across.words_are_independent);
        assert_eq!(ids(&within, "a b  b"), [1, 3, 0, 3]);
    }

    #[test]
    fn unknown_characters_are_one_token_or_bytes() {
        let mut spm = spm(&[("a", 0.0)]);
        assert_eq!(ids(&spm, "éèaé"), [99, 0, 99]);
        spm.bytes = Some(Box::new(std::array::from_fn(|i| 1000 + i as u32)));
        assert_eq!(ids(&spm, "é"), [1000 + 0xc3, 1000 + 0xa9]);
    }

    #[test]
    fn an_unused_piece_is_taken_apart() {
        let spm = spm(&[("u", 0.0), ("v", 0.0), ("w", 0.0), ("uv", -1.0), ("uvw", -2.0)]);
        assert_eq!(ids(&spm, "uv"), [0, 1]);
    }
}
