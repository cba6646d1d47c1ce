//! Conditions of Falco's rules: text to a tree.
//!
//! ```text
//! or      = and { "or" and }
//! and     = not { "and" not }
//! not     = "not" not | primary
//! primary = "(" or ")" | field operator value | field "exists" | macro
//! ```
//! A field has a dot in its name, a macro has none. A value after an operator may be any word: `evt.dir=<` compares with `<`.

use std::fmt;

/// A condition as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Macro(String),
    Compare(Comparison),
}

/// A field compared with values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Comparison {
    pub(super) field: String,
    /// As it is written: `=`, `in`, `exists` and so on.
    pub(super) operator: String,
    /// Of `in` all in the parentheses, of `exists` none, else one.
    pub(super) values: Vec<Value>,
}

/// A value as it is written; without quotes, in the parentheses of `in`, it may be the name of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) text: String,
    pub(super) is_quoted: bool,
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<&str> = self.values.iter().map(|value| value.text.as_str()).collect();
        match self.operator.as_str() {
            "exists" => write!(f, "{} exists", self.field),
            operator if takes_list(operator) => write!(f, "{} {operator} ({})", self.field, values.join(", ")),
            operator => write!(f, "{} {operator} {}", self.field, values.join(" ")),
        }
    }
}

/// Why a text is no condition.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) message: String,
    /// Where: characters before it.
    pub(super) at: usize,
}

/// Operators of symbols, longest first.
const SYMBOLS: [&str; 7] = ["!=", "<=", ">=", "==", "=", "<", ">"];
/// Operators that are words. Falco has more than this importer can translate, so that it can name what it leaves out.
const WORDS: [&str; 13] = [
    "in",
    "intersects",
    "pmatch",
    "contains",
    "icontains",
    "bcontains",
    "startswith",
    "bstartswith",
    "endswith",
    "glob",
    "iglob",
    "regex",
    "exists",
];

fn takes_list(operator: &str) -> bool {
    matches!(operator, "in" | "intersects" | "pmatch")
}

/// As deep as parentheses and `not` may be nested.
const DEPTH_MAX: usize = 100;

/// Parses a whole text.
pub(super) fn parse(text: &str) -> Result<Condition, SyntaxError> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let condition = parser.or()?;
    parser.skip_blanks();
    if parser.at < text.len() {
        return Err(parser.expected("`and`, `or` or the end of the condition"));
    }
    Ok(condition)
}

struct Parser<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn error(&self, message: String) -> SyntaxError {
        SyntaxError { message, at: self.text[..self.at].chars().count() }
    }

    fn expected(&self, what: &str) -> SyntaxError {
        let rest = self.rest();
        let found = rest.split_whitespace().next().unwrap_or_default();
        let found: String = found.chars().take(20).collect();
        let found = if found.is_empty() { "the condition ends".to_owned() } else { format!("found `{found}`") };
        self.error(format!("expected {what}, but {found}"))
    }

    /// The word of a field, a macro or a keyword that begins here.
    fn peek_word(&self) -> &'a str {
        let rest = self.rest();
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        // An argument of a field: proc.aname[2].
        match rest[end..].strip_prefix('[').and_then(|argument| argument.find(']')) {
            Some(close) if 0 < end => &rest[..end + close + 2],
            _ => &rest[..end],
        }
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        self.skip_blanks();
        let is_next = self.peek_word() == keyword;
        if is_next {
            self.at += keyword.len();
        }
        is_next
    }

    fn or(&mut self) -> Result<Condition, SyntaxError> {
        let mut parts = vec![self.and()?];
        while self.take_keyword("or") {
            parts.push(self.and()?);
        }
        Ok(one_or(parts, Condition::Or))
    }

    fn and(&mut self) -> Result<Condition, SyntaxError> {
        let mut parts = vec![self.not()?];
        while self.take_keyword("and") {
            parts.push(self.not()?);
        }
        Ok(one_or(parts, Condition::And))
    }

    fn not(&mut self) -> Result<Condition, SyntaxError> {
        if self.take_keyword("not") {
            return self.nested(|parser| Ok(Condition::Not(Box::new(parser.not()?))));
        }
        self.primary()
    }

    fn nested(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<Condition, SyntaxError>,
    ) -> Result<Condition, SyntaxError> {
        if self.depth == DEPTH_MAX {
            return Err(self.error(format!("the condition is nested deeper than {DEPTH_MAX}")));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn primary(&mut self) -> Result<Condition, SyntaxError> {
        self.skip_blanks();
        if self.rest().starts_with('(') {
            self.at += 1;
            return self.nested(|parser| {
                let inner = parser.or()?;
                parser.skip_blanks();
                if !parser.rest().starts_with(')') {
                    return Err(parser.expected("`)`"));
                }
                parser.at += 1;
                Ok(inner)
            });
        }
        let word = self.peek_word();
        let is_name = word.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if !is_name || ["and", "or", "not"].contains(&word) {
            return Err(self.expected("a field such as `fd.sport`, a macro, `not` or `(`"));
        }
        self.at += word.len();
        if !word.contains('.') {
            return Ok(Condition::Macro(word.to_owned()));
        }
        let operator = self.operator()?;
        let values = match operator {
            "exists" => Vec::new(),
            operator if takes_list(operator) => self.list()?,
            _ => vec![self.value()?],
        };
        Ok(Condition::Compare(Comparison { field: word.to_owned(), operator: operator.to_owned(), values }))
    }

    fn operator(&mut self) -> Result<&'static str, SyntaxError> {
        self.skip_blanks();
        let rest = self.rest();
        let symbol = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol));
        let word = self.peek_word();
        let found = symbol.or_else(|| WORDS.into_iter().find(|known| *known == word));
        let Some(operator) = found else { return Err(self.expected("an operator such as `=` or `in`")) };
        self.at += operator.len();
        Ok(operator)
    }

    fn list(&mut self) -> Result<Vec<Value>, SyntaxError> {
        self.skip_blanks();
        if !self.rest().starts_with('(') {
            return Err(self.expected("`(` with values"));
        }
        self.at += 1;
        let mut values = Vec::new();
        loop {
            self.skip_blanks();
            if values.is_empty() && self.rest().starts_with(')') {
                self.at += 1;
                return Ok(values);
            }
            values.push(self.value()?);
            self.skip_blanks();
            match self.rest().chars().next() {
                Some(',') => self.at += 1,
                Some(')') => {
                    self.at += 1;
                    return Ok(values);
                }
                _ => return Err(self.expected("`,` or `)`")),
            }
        }
    }

    fn value(&mut self) -> Result<Value, SyntaxError> {
        self.skip_blanks();
        let rest = self.rest();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        if let Some(quote) = quote {
            return self.quoted(quote);
        }
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | '"' | '\'' | '='));
        let text = &rest[..end.unwrap_or(rest.len())];
        if text.is_empty() {
            return Err(self.expected("a value"));
        }
        self.at += text.len();
        Ok(Value { text: text.to_owned(), is_quoted: false })
    }

    fn quoted(&mut self, quote: char) -> Result<Value, SyntaxError> {
        let mut text = String::new();
        let mut characters = self.rest().char_indices().skip(1);
        while let Some((at, c)) = characters.next() {
            if c == quote {
                self.at += at + 1;
                return Ok(Value { text, is_quoted: true });
            }
            let escaped = if c == '\\' { characters.next().map(|(_, escaped)| escaped) } else { None };
            text.push(escaped.unwrap_or(c));
        }
        Err(self.error(format!("the quotation mark {quote} is not closed")))
    }
}

