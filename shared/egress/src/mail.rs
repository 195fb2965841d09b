use lettre::Message;
use lettre::message::{Mailbox, MultiPart, SinglePart, header};

use crate::ResolveError;

/// A mail goes to at most this many addresses, copies included.
const MAX_RECIPIENTS: usize = 50;

/// A subject has at most this many bytes.
const MAX_SUBJECT_BYTES: usize = 900;

/// Texts together have at most this many bytes.
const MAX_TEXT_BYTES: usize = 1 << 20;

/// One mail. Addresses are `ana@example.com` or `Ana <ana@example.com>`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mail {
    /// What the `Message-ID` begins with, so that a mail sent twice can be known as one; `None` = a random one.
    pub id: Option<String>,
    /// The sender; `None` = the mailer's own.
    pub from: Option<String>,
    /// Recipients.
    pub to: Vec<String>,
    /// Recipients of a copy.
    pub cc: Vec<String>,
    /// Recipients that the others do not see.
    pub bcc: Vec<String>,
    /// Where answers go.
    pub reply_to: Option<String>,
    /// The subject.
    pub subject: String,
    /// The text, plain.
    pub text: Option<String>,
    /// The text as HTML; both may be given.
    pub html: Option<String>,
}

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The mail itself cannot be sent, ever.
    #[error("{field}: {why}")]
    Invalid {
        /// Which part of it.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The mail server said no, for good (5xx): a mailbox that does not exist, say.
    #[error("the mail server refused the mail: {0}")]
    Refused(#[source] lettre::transport::smtp::Error),
    /// The mail server's address was not found, or may not be connected to.
    #[error("the mail server's address was not found")]
    Unresolved(#[source] ResolveError),
    /// The mail server did not answer, or said 'later' (4xx). The mail may have been sent.
    #[error("the mail server did not take the mail")]
    Unavailable(#[source] lettre::transport::smtp::Error),
    /// The mail server took too long. The mail may have been sent.
    #[error("the mail server did not answer in time")]
    Timeout,
}

impl MailError {
    /// Whether the same mail may be sent later.
    pub fn is_retryable(&self) -> bool {
        !matches!(self, MailError::Invalid { .. } | MailError::Refused(_))
    }
}

impl Mail {
    /// The message to send and its `Message-ID`; nothing in it can begin a header of its own.
    pub(crate) fn build(self, default_from: &Mailbox) -> Result<(Message, String), MailError> {
        let from = match &self.from {
            Some(from) => mailbox("from", from)?,
            None => default_from.clone(),
        };
        let subject = one_line("subject", &self.subject)?;
        if subject.len() > MAX_SUBJECT_BYTES {
            return Err(invalid("subject", format!("it has more than {MAX_SUBJECT_BYTES} bytes")));
        }
        let recipients = self.to.len() + self.cc.len() + self.bcc.len();
        if self.to.is_empty() {
            return Err(invalid("to", "a mail needs a recipient"));
        }
        if recipients > MAX_RECIPIENTS {
            return Err(invalid(
                "to",
                format!("a mail goes to at most {MAX_RECIPIENTS} addresses, not {recipients}"),
            ));
        }
        let texts = [&self.text, &self.html].into_iter().flatten().map(String::len).sum::<usize>();
        if texts > MAX_TEXT_BYTES {
            return Err(invalid("text", format!("the texts have more than {MAX_TEXT_BYTES} bytes together")));
        }
        let id = match &self.id {
            Some(id) => Some(format!("<{}@{}>", atom(id), from.email.domain())),
            None => None,
        };
        let mut message = Message::builder().from(from).subject(subject).message_id(id);
        for to in &self.to {
            message = message.to(mailbox("to", to)?);
        }
        for cc in &self.cc {
            message = message.cc(mailbox("cc", cc)?);
        }
        for bcc in &self.bcc {
            message = message.bcc(mailbox("bcc", bcc)?);
        }
        if let Some(reply_to) = &self.reply_to {
            message = message.reply_to(mailbox("reply_to", reply_to)?);
        }
        let built = match (self.text, self.html) {
            (Some(text), Some(html)) => message.multipart(MultiPart::alternative_plain_html(text, html)),
            (None, Some(html)) => message.singlepart(SinglePart::html(html)),
            (Some(text), None) => message.singlepart(SinglePart::plain(text)),
            (None, None) => return Err(invalid("text", "a mail needs a text, or html")),
        };
        let built = built.map_err(|error| invalid("mail", error.to_string()))?;
        let id =
            built.headers().get::<header::MessageId>().map(|id| id.as_ref().to_owned()).unwrap_or_default();
        Ok((built, id))
    }
}

/// An address without line breaks or other control characters, whatever the mail library would make of them.
pub(crate) fn mailbox(field: &'static str, text: &str) -> Result<Mailbox, MailError> {
    let line = one_line(field, text)?;
    let shown: String = line.chars().take(80).collect();
    line.parse().map_err(|error| invalid(field, format!("'{shown}' is not a mail address ({error})")))
}

fn one_line<'t>(field: &'static str, text: &'t str) -> Result<&'t str, MailError> {
    if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(invalid(
            field,
            "it has a line break or another control character, which no mail header carries",
        ));
    }
    Ok(text)
}

/// What may stand left of the @ in a `Message-ID`.
fn atom(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_') { c } else { '-' })
        .take(120)
        .collect()
}

fn invalid(field: &'static str, why: impl Into<String>) -> MailError {
    MailError::Invalid { field, why: why.into() }
}
