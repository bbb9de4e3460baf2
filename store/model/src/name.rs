//! The names of store objects and of outputs.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, LazyLock},
};

/// The longest name of a store object, in bytes: with the hash and a dash it stays
/// below the 255 bytes of a file name, with room for `.drv` and lock suffixes.
pub const MAX_NAME_LENGTH: usize = 211;

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty.
    #[error("a name cannot be empty")]
    Empty,
    /// Longer than 211 bytes.
    #[error("the name '{name}' has {length} bytes; {MAX_NAME_LENGTH} are allowed")]
    TooLong {
        /// The name.
        name: String,
        /// Its length in bytes.
        length: usize,
    },
    /// `.`, `..`, `.-…` and `..-…` would be taken for folders or hidden files.
    #[error("the name '{name}' cannot begin with a dot followed by a dash or nothing")]
    Dotted {
        /// The name.
        name: String,
    },
    /// A character outside `0-9 a-z A-Z + - . _ ? =`.
    #[error(
        "the name '{name}' has the character '{character}'; letters, digits and + - . _ ? = are allowed"
    )]
    Character {
        /// The name.
        name: String,
        /// The first one that is not allowed.
        character: char,
    },
}

fn validate(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > MAX_NAME_LENGTH {
        return Err(NameError::TooLong { name: name.to_owned(), length: name.len() });
    }
    let stem = name.split('-').next().unwrap_or(name);
    if stem == "." || stem == ".." {
        return Err(NameError::Dotted { name: name.to_owned() });
    }
    // What is outside ASCII is not allowed, so that the bytes tell.
    let place = name.bytes().position(|byte| {
        !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_' | b'?' | b'='))
    });
    match place.and_then(|place| name[place..].chars().next()) {
        Some(character) => Err(NameError::Character { name: name.to_owned(), character }),
        None => Ok(()),
    }
}

// A graph's names are copied from step to step: copies share their text.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Take a text as a name, if it keeps Nix's rule.
            pub fn new(text: &str) -> Result<Self, NameError> {
                validate(text).map(|()| Self(text.into()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The name part of a store path.
    StoreName
);
name!(
    /// The name of one output of a derivation, such as `out`.
    OutputName
);

name!(
    /// The name of a key that signs builds.
    KeyName
);

impl OutputName {
    /// The output that a derivation has unless it says otherwise.
    pub fn out() -> Self {
        static OUT: LazyLock<OutputName> = LazyLock::new(|| OutputName("out".into()));
        OUT.clone()
    }

    /// The name of the store object that holds this output of a derivation called
    /// `derivation`: itself for `out`, `derivation-output` for others.
    pub fn object_name(&self, derivation: &StoreName) -> Result<StoreName, NameError> {
        match self.as_str() {
            "out" => Ok(derivation.clone()),
            other => StoreName::new(&format!("{derivation}-{other}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_nixs_rule() {
        for good in ["a", "go-1.24.4", ".hidden", "a+b_c?d=e", &"x".repeat(211)] {
            assert!(StoreName::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", ".-a", "..-a", "a/b", "a b", "ä", &"x".repeat(212)] {
            assert!(StoreName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn outputs_other_than_out_add_their_name() {
        let go = StoreName::new("go").unwrap();
        assert_eq!(OutputName::out().object_name(&go).unwrap().as_str(), "go");
        assert_eq!(OutputName::new("dev").unwrap().object_name(&go).unwrap().as_str(), "go-dev");
    }
}
