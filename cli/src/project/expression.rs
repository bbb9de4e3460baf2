//! Locked sources as expressions of the language. Nothing in a lock file is evaluated: its
//! texts become strings, whatever stands in them.

use hb_lang::print::string_literal;

use super::LockedSource;

impl LockedSource {
    /// The attribute `name = hb.fetch { … };` that brings this file.
    pub(super) fn fetch_expression(&self) -> String {
        format!(
            "      {name} = hb.fetch {{ name = {name}; size = {}; sha256 = {}; origins = [ {}]; }};\n",
            self.size,
            string_literal(&self.sha256),
            self.origins.iter().map(table_expression).collect::<String>(),
            name = string_literal(&self.name),
        )
    }
}

/// A table as a set of the language, by way of JSON, which has a form for every value.
fn table_expression(table: &toml::Table) -> String {
    let json = serde_json::json!(table).to_string();
    format!("(builtins.fromJSON {}) ", string_literal(&json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_become_sets() {
        let table = toml::toml! { debian = { package = "bash", version = "5" } };
        assert_eq!(
            table_expression(&table),
            r#"(builtins.fromJSON "{\"debian\":{\"package\":\"bash\",\"version\":\"5\"}}") "#
        );
    }

    #[test]
    fn nothing_in_a_lock_file_is_evaluated() {
        let evil = r#"${abort "evaluated"}"#;
        let source = LockedSource {
            tool: "go".into(),
            version: "1".into(),
            name: evil.into(),
            platforms: Vec::new(),
            size: 1,
            sha256: evil.into(),
            origins: vec![toml::toml! { urls = ["${abort \"evaluated\"}"] }],
        };
        let text = source.fetch_expression();
        assert_eq!(text.matches("${").count(), text.matches("\\${").count(), "{text}");
    }
}
