//! Order of evaluation, errors, and messages.

use super::{Builtin, forced, lazy};
use crate::error::{Error, Eval, Fault};
use crate::machine::{Coercion, Machine, Text};
use crate::print::{Printing, print};
use crate::source::Pos;
use crate::symbol::well_known;
use crate::value::Value;

pub(super) const TABLE: &[Builtin] = &[
    Builtin {
        name: "seq",
        params: &[forced("first", "any value"), lazy("second", "any value")],
        doc: "Evaluates `first` to its outermost form, then gives `second`.",
        run: |_, args| Ok(args[1]),
    },
    Builtin {
        name: "deepSeq",
        params: &[lazy("first", "any value"), lazy("second", "any value")],
        doc: "Evaluates `first` and everything in it, then gives `second`.",
        run: |m, args| {
            m.force_deep(args[0])?;
            Ok(args[1])
        },
    },
    Builtin {
        name: "throw",
        params: &[lazy("message", "a string")],
        doc: "Fails with a message; `tryEval` can catch it.",
        run: |m, args| Err(Fault::Throw { message: message(m, args[0])? }.into()),
    },
    Builtin {
        name: "abort",
        params: &[lazy("message", "a string")],
        doc: "Ends the evaluation with a message; nothing catches it.",
        run: |m, args| Err(Fault::Abort { message: message(m, args[0])? }.into()),
    },
    Builtin {
        name: "tryEval",
        params: &[lazy("value", "any value")],
        doc: "Gives `{ success, value }`: whether the value evaluates to its outermost form. \
              Catches `throw` and failed assertions, nothing else.",
        run: try_eval,
    },
    Builtin {
        name: "addErrorContext",
        params: &[lazy("context", "a string"), lazy("value", "any value")],
        doc: "Gives `value`; if evaluating it fails, the trace says `context`.",
        run: add_error_context,
    },
    Builtin {
        name: "trace",
        params: &[lazy("message", "any value"), lazy("value", "any value")],
        doc: "Writes the message to the log, then gives `value`.",
        run: trace,
    },
    Builtin {
        name: "traceVerbose",
        params: &[lazy("message", "any value"), lazy("value", "any value")],
        doc: "Gives `value`; with `--trace-verbose` it writes the message to the log first.",
        run: |m, args| match m.options.trace_verbose {
            true => trace(m, args),
            false => Ok(args[1]),
        },
    },
    Builtin {
        name: "warn",
        params: &[forced("message", "a string"), lazy("value", "any value")],
        doc: "The value, after a warning with the message.",
        run: warn,
    },
    Builtin {
        name: "break",
        params: &[forced("value", "any value")],
        doc: "The value: there is no debugger to stop in.",
        run: |_, args| Ok(args[0]),
    },
];

fn message(m: &mut Machine, value: Value) -> Eval<String> {
    let mut text = Text::default();
    m.coerce(value, Coercion::INTERPOLATION, &mut text)?;
    Ok(String::from_utf8_lossy(&text.bytes).into_owned())
}

fn try_eval(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let (success, value) = match m.force(args[0]) {
        Ok(value) => (true, value),
        Err(error) if error.fault().is_catchable() => (false, Value::FALSE),
        Err(error) => return Err(error),
    };
    Ok(m.attrs(vec![
        (well_known::SUCCESS, Pos::NONE, Value::bool(success)),
        (well_known::VALUE, Pos::NONE, value),
    ]))
}

fn add_error_context(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    match m.force(args[1]) {
        Ok(value) => Ok(value),
        Err(error) => {
            let context = message(m, args[0])?;
            Err(Error::in_context(error, context))
        }
    }
}

fn warn(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let message = m.expect_string(args[0])?;
    let message = String::from_utf8_lossy(message.as_bytes().unwrap_or_default());
    m.world.trace(&format!("evaluation warning: {message}"));
    match m.options.abort_on_warn {
        true => Err(Fault::Abort { message: "warnings are not allowed".to_owned() }.into()),
        false => Ok(args[1]),
    }
}

fn trace(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let message = m.force(args[0])?;
    let line = match message.as_bytes() {
        Some(bytes) => bytes.to_vec(),
        None => print(m, message, Printing::Described)?,
    };
    m.world.trace(&format!("trace: {}", String::from_utf8_lossy(&line)));
    Ok(args[1])
}
