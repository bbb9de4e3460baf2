//! Nix's base 32: no `e o u t`, digits from the most significant end.

const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// What each character stands for; those that stand for nothing are beyond the digits.
const DIGITS: [u8; 256] = {
    let mut digits = [32; 256];
    let mut digit = 0;
    while digit < ALPHABET.len() {
        digits[ALPHABET[digit] as usize] = digit as u8;
        digit += 1;
    }
    digits
};

/// The text of some bytes: `ceil(8 * len / 5)` characters.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = vec![0; (bytes.len() * 8).div_ceil(5)];
    write(bytes, &mut text);
    let Ok(text) = String::from_utf8(text) else { unreachable!("the alphabet is ASCII") };
    text
}

/// The text of bytes whose number is known, in place.
pub(crate) struct Encoded<const CHARACTERS: usize>([u8; CHARACTERS]);

impl<const CHARACTERS: usize> Encoded<CHARACTERS> {
    pub(crate) fn of<const N: usize>(bytes: &[u8; N]) -> Self {
        const { assert!(CHARACTERS == (N * 8).div_ceil(5), "as many as the bytes need") };
        let mut text = [0; CHARACTERS];
        write(bytes, &mut text);
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        let Ok(text) = str::from_utf8(&self.0) else { unreachable!("the alphabet is ASCII") };
        text
    }
}

/// Fill `text`, which has as many places as the bytes need.
fn write(bytes: &[u8], text: &mut [u8]) {
    // Five bytes are eight characters, and the first bytes the last characters.
    for (group, places) in bytes.chunks(5).zip(text.rchunks_mut(8)) {
        let mut bits = [0; 8];
        bits[..group.len()].copy_from_slice(group);
        let mut bits = u64::from_le_bytes(bits);
        for place in places.iter_mut().rev() {
            *place = ALPHABET[bits as usize & 31];
            bits >>= 5;
        }
    }
}

/// The `N` bytes behind a text, or `None` if it isn't the encoding of `N` bytes.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != (N * 8).div_ceil(5) {
        return None;
    }
    let mut bytes = [0u8; N];
    for (digit, character) in text.bytes().rev().enumerate() {
        let value = match DIGITS[usize::from(character)] {
            digit @ 0..32 => u16::from(digit),
            _ => return None,
        };
        let bit = digit * 5;
        let (byte, shift) = (bit / 8, bit % 8);
        let wide = value << shift;
        bytes[byte] |= wide as u8;
        let carry = (wide >> 8) as u8;
        match bytes.get_mut(byte + 1) {
            Some(next) => *next |= carry,
            None if carry != 0 => return None,
            None => {}
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_as_nix_does() {
        // nix-hash --type sha256 --to-base32 of sha256("")
        let digest = data_encoding::HEXLOWER
            .decode(b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
            .unwrap();
        assert_eq!(encode(&digest), "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73");
    }

    #[test]
    fn decoding_undoes_encoding_and_refuses_the_rest() {
        let bytes: [u8; 20] = std::array::from_fn(|i| (i * 37) as u8);
        assert_eq!(decode(&encode(&bytes)), Some(bytes));
        assert_eq!(decode::<20>("e0000000000000000000000000000000"), None);
        assert_eq!(decode::<20>("0"), None);
        assert_eq!(decode::<32>(&"z".repeat(52)), None);
    }
}
