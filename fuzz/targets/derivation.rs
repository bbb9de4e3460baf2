//! Any bytes as the texts that stores exchange: derivations, realisations, signatures,
//! keys, paths and hashes. What is accepted is what hb itself would write.
#![no_main]

use hb_model::{
    DeclaredHash, Derivation, FixedOutput, PublicKey, Realisation, Signature, StorePath,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(derivation) = Derivation::decode(bytes) {
        assert_eq!(derivation.encode(), bytes);
        let _ = (derivation.id(), derivation.fixed_path(), derivation.output_names().count());
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(realisation) = Realisation::parse(text) {
        assert_eq!(realisation.canonical_text(), text);
    }
    if let Ok(path) = text.parse::<StorePath>() {
        assert_eq!(path.to_string(), text);
    }
    if let Ok(path) = StorePath::from_base_name(text) {
        assert_eq!(path.base_name(), text);
    }
    if let Ok(fixed) = text.parse::<FixedOutput>() {
        assert_eq!(fixed.to_string(), text);
    }
    if let Ok(key) = text.parse::<PublicKey>() {
        assert_eq!(key.to_string(), text.trim());
    }
    if let Ok(signature) = text.parse::<Signature>() {
        assert_eq!(signature.to_string(), text.trim());
    }
    if let Ok(hash) = text.parse::<DeclaredHash>() {
        assert_eq!(hash.to_string().parse().as_ref(), Ok(&hash));
    }
});
