//! Strings.

use smallvec::SmallVec;

use super::{Builtin, forced, lazy, streamed};
use crate::error::{Eval, Fault};
use crate::machine::{Coercion, Machine, Text};
use crate::value::Value;

pub(super) const TABLE: &[Builtin] = &[
    Builtin {
        name: "toString",
        params: &[lazy("value", "any value but a function")],
        doc: "The value as a string: numbers, truth values, null and lists too.",
        run: |m, args| m.coerce_to_string(args[0], Coercion::TO_STRING),
    },
    Builtin {
        name: "stringLength",
        params: &[forced("text", "a string, or what interpolation makes one of")],
        doc: "How many bytes a string has.",
        run: string_length,
    },
    Builtin {
        name: "concatStringsSep",
        params: &[forced("separator", "a string"), streamed("list", "a list of strings")],
        doc: "The strings of a list with a separator between them.",
        run: concat_strings_sep,
    },
    Builtin {
        name: "substring",
        params: &[
            forced("start", "the first byte, from 0"),
            forced("count", "how many bytes; all if it is negative"),
            forced("text", "a string, or what interpolation makes one of"),
        ],
        doc: "These bytes of a string, or as many of them as it has.",
        run: substring,
    },
    Builtin {
        name: "replaceStrings",
        params: &[
            forced("from", "a list of strings"),
            forced("to", "a list of as many strings"),
            forced("text", "a string"),
        ],
        doc: "The text with each of the first strings replaced by its partner. What is replaced \
              is not looked at again, and the first that fits counts.",
        run: replace_strings,
    },
    Builtin {
        name: "baseNameOf",
        params: &[forced("path", "a path, or a string")],
        doc: "What stands behind the last slash; one slash at the end does not count.",
        run: base_name_of,
    },
    Builtin {
        name: "dirOf",
        params: &[forced("path", "a path, or a string")],
        doc: "What stands before the last slash; `.` if there is none.",
        run: dir_of,
    },
    Builtin {
        name: "toPath",
        params: &[forced("path", "a path, or a string with an absolute one")],
        doc: "The path's text without detours. `/. + text` makes a path of a text.",
        run: |m, args| {
            let (path, context) = m.expect_path(args[0])?;
            Ok(m.string_with_context(&path, context))
        },
    },
];

fn string_length(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let text = m.coerce_to_string(args[0], Coercion::INTERPOLATION)?;
    Ok(m.int(text.as_bytes().unwrap_or_default().len() as i64))
}

fn concat_strings_sep(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let separator = m.expect_string(args[0])?;
    let list = m.expect_elements(args[1])?;
    let height = m.height();
    for item in list.iter() {
        let before = m.height();
        let item = m.element(item)?;
        m.keep(item);
        let text = m.coerce_to_string(item, Coercion::INTERPOLATION)?;
        m.forget(before);
        m.keep(text);
    }
    m.join_kept(height, separator)
}

fn substring(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let (start, count) = (m.expect_int(args[0])?, m.expect_int(args[1])?);
    let Ok(start) = usize::try_from(start) else {
        let reason = format!("the start {start} is negative");
        return Err(Fault::Argument { builtin: "substring", reason }.into());
    };
    let text = m.coerce_to_string(args[2], Coercion::INTERPOLATION)?;
    let rest = text.as_bytes().and_then(|bytes| bytes.get(start..)).unwrap_or_default();
    let count = usize::try_from(count).map_or(rest.len(), |count| count.min(rest.len()));
    let context = m.context_of(text);
    Ok(m.string_with_context(&rest[..count], context))
}

fn replace_strings(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let from = m.expect_list(args[0])?;
    let to = m.expect_list(args[1])?;
    let (from, to) = (from.as_list().unwrap_or_default(), to.as_list().unwrap_or_default());
    if from.len() != to.len() {
        let reason = format!("the lists have {} and {} elements", from.len(), to.len());
        return Err(Fault::Argument { builtin: "replaceStrings", reason }.into());
    }
    // The elements are reachable from the list, so their bytes stay.
    let mut wanted: SmallVec<[Value; 8]> = SmallVec::with_capacity(from.len());
    for &item in from {
        wanted.push(m.expect_string(item)?);
    }
    let wanted: SmallVec<[&[u8]; 8]> = wanted.iter().filter_map(Value::as_bytes).collect();
    // Which is the first that can match where a byte stands.
    let mut first = [wanted.len(); 256];
    for (i, text) in wanted.iter().enumerate().rev() {
        match text.first() {
            Some(&byte) => first[byte as usize] = i,
            None => first.fill(i),
        }
    }
    let text = m.expect_string(args[2])?;
    let bytes = text.as_bytes().unwrap_or_default();
    let mut result =
        Text { bytes: Vec::with_capacity(bytes.len()), context: m.context_of(text).into() };
    let mut at = 0;
    while at <= bytes.len() {
        let rest = &bytes[at..];
        let mut taken = 0;
        let from = rest.first().map_or(0, |&byte| first[byte as usize]);
        if let Some(found) = (from..wanted.len()).find(|&i| rest.starts_with(wanted[i])) {
            // Replacements that are not used are not evaluated.
            let replacement = m.expect_string(to[found])?;
            result.context.add(m.context_of(replacement));
            result.bytes.extend_from_slice(replacement.as_bytes().unwrap_or_default());
            taken = wanted[found].len();
        }
        if taken == 0 {
            result.bytes.extend(rest.first());
            taken = 1;
        }
        at += taken;
    }
    m.finish_text(result)
}

fn base_name_of(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let text = m.coerce_to_string(args[0], Coercion::PLAIN)?;
    let bytes = text.as_bytes().unwrap_or_default();
    let trimmed = match bytes {
        [first @ .., b'/'] if !first.is_empty() => first,
        all => all,
    };
    let start = trimmed.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let context = m.context_of(text);
    Ok(m.string_with_context(&trimmed[start..], context))
}

fn dir_of(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let parent = |path: &[u8]| match path.iter().rposition(|&byte| byte == b'/') {
        None => b".".to_vec(),
        Some(0) => b"/".to_vec(),
        Some(slash) => path[..slash].to_vec(),
    };
    if let Some(path) = args[0].as_path() {
        let parent = parent(path);
        return Ok(m.path(&parent));
    }
    let text = m.coerce_to_string(args[0], Coercion::PLAIN)?;
    let context = m.context_of(text);
    let parent = parent(text.as_bytes().unwrap_or_default());
    Ok(m.string_with_context(&parent, context))
}
