//! What servers want to be shown. It is never printed.

use std::fmt;

use data_encoding::BASE64;

/// A text that is not shown in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keep a text secret.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, to be sent to whom it is meant for.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What one server wants to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A user and a password: plain servers and registries.
    Password {
        /// Who.
        user: String,
        /// The password.
        password: Secret,
    },
}

impl Credential {
    /// As servers take it in a header: HTTP's basic authentication.
    pub(crate) fn basic(&self) -> String {
        let Self::Password { user, password } = self;
        format!("Basic {}", BASE64.encode(format!("{user}:{}", password.reveal()).as_bytes()))
    }
}
