//! What is looked at before an expression is parsed: the parser's stack and time are bounded here, because it bounds neither.

use super::ExpressionFault;

/// An expression has at most this many bytes.
pub const MAX_EXPRESSION_BYTES: usize = 1024;

/// Brackets and `? :` may be nested this deep.
pub const MAX_EXPRESSION_DEPTH: usize = 16;

/// Operators that may stand in each other's operands without `&&`, `||` or a comma between, brackets counted in.
const MAX_OPERATORS_IN_A_ROW: usize = 64;

/// What the parser is given instead of `has`, so that its own `has` (which takes only `a.b`) does not see it.
pub(super) const HAS: &str = "_h_";

/// What the look found.
pub(super) struct Scanned {
    /// The text for the parser, byte for byte as long as the original.
    pub(super) text: String,
    /// Byte positions of each `&&` that holds the whole together; empty where `||` or `? :` does.
    pub(super) joints: Vec<usize>,
}

/// How much is nested in what was read so far of one bracket.
#[derive(Default)]
struct Level {
    bracket: Option<(char, usize)>,
    /// Since the last `&&`, `||` or comma.
    operators: usize,
    /// The most operators in a row within the brackets of this stretch.
    inner_operators: usize,
    /// The most in any stretch.
    most_operators: usize,
    /// The most brackets and conditionals within.
    inner_depth: usize,
    conditionals: usize,
}

impl Level {
    fn stretch_ends(&mut self) {
        self.most_operators = self.most_operators.max(self.operators + self.inner_operators);
        (self.operators, self.inner_operators) = (0, 0);
    }
}

/// Looks at every character once.
pub(super) fn scan(text: &str) -> Result<Scanned, ExpressionFault> {
    if text.len() > MAX_EXPRESSION_BYTES {
        let at = text.floor_char_boundary(MAX_EXPRESSION_BYTES);
        return Err(ExpressionFault::at(
            text,
            at,
            format!("an expression has at most {MAX_EXPRESSION_BYTES} bytes"),
        ));
    }
    if text.trim().is_empty() {
        return Err(ExpressionFault::at(text, 0, "an expression is needed here"));
    }
    let mut scan = Scan {
        text,
        at: 0,
        levels: vec![Level::default()],
        out: text.to_owned(),
        joints: vec![],
        loose: false,
    };
    while scan.at < text.len() {
        scan.step()?;
    }
    scan.finish()
}

struct Scan<'t> {
    text: &'t str,
    at: usize,
    levels: Vec<Level>,
    out: String,
    joints: Vec<usize>,
    /// Whether `||` or `?` stands outside of all brackets.
    loose: bool,
}

