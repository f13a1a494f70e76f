//! Makes programs: out of a small grammar over what JavaScript brings, and out of the attacks of the tests, cut up and put
//! together anew.

use std::fs;

use anyhow::ensure;
use fastrand::Rng;

use crate::root;

/// Things that a program may begin with.
const ROOTS: &[&str] = &[
    "globalThis",
    "Object",
    "Array",
    "Function",
    "String",
    "Number",
    "BigInt",
    "Symbol",
    "RegExp",
    "Promise",
    "Proxy",
    "Reflect",
    "Map",
    "Set",
    "WeakMap",
    "WeakRef",
    "FinalizationRegistry",
    "ArrayBuffer",
    "SharedArrayBuffer",
    "Uint8Array",
    "Float64Array",
    "BigInt64Array",
    "DataView",
    "Atomics",
    "JSON",
    "Math",
    "Date",
    "Error",
    "Iterator",
    "memory",
    "console",
    "input",
    "eval",
    "performance",
    "memory.query",
    "memory.episode",
    "memory.patterns",
    "console.log",
    "Array.prototype",
    "Object.prototype",
    "Promise.prototype",
    "RegExp.prototype",
    "(function*(){yield 1})",
    "(async()=>{})",
    "(async function*(){yield 1})",
];
/// Names of properties.
const NAMES: &[&str] = &[
    "prototype",
    "constructor",
    "__proto__",
    "toString",
    "valueOf",
    "toJSON",
    "then",
    "catch",
    "finally",
    "next",
    "return",
    "throw",
    "length",
    "name",
    "message",
    "stack",
    "cause",
    "call",
    "apply",
    "bind",
    "create",
    "assign",
    "defineProperty",
    "freeze",
    "keys",
    "entries",
    "fromEntries",
    "getOwnPropertyDescriptors",
    "setPrototypeOf",
    "from",
    "of",
    "push",
    "pop",
    "splice",
    "sort",
    "map",
    "reduce",
    "flat",
    "fill",
    "join",
    "concat",
    "slice",
    "copyWithin",
    "indexOf",
    "repeat",
    "padEnd",
    "replace",
    "replaceAll",
    "match",
    "matchAll",
    "split",
    "normalize",
    "at",
    "exec",
    "test",
    "lastIndex",
    "resolve",
    "reject",
    "all",
    "race",
    "any",
    "allSettled",
    "withResolvers",
    "get",
    "set",
    "has",
    "add",
    "delete",
    "deref",
    "register",
    "resize",
    "transfer",
    "byteLength",
    "buffer",
    "setUint8",
    "getFloat64",
    "wait",
    "notify",
    "parse",
    "stringify",
    "raw",
    "now",
    "toISOString",
    "captureStackTrace",
    "prepareStackTrace",
    "query",
    "episode",
    "patterns",
    "log",
    "error",
    "construct",
    "ownKeys",
    "revocable",
    "asIntN",
    "groupBy",
    "species",
    "iterator",
    "asyncIterator",
    "toPrimitive",
    "hasInstance",
    "unscopables",
    "for",
    "description",
    "take",
    "drop",
];
/// Values that often go wrong.
const VALUES: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "0.5",
    "NaN",
    "Infinity",
    "-Infinity",
    "2**31",
    "-(2**31)",
    "2**32-1",
    "2**53",
    "1e308",
    "5e-324",
    "1n",
    "-1n",
    "(1n<<64n)",
    "null",
    "undefined",
    "true",
    "''",
    "'a'",
    "'\\ud800'",
    "'\\0'",
    "'__proto__'",
    "'x'.repeat(999)",
    "[]",
    "{}",
    "[,1]",
    "[[[]]]",
    "new Array(1e6)",
    "Array(2**32-1)",
    "Object.create(null)",
    "Symbol()",
    "Symbol.iterator",
    "/(a+)+$/",
    "/[/v",
    "/(?<n>.)\\k<n>/gu",
    "()=>{}",
    "function(){return this}",
    "async()=>{}",
    "class{}",
    "new Proxy({},{})",
    "new Proxy(function(){},{get(t,k){return k}})",
    "{get x(){throw 1}}",
    "{toString(){return{}}}",
    "{valueOf(){return 1n}}",
    "{toJSON(){return this}}",
    "{then(f){f(f)}}",
    "{[Symbol.toPrimitive](){return Symbol()}}",
    "{length:2**53-1}",
    "globalThis",
    "new Uint8Array(99)",
    "new ArrayBuffer(8,{maxByteLength:99})",
    "new Error('e')",
    "new Date(NaN)",
    "new Map([[1,2]])",
    "Promise.reject(1)",
    "Promise.resolve()",
    "this",
    "'x,y'.split(',')",
    "a",
    "b",
    "c",
];
const OPERATORS: &[&str] = &[
    "+",
    "-",
    "*",
    "/",
    "%",
    "**",
    "<<",
    ">>>",
    "&",
    "|",
    "^",
    "<",
    "==",
    "===",
    "in",
    "instanceof",
    "&&",
    "||",
    "??",
    ",",
];
/// What may stand where a sign or a word stood.
const SPLICES: &[&str] = &[
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ";",
    ",",
    ".",
    "=>",
    "=",
    "...",
    "?.",
    "`",
    "'",
    "/*",
    "*/",
    "//",
    "await ",
    "yield ",
    "async ",
    "new ",
    "typeof ",
    "return ",
    "throw ",
    "for(;;)",
    "try{",
    "}catch{",
    "}finally{",
    "import ",
    "export ",
    "\n",
    "\0",
    "\u{2028}",
    "#x",
    "@",
    "\\u{1F600}",
    "0x",
    "1e9",
    "2**32",
    "function*",
    "static ",
    "super.",
    "with(a)",
    "label:",
    "delete ",
];
const DEPTH_MAX: usize = 4;
/// Longest program that is made of others, in characters.
const CHARS_MAX: usize = 20_000;

