//! One client's conversation.

use std::io;
use std::net::IpAddr;
use std::path::Path;

use jiff::Timestamp;
use mailin::{Action, Handler, Response, SessionBuilder, response};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::Limits;
use super::letter::Letter;

/// A client that makes this many mistakes is no mail client.
const MAX_FAULTS: u32 = 10;

/// Replies to a whole mail that was not taken.
const MAIL_TOO_LARGE: u16 = 552;
const NOT_WRITTEN: u16 = 451;

/// Talks until the client leaves, breaks a limit or falls silent.
pub(super) async fn talk(stream: TcpStream, peer: IpAddr, folder: &Path, limits: Limits) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let handler = Desk { folder, limits, letter: Letter::default(), too_large: false };
    let mut session = SessionBuilder::new("queuelink").build(peer, handler);
    send(&mut writer, &session.greeting()).await?;
    let mut line = Vec::new();
    let mut faults = 0;
    loop {
        line.clear();
        // A byte more than allowed tells a line that is too long from one that just fits.
        let mut bounded = (&mut reader).take(limits.line_bytes as u64 + 1);
        let read = tokio::time::timeout(limits.silence, bounded.read_until(b'\n', &mut line)).await;
        if read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? == 0 {
            return Ok(());
        }
        if line.len() > limits.line_bytes || is_http(&line) {
            return send(
                &mut writer,
                &Response::custom(421, "This is a mail server; that line is not for it".to_owned()),
            )
            .await;
        }
        let reply = session.process(&line);
        match reply.action {
            Action::NoReply => continue,
            Action::Reply => send(&mut writer, &reply).await?,
            Action::Close | Action::UpgradeTls => return send(&mut writer, &reply).await,
        }
        faults += u32::from(reply.is_error);
        // The state machine would take all that follows a refused mail for more of its text.
        if faults > MAX_FAULTS || [MAIL_TOO_LARGE, NOT_WRITTEN].contains(&reply.code) {
            return Ok(());
        }
    }
}

async fn send(writer: &mut (impl AsyncWriteExt + Unpin), reply: &Response) -> io::Result<()> {
    writer.write_all(&reply.buffer()?).await
}

/// A web page can make a browser post text to any port; the lines after its HTTP head must not become mail.
fn is_http(line: &[u8]) -> bool {
    [&b"GET "[..], b"POST ", b"PUT ", b"OPTIONS ", b"HEAD "].iter().any(|verb| line.starts_with(verb))
        && line.windows(6).any(|part| part == b" HTTP/")
}

/// Takes mail for everyone.
struct Desk<'f> {
    folder: &'f Path,
    limits: Limits,
    letter: Letter,
    too_large: bool,
}

impl Handler for Desk<'_> {
    fn mail(&mut self, _: IpAddr, _: &str, from: &str) -> Response {
        self.letter = Letter { from: from.to_owned(), ..Letter::default() };
        self.too_large = false;
        response::OK
    }

    fn rcpt(&mut self, to: &str) -> Response {
        if self.letter.to.len() >= self.limits.recipients {
            return Response::custom(
                452,
                format!("A mail has at most {} recipients", self.limits.recipients),
            );
        }
        self.letter.to.push(to.to_owned());
        response::OK
    }

    fn data(&mut self, line: &[u8]) -> io::Result<()> {
        // What is too large is read to its end, then refused: SMTP has no word in between.
        self.too_large |= self.letter.text.len() + line.len() > self.limits.mail_bytes;
        if !self.too_large {
            self.letter.text.extend_from_slice(line);
        }
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        let letter = std::mem::take(&mut self.letter);
        if self.too_large {
            return Response::custom(
                MAIL_TOO_LARGE,
                format!("A mail has at most {} bytes", self.limits.mail_bytes),
            );
        }
        // A write to the page cache, without waiting for the disk: short enough for an async thread.
        match letter.put(self.folder, Timestamp::now()) {
            Ok(file) => {
                tracing::info!(mail.file = %file.display(), "a mail arrived");
                response::OK
            }
            Err(error) => {
                tracing::error!(%error, mailbox.folder = %self.folder.display(), "a mail could not be written");
                Response::custom(NOT_WRITTEN, "The mail could not be written".to_owned())
            }
        }
    }
}
