//! Small conditions over the fields of what a stage made: `score > 0.5 and area > 1000`.
//!
//! ```text
//! or      = and { "or" and }
//! and     = not { "and" not }
//! not     = "not" not | compare
//! compare = sum [ ("<" | "<=" | ">" | ">=" | "==" | "!=" | "in" | "contains") sum ]
//! sum     = product { ("+" | "-") product }
//! product = unary { ("*" | "/") unary }
//! unary   = "-" unary | number | "text" | 'text' | field | "[" or { "," or } "]" | "(" or ")"
//! ```

use std::collections::BTreeSet;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Number,
    Text,
    Truth,
    Texts,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Truth => "a condition",
            Self::Texts => "a list of texts",
        }
    }
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Text(String),
    Truth(bool),
    Texts(Vec<String>),
    /// A field that this element does not have; whatever it is compared with is false.
    Missing,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Literal(Value),
    Field(String),
    Negative(Box<Node>),
    Not(Box<Node>),
    Binary(&'static str, Box<Node>, Box<Node>),
}

/// A condition whose fields and types were checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition(Node);

/// What is wrong, and how it may have been meant.
pub(super) type Mistake = (String, Option<String>);

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(f64),
    Text(String),
    Name(String),
    Sign(&'static str),
}

const SIGNS: [&str; 15] = ["<=", ">=", "==", "!=", "<", ">", "+", "-", "*", "/", "(", ")", "[", "]", ","];
const COMPARISONS: [&str; 8] = ["<=", ">=", "==", "!=", "<", ">", "in", "contains"];
/// Conditions are typed by people: what is deeper than this was made to break us.
const MOST_DEPTH: usize = 64;
/// And what is longer.
const MOST_TOKENS: usize = 1000;

impl Condition {
    /// Reads a condition over fields that `field` knows the types of.
    pub(super) fn parse(text: &str, fields: &[(String, Type)]) -> Result<Self, Mistake> {
        let mut parser = Parser { tokens: tokens(text)?, next: 0, fields, depth: 0 };
        let (node, found) = parser.or()?;
        if let Some(token) = parser.tokens.get(parser.next) {
            return Err((format!("`{}` is one too many", shown(token)), None));
        }
        match found {
            Type::Truth => Ok(Self(node)),
            other => Err((
                format!("this is {}, not a condition", other.name()),
                Some("compare it, as in `score > 0.5`".into()),
            )),
        }
    }

    /// Whether it holds.
    pub(super) fn holds(&self, field: &dyn Fn(&str) -> Value) -> bool {
        value(&self.0, field) == Value::Truth(true)
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, Mistake> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length;
        if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            tokens.push(Token::Sign(sign));
            length = sign.len();
        } else if first == '"' || first == '\'' {
            let Some(end) = rest[1..].find(first) else {
                return Err((format!("a text has no closing {first}"), None));
            };
            tokens.push(Token::Text(rest[1..=end].to_owned()));
            length = end + 2;
        } else if first.is_ascii_digit() || first == '.' {
            length = rest
                .char_indices()
                .find(|(at, c)| {
                    !(c.is_ascii_digit()
                        || matches!(c, '.' | 'e' | '_')
                        || (*c == '-' && rest[..*at].ends_with('e')))
                })
                .map_or(rest.len(), |(at, _)| at);
            let number = &rest[..length];
            let parsed = number.replace('_', "").parse();
            tokens.push(Token::Number(parsed.map_err(|_| (format!("`{number}` is no number"), None))?));
        } else if first.is_alphabetic() || first == '_' {
            let end = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.'));
            length = rest.find(end).unwrap_or(rest.len());
            tokens.push(match &rest[..length] {
                "and" => Token::Sign("and"),
                "or" => Token::Sign("or"),
                "not" => Token::Sign("not"),
                "in" => Token::Sign("in"),
                "contains" => Token::Sign("contains"),
                name => Token::Name(name.to_owned()),
            });
        } else {
            let hint = match first {
                '&' => Some("write `and`".into()),
                '|' => Some("write `or`".into()),
                '!' => Some("write `not`".into()),
                '=' => Some("write `==`".into()),
                _ => None,
            };
            return Err((format!("`{first}` means nothing in a condition"), hint));
        }
        if tokens.len() > MOST_TOKENS {
            return Err(("it is too long".into(), None));
        }
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn shown(token: &Token) -> String {
    match token {
        Token::Number(number) => number.to_string(),
        Token::Text(text) => format!("\"{text}\""),
        Token::Name(name) => name.clone(),
        Token::Sign(sign) => (*sign).to_owned(),
    }
}

struct Parser<'a> {
    tokens: Vec<Token>,
    next: usize,
    fields: &'a [(String, Type)],
    depth: usize,
}

type Typed = Result<(Node, Type), Mistake>;

