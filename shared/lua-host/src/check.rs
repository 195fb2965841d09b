//! What can be told of a package before it is saved: its syntax, and the modules that it requires by name.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Bundle, BundleError, Fault,
    names::{Wanted, nonsense, package_of, wanted},
    std_files::STD_FILES,
};

/// The file names of packages that are known, each as in its package: `lib/check.luau`.
pub type KnownPackages = BTreeMap<String, BTreeSet<String>>;

/// So many faults are named; whoever has more has seen enough.
const MAX_FAULTS: usize = 200;

/// A fault quotes what it is about, which may be as long as its file.
const MAX_MESSAGE_CHARS: usize = 300;

/// The packages that `files` (name in the package to text) name in a `require`, as far as the text says so.
pub fn required_packages(files: &BTreeMap<String, String>) -> BTreeSet<String> {
    let sources = files.iter().filter(|(name, _)| name.ends_with(".luau"));
    let names = sources.flat_map(|(_, text)| requires(text));
    names.filter_map(|(_, name)| package_of(name).map(str::to_owned)).collect()
}

/// What is wrong with the `files` of `package`, at most 200 faults of it: what does not compile, and each `require` of a literal name that
/// nobody has. `others` holds the files of packages that are known to be there; of one that is not in it nothing is said, for it may
/// come with the workers. Names of the faults' files are those in the package.
pub fn check_package(package: &str, files: &BTreeMap<String, String>, others: &KnownPackages) -> Vec<Fault> {
    let sources = files.iter().filter(|(name, _)| name.ends_with(".luau"));
    let mut faults =
        match Bundle::from_sources(sources.clone().map(|(name, text)| (name.clone(), text.clone()))) {
            Ok(_) => Vec::new(),
            Err(BundleError::Faulty { faults }) => faults,
            Err(BundleError::Unreadable { .. }) => unreachable!("nothing is read from a disk"),
        };
    let has = |path: &str| match path.split_once('/') {
        Some((of, file)) if of == package => files.contains_key(&format!("{file}.luau")),
        Some((of, file)) => others.get(of).is_none_or(|names| names.contains(&format!("{file}.luau"))),
        None => false,
    };
    faults.truncate(MAX_FAULTS);
    'files: for (name, text) in sources {
        let asking = || Some(format!("{package}/{}", name.trim_end_matches(".luau")));
        for (line, path) in requires(text) {
            let message = match wanted(path, asking) {
                Wanted::Library if STD_FILES.iter().any(|(library, _)| *library == path) => continue,
                Wanted::Library => format!("there is no library {path:?}"),
                Wanted::File(candidates) if candidates.iter().any(|file| has(file)) => continue,
                Wanted::File(_) => format!("there is no module {path:?}"),
                Wanted::Nonsense => nonsense(path),
            };
            if faults.len() == MAX_FAULTS {
                break 'files;
            }
            faults.push(Fault { file: name.clone(), line: Some(line), message });
        }
    }
    for fault in &mut faults {
        if let Some((end, _)) = fault.message.char_indices().nth(MAX_MESSAGE_CHARS) {
            fault.message.truncate(end);
            fault.message.push('…');
        }
    }
    faults.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    faults
}

/// Lines and names of every `require("name")`, `require 'name'` and `require [[name]]` outside of comments and strings. What is
/// put together at run time is not seen.
fn requires(source: &str) -> Vec<(u32, &str)> {
    let mut scan = Scan { source, at: 0, line: 1 };
    let mut found = Vec::new();
    // Whether the word before this one is `require`, called as a function of its own.
    let mut called = false;
    let mut before = ' ';
    while let Some(token) = scan.next() {
        match token {
            Token::Text(name) if called => found.extend(name.map(|name| (scan.line, name))),
            Token::Sign('(') if called => continue,
            Token::Word("require") if before != '.' && before != ':' => {
                called = true;
                continue;
            }
            _ => {}
        }
        called = false;
        before = if let Token::Sign(sign) = token { sign } else { ' ' };
    }
    found
}

#[derive(Debug, PartialEq)]
enum Token<'s> {
    Word(&'s str),
    /// A string; nothing where what it stands for is not what it looks like.
    Text(Option<&'s str>),
    Sign(char),
}

/// As much of Luau's grammar as tells code from comments and strings.
struct Scan<'s> {
    source: &'s str,
    at: usize,
    line: u32,
}

