//! Any bytes as what another store has exported. What comes in is what its path says, and
//! the store stays whole.
#![no_main]

use std::sync::OnceLock;

use hb_fuzz::{Yard, mend_checksums, store_in_yard};
use hb_store::{Believe, Store, VerifyOptions};
use libfuzzer_sys::fuzz_target;

fn store() -> &'static (Yard, Store) {
    static STORE: OnceLock<(Yard, Store)> = OnceLock::new();
    STORE.get_or_init(store_in_yard)
}

fuzz_target!(|bytes: &[u8]| {
    let mut archive = bytes.to_vec();
    mend_checksums(&mut archive);
    let (yard, store) = store();
    let stream = zstd::encode_all(&archive[..], 1).expect("compressed");
    let imported = store.import(&stream[..], Believe::Everything);
    let _ = store.import(bytes, Believe::Everything);
    if imported.is_ok_and(|report| report.new > 0) {
        let findings = store.verify(VerifyOptions { contents: true }, &|_| {});
        assert!(findings.is_ok_and(|findings| findings.is_empty()));
    }
    let entries = std::fs::read_dir(yard.path()).expect("the yard").count();
    assert_eq!(entries, 1, "it left the store");
    let scratch = std::fs::read_dir(yard.path().join("store/staging")).map_or(0, Iterator::count);
    assert!(scratch <= 1, "it left scratch folders");
});
