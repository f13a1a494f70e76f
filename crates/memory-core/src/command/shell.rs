//! A shell's command line taken apart into simple commands: the parts of POSIX sh and bash that agents write. What a
//! line substitutes (`$(…)`) is not looked into.

/// One word of a command, quotes and escapes taken away.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Word {
    /// The text.
    pub(super) text: String,
    /// Whether any of it was quoted or substituted.
    pub(super) quoted: bool,
}

/// A command as it stands between two operators.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Simple {
    /// Its words, the program's name first.
    pub(super) words: Vec<Word>,
    /// The files that it is redirected to or from.
    pub(super) targets: Vec<String>,
}

/// The simple commands of a line, in order. Takes time linear in its length.
pub(super) fn split(line: &str) -> Vec<Simple> {
    let mut reader = Reader { rest: line, ..Reader::default() };
    reader.read();
    reader.done
}

/// What the next word is.
#[derive(Clone, Copy, Default)]
enum Role {
    #[default]
    Plain,
    /// The target of a redirection.
    Target,
    /// The delimiter of a here-document.
    Delimiter,
    /// A here-string, which is data.
    Data,
}

#[derive(Default)]
struct Reader<'a> {
    rest: &'a str,
    done: Vec<Simple>,
    open: Simple,
    word: Option<Word>,
    role: Role,
    /// Delimiters of the here-documents that begin after this line.
    bodies: Vec<String>,
}

