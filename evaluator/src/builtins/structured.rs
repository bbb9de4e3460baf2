//! `__structuredAttrs`: a derivation's attributes as files, one of JSON and one that bash
//! reads, instead of variables.

use std::collections::BTreeMap;

use hb_model::{FileContent, OutputName, own_output_placeholder};
use serde_json::Value as Json;

/// Where builds find the files, and the variables that say so.
const FILES: [(&str, &str); 2] =
    [("NIX_ATTRS_JSON_FILE", ".attrs.json"), ("NIX_ATTRS_SH_FILE", ".attrs.sh")];

/// The files that hold some attributes, of which each is JSON text, and the variables that
/// lead to them. The attribute `outputs` becomes the outputs' paths by name.
pub(super) fn files<'a>(
    mut attributes: BTreeMap<String, String>,
    outputs: impl IntoIterator<Item = &'a OutputName>,
) -> (BTreeMap<String, FileContent>, BTreeMap<String, String>) {
    let paths: serde_json::Map<_, _> = outputs
        .into_iter()
        .map(|output| (output.to_string(), own_output_placeholder(output).into()))
        .collect();
    attributes.insert("outputs".to_owned(), Json::from(paths).to_string());
    let members: Vec<String> = attributes
        .iter()
        .map(|(name, value)| format!("{}:{value}", Json::from(name.as_str())))
        .collect();
    let json = format!("{{{}}}", members.join(","));
    let shell: String =
        attributes.iter().filter_map(|(name, value)| declaration(name, value)).collect();
    let files = FILES.into_iter().zip([json, shell]);
    let files = files.map(|((_, file), text)| (file.to_owned(), FileContent::Text(text)));
    let variables = FILES.map(|(variable, file)| (variable.to_owned(), format!("/build/{file}")));
    (files.collect(), variables.into())
}

/// The line of bash that declares an attribute, if bash can have it.
fn declaration(name: &str, value: &str) -> Option<String> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    if !name.chars().all(is_part) || name.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    Some(match serde_json::from_str(value).ok()? {
        Json::Array(items) => {
            let items = items.iter().map(word).collect::<Option<Vec<_>>>()?;
            format!("declare -a {name}=({})\n", items.join(" "))
        }
        Json::Object(members) => {
            let member = |(key, value): (&String, &Json)| {
                Some(format!("[{}]={}", quoted(key), word(value)?))
            };
            let members = members.iter().map(member).collect::<Option<Vec<_>>>()?;
            format!("declare -A {name}=({})\n", members.join(" "))
        }
        simple => format!("declare {name}={}\n", word(&simple)?),
    })
}

/// A value as a word of bash, which has neither lists in lists nor fractions.
fn word(value: &Json) -> Option<String> {
    match value {
        Json::Null | Json::Bool(false) => Some("''".to_owned()),
        Json::Bool(true) => Some("1".to_owned()),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => Some(int.to_string()),
            (None, Some(float)) if float.fract() == 0.0 => Some(format!("{float:.0}")),
            _ => None,
        },
        Json::String(text) => Some(quoted(text)),
        Json::Array(_) | Json::Object(_) => None,
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bash_gets_what_it_can_have() {
        for (value, line) in [
            (r#""it's""#, Some(r"declare a='it'\''s'")),
            ("true", Some("declare a=1")),
            ("null", Some("declare a=''")),
            ("3", Some("declare a=3")),
            ("2.0", Some("declare a=2")),
            ("1.5", None),
            (r#"["x",1]"#, Some("declare -a a=('x' 1)")),
            (r#"{"k":"v"}"#, Some("declare -A a=(['k']='v')")),
            ("[[1]]", None),
        ] {
            assert_eq!(declaration("a", value), line.map(|line| format!("{line}\n")), "{value}");
        }
        assert_eq!(declaration("a-b", "1"), None);
        assert_eq!(declaration("1a", "1"), None);
    }
}
