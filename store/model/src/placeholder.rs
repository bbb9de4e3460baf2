//! What stands for an output's path until it is known.

use crate::{DerivationId, OutputName, base32::Encoded, encode::Encoder};

/// The length of a placeholder: a slash and 52 characters of base 32.
pub const PLACEHOLDER_LENGTH: usize = 53;

/// What `drv.outPath` is while the derivation is not built.
pub fn output_placeholder(derivation: &DerivationId, output: &OutputName) -> String {
    let mut encoder = Encoder::new("hb-output-1");
    encoder.field(derivation.hex());
    encoder.field(output.as_str());
    render(encoder)
}

/// What `placeholder "out"` is within the derivation's own texts.
pub fn own_output_placeholder(output: &OutputName) -> String {
    let mut encoder = Encoder::new("hb-own-output-1");
    encoder.field(output.as_str());
    render(encoder)
}

fn render(encoder: Encoder) -> String {
    let hash: Encoded<{ PLACEHOLDER_LENGTH - 1 }> = Encoded::of(&encoder.digest());
    ["/", hash.as_str()].concat()
}
