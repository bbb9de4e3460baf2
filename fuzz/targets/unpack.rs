//! Any bytes as an archive from outside: tar, zip, wheel, Debian package.
#![no_main]

use hb_fuzz::{Yard, mend_checksums};
use libfuzzer_sys::fuzz_target;

/// Where the first member of a Debian package begins.
const MEMBER: usize = 8 + 60;

fuzz_target!(|bytes: &[u8]| {
    let mut archive = bytes.to_vec();
    if archive.starts_with(b"!<arch>\n") {
        mend_checksums(archive.get_mut(MEMBER..).unwrap_or_default());
    } else if !archive.starts_with(b"PK") {
        mend_checksums(&mut archive);
    }
    let yard = Yard::new(&[("archive", &archive)]);
    let strip = bytes.last().map_or(0, |byte| byte % 2);
    let attrs = format!(r#"{{"archive":"/hb/store/archive","strip":{strip}}}"#);
    let _ = yard.run("builtin:unpack-1", &attrs);
});