fn one_or(mut parts: Vec<Condition>, make: impl FnOnce(Vec<Condition>) -> Condition) -> Condition {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            make(parts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree as text, with all parentheses.
    fn show(condition: &Condition) -> String {
        let join = |parts: &[Condition], word: &str| {
            format!("({})", parts.iter().map(show).collect::<Vec<_>>().join(&format!(" {word} ")))
        };
        match condition {
            Condition::And(parts) => join(parts, "and"),
            Condition::Or(parts) => join(parts, "or"),
            Condition::Not(inner) => format!("not {}", show(inner)),
            Condition::Macro(name) => name.clone(),
            Condition::Compare(comparison) => format!("[{comparison}]"),
        }
    }

    #[test]
    fn conditions_are_read_as_falco_reads_them() {
        let cases = [
            ("a or b and not c", "(a or (b and not c))"),
            ("(a or b) and not (c)", "((a or b) and not c)"),
            ("not not a", "not not a"),
            ("fd.sport=443 and evt.dir=<", "([fd.sport = 443] and [evt.dir = <])"),
            ("evt.dir=< \n and fd.net != \"127.0.0.0/8\"", "([evt.dir = <] and [fd.net != 127.0.0.0/8])"),
            ("fd.sip.name in (list, 'a b',\"c\\\"d\")", "[fd.sip.name in (list, a b, c\"d)]"),
            ("fd.sport >= 10 or fd.sport<5", "([fd.sport >= 10] or [fd.sport < 5])"),
            ("proc.aname[2] in (a)and fd.sport exists", "([proc.aname[2] in (a)] and [fd.sport exists])"),
            ("fd.sport in ()", "[fd.sport in ()]"),
            ("android and orange", "(android and orange)"),
        ];
        for (text, wanted) in cases {
            assert_eq!(parse(text).map(|condition| show(&condition)), Ok(wanted.to_owned()), "{text}");
        }
    }

    #[test]
    fn an_error_says_what_was_expected_and_where() {
        let deep = "(".repeat(DEPTH_MAX + 1);
        let cases = [
            ("", 0, "expected a field such as `fd.sport`, a macro, `not` or `(`, but the condition ends"),
            ("a and", 5, "expected a field such as `fd.sport`, a macro, `not` or `(`, but the condition ends"),
            ("a and or b", 6, "expected a field such as `fd.sport`, a macro, `not` or `(`, but found `or`"),
            ("(a", 2, "expected `)`, but the condition ends"),
            ("a) b", 1, "expected `and`, `or` or the end of the condition, but found `)`"),
            ("ä b", 2, "expected `and`, `or` or the end of the condition, but found `b`"),
            ("fd.sport", 8, "expected an operator such as `=` or `in`, but the condition ends"),
            ("fd.sport is 3", 9, "expected an operator such as `=` or `in`, but found `is`"),
            ("fd.sport =", 10, "expected a value, but the condition ends"),
            ("fd.sport in 3", 12, "expected `(` with values, but found `3`"),
            ("fd.sport in (3 4)", 15, "expected `,` or `)`, but found `4)`"),
            ("fd.sport in (3,)", 15, "expected a value, but found `)`"),
            ("fd.sip = \"1", 9, "the quotation mark \" is not closed"),
            (&deep, 101, "the condition is nested deeper than 100"),
        ];
        for (text, at, message) in cases {
            assert_eq!(parse(text), Err(SyntaxError { message: message.to_owned(), at }), "{text}");
        }
    }
}
