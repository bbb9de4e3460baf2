//! The old forms that `.nix` files may hold: in `.hb` files each is a problem that says what
//! to write instead.

use super::Parser;
use crate::sink::Sink;
use crate::{Diagnostic, Dialect, Span};

impl<S: Sink> Parser<'_, S> {
    /// A form that `.hb` files do not have.
    fn refuse(&mut self, problem: Diagnostic) {
        if self.dialect == Dialect::Hb {
            self.report_aside(problem);
        }
    }

    pub(super) fn legacy_uri(&mut self) {
        let span = self.span();
        let quoted = format!("\"{}\"", self.text_of(span));
        self.refuse(
            Diagnostic::error("parse.url-literal", "an address is written as a string", span)
                .help("put it in quotes; `x: y` with a blank is a function")
                .fix(span, quoted),
        );
    }

    pub(super) fn legacy_search_path(&mut self) {
        let span = self.span();
        let name = self.text_of(span).trim_matches(['<', '>']);
        let (pin, rest) = name.split_once('/').unwrap_or((name, ""));
        let replacement = match rest {
            "" => format!("pins.{pin}"),
            rest => format!("\"${{pins.{pin}}}/{rest}\""),
        };
        self.refuse(
            Diagnostic::error("parse.search-path", "`<…>` depends on the machine", span)
                .help(format!("pin it in `hb.toml`, take `pins` as an argument: `{replacement}`"))
                .fix(span, replacement),
        );
    }

    pub(super) fn refuse_legacy_let(&mut self, whole: Span, inner: Span) {
        let replacement = format!("(rec {{{}}}).body", self.text_of(inner));
        self.refuse(
            Diagnostic::error("parse.legacy-let", "`let { … }` is an old form", whole)
                .help("write `let … in …`, or `(rec { … }).body`")
                .fix(whole, replacement),
        );
    }

    pub(super) fn legacy_or(&mut self) {
        let span = self.span();
        self.refuse(
            Diagnostic::error("parse.or-as-name", "`or` is not a name", span)
                .help("`or` belongs to a selection: `a.b or c`; give the function another name"),
        );
    }

    pub(super) fn legacy_or_name(&mut self) {
        let span = self.span();
        self.refuse(
            Diagnostic::error("parse.or-as-name", "`or` is a name only in quotes", span)
                .fix(span, "\"or\""),
        );
    }

    pub(super) fn legacy_overrides(&mut self) {
        let span = self.span();
        if self.text_of(span) == "__overrides" {
            self.refuse(
                Diagnostic::error("parse.overrides", "`__overrides` is an old form", span)
                    .help("update the set with `//`, or use a function that calls itself"),
            );
        }
    }
}
