//! Foreign words in our messages: made one line, of bounded length, without control characters.

/// Longest foreign text that goes into a message, in bytes.
const BYTES: usize = 600;

/// One line for an error or a log: line breaks and control characters become spaces, a long text is cut.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(BYTES));
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > BYTES {
            cut(&mut line, BYTES);
            line.push('…');
            break;
        }
    }
    line
}

/// Cuts at the last character border within `bytes`.
pub(crate) fn cut(text: &mut String, bytes: usize) {
    text.truncate(text.floor_char_boundary(bytes));
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn one_line_is_one_line() {
        assert_eq!(one_line(" a\n\tb\u{1b}[31m c\r\n"), "a b [31m c");
        let long = one_line(&"ä".repeat(1000));
        assert!(long.len() <= 605 && long.ends_with('…'));
    }
}
