//! Kinds of tokens.

/// What a token is. Signs that no rule tells apart share a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Name,
    Number,
    /// A string; the token ends behind its opening quotes.
    Text,
    /// The end of a logical line.
    Newline,
    /// The end of the file.
    End,
    // Words.
    And,
    As,
    Assert,
    Async,
    Await,
    Class,
    /// `True`, `False`, `None`, `...`
    Constant,
    Def,
    Del,
    Elif,
    Else,
    Except,
    Finally,
    For,
    From,
    If,
    Import,
    In,
    Is,
    Lambda,
    /// `pass`, `break`, `continue`
    Lone,
    Not,
    Or,
    Raise,
    Return,
    /// `global`, `nonlocal`
    Scope,
    Try,
    While,
    With,
    Yield,
    // Signs.
    Open,
    Close,
    OpenList,
    CloseList,
    OpenSet,
    CloseSet,
    Comma,
    Colon,
    Semicolon,
    Dot,
    Assign,
    Walrus,
    Star,
    DoubleStar,
    Slash,
    /// `+`, `-`
    Sign,
    Tilde,
    At,
    /// Other operators between values.
    Binary,
    Compare,
    Augmented,
    Arrow,
    Bang,
}

/// The kind of a word.
pub(super) fn kind_of(word: &[u8]) -> Kind {
    match word {
        b"and" => Kind::And,
        b"as" => Kind::As,
        b"assert" => Kind::Assert,
        b"async" => Kind::Async,
        b"await" => Kind::Await,
        b"break" | b"continue" | b"pass" => Kind::Lone,
        b"class" => Kind::Class,
        b"def" => Kind::Def,
        b"del" => Kind::Del,
        b"elif" => Kind::Elif,
        b"else" => Kind::Else,
        b"except" => Kind::Except,
        b"False" | b"None" | b"True" => Kind::Constant,
        b"finally" => Kind::Finally,
        b"for" => Kind::For,
        b"from" => Kind::From,
        b"global" | b"nonlocal" => Kind::Scope,
        b"if" => Kind::If,
        b"import" => Kind::Import,
        b"in" => Kind::In,
        b"is" => Kind::Is,
        b"lambda" => Kind::Lambda,
        b"not" => Kind::Not,
        b"or" => Kind::Or,
        b"raise" => Kind::Raise,
        b"return" => Kind::Return,
        b"try" => Kind::Try,
        b"while" => Kind::While,
        b"with" => Kind::With,
        b"yield" => Kind::Yield,
        _ => Kind::Name,
    }
}
