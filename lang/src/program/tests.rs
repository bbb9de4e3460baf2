//! What the program promises beyond what printing shows.

use crate::ast::{AttrName, BindingValue, Expr, StrPart};
use crate::{Dialect, Program, parse_program};

fn program(text: &str) -> Program {
    let program = parse_program(text, Dialect::Nix);
    assert_eq!(program.problems, [], "{text}");
    program
}

#[test]
fn children_come_before_their_parents() {
    let text = "{ a.b.c = 1; a.d.e = { f = 2; }; a.d.e.g.h = 3; ${x}.y.z = [ (f 4) ]; }";
    let ast = program(text).ast;
    for (at, expr) in ast.exprs.iter().enumerate() {
        let Expr::Attrs { bindings, .. } = expr else { continue };
        let fixed = bindings.fixed.iter().filter_map(|binding| match binding.value {
            BindingValue::Expr(id) => Some(id),
            _ => None,
        });
        for child in fixed.chain(bindings.dynamic.iter().map(|(_, value, _)| *value)) {
            assert!((child.0 as usize) < at);
        }
    }
}

#[test]
fn a_definition_stands_where_its_path_begins() {
    let ast = program("{ a.b = 1; }").ast;
    let Some(Expr::Attrs { bindings, .. }) = ast.root.map(|id| ast.expr(id)) else { panic!() };
    let BindingValue::Expr(inner) = bindings.fixed[0].value else { panic!() };
    let Expr::Attrs { bindings: inner, .. } = ast.expr(inner) else { panic!() };
    assert_eq!(bindings.fixed[0].span, crate::Span::new(2, 3));
    assert_eq!(inner.fixed[0].span, crate::Span::new(2, 5));
}

#[test]
fn short_paths_are_anchored() {
    let ast = program("a/b").ast;
    assert_eq!(ast.exprs, [Expr::Path(vec![StrPart::Text("./a/b".into())])]);
}

#[test]
fn constant_names_leave_no_expression_behind() {
    let ast = program(r#"a."b".${"c"}"#).ast;
    assert_eq!(ast.exprs.len(), 2);
    let Expr::Select { path, .. } = &ast.exprs[1] else { panic!() };
    assert!(path.iter().all(|name| matches!(name, AttrName::Static { .. })));
}

#[test]
fn parentheses_leave_the_span_of_what_they_hold() {
    let ast = program("( 1 )").ast;
    assert_eq!(ast.root.map(|id| ast.span(id)), Some(crate::Span::new(2, 3)));
}

#[test]
fn a_broken_text_still_gives_a_program() {
    for text in ["", "{", "let", "a =", "[ 1", "\"${", "{ a = ; b = 1; }", "}"] {
        let program = parse_program(text, Dialect::Nix);
        assert!(!program.problems.is_empty(), "{text}");
        assert!(program.ast.root.is_some(), "{text}");
    }
}

#[test]
fn a_name_in_quotes_is_the_name_without_them() {
    for text in [r#"{ "a" = b.a; c = b."a"; }"#, r#"{ a = b."a"; c = b."a"; }"#] {
        let ast = program(text).ast;
        assert_eq!(ast.names.iter().filter(|name| &***name == "a").count(), 1, "{text}");
    }
}