impl Parser<'_> {
    /// Takes one of these signs, if it comes next.
    fn sign(&mut self, signs: &[&'static str]) -> Option<&'static str> {
        let Some(Token::Sign(sign)) = self.tokens.get(self.next) else { return None };
        let sign = signs.iter().find(|known| *known == sign)?;
        self.next += 1;
        Some(sign)
    }

    fn wanted(&self, (node, found): (Node, Type), wanted: Type, by: &str) -> Result<Node, Mistake> {
        if found == wanted {
            return Ok(node);
        }
        Err((format!("`{by}` takes {}, not {}", wanted.name(), found.name()), None))
    }

    fn chain(&mut self, signs: &[&'static str], of: Type, next: fn(&mut Self) -> Typed) -> Typed {
        let mut left = next(self)?;
        while let Some(sign) = self.sign(signs) {
            let first = self.wanted(left, of, sign)?;
            let second = next(self)?;
            let second = self.wanted(second, of, sign)?;
            left = (Node::Binary(sign, Box::new(first), Box::new(second)), of);
        }
        Ok(left)
    }

    fn or(&mut self) -> Typed {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(("it is nested too deeply".into(), None));
        }
        let node = self.chain(&["or"], Type::Truth, Self::and);
        self.depth -= 1;
        node
    }

    fn and(&mut self) -> Typed {
        self.chain(&["and"], Type::Truth, Self::not)
    }

    fn not(&mut self) -> Typed {
        // In a loop: a thousand `not` are no reason to fall over.
        let mut odd = false;
        let mut any = false;
        while self.sign(&["not"]).is_some() {
            (odd, any) = (!odd, true);
        }
        let found = self.compare()?;
        if !any {
            return Ok(found);
        }
        let node = self.wanted(found, Type::Truth, "not")?;
        Ok((if odd { Node::Not(Box::new(node)) } else { node }, Type::Truth))
    }

    fn compare(&mut self) -> Typed {
        let (left, of) = self.sum()?;
        let Some(sign) = self.sign(&COMPARISONS) else { return Ok((left, of)) };
        let (right, other) = self.sum()?;
        let fits = match sign {
            "in" => (of, other) == (Type::Text, Type::Texts),
            "contains" => (of, other) == (Type::Text, Type::Text),
            "==" | "!=" => of == other && of != Type::Texts,
            _ => (of, other) == (Type::Number, Type::Number),
        };
        if !fits {
            let message = format!("`{sign}` does not go between {} and {}", of.name(), other.name());
            return Err((message, None));
        }
        Ok((Node::Binary(sign, Box::new(left), Box::new(right)), Type::Truth))
    }

    fn sum(&mut self) -> Typed {
        self.chain(&["+", "-"], Type::Number, Self::product)
    }

    fn product(&mut self) -> Typed {
        self.chain(&["*", "/"], Type::Number, Self::unary)
    }

    fn unary(&mut self) -> Typed {
        let mut negative = false;
        let mut any = false;
        while self.sign(&["-"]).is_some() {
            (negative, any) = (!negative, true);
        }
        if any {
            let inner = self.unary()?;
            let inner = self.wanted(inner, Type::Number, "-")?;
            return Ok((if negative { Node::Negative(Box::new(inner)) } else { inner }, Type::Number));
        }
        if self.sign(&["("]).is_some() {
            let inner = self.or()?;
            self.closed(")")?;
            return Ok(inner);
        }
        if self.sign(&["["]).is_some() {
            let mut texts = Vec::new();
            loop {
                match self.tokens.get(self.next) {
                    Some(Token::Text(text)) => texts.push(text.clone()),
                    _ => return Err(("a list holds texts, as in [\"cat\", \"dog\"]".into(), None)),
                }
                self.next += 1;
                if self.sign(&[","]).is_none() {
                    break;
                }
            }
            self.closed("]")?;
            return Ok((Node::Literal(Value::Texts(texts)), Type::Texts));
        }
        let token = self.tokens.get(self.next).cloned();
        self.next += 1;
        match token {
            Some(Token::Number(number)) => Ok((Node::Literal(Value::Number(number)), Type::Number)),
            Some(Token::Text(text)) => Ok((Node::Literal(Value::Text(text)), Type::Text)),
            Some(Token::Name(name)) => match self.fields.iter().find(|(known, _)| *known == name) {
                Some((_, of)) => Ok((Node::Field(name), *of)),
                None => {
                    let known = self.fields.iter().map(|(known, _)| known.as_str());
                    Err((format!("there is no field `{name}`"), super::document::suggestion(&name, known)))
                }
            },
            Some(Token::Sign(sign)) => Err((format!("something is missing before `{sign}`"), None)),
            None => Err(("something is missing at the end".into(), None)),
        }
    }

    fn closed(&mut self, sign: &'static str) -> Result<(), Mistake> {
        self.sign(&[sign]).map(drop).ok_or_else(|| (format!("`{sign}` is missing"), None))
    }
}

fn value(node: &Node, field: &dyn Fn(&str) -> Value) -> Value {
    match node {
        Node::Literal(value) => value.clone(),
        Node::Field(name) => field(name),
        Node::Negative(inner) => match value(inner, field) {
            Value::Number(number) => Value::Number(-number),
            _ => Value::Missing,
        },
        Node::Not(inner) => Value::Truth(value(inner, field) != Value::Truth(true)),
        Node::Binary(sign, left, right) => binary(sign, value(left, field), || value(right, field)),
    }
}

fn binary(sign: &str, left: Value, right: impl FnOnce() -> Value) -> Value {
    let truth = |value: &Value| *value == Value::Truth(true);
    match sign {
        "and" => return Value::Truth(truth(&left) && truth(&right())),
        "or" => return Value::Truth(truth(&left) || truth(&right())),
        _ => {}
    }
    match (left, right()) {
        (Value::Number(a), Value::Number(b)) => match sign {
            "+" => Value::Number(a + b),
            "-" => Value::Number(a - b),
            "*" => Value::Number(a * b),
            "/" => Value::Number(a / b),
            "<" => Value::Truth(a < b),
            "<=" => Value::Truth(a <= b),
            ">" => Value::Truth(a > b),
            ">=" => Value::Truth(a >= b),
            "!=" => Value::Truth(a != b),
            _ => Value::Truth(a == b),
        },
        (Value::Text(a), Value::Text(b)) => Value::Truth(match sign {
            "contains" => a.contains(&b),
            "!=" => a != b,
            _ => a == b,
        }),
        (Value::Text(a), Value::Texts(all)) => {
            Value::Truth(all.into_iter().collect::<BTreeSet<_>>().contains(&a))
        }
        (Value::Truth(a), Value::Truth(b)) => Value::Truth(if sign == "!=" { a != b } else { a == b }),
        // A field that is not there has no place in a comparison, not even in `!=`.
        _ if matches!(sign, "+" | "-" | "*" | "/") => Value::Missing,
        _ => Value::Truth(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Vec<(String, Type)> {
        let of = |name: &str, of| (name.to_owned(), of);
        vec![
            of("score", Type::Number),
            of("area", Type::Number),
            of("class", Type::Text),
            of("words.text", Type::Text),
        ]
    }

    fn holds(text: &str) -> bool {
        let field = |name: &str| match name {
            "score" => Value::Number(0.75),
            "area" => Value::Number(1000.0),
            "class" => Value::Text("red circle".into()),
            _ => Value::Missing,
        };
        Condition::parse(text, &fields())
            .unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"))
            .holds(&field)
    }

    #[test]
    fn conditions_mean_what_they_mean_in_python() {
        // Each was evaluated by Python 3.11 with score = 0.75, area = 1000, cls = "red circle".
        for (text, wanted) in [
            ("score > 0.5 and area > 1000", false),
            ("score > 0.5 and area >= 1_000", true),
            ("score < 0.5 or area == 1000 and not score > 0.9", true),
            ("not (score < 0.5 or area == 1000)", false),
            ("not score < 0.5 or area == 1000", true),
            ("area / 10 - 50 * 2 + -score == -0.75", true),
            ("2 - 1 - 1 == 0", true),
            ("area-999 == 1", true),
            ("8 / 4 / 2 == 1", true),
            ("1e3 == area and 1.5e-1 < score", true),
            ("- -score == score", true),
            ("class == 'red circle'", true),
            ("class != \"red circle\"", false),
            ("class in ['a', 'red circle']", true),
            ("class in ['red']", false),
            ("(score > 0.7) == (area > 1)", true),
            ("not not score > 0.7", true),
        ] {
            assert_eq!(holds(text), wanted, "{text}");
        }
        assert!(holds("class contains 'circle'"));
    }

    #[test]
    fn what_is_missing_is_neither_equal_nor_different() {
        for text in ["words.text == 'a'", "words.text != 'a'", "words.text contains ''"] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn mistakes_are_named_and_may_be_understood() {
        for (text, said, hint) in [
            ("scor > 0.5", "no field `scor`", "did you mean `score`?"),
            ("score > 0.5 && area > 3", "`&` means nothing", "write `and`"),
            ("score = 1", "`=` means nothing", "write `==`"),
            ("score", "this is a number, not a condition", "compare it"),
            ("score > 'a'", "`>` does not go between a number and a text", ""),
            ("class < 'b'", "`<` does not go between a text and a text", ""),
            ("score > ", "something is missing at the end", ""),
            ("> 1", "something is missing before `>`", ""),
            ("(score > 1", "`)` is missing", ""),
            ("score > 1)", "`)` is one too many", ""),
            ("class in [1]", "a list holds texts", ""),
            ("class == 'a", "no closing '", ""),
            ("score > 1.2.3", "`1.2.3` is no number", ""),
            ("score and area", "`and` takes a condition, not a number", ""),
            ("1 < score < 2", "`<` is one too many", ""),
            ("", "something is missing at the end", ""),
        ] {
            let (message, found) = Condition::parse(text, &fields()).unwrap_err();
            assert!(message.contains(said), "{text}: {message}");
            assert!(found.unwrap_or_default().contains(hint), "{text}");
        }
        assert!(Condition::parse(&"(".repeat(100_000), &fields()).is_err());
        assert!(Condition::parse(&"not ".repeat(100_000), &fields()).is_err());
        assert!(Condition::parse(&"-".repeat(100_000), &fields()).is_err());
        let long = ["score > 1"; 100_000].join(" and ");
        assert!(Condition::parse(&long, &fields()).unwrap_err().0.contains("too long"));
    }
}