impl Reader<'_> {
    fn read(&mut self) {
        while let Some(char) = self.take() {
            match char {
                '\\' => match self.take() {
                    Some('\n') | None => {}
                    Some(char) => self.push(char),
                },
                '\'' => self.single(),
                '"' => self.double(),
                '`' => {
                    self.skip_past('`');
                    self.substituted();
                }
                '$' if self.rest.starts_with('(') => {
                    self.take();
                    self.skip_nested();
                    self.substituted();
                }
                '#' if self.word.is_none() => {
                    self.rest = &self.rest[self.rest.find('\n').unwrap_or(self.rest.len())..];
                }
                '&' if self.rest.starts_with('>') => {
                    self.take();
                    self.redirect('>');
                }
                '<' | '>' => self.redirect(char),
                ';' | '|' | '&' | '(' | ')' => self.end_command(),
                '\n' => {
                    self.end_command();
                    for delimiter in std::mem::take(&mut self.bodies) {
                        self.skip_body(&delimiter);
                    }
                }
                char if char.is_whitespace() => self.end_word(),
                char => self.push(char),
            }
        }
        self.end_command();
    }

    fn take(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let char = chars.next()?;
        self.rest = chars.as_str();
        Some(char)
    }

    fn push(&mut self, char: char) {
        self.word.get_or_insert_default().text.push(char);
    }

    fn quoted(&mut self) -> &mut String {
        let word = self.word.get_or_insert_default();
        word.quoted = true;
        &mut word.text
    }

    /// Notes that something unknown stands here.
    fn substituted(&mut self) {
        self.quoted().push('$');
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        match std::mem::take(&mut self.role) {
            Role::Plain => self.open.words.push(word),
            Role::Target => self.open.targets.push(word.text),
            Role::Delimiter => self.bodies.push(word.text),
            Role::Data => {}
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        self.role = Role::Plain;
        let command = std::mem::take(&mut self.open);
        if !command.words.is_empty() || !command.targets.is_empty() {
            self.done.push(command);
        }
    }

    fn single(&mut self) {
        let end = self.rest.find('\'').unwrap_or(self.rest.len());
        let text = &self.rest[..end];
        self.quoted().push_str(text);
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
    }

    fn double(&mut self) {
        self.quoted();
        while let Some(char) = self.take() {
            match char {
                '"' => return,
                '\\' => match self.take() {
                    Some(char @ ('"' | '\\' | '$' | '`')) => self.push(char),
                    Some('\n') | None => {}
                    Some(char) => self.quoted().extend(['\\', char]),
                },
                '$' if self.rest.starts_with('(') => {
                    self.take();
                    self.skip_nested();
                    self.substituted();
                }
                char => self.push(char),
            }
        }
    }

    fn redirect(&mut self, sign: char) {
        // A number right before the sign names the stream.
        let is_stream = |word: &Word| !word.quoted && word.text.bytes().all(|byte| byte.is_ascii_digit());
        if self.word.as_ref().is_some_and(is_stream) {
            self.word = None;
        }
        self.end_word();
        self.role = Role::Target;
        let rest = self.rest;
        if rest.starts_with('(') {
            self.take();
            self.skip_nested();
            self.role = Role::Plain;
        } else if sign == '<'
            && let Some(rest) = rest.strip_prefix("<<")
        {
            (self.rest, self.role) = (rest, Role::Data);
        } else if sign == '<'
            && let Some(rest) = rest.strip_prefix('<')
        {
            (self.rest, self.role) = (rest.strip_prefix('-').unwrap_or(rest), Role::Delimiter);
        } else if let Some(rest) = rest.strip_prefix('&') {
            (self.rest, self.role) = (rest, Role::Data);
        } else {
            self.rest = rest.strip_prefix(['>', '|']).unwrap_or(rest);
        }
    }

    fn skip_past(&mut self, end: char) {
        while let Some(char) = self.take() {
            match char {
                '\\' => drop(self.take()),
                char if char == end => return,
                _ => {}
            }
        }
    }

    /// Goes past the bracket that closes the one just read.
    fn skip_nested(&mut self) {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.take() {
                None => return,
                Some('(') => depth += 1,
                Some(')') => depth -= 1,
                Some('\\') => drop(self.take()),
                Some('"') => self.skip_past('"'),
                Some('\'') => self.rest = self.rest.split_once('\'').map_or("", |(_, rest)| rest),
                // A message is often written as a here-document, with brackets and apostrophes in it.
                Some('<') if self.rest.starts_with('<') && !self.rest.starts_with("<<") => {
                    let (line, rest) = self.rest[1..].split_once('\n').unwrap_or((self.rest, ""));
                    let line = line.trim_start_matches(['-', ' ', '\'', '"', '\\']);
                    let end = line.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(line.len());
                    self.rest = rest;
                    self.skip_body(&line[..end]);
                }
                Some(_) => {}
            }
        }
    }

    /// Goes past the here-document that begins here.
    fn skip_body(&mut self, delimiter: &str) {
        while !self.rest.is_empty() {
            let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
            self.rest = rest;
            if line.trim_start_matches('\t').trim_end_matches('\r') == delimiter {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<String>> {
        let texts = |simple: Simple| simple.words.into_iter().map(|word| word.text).collect();
        split(line).into_iter().map(texts).collect()
    }

    #[test]
    fn a_line_is_split_at_operators_and_words_lose_their_quotes() {
        for (line, expected) in [
            ("a b", vec![vec!["a", "b"]]),
            (
                "a && b || c; d | e & f",
                vec![vec!["a"], vec!["b"], vec!["c"], vec!["d"], vec!["e"], vec!["f"]],
            ),
            ("a 'b && c' \"d \\\" ; e\" f\\ g", vec![vec!["a", "b && c", "d \" ; e", "f g"]]),
            ("a \\\n  b # comment && c\nd#e", vec![vec!["a", "b"], vec!["d#e"]]),
            ("(cd x && a)", vec![vec!["cd", "x"], vec!["a"]]),
            ("a 2>&1 >/dev/null <in &> out b", vec![vec!["a", "b"]]),
            ("a <<< 'data' b", vec![vec!["a", "b"]]),
            ("diff <(sort a | uniq) <(sort b)", vec![vec!["diff"]]),
            ("echo $(a && b) `c; d` \"$(e \"f\")\" g", vec![vec!["echo", "$", "$", "$", "g"]]),
            ("a 'never closed && b", vec![vec!["a", "never closed && b"]]),
            (";;&&||", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn the_body_of_a_here_document_is_no_command() {
        let line = "cat <<'EOF' > a.py && b\nrm -rf /; it's \"odd\nEOF\npytest a.py";
        assert_eq!(words(line), [vec!["cat"], vec!["b"], vec!["pytest", "a.py"]]);
        assert_eq!(split(line)[0].targets, ["a.py"]);
        assert_eq!(words("cat <<-EOF\n\tx; y\n\tEOF\nz"), [vec!["cat"], vec!["z"]]);
        assert_eq!(words("cat <<A <<B\na\nA\nb\nB\nc"), [vec!["cat"], vec!["c"]]);
        assert_eq!(words("cat <<EOF\nnever ends\npytest"), [vec!["cat"]]);
    }

    #[test]
    fn a_message_written_as_a_here_document_is_one_word() {
        let line = "git commit -m \"$(cat <<'EOF'\ncargo test :) isn't \"quoted\"\n\nEOF\n)\" && git push";
        assert_eq!(words(line), [vec!["git", "commit", "-m", "$"], vec!["git", "push"]]);
    }
}
