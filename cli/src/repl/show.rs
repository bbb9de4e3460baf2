//! A value as the repl shows it: its outermost level, so that neither a whole package set
//! is evaluated nor a screen filled.

use hb_evaluator::{Error, Eval, Evaluator, Held, Printing, Type};

/// Attributes or elements that are shown.
const MAX_PARTS: usize = 200;

/// A value and what is directly in it. A part that fails shows its error.
pub(super) fn value(evaluator: &mut Evaluator, value: Held) -> Eval<String> {
    if let Some(name) = derivation(evaluator, value) {
        return Ok(name);
    }
    if let Some(attributes) = evaluator.attributes(value)? {
        let lines = attributes.iter().map(|(name, part)| {
            let part = evaluator.force(*part).map(|_| short(evaluator, *part));
            format!("{name} = {};", part.unwrap_or_else(|error| broken(&error)))
        });
        return Ok(block("{", lines, attributes.len(), "}"));
    }
    if let Some(items) = evaluator.items(value)? {
        let lines = items.iter().map(|&part| {
            let part = evaluator.force(part).map(|_| short(evaluator, part));
            part.unwrap_or_else(|error| broken(&error))
        });
        return Ok(block("[", lines, items.len(), "]"));
    }
    plain(evaluator, value)
}

/// An evaluated part in one line.
fn short(evaluator: &mut Evaluator, part: Held) -> String {
    let shown = match evaluator.force(part) {
        Ok(Type::Set) => match derivation(evaluator, part) {
            Some(name) => Ok(name),
            None => evaluator.attr_names(part).map(|names| {
                let is_empty = names.is_none_or(|names| names.is_empty());
                if is_empty { "{ }" } else { "{ … }" }.to_owned()
            }),
        },
        Ok(Type::List) => evaluator.items(part).map(|items| {
            let is_empty = items.is_none_or(|items| items.is_empty());
            if is_empty { "[ ]" } else { "[ … ]" }.to_owned()
        }),
        Ok(_) => plain(evaluator, part),
        Err(error) => Err(error),
    };
    shown.unwrap_or_else(|error| broken(&error))
}

fn plain(evaluator: &mut Evaluator, value: Held) -> Eval<String> {
    let printed = evaluator.print(value, Printing::Described)?;
    Ok(String::from_utf8_lossy(&printed).into_owned())
}

fn derivation(evaluator: &mut Evaluator, value: Held) -> Option<String> {
    evaluator.derivation_of(value).ok()??;
    let name = evaluator.select(value, &["name"]).and_then(|name| evaluator.text(name)).ok()?;
    Some(format!("«derivation {}»", String::from_utf8_lossy(&name)))
}

fn broken(error: &Error) -> String {
    format!("«error: {error}»")
}

fn block(open: &str, lines: impl Iterator<Item = String>, count: usize, close: &str) -> String {
    if count == 0 {
        return format!("{open} {close}");
    }
    let mut text = open.to_owned();
    lines.take(MAX_PARTS).for_each(|line| text += &format!("\n  {line}"));
    if count > MAX_PARTS {
        text += &format!("\n  … {} more (`:p` prints all)", count - MAX_PARTS);
    }
    text + "\n" + close
}
