//! Files by address: mirrors, look-up by hash, resuming, another try.

use std::{fs::File, path::PathBuf, thread, time::Duration};

use hb_model::DeclaredHash;
use url::Url;

use super::{Fetcher, Mirror, Reason, http, partial::Partial};

/// How often a server that failed is asked again without having got any further.
const RETRIES: u32 = 3;
/// How long to wait before the first of them; each further wait is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The addresses under which a file may be found by its hash.
pub(super) fn by_hash(bases: &[String], hash: &DeclaredHash) -> Vec<String> {
    let hex = hash.to_hex();
    bases
        .iter()
        .flat_map(|base| {
            let base = match base.contains("://") {
                true => base.trim_end_matches('/').to_owned(),
                false => Url::from_file_path(base).map_or_else(|()| base.clone(), String::from),
            };
            [format!("{base}/{}/{hex}", hash.algorithm().as_str()), format!("{base}/{hex}")]
        })
        .collect()
}

/// An address as the mirrors have it, then itself.
pub(super) fn with_mirrors(address: &str, mirrors: &[Mirror]) -> Vec<String> {
    mirrors
        .iter()
        .filter_map(|Mirror { prefix, replacement }| {
            address.strip_prefix(prefix.as_str()).map(|rest| format!("{replacement}{rest}"))
        })
        .chain([address.to_owned()])
        .collect()
}

impl Fetcher<'_> {
    /// Bring a file by its address, and check it.
    pub(super) fn bring_url(&self, address: &str, partial: &mut Partial) -> Result<(), Reason> {
        let url = Url::parse(address).map_err(|_| Reason::Address)?;
        match url.scheme() {
            "http" | "https" => self.bring_from_server(address, partial),
            "file" => {
                let path: PathBuf = url.to_file_path().map_err(|()| Reason::Address)?;
                let failed = |error| Reason::File { path: path.clone(), error };
                let mut file = File::open(&path).map_err(failed)?;
                let length = file.metadata().map_err(failed)?.len();
                partial.expect(Some(length))?;
                partial.reset()?;
                partial.write_all_of(&mut file, &path)?;
                partial.check()
            }
            _ => Err(Reason::Address),
        }
    }

    fn bring_from_server(&self, address: &str, partial: &mut Partial) -> Result<(), Reason> {
        // What an earlier run left may be of another origin, or damaged: a wrong hash
        // then says nothing about this one.
        let left = partial.length();
        self.download(address, partial)?;
        match partial.check() {
            Err(Reason::WrongHash { .. } | Reason::WrongSize { .. }) if left > 0 => {
                partial.reset()?;
                self.download(address, partial)?;
                partial.check()
            }
            checked => checked,
        }
    }

    /// Download to the end, going on where the connection broke.
    fn download(&self, address: &str, partial: &mut Partial) -> Result<(), Reason> {
        let mut retries = 0;
        loop {
            let before = partial.length();
            let reason = match http::get(&self.settings.clients, address, partial) {
                Err(reason) if may_pass(&reason) => reason,
                ended => return ended,
            };
            retries = if partial.length() > before { 0 } else { retries + 1 };
            if retries > RETRIES || (retries > 0 && !is_busy(&reason)) {
                return Err(reason);
            }
            self.log(&format!("{address}: {reason}; trying again\n"));
            self.wait(FIRST_WAIT * 2_u32.pow(retries))?;
        }
    }

    fn wait(&self, duration: Duration) -> Result<(), Reason> {
        const STEP: Duration = Duration::from_millis(100);
        for _ in 0..duration.as_millis() / STEP.as_millis() {
            if (self.watch.cancelled)() {
                return Err(Reason::Cancelled);
            }
            thread::sleep(STEP);
        }
        Ok(())
    }
}

/// Whether the same request may succeed later.
fn may_pass(reason: &Reason) -> bool {
    matches!(reason, Reason::Network(_) | Reason::Broken { .. }) || is_busy(reason)
}

/// Whether the server asks for patience.
fn is_busy(reason: &Reason) -> bool {
    matches!(reason, Reason::Status(429 | 500 | 502 | 503 | 504))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_come_before_the_address_itself() {
        let mirror = |prefix: &str| Mirror {
            prefix: prefix.to_owned(),
            replacement: "http://mirror/".to_owned(),
        };
        let mirrors = [mirror("https://a/"), mirror("https://b/")];
        assert_eq!(
            with_mirrors("https://b/x.tar", &mirrors),
            ["http://mirror/x.tar", "https://b/x.tar"]
        );
    }

    #[test]
    fn folders_and_servers_are_asked_by_hash_in_both_layouts() {
        let hex = "0".repeat(64);
        let hash = format!("sha256:{hex}").parse().unwrap();
        let bases = ["/with space".to_owned(), "http://cache/".to_owned()];
        assert_eq!(
            by_hash(&bases, &hash),
            [
                format!("file:///with%20space/sha256/{hex}"),
                format!("file:///with%20space/{hex}"),
                format!("http://cache/sha256/{hex}"),
                format!("http://cache/{hex}"),
            ]
        );
    }
}
