//! Takes secrets out of texts before anything is stored.
//!
//! Known key formats are recognized by their shape, everything else by the name it is assigned to
//! (`password = …`). What is replaced becomes `[redacted:KIND]`, so that a reader sees that something was there.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex, RegexSet};

/// A kind of secret. Group 1 of the expression, where there is one, is what stands before the secret and stays;
/// the group `v` is the secret (the whole match where there is none).
struct Kind {
    name: &'static str,
    expression: &'static str,
    /// Decides whether a value found by the name it is assigned to is a secret rather than code.
    secret: fn(&str) -> bool,
}

const fn shape(name: &'static str, expression: &'static str) -> Kind {
    Kind { name, expression, secret: |_| true }
}

/// The formats are those that the issuers document; prefixes as in GitHub's list of supported secret patterns.
const KINDS: &[Kind] = &[
    shape(
        "private-key",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\z)",
    ),
    shape("aws-key", r"(?-u)\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),
    shape("github-token", r"(?-u)\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,})"),
    shape("gitlab-token", r"(?-u)\bglpat-[A-Za-z0-9_\-]{20,}"),
    shape("memory-key", r"(?-u)\bmmk_[0-9a-f]{64}\b"),
    shape("api-key", r"(?-u)\bsk-[A-Za-z0-9_\-]{20,}"),
    shape("stripe-key", r"(?-u)\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    shape("slack-token", r"(?-u)\bxox[abeoprs]-[A-Za-z0-9\-]{10,}"),
    shape("google-key", r"(?-u)\b(?:AIza[A-Za-z0-9_\-]{35}|ya29\.[A-Za-z0-9_\-]{20,})"),
    shape("package-token", r"(?-u)\b(?:npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_\-]{40,}|hf_[A-Za-z0-9]{30,})"),
    shape("jwt", r"(?-u)\beyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*"),
    shape("url-password", r"((?-u:\b)[A-Za-z][A-Za-z0-9+.\-]*://[^\s:/@]*:)(?P<v>[^\s@/]+)@"),
    shape(
        "authorization",
        r"(?i)((?-u:\b)(?:authorization\W{1,5}(?:bearer|basic|token)|bearer)\s+)(?P<v>[A-Za-z0-9._~+/\-]{16,}=*)",
    ),
    Kind {
        name: "secret",
        expression: r#"(?i)((?:password|passwd|pwd|passphrase|secret|credential|(?:api|access|private|secret|signing|encryption)[_\-]?key|token)[a-z0-9_\-]*\\?["']?\s{0,3}[:=]\s{0,3}\\?["'])(?P<v>[^\s"'\\]{4,})"#,
        secret: |value| !is_placeholder(value),
    },
    Kind {
        name: "secret",
        expression: r#"(?i)((?:--?|(?-u:\b)[a-z0-9_\-]*)(?:password|passwd|pwd|passphrase|secret|(?:api|access|private|secret|signing|encryption)[_\-]?key|token)(?:\s{0,3}[:=]\s{0,3}|\s))(?P<v>[^\s"'`,;&<>()\[\]{}$\\]{6,})"#,
        // A bare word may be prose or code, so it must look like something made up: letters with digits.
        secret: |value| {
            !is_placeholder(value)
                && value.bytes().any(|b| b.is_ascii_digit())
                && value.bytes().any(|b| b.is_ascii_alphabetic())
        },
    },
];

/// Values that stand for a secret without being one.
fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let code = [
        "$",
        "<",
        "{",
        "%",
        "os.",
        "env.",
        "process.",
        "getenv",
        "self.",
        "config.",
        "settings.",
        "[redacted",
    ];
    let words =
        ["none", "null", "true", "false", "undefined", "string", "str", "your", "changeme", "example"];
    code.iter().any(|start| lower.starts_with(start))
        || words.contains(&lower.as_str())
        || lower.bytes().all(|b| matches!(b, b'x' | b'*' | b'.' | b'-' | b'_'))
}

static SET: LazyLock<RegexSet> =
    LazyLock::new(|| build(RegexSet::new(KINDS.iter().map(|kind| kind.expression))));
static EACH: LazyLock<Vec<Regex>> =
    LazyLock::new(|| KINDS.iter().map(|kind| build(Regex::new(kind.expression))).collect());

#[expect(clippy::expect_used, reason = "the expressions are constants; a test compiles them all")]
fn build<T>(compiled: Result<T, regex::Error>) -> T {
    compiled.expect("the expressions of redact::KINDS are valid")
}

/// The text without its secrets; borrowed when there was none.
pub fn redact(text: &str) -> Cow<'_, str> {
    let found = SET.matches(text);
    if !found.matched_any() {
        return Cow::Borrowed(text);
    }
    let mut clean = Cow::Borrowed(text);
    for index in found.iter() {
        let kind = &KINDS[index];
        let replaced = EACH[index].replace_all(&clean, |captures: &Captures<'_>| replacement(kind, captures));
        if let Cow::Owned(next) = replaced {
            clean = Cow::Owned(next);
        }
    }
    clean
}

fn replacement(kind: &Kind, captures: &Captures<'_>) -> String {
    let whole = &captures[0];
    let Some(value) = captures.name("v") else {
        return format!("[redacted:{}]", kind.name);
    };
    if !(kind.secret)(value.as_str()) {
        return whole.to_owned();
    }
    let before = captures.get(1).map_or("", |group| group.as_str());
    let after = &whole[before.len() + value.len()..];
    format!("{before}[redacted:{}]{after}", kind.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_every_kind_are_replaced_and_what_surrounds_them_stays() {
        let github = format!("ghp_{}", "a1B2".repeat(9));
        let openai = format!("sk-proj-{}", "a1B2".repeat(9));
        let cases = [
            ("AKIAIOSFODNN7EXAMPLE is it", "[redacted:aws-key] is it"),
            (github.as_str(), "[redacted:github-token]"),
            ("psql postgres://app:hunter2@db/x", "psql postgres://app:[redacted:url-password]@db/x"),
            ("Authorization: Bearer abcdef0123456789abcd", "Authorization: Bearer [redacted:authorization]"),
            (r#"{"password": "open sesame"}"#, r#"{"password": "[redacted:secret] sesame"}"#),
            (r#"{\"api_key\": \"s3cr3tvalue\"}"#, r#"{\"api_key\": \"[redacted:secret]\"}"#),
            ("export DB_PASSWORD=hunter2x", "export DB_PASSWORD=[redacted:secret]"),
            ("mysql --password s3cr3t99", "mysql --password [redacted:secret]"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- after",
                "[redacted:private-key] after",
            ),
            ("-----BEGIN PRIVATE KEY-----\ncut off", "[redacted:private-key]"),
            (openai.as_str(), "[redacted:api-key]"),
        ];
        for (text, clean) in cases {
            assert_eq!(redact(text), clean);
        }
    }

    #[test]
    fn code_and_prose_that_only_name_secrets_stay_as_they_are() {
        for text in [
            "password = None",
            "the password is checked by validate_password()",
            "api_key = os.environ['KEY']",
            "token = tokenizer.next()",
            "certificate_8544743 and credit_card_2408938",
            "secret: ${{ secrets.DEPLOY }}",
            "see https://example.com/a:b and user@example.com",
            "def reset_password(self, token): pass",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn redacting_twice_changes_nothing() {
        let once = redact("PASSWORD=\"hunter2!\" token: abc123def456").into_owned();
        assert_eq!(redact(&once), once);
    }
}
