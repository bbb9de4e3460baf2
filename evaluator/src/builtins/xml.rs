//! Values as XML.

use std::collections::HashSet;

use super::{Builtin, lazy};
use crate::error::Eval;
use crate::heap::Attrs;
use crate::machine::{Machine, Text};
use crate::print::float_text;
use crate::source::Pos;
use crate::symbol::well_known;
use crate::value::{Type, Value};

pub(super) const TABLE: &[Builtin] = &[Builtin {
    name: "toXML",
    params: &[lazy("value", "any value")],
    doc: "A value as XML text, all of it evaluated.",
    run: to_xml,
}];

fn to_xml(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let text = write(m, args[0], Style { strict: true, places: false })?;
    m.finish_text(text)
}

/// How to write XML.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    /// Evaluate everything; or else what is not evaluated shows as `unevaluated`.
    pub(crate) strict: bool,
    /// Say where attributes and functions stand.
    pub(crate) places: bool,
}

/// A value, which is reachable from a root, as XML.
pub(crate) fn write(m: &mut Machine, value: Value, style: Style) -> Eval<Text> {
    let (text, derivations) = (Text::default(), HashSet::default());
    let mut writer = Writer { text, depth: 0, derivations, style };
    writer.text.bytes.extend_from_slice(b"<?xml version='1.0' encoding='utf-8'?>\n");
    writer.within(m, "expr", &[], |writer, m| writer.value(m, value))?;
    Ok(writer.text)
}

struct Writer {
    text: Text,
    depth: usize,
    style: Style,
    /// The derivations whose attributes were shown already.
    derivations: HashSet<Vec<u8>>,
}