/// The programs that others are made of.
pub(crate) struct Programs {
    attacks: Vec<String>,
}

impl Programs {
    pub(crate) fn load() -> anyhow::Result<Self> {
        let mut attacks = Vec::new();
        let mut files: Vec<_> =
            fs::read_dir(root().join("tests/system/attacks"))?.collect::<Result<_, _>>()?;
        files.sort_by_key(fs::DirEntry::path);
        for file in files {
            let text = fs::read_to_string(file.path())?;
            let parts = text.split("\n//// ").skip(1).filter_map(|part| part.split_once('\n'));
            attacks.extend(parts.map(|(_, code)| code.to_owned()));
        }
        ensure!(!attacks.is_empty(), "there are no attacks");
        Ok(Self { attacks })
    }

    /// The program of this number.
    pub(crate) fn make(&self, seed: u64, number: u64) -> String {
        let mut rng = Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number);
        if rng.bool() { self.mutated(&mut rng) } else { script(&mut rng) }
    }

    fn attack(&self, rng: &mut Rng) -> &str {
        &self.attacks[rng.usize(..self.attacks.len())]
    }

    /// An attack with a few of its words taken away, doubled, exchanged, or replaced by others, and now and then by what does
    /// not belong there.
    fn mutated(&self, rng: &mut Rng) -> String {
        let (mut tokens, other) = (tokens(self.attack(rng)), tokens(self.attack(rng)));
        for _ in 0..rng.usize(1..4) {
            let words: Vec<usize> = (0..tokens.len()).filter(|at| is_word(&tokens[*at])).collect();
            if words.is_empty() {
                break;
            }
            let at = words[rng.usize(..words.len())];
            let number = tokens[at].starts_with(|sign: char| sign.is_ascii_digit());
            match rng.u8(..16) {
                0 => drop(tokens.remove(at)),
                1 => tokens.insert(at, pick(rng, SPLICES)),
                2 if !other.is_empty() => {
                    let from = rng.usize(..other.len());
                    let to = (from + rng.usize(1..30)).min(other.len());
                    tokens.splice(at..at, other[from..to].iter().cloned());
                }
                3 => tokens.swap(at, words[rng.usize(..words.len())]),
                4..=6 => {
                    let words: Vec<&String> = other.iter().filter(|token| is_word(token)).collect();
                    if !words.is_empty() {
                        tokens[at] = words[rng.usize(..words.len())].clone();
                    }
                }
                7..=9 => tokens[at] = expression(rng, 2),
                _ if number => tokens[at] = format!("({})", pick(rng, VALUES)),
                10..=12 => tokens[at] = pick(rng, ROOTS),
                _ => tokens[at] = pick(rng, NAMES),
            }
        }
        tokens.concat().chars().take(CHARS_MAX).collect()
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|sign: char| sign.is_alphanumeric() || sign == '_')
}

