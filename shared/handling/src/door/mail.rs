use egress::{Mail, MailError, Mailer};
use lua_host::HostError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{bug, expected, outage, told};

/// What `mail.send` is called with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Send {
    from: Option<String>,
    to: Addresses,
    #[serde(default)]
    cc: Addresses,
    #[serde(default)]
    bcc: Addresses,
    subject: String,
    text: Option<String>,
    html: Option<String>,
    reply_to: Option<String>,
}

/// One address or a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Addresses {
    One(String),
    Many(Vec<String>),
}

impl Default for Addresses {
    fn default() -> Addresses {
        Addresses::Many(Vec::new())
    }
}

impl From<Addresses> for Vec<String> {
    fn from(addresses: Addresses) -> Vec<String> {
        match addresses {
            Addresses::One(address) => vec![address],
            Addresses::Many(addresses) => addresses,
        }
    }
}

/// Sends a mail and answers `{ id }`, its Message-ID.
///
/// `nil, err` for an address that is none and a mail the server refuses for good; thrown, as retryable, when the server is
/// away or says 'later'.
pub(super) async fn send(mailer: Option<&Mailer>, call: Send, id: String) -> Result<Value, HostError> {
    let mailer = mailer
        .ok_or_else(|| bug("not-configured", "no mail server is configured (SMTP_URL and MAIL_FROM)"))?;
    let mail = Mail {
        id: Some(id),
        from: call.from,
        to: call.to.into(),
        cc: call.cc.into(),
        bcc: call.bcc.into(),
        reply_to: call.reply_to,
        subject: call.subject,
        text: call.text,
        html: call.html,
    };
    match mailer.send(mail).await {
        Ok(id) => Ok(json!({ "id": id })),
        Err(error @ MailError::Invalid { .. }) => Err(expected("invalid-mail", error.to_string())),
        Err(error @ MailError::Refused(_)) => Err(expected("mail-refused", told(&error))),
        Err(error) => Err(outage("mail-unavailable", told(&error))),
    }
}