impl Writer {
    /// An opening tag, up to its end.
    fn tag(&mut self, name: &str, attributes: &[(&str, &[u8])]) {
        let out = &mut self.text.bytes;
        out.resize(out.len() + 2 * self.depth, b' ');
        out.push(b'<');
        out.extend_from_slice(name.as_bytes());
        for (name, value) in attributes {
            out.push(b' ');
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"=\"");
            for &byte in *value {
                match byte {
                    b'"' => out.extend_from_slice(b"&quot;"),
                    b'<' => out.extend_from_slice(b"&lt;"),
                    b'>' => out.extend_from_slice(b"&gt;"),
                    b'&' => out.extend_from_slice(b"&amp;"),
                    b'\n' => out.extend_from_slice(b"&#xA;"),
                    _ => out.push(byte),
                }
            }
            out.push(b'"');
        }
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &[u8])]) {
        self.tag(name, attributes);
        self.text.bytes.extend_from_slice(b" />\n");
    }

    fn within(
        &mut self,
        m: &mut Machine,
        name: &str,
        attributes: &[(&str, &[u8])],
        content: impl FnOnce(&mut Self, &mut Machine) -> Eval<()>,
    ) -> Eval<()> {
        self.tag(name, attributes);
        self.text.bytes.extend_from_slice(b">\n");
        self.depth += 1;
        let result = m.deeper(|m| content(self, m));
        self.depth -= 1;
        let out = &mut self.text.bytes;
        out.resize(out.len() + 2 * self.depth, b' ');
        out.extend_from_slice(format!("</{name}>\n").as_bytes());
        result
    }

    /// The value, if it is evaluated or should be.
    fn seen(&self, m: &mut Machine, value: Value) -> Eval<Option<Value>> {
        match self.style.strict {
            true => m.force(value).map(Some),
            false => Ok(value.evaluated()),
        }
    }

    /// Where something stands, as the attributes `column`, `line` and `path`.
    fn place(&self, m: &Machine, pos: Pos) -> [Option<(&'static str, Vec<u8>)>; 3] {
        let located = m.sources.locate(pos).filter(|_| self.style.places);
        let Some((id, offset)) = located else { return [None, None, None] };
        let (line, column) = m.sources.line_column(id, offset);
        let source = m.sources.get(id);
        [
            Some(("column", column.to_string().into())),
            Some(("line", line.to_string().into())),
            source.is_file.then(|| ("path", source.name.clone().into())),
        ]
    }

    fn value(&mut self, m: &mut Machine, value: Value) -> Eval<()> {
        let Some(value) = self.seen(m, value)? else {
            self.empty("unevaluated", &[]);
            return Ok(());
        };
        match value.type_of() {
            Some(Type::Int) => {
                let int = value.as_int().unwrap_or_default().to_string();
                self.empty("int", &[("value", int.as_bytes())]);
            }
            Some(Type::Float) => {
                let float = float_text(value.as_float().unwrap_or_default());
                self.empty("float", &[("value", float.as_bytes())]);
            }
            Some(Type::Bool) => {
                let truth: &[u8] = if value == Value::TRUE { b"true" } else { b"false" };
                self.empty("bool", &[("value", truth)]);
            }
            Some(Type::Null) => self.empty("null", &[]),
            Some(Type::String) => {
                self.text.context.add(m.context_of(value));
                self.empty("string", &[("value", value.as_bytes().unwrap_or_default())]);
            }
            Some(Type::Path) => {
                self.empty("path", &[("value", value.as_path().unwrap_or_default())]);
            }
            Some(Type::List) => {
                let items = value.as_list().unwrap_or_default();
                return self.within(m, "list", &[], |writer, m| {
                    items.iter().try_for_each(|&item| writer.value(m, item))
                });
            }
            Some(Type::Set) => {
                let Some(attrs) = value.as_attrs() else { return Ok(()) };
                return match m.is_derivation(attrs)? {
                    true => self.derivation(m, attrs),
                    false => self.within(m, "attrs", &[], |writer, m| writer.attrs(m, attrs)),
                };
            }
            Some(Type::Lambda) | None => return self.function(m, value),
        }
        Ok(())
    }

    fn attrs(&mut self, m: &mut Machine, attrs: Attrs) -> Eval<()> {
        for (name, pos, item) in m.sorted_attrs(attrs) {
            let text = m.symbols.bytes(name).to_vec();
            let [column, line, path] = self.place(m, pos);
            let shown: Vec<(&str, Vec<u8>)> =
                column.into_iter().chain(line).chain([("name", text)]).chain(path).collect();
            self.within(m, "attr", &borrowed(&shown), |writer, m| {
                writer.value(m, item).map_err(|error| m.in_attribute(error, name, pos))
            })?;
        }
        Ok(())
    }

    fn derivation(&mut self, m: &mut Machine, attrs: Attrs) -> Eval<()> {
        let mut paths: Vec<(&str, Vec<u8>)> = Vec::new();
        for (name, symbol) in [("drvPath", well_known::DRV_PATH), ("outPath", well_known::OUT_PATH)]
        {
            if let Some(path) = attrs.get(symbol)
                && let Some(path) = self.seen(m, path)?
                && let Some(path) = path.as_bytes()
            {
                paths.push((name, path.to_vec()));
            }
        }
        let is_new = match paths.first() {
            Some(("drvPath", path)) => self.derivations.insert(path.clone()),
            _ => false,
        };
        self.within(m, "derivation", &borrowed(&paths), |writer, m| match is_new {
            true => writer.attrs(m, attrs),
            false => {
                writer.empty("repeated", &[]);
                Ok(())
            }
        })
    }

    fn function(&mut self, m: &mut Machine, value: Value) -> Eval<()> {
        if value.as_builtin().is_some() || m.partial_builtin(value).is_some() {
            self.empty("unevaluated", &[]);
            return Ok(());
        }
        let (pos, name) = m.parameter(value).unwrap_or((Pos::NONE, None));
        let place: Vec<_> = self.place(m, pos).into_iter().flatten().collect();
        self.within(m, "function", &borrowed(&place), |writer, m| {
            let Some(pattern) = m.pattern_of(value) else {
                writer.empty("varpat", &[("name", name.unwrap_or_default().as_bytes())]);
                return Ok(());
            };
            let mut attributes: Vec<(&str, &[u8])> = Vec::new();
            if pattern.ellipsis {
                attributes.push(("ellipsis", b"1"));
            }
            if let Some(name) = &name {
                attributes.push(("name", name.as_bytes()));
            }
            let mut fields: Vec<Vec<u8>> =
                pattern.fields.iter().map(|field| m.symbols.bytes(field.0).to_vec()).collect();
            fields.sort();
            writer.within(m, "attrspat", &attributes, |writer, _| {
                for field in &fields {
                    writer.empty("attr", &[("name", field)]);
                }
                Ok(())
            })
        })
    }
}

fn borrowed<'a>(attributes: &'a [(&'a str, Vec<u8>)]) -> Vec<(&'a str, &'a [u8])> {
    attributes.iter().map(|(name, value)| (*name, value.as_slice())).collect()
}