fn pick(rng: &mut Rng, from: &[&str]) -> String {
    from[rng.usize(..from.len())].to_owned()
}

/// Words, numbers, and all else sign by sign.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut in_word = false;
    for sign in code.chars() {
        let word = sign.is_alphanumeric() || sign == '_';
        match tokens.last_mut() {
            Some(last) if word && in_word => last.push(sign),
            _ => tokens.push(sign.to_string()),
        }
        in_word = word;
    }
    tokens
}

fn script(rng: &mut Rng) -> String {
    let mut code = "let a = 1, b = [2], c = {};\n".to_owned();
    for _ in 0..rng.usize(1..8) {
        let name = ["a", "b", "c"][rng.usize(..3)];
        code.push_str(&format!("try {{ {} }} catch (e) {{ {name} = e }}\n", statement(rng, 0)));
    }
    code.push_str("[a, b, c]");
    code
}

fn statement(rng: &mut Rng, depth: usize) -> String {
    let value = expression(rng, depth);
    if depth >= DEPTH_MAX {
        return format!("{value};");
    }
    let name = ["a", "b", "c"][rng.usize(..3)];
    match rng.u8(..14) {
        0..=3 => format!("{name} = {value};"),
        4 => format!(
            "try {{ {} }} catch (e) {{ {name} = e; {} }}",
            statement(rng, depth + 1),
            statement(rng, depth + 1)
        ),
        5 => format!("try {{ {} }} catch {{}}", statement(rng, depth + 1)),
        6 => format!("for (let i = 0; i < {}; i++) {{ {} }}", rng.u32(..300), statement(rng, depth + 1)),
        7 => format!("for (const x of {value}) {{ {name} = x; {} }}", statement(rng, depth + 1)),
        8 => format!("for (const k in {value}) {}", statement(rng, depth + 1)),
        9 => format!("if ({value}) {} else {}", statement(rng, depth + 1), statement(rng, depth + 1)),
        10 => format!("{}.{} = {value};", expression(rng, depth + 2), pick(rng, NAMES)),
        11 => format!("console.log({value});"),
        12 => format!("{name} = await {value};"),
        _ => format!("{value};"),
    }
}

fn expression(rng: &mut Rng, depth: usize) -> String {
    if depth >= DEPTH_MAX {
        let from = if rng.bool() { VALUES } else { ROOTS };
        return format!("({})", pick(rng, from));
    }
    let inner = |rng: &mut Rng| expression(rng, depth + 1);
    match rng.u8(..16) {
        0 => format!("({})", pick(rng, VALUES)),
        1 => pick(rng, ROOTS),
        2..=4 => format!("{}.{}({})", inner(rng), pick(rng, NAMES), inner(rng)),
        5 => format!("{}.{}({}, {})", pick(rng, ROOTS), pick(rng, NAMES), inner(rng), inner(rng)),
        6 => format!("{}.{}", inner(rng), pick(rng, NAMES)),
        7 => format!("{}?.[{}]", inner(rng), inner(rng)),
        8 => format!("new ({})({}, {})", pick(rng, ROOTS), inner(rng), inner(rng)),
        9 => format!("({} {} {})", inner(rng), pick(rng, OPERATORS), inner(rng)),
        10 => format!("[...{}]", inner(rng)),
        11 => format!(
            "({{ {}: {}, get {}() {{ return {} }} }})",
            pick(rng, NAMES),
            inner(rng),
            pick(rng, NAMES),
            inner(rng)
        ),
        12 => format!("((x, ...y) => {})({})", inner(rng), inner(rng)),
        13 => format!("new Proxy({}, {{ get(t, k) {{ return {} }} }})", inner(rng), inner(rng)),
        14 => format!("{}.prototype.{}.call({})", pick(rng, ROOTS), pick(rng, NAMES), inner(rng)),
        _ => format!("`${{{}}}`", inner(rng)),
    }
}
