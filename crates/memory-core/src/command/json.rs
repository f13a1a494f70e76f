//! The little of JSON that the arguments of a call need: the top-level entries of an object and the words of a list.
//! Tolerant, because arguments are often cut; what is nested is passed over.

/// A top-level value.
#[derive(Debug, PartialEq)]
pub(super) enum Value {
    /// A string.
    Text(String),
    /// A list with only strings in it.
    Words(Vec<String>),
    /// Anything else.
    Other,
}

/// The entries of an object as far as they can be read; `None` if the text is no object.
pub(super) fn object(text: &str) -> Option<Vec<(String, Value)>> {
    let mut reader = Reader { rest: text.trim_start().strip_prefix('{')? };
    let mut entries = Vec::new();
    loop {
        reader.skip_any(&[',']);
        let Some(name) = reader.string() else { break };
        reader.skip_any(&[':']);
        let Some(value) = reader.value() else { break };
        entries.push((name, value));
    }
    // A shell line may begin with a brace too.
    (!entries.is_empty() || reader.rest.starts_with('}')).then_some(entries)
}

/// The strings of a list; `None` if the text is no list of strings.
pub(super) fn words(text: &str) -> Option<Vec<String>> {
    let mut reader = Reader { rest: text.trim_start() };
    match reader.value()? {
        Value::Words(words) => Some(words),
        Value::Text(_) | Value::Other => None,
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn take(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let char = chars.next()?;
        self.rest = chars.as_str();
        Some(char)
    }

    fn skip_any(&mut self, signs: &[char]) {
        self.rest = self.rest.trim_start_matches(|c: char| c.is_whitespace() || signs.contains(&c));
    }

    /// A string, or what there is of it.
    fn string(&mut self) -> Option<String> {
        self.rest = self.rest.strip_prefix('"')?;
        let mut text = String::new();
        while let Some(char) = self.take() {
            match char {
                '"' => break,
                '\\' => text.extend(self.escape()),
                char => text.push(char),
            }
        }
        Some(text)
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.take()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'u' => {
                let digits = self.rest.get(..4)?;
                let code = u32::from_str_radix(digits, 16).ok()?;
                self.rest = &self.rest[4..];
                // Halves of pairs are of no use to a command line.
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            char => char,
        })
    }

    /// A value; `None` at the end of the text.
    fn value(&mut self) -> Option<Value> {
        self.skip_any(&[]);
        match self.rest.chars().next()? {
            '"' => self.string().map(Value::Text),
            '[' => Some(self.list()),
            '{' => {
                self.pass_over();
                Some(Value::Other)
            }
            _ => {
                let end = self.rest.find([',', '}', ']']).unwrap_or(self.rest.len());
                self.rest = &self.rest[end..];
                Some(Value::Other)
            }
        }
    }

    fn list(&mut self) -> Value {
        let whole = self.rest;
        self.take();
        let mut words = Vec::new();
        loop {
            self.skip_any(&[',']);
            match self.string() {
                Some(word) => words.push(word),
                None if self.rest.starts_with(']') => {
                    self.take();
                    return Value::Words(words);
                }
                None => {
                    self.rest = whole;
                    self.pass_over();
                    return Value::Other;
                }
            }
        }
    }

    /// Passes over an object or a list, whatever is nested in it.
    fn pass_over(&mut self) {
        let mut depth = 0_usize;
        loop {
            if self.rest.starts_with('"') {
                self.string();
                continue;
            }
            match self.take() {
                Some('{' | '[') => depth += 1,
                Some('}' | ']') => depth = depth.saturating_sub(1),
                Some(_) => {}
                None => return,
            }
            if depth == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entries_of_an_object_are_read_and_what_is_nested_is_passed_over() {
        let text = r#" {"a": {"command": "}no\""}, "command":"echo \"\u00e9\"\n\t1", "n": -1.5e3, "l": ["x", "y"],
            "m": ["x", 1, ["y"]], "t": true, "last": "cut of"#;
        let entries = object(text).unwrap();
        let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "command", "n", "l", "m", "t", "last"]);
        assert_eq!(entries[1].1, Value::Text("echo \"é\"\n\t1".into()));
        assert_eq!(entries[3].1, Value::Words(vec!["x".into(), "y".into()]));
        assert_eq!((&entries[4].1, &entries[6].1), (&Value::Other, &Value::Text("cut of".into())));
    }

    #[test]
    fn what_is_no_json_is_none() {
        assert_eq!(object("pytest -x"), None);
        assert_eq!(object("{ echo a; }"), None);
        assert_eq!(object("{}"), Some(vec![]));
        assert_eq!(words("[ -f a ]"), None);
        assert_eq!(words(r#"["a", {"b": 1}]"#), None);
        assert_eq!(words(r#"["a b", "c"]"#), Some(vec!["a b".into(), "c".into()]));
    }
}