impl Scan<'_> {
    fn fault<T>(&self, at: usize, message: impl Into<String>) -> Result<T, ExpressionFault> {
        Err(ExpressionFault::at(self.text, at, message))
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn level(&mut self) -> &mut Level {
        self.levels.last_mut().expect("the outermost level is never closed")
    }

    fn step(&mut self) -> Result<(), ExpressionFault> {
        let Some(character) = self.rest().chars().next() else { return Ok(()) };
        let start = self.at;
        match character {
            ' ' | '\t' | '\n' | '\r' => self.at += 1,
            'a'..='z' | 'A'..='Z' | '_' => self.word()?,
            '0'..='9' => self.at += self.rest().bytes().take_while(u8::is_ascii_alphanumeric).count(),
            '"' | '\'' => self.string()?,
            '`' => self.escaped_name()?,
            '(' | '[' | '{' => self.open(character)?,
            ')' | ']' | '}' => self.close(character)?,
            '?' => {
                self.at += 1;
                self.loose |= self.levels.len() == 1;
                self.level().conditionals += 1;
                self.level().stretch_ends();
                self.check_depth(start)?;
            }
            ',' | ':' => {
                self.at += 1;
                self.level().stretch_ends();
            }
            '&' | '|' if self.rest().starts_with("&&") || self.rest().starts_with("||") => {
                self.at += 2;
                if self.levels.len() == 1 {
                    self.loose |= character == '|';
                    self.joints.push(start);
                }
                self.level().stretch_ends();
            }
            '/' if self.rest().starts_with("//") => {
                return self.fault(start, "an expression has no comments");
            }
            '.' | '+' | '-' | '*' | '/' | '%' | '<' | '>' | '=' | '!' => {
                let pair = ["==", "!=", "<=", ">="].iter().any(|pair| self.rest().starts_with(pair));
                self.at += if pair { 2 } else { 1 };
                self.level().operators += 1;
                self.check_depth(start)?;
            }
            other => return self.fault(start, format!("'{}' has no meaning here", other.escape_default())),
        }
        Ok(())
    }

    fn word(&mut self) -> Result<(), ExpressionFault> {
        let start = self.at;
        self.at += self.rest().bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let word = &self.text[start..self.at];
        let called = self.rest().trim_start().starts_with('(');
        let member = self.text[..start].trim_end().ends_with('.');
        if word == "has" && called && !member {
            self.out.replace_range(start..self.at, HAS);
        } else if word == "in" && !member {
            self.level().operators += 1;
            self.check_depth(start)?;
        }
        Ok(())
    }

    /// A text in quotes, exactly as the parser's own lexer reads it: where the two differed, brackets could be hidden in it.
    fn string(&mut self) -> Result<(), ExpressionFault> {
        let start = self.at;
        let before = &self.text[..start];
        let prefix =
            before.len() - before.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_').len();
        let raw = match &before[start - prefix..] {
            "" => false,
            "r" | "R" => true,
            _ => return self.fault(start, "a text needs an operator before it; bytes are not known here"),
        };
        let quote = if self.rest().starts_with('"') { '"' } else { '\'' };
        if self.rest().starts_with(&quote.to_string().repeat(3)) {
            return self.fault(start, "a text stands in single or double quotes, not in three of them");
        }
        self.at += 1;
        loop {
            match self.rest().chars().next() {
                None => return self.fault(start, "this text has no closing quote"),
                Some('\n' | '\r') => return self.fault(start, "this text has no closing quote on its line"),
                Some('\\') if !raw => self.at += self.escape()?,
                Some(character) => {
                    self.at += character.len_utf8();
                    if character == quote {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// How many bytes the escape here has.
    fn escape(&self) -> Result<usize, ExpressionFault> {
        let rest = &self.rest().as_bytes()[1..];
        let hex = |count: usize| rest.get(1..=count).is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit));
        let length = match rest.first() {
            Some(b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'"' | b'\'' | b'\\' | b'?' | b'`') => 2,
            Some(b'x' | b'X') if hex(2) => 4,
            Some(b'u') if hex(4) => 6,
            Some(b'U') if hex(8) => 10,
            Some(b'0'..=b'3')
                if rest.get(1..3).is_some_and(|d| d.iter().all(|c| (b'0'..=b'7').contains(c))) =>
            {
                4
            }
            _ => return self.fault(self.at, "this is not an escape: say \\\\ for a backslash"),
        };
        Ok(length)
    }

    /// A field whose name is a word of CEL: new.`in`.
    fn escaped_name(&mut self) -> Result<(), ExpressionFault> {
        let start = self.at;
        let name = &self.rest()[1..];
        let length = name.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        if length == 0 || !name[length..].starts_with('`') {
            return self.fault(start, "a name in backticks is letters, digits and '_'");
        }
        self.at += length + 2;
        Ok(())
    }

    fn open(&mut self, character: char) -> Result<(), ExpressionFault> {
        let start = self.at;
        self.at += 1;
        self.levels.push(Level { bracket: Some((character, start)), ..Level::default() });
        self.check_depth(start)
    }

    fn close(&mut self, character: char) -> Result<(), ExpressionFault> {
        let start = self.at;
        self.at += 1;
        let fits = match self.level().bracket {
            Some(('(', _)) => character == ')',
            Some(('[', _)) => character == ']',
            Some(('{', _)) => character == '}',
            _ => false,
        };
        if !fits {
            return self.fault(start, format!("nothing is open that '{character}' closes"));
        }
        let Some(mut closed) = self.levels.pop() else { return Ok(()) };
        closed.stretch_ends();
        let outer = self.level();
        // The bracket is itself an operator: a call, an index or a list.
        outer.inner_operators = outer.inner_operators.max(closed.most_operators + 1);
        outer.inner_depth = outer.inner_depth.max(closed.inner_depth + closed.conditionals + 1);
        self.check_depth(start)
    }

    fn check_depth(&self, at: usize) -> Result<(), ExpressionFault> {
        let open: usize = self.levels.iter().map(|level| level.conditionals + 1).sum::<usize>() - 1;
        let inner = self.levels.last().map_or(0, |level| level.inner_depth);
        if open + inner > MAX_EXPRESSION_DEPTH {
            let message =
                format!("brackets and '? :' may be nested {MAX_EXPRESSION_DEPTH} deep in an expression");
            return self.fault(at, message);
        }
        let operators: usize = self.levels.iter().map(|l| l.operators + 1).sum::<usize>()
            + self.levels.last().map_or(0, |l| l.inner_operators);
        if operators > MAX_OPERATORS_IN_A_ROW {
            let message = format!(
                "at most {MAX_OPERATORS_IN_A_ROW} operators may stand in a row: put '&&', '||' or commas between them"
            );
            return self.fault(at, message);
        }
        Ok(())
    }

    fn finish(self) -> Result<Scanned, ExpressionFault> {
        if let Some((character, at)) = self.levels.last().and_then(|level| level.bracket) {
            return self.fault(at, format!("this '{character}' is never closed"));
        }
        let joints = if self.loose { Vec::new() } else { self.joints };
        Ok(Scanned { text: self.out, joints })
    }
}

/// The parts of `text` that must all be true: split at each `&&` outside of brackets, brackets around a part taken away.
pub(crate) fn scan_joints(text: &str) -> Result<Vec<&str>, ExpressionFault> {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'))
        && scan(inner).is_ok()
    {
        return scan_joints(inner);
    }
    let joints = scan(text)?.joints;
    if joints.is_empty() {
        return Ok(vec![text]);
    }
    let mut parts = Vec::new();
    let mut start = 0;
    for end in joints.into_iter().chain([text.len()]) {
        parts.extend(scan_joints(text.get(start..end).unwrap_or_default())?);
        start = end + 2;
    }
    Ok(parts)
}
