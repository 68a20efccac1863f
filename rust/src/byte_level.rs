//! The alphabet of byte-level BPE: every byte has one printable character, so that a vocabulary can be stored as text.
//! Bytes 0x21-0x7e, 0xa1-0xac and 0xae-0xff are themselves (as code points); the other 68 are U+0100 onwards, in order.

use std::sync::OnceLock;

const LAST: usize = 0x143;

fn keeps_itself(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff)
}

fn table() -> &'static [Option<u8>; LAST + 1] {
    static TABLE: OnceLock<[Option<u8>; LAST + 1]> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = [None; LAST + 1];
        let mut next = 0x100;
        for byte in 0..=255u8 {
            if keeps_itself(byte) {
                table[byte as usize] = Some(byte);
            } else {
                table[next] = Some(byte);
                next += 1;
            }
        }
        table
    })
}

/// The characters of bytes 0 to 255.
pub fn characters() -> impl Iterator<Item = char> {
    (0..=255).map(character)
}

pub fn character(byte: u8) -> char {
    static CHARACTERS: OnceLock<[char; 256]> = OnceLock::new();
    let characters = CHARACTERS.get_or_init(|| {
        let mut characters = ['\0'; 256];
        for (code, byte) in table().iter().enumerate() {
            if let (Some(byte), Some(c)) = (byte, char::from_u32(code as u32)) {
                characters[*byte as usize] = c;
            }
        }
        characters
    });
    characters[byte as usize]
}

/// Appends the bytes that `stored` stands for; a text with any character outside the alphabet stands for itself.
pub fn append_bytes(stored: &str, out: &mut Vec<u8>) {
    let start = out.len();
    let table = table();
    for c in stored.chars() {
        match table.get(c as usize).copied().flatten() {
            Some(byte) => out.push(byte),
            None => {
                out.truncate(start);
                out.extend_from_slice(stored.as_bytes());
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::append_bytes;

    fn bytes(stored: &str) -> Vec<u8> {
        let mut out = Vec::new();
        append_bytes(stored, &mut out);
        out
    }

    #[test]
    fn known_characters() {
        assert_eq!(bytes("Ġa"), b" a");
        assert_eq!(bytes("Ċ"), b"\n");
        assert_eq!(bytes("Ń"), [0xad]);
        assert_eq!(bytes("ÿ"), [0xff]);
        assert_eq!(bytes("âĤ¬"), "€".as_bytes());
        assert_eq!(bytes("<｜x｜>"), "<｜x｜>".as_bytes());
    }
}
