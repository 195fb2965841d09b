//! What a handler says, the newest of it.

use std::collections::VecDeque;

use crate::LogLine;

/// What a line costs beside its text.
const LINE_BYTES: usize = 16;

/// Keeps the newest lines within a size, so that a flood of output costs no more than that.
pub(super) struct LogTail {
    lines: VecDeque<(LogLine, usize)>,
    bytes: usize,
    max_bytes: usize,
    truncated: bool,
}

impl LogTail {
    pub(super) fn new(max_bytes: usize) -> LogTail {
        LogTail { lines: VecDeque::new(), bytes: 0, max_bytes, truncated: false }
    }

    /// Adds a line whose fields make a text of so many bytes.
    pub(super) fn push(&mut self, mut line: LogLine, fields_bytes: usize) {
        if line.message.len() > self.max_bytes {
            let end = line.message.floor_char_boundary(self.max_bytes);
            line.message.truncate(end);
            self.truncated = true;
        }
        let bytes = line.message.len() + fields_bytes + LINE_BYTES;
        self.bytes += bytes;
        self.lines.push_back((line, bytes));
        while self.bytes > self.max_bytes && self.lines.len() > 1 {
            if let Some((_, dropped)) = self.lines.pop_front() {
                self.bytes -= dropped;
                self.truncated = true;
            }
        }
    }

    /// The lines, and whether some are missing.
    pub(super) fn into_lines(self) -> (Vec<LogLine>, bool) {
        (self.lines.into_iter().map(|(line, _)| line).collect(), self.truncated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogLevel;

    #[test]
    fn only_the_newest_lines_are_kept() {
        let mut tail = LogTail::new(100);
        for at in 0..50 {
            tail.push(LogLine { level: LogLevel::Info, message: format!("line {at}"), fields: None }, 0);
        }
        let (lines, truncated) = tail.into_lines();
        let messages: Vec<_> = lines.iter().map(|line| line.message.as_str()).collect();
        assert_eq!(messages, ["line 46", "line 47", "line 48", "line 49"]);
        assert!(truncated);
    }

    #[test]
    fn a_line_longer_than_all_is_cut_between_characters() {
        let mut tail = LogTail::new(5);
        tail.push(LogLine { level: LogLevel::Warn, message: "ééé".into(), fields: None }, 0);
        let (lines, truncated) = tail.into_lines();
        assert_eq!(lines[0].message, "éé");
        assert!(truncated);
    }
}
