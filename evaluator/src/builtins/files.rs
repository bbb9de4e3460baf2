//! Files and what is evaluated from them.

use super::{Builtin, forced};
use crate::error::Eval;
use crate::machine::{Machine, bytes_to_path};
use crate::value::Value;

pub(super) const TABLE: &[Builtin] = &[
    Builtin {
        name: "import",
        params: &[forced("path", "a path, or a string or set that stands for one")],
        doc: "The value of a file, or of a folder's `default.nix`. Each file is evaluated once.",
        run: import,
    },
    Builtin {
        name: "scopedImport",
        params: &[
            forced("scope", "a set of variables"),
            forced("path", "a path, or a string or set that stands for one"),
        ],
        doc: "The value of a file that sees more variables. It is evaluated each time.",
        run: scoped_import,
    },
];

/// The path of an argument, which must not be an output that is still to be built.
fn existing_path(m: &mut Machine, value: Value) -> Eval<Vec<u8>> {
    let (path, context) = m.expect_path(value)?;
    m.check_built(&path, context)?;
    Ok(path)
}

fn import(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let path = existing_path(m, args[0])?;
    m.import(bytes_to_path(&path))
}

fn scoped_import(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let path = existing_path(m, args[1])?;
    let scope = m.expect_attrs(args[0])?;
    m.import_with_scope(bytes_to_path(&path), scope)
}
