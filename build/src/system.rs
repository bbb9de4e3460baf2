//! What this machine is, as derivations name it.

use hb_model::Derivation;

/// The system whose programs this machine runs.
pub fn this_system() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

/// Whether this machine can carry a derivation out.
pub(crate) fn runs_here(derivation: &Derivation) -> bool {
    derivation.is_builtin() || derivation.system == this_system()
}