impl<'s> Scan<'s> {
    fn next(&mut self) -> Option<Token<'s>> {
        loop {
            let rest = &self.source[self.at..];
            let first = rest.chars().next()?;
            if rest.starts_with("--") {
                self.take(2);
                if self.long().is_none() {
                    let rest = &self.source[self.at..];
                    self.take(rest.find('\n').unwrap_or(rest.len()));
                }
            } else if first.is_whitespace() {
                self.take(first.len_utf8());
            } else if first == '[' {
                let long = self.long();
                if long.is_none() {
                    self.take(1);
                }
                return Some(long.map_or(Token::Sign('['), |text| Token::Text(Some(text))));
            } else if matches!(first, '"' | '\'' | '`') {
                return Some(Token::Text(self.quoted(first)));
            } else if first.is_ascii_alphanumeric() || first == '_' {
                let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                return Some(Token::Word(self.take(length.unwrap_or(rest.len()))));
            } else {
                self.take(first.len_utf8());
                return Some(Token::Sign(first));
            }
        }
    }

    fn take(&mut self, bytes: usize) -> &'s str {
        let taken = &self.source[self.at..self.at + bytes];
        self.line += taken.matches('\n').count() as u32;
        self.at += bytes;
        taken
    }

    /// `[[text]]`, `[==[text]==]`, if one begins here.
    fn long(&mut self) -> Option<&'s str> {
        let rest = &self.source[self.at..];
        let level = rest.strip_prefix('[')?.bytes().take_while(|b| *b == b'=').count();
        let text = rest[level + 1..].strip_prefix('[')?;
        let close = format!("]{}]", "=".repeat(level));
        let length = text.find(&close).unwrap_or(text.len());
        self.take((level + 2 + length + close.len()).min(rest.len()));
        Some(&text[..length])
    }

    /// A string between two of `quote`. One with escapes, or with values in it, is not what it looks like.
    fn quoted(&mut self, quote: char) -> Option<&'s str> {
        let rest = &self.source[self.at + 1..];
        let mut plain = quote != '`';
        let mut escaped = false;
        let end = rest.char_indices().find(|(_, c)| {
            let ends = !escaped && (*c == quote || (*c == '\n' && quote != '`'));
            plain &= *c != '\\';
            escaped = !escaped && *c == '\\';
            ends
        });
        let length = end.map_or(rest.len(), |(at, _)| at);
        self.take((length + 2).min(rest.len() + 1));
        plain.then(|| &rest[..length])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn files(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn every_require_of_a_literal_is_found_and_nothing_else() {
        let check = |source: &str, expect: &[(u32, &str)]| assert_eq!(requires(source), expect, "{source}");
        check("local a = require(\"@std/json\")", &[(1, "@std/json")]);
        check("require 'a'\nrequire [[b]]\n\nrequire(\n  [=[c]=]\n)", &[(1, "a"), (2, "b"), (5, "c")]);
        check(
            "-- require('a')\n--[[ require('b')\n ]] require('c') --[==[ ]] require('d') ]==]",
            &[(3, "c")],
        );
        check("local s = \"require('a') \\\" require('b')\"; require(\"c\")", &[(1, "c")]);
        check("local s = `require('a') {1} \\` `; require('b')", &[(1, "b")]);
        check("t.require('a'); t:require('b'); required('c'); xrequire('d')", &[]);
        check("require('a' .. b)", &[(1, "a")]);
        check("require(name); require(name, 'a')", &[]);
        check("require('a\\'b')", &[]);
        check("pcall(require, 'a')", &[]);
        check("a[1] = require('b')", &[(1, "b")]);
        check("require('é'); -- é", &[(1, "é")]);
        check("require(\"a", &[(1, "a")]);
        check("--[[ never ends", &[]);
    }

    #[test]
    fn what_nobody_has_is_named_with_its_line() {
        let check = |text: &str, expect: &[(&str, u32)]| {
            let files = files(&[("pay.luau", text), ("lib/price.luau", "return 1"), ("package.json", "{}")]);
            let others =
                KnownPackages::from([("mail".to_owned(), BTreeSet::from(["lib/send.luau".to_owned()]))]);
            let faults = check_package("shop", &files, &others);
            let found: Vec<_> =
                faults.iter().map(|fault| (fault.file.as_str(), fault.line.unwrap())).collect();
            assert_eq!(found, expect, "{text}: {faults:?}");
        };
        check("return require('./lib/price')", &[]);
        check("return require('@pkg/shop/price') + require('@pkg/shop/lib/price')", &[]);
        check("return require('@pkg/mail/send')", &[]);
        check("return require('@pkg/unknown/thing')", &[]);
        check("return require('@std/json')", &[]);
        check("\nrequire('./price')", &[("pay.luau", 2)]);
        check("require('@pkg/shop/gone')\nrequire('@pkg/mail/gone')", &[("pay.luau", 1), ("pay.luau", 2)]);
        check("require('@std/gone')", &[("pay.luau", 1)]);
        check("require('json')", &[("pay.luau", 1)]);
        check("require('@pkg/shop')", &[("pay.luau", 1)]);
        check("local x = 1\nlocal = 2", &[("pay.luau", 2)]);
        assert_eq!(
            required_packages(&files(&[(
                "a.luau",
                "require('@pkg/b/c'); require('@std/json'); require('./x')"
            )])),
            BTreeSet::from(["b".to_owned()])
        );
    }

    #[test]
    fn however_much_is_wrong_what_is_said_of_it_stays_short() {
        let name = "n".repeat(100_000);
        let sources = [
            "require'x' ".repeat(50_000),
            format!("require[[{name}]] require'@std/{name}' require'./{name}'"),
            format!("local = {name}"),
            format!("goto {name}"),
        ];
        for source in sources {
            let given: BTreeMap<String, String> = (0..150)
                .map(|n| (format!("f{n}.luau"), source[..source.len().min(150_000)].to_owned()))
                .collect();
            let faults = check_package("shop", &given, &KnownPackages::new());
            let bytes: usize = faults.iter().map(|fault| fault.message.len() + fault.file.len()).sum();
            assert!(!faults.is_empty() && faults.len() <= MAX_FAULTS && bytes < 200_000, "{bytes}");
        }
    }

    #[test]
    fn what_does_not_compile_is_named_before_what_is_not_there() {
        let mut given: BTreeMap<String, String> =
            (0..20).map(|n| (format!("a{n}.luau"), "require('./gone') ".repeat(20))).collect();
        given.insert("z.luau".into(), "local =".into());
        let faults = check_package("shop", &given, &KnownPackages::new());
        assert!(faults.iter().any(|fault| fault.file == "z.luau"), "{}", faults.len());
    }

    /// It is compiled in the process of the API: on a thread with the stack of tokio's blocking ones.
    #[test]
    fn code_that_is_nested_without_end_is_refused_and_harms_nobody() {
        let n = 100_000;
        let sources = [
            format!("return {}1{}", "(".repeat(n), ")".repeat(n)),
            format!("return {}{}", "{".repeat(n), "}".repeat(n)),
            format!("return {}1", "- ".repeat(n)),
            format!("return {}1", "not ".repeat(n)),
            format!("return 1{}", " .. 1".repeat(n)),
            format!("return 1{}", " + 1".repeat(n)),
            format!("return 1{}", " ^ 1".repeat(n)),
            format!("return a{}", ".a".repeat(n)),
            format!("return a{}", "()".repeat(n)),
            format!("return a{}", "[1]".repeat(n)),
            format!("return {}1{}", "function() return ".repeat(n), " end".repeat(n)),
            format!("{}{}", "do ".repeat(n), " end".repeat(n)),
            format!("if a then {} end", "elseif a then ".repeat(n)),
            format!("return {}1", "if a then 1 else ".repeat(n)),
            format!("local x: {}number{}", "{".repeat(n), "}".repeat(n)),
            format!("local x: {}number", "() -> ".repeat(n)),
            format!("local x: number{}", " | number".repeat(n)),
            format!("return {}1{}", "`{".repeat(n), "}`".repeat(n)),
        ];
        for source in sources {
            let files = files(&[("deep.luau", &source)]);
            let thread = std::thread::Builder::new().stack_size(2 << 20);
            let checked = thread.spawn(move || check_package("shop", &files, &KnownPackages::new()).len());
            assert!(checked.unwrap().join().unwrap() <= 1, "{}", &source[..40]);
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange_to_be_looked_through(text in "(\\PC|\n|require|\\(|'|\"|`|\\[|=|-|\\\\|\\]){0,60}") {
            let lines = text.matches('\n').count() as u32 + 1;
            for (line, name) in requires(&text) {
                prop_assert!((1..=lines).contains(&line) && text.contains(name));
            }
        }
    }
}
