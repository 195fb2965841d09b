use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use domain::Guard;
use lettre::message::Mailbox;
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::Tls;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use percent_encoding::percent_decode_str;
use tokio::sync::Mutex;
use url::{Host, Url};

use crate::mail::mailbox;
use crate::resolve::{Lookup, resolve, system_lookup};
use crate::{Mail, MailError, Trust};

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// One answer of the server may take this long.
const ANSWER: Duration = Duration::from_secs(8);

/// A whole mail may take this long.
const WHOLE: Duration = Duration::from_secs(20);

/// Lambda freezes a process after each answer: an older connection is likely dead.
const IDLE: Duration = Duration::from_secs(15);

/// The mailer's settings are no settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SmtpConfigError {
    /// The URL. It is not repeated here: a password may stand in it.
    #[error(
        "SMTP_URL is wrong: {0}. It looks like smtps://USER:PASSWORD@mail.example.com, or smtp://HOST:587 (STARTTLS)"
    )]
    Url(&'static str),
    /// The sender.
    #[error("MAIL_FROM is wrong: {0}")]
    From(String),
}

/// Sends mail through one SMTP server.
#[derive(Clone)]
pub struct Mailer(Arc<Server>);

struct Server {
    host: Host<String>,
    port: u16,
    tls: Tls,
    credentials: Option<Credentials>,
    default_from: Mailbox,
    guard: Guard,
    lookup: Lookup,
    /// Connections to the address the name had last.
    transport: Mutex<Option<(SocketAddr, Transport)>>,
}

impl Mailer {
    /// A mailer through `smtp_url`, in the name of `default_from` where a mail names no sender.
    ///
    /// `smtps://` is TLS from the first byte (port 465). `smtp://` (port 587) insists on STARTTLS, except to loopback and with
    /// `?tls=none`; a password is never sent in the clear to another machine. The server is the operator's choice, so private addresses are
    /// allowed; loopback only where `allow_loopback` says so.
    pub fn new(smtp_url: &str, default_from: &str, allow_loopback: bool) -> Result<Mailer, SmtpConfigError> {
        Mailer::trusting(&Trust::default(), smtp_url, default_from, allow_loopback)
    }

    /// As [`Mailer::new`], for a server whose certificate one of these authorities has signed.
    pub fn trusting(
        trust: &Trust,
        smtp_url: &str,
        default_from: &str,
        allow_loopback: bool,
    ) -> Result<Mailer, SmtpConfigError> {
        let url = Url::parse(smtp_url).map_err(|_| SmtpConfigError::Url("it is not a URL"))?;
        // For a scheme it does not know the URL crate keeps a host as it stands, so it is read again.
        let host =
            url.host_str().filter(|host| !host.is_empty()).ok_or(SmtpConfigError::Url("it has no host"))?;
        let host = Host::parse(host).map_err(|_| SmtpConfigError::Url("its host is none"))?;
        let loopback = match &host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        let wish = url.query_pairs().find(|(key, _)| key == "tls").map(|(_, value)| value.into_owned());
        // As it stands in a certificate: an IPv6 address has its brackets in URLs only.
        let name = match &host {
            Host::Ipv6(address) => address.to_string(),
            host => host.to_string(),
        };
        let parameters = || {
            trust
                .for_mail(name)
                .map_err(|_| SmtpConfigError::Url("its host is no name for a TLS certificate"))
        };
        let (port, tls) = match (url.scheme(), wish.as_deref()) {
            ("smtps", None) => (465, Tls::Wrapper(parameters()?)),
            ("smtp", Some("none")) => (587, Tls::None),
            ("smtp", None) if loopback => (587, Tls::None),
            ("smtp", None | Some("required")) => (587, Tls::Required(parameters()?)),
            ("smtp" | "smtps", Some(_)) => {
                return Err(SmtpConfigError::Url("tls is 'none' or 'required', with smtp:// only"));
            }
            _ => return Err(SmtpConfigError::Url("it must begin with smtp:// or smtps://")),
        };
        let credentials = credentials(&url)?;
        if credentials.is_some() && matches!(tls, Tls::None) && !loopback {
            return Err(SmtpConfigError::Url("a password must not travel without TLS"));
        }
        let default_from =
            mailbox("from", default_from).map_err(|error| SmtpConfigError::From(error.to_string()))?;
        Ok(Mailer(Arc::new(Server {
            port: url.port().unwrap_or(port),
            host,
            tls,
            credentials,
            default_from,
            guard: Guard::operator().with_loopback(allow_loopback),
            lookup: system_lookup(),
            transport: Mutex::new(None),
        })))
    }

    /// Sends one mail and gives its `Message-ID`. `Ok` means: the server has taken it for every recipient.
    pub async fn send(&self, mail: Mail) -> Result<String, MailError> {
        let (message, id) = mail.build(&self.0.default_from)?;
        let sent = async {
            let transport = self.0.transport().await?;
            transport.send(message).await.map_err(|error| {
                if error.is_permanent() { MailError::Refused(error) } else { MailError::Unavailable(error) }
            })
        };
        tokio::time::timeout(WHOLE, sent).await.map_err(|_| MailError::Timeout)??;
        Ok(id)
    }
}

impl Server {
    /// Connections to an address that passed the guard just now.
    async fn transport(&self) -> Result<Transport, MailError> {
        let host = match &self.host {
            Host::Domain(name) => Host::Domain(name.as_str()),
            Host::Ipv4(address) => Host::Ipv4(*address),
            Host::Ipv6(address) => Host::Ipv6(*address),
        };
        let found =
            resolve(&self.lookup, &self.guard, &host, self.port).await.map_err(MailError::Unresolved)?;
        let mut kept = self.transport.lock().await;
        // A pool stays in use while the name still has its address, whatever the order of the answer.
        if let Some((address, transport)) = kept.as_ref()
            && found.contains(address)
        {
            return Ok(transport.clone());
        }
        let address = found[0];
        let transport = self.connect_to(address);
        *kept = Some((address, transport.clone()));
        Ok(transport)
    }

    fn connect_to(&self, address: SocketAddr) -> Transport {
        // The address is given, not the name: nothing is resolved again behind the guard's back. TLS checks the name.
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string())
            .port(address.port())
            .tls(self.tls.clone())
            .timeout(Some(ANSWER))
            .pool_config(PoolConfig::new().max_size(10).idle_timeout(IDLE));
        if let Some(credentials) = &self.credentials {
            builder = builder.credentials(credentials.clone());
        }
        builder.build()
    }
}

fn credentials(url: &Url) -> Result<Option<Credentials>, SmtpConfigError> {
    let decode = |text: &str| {
        let text = percent_decode_str(text).decode_utf8();
        text.map(|text| text.into_owned())
            .map_err(|_| SmtpConfigError::Url("its user name or password is not UTF-8"))
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        (user, Some(password)) => Ok(Some(Credentials::new(decode(user)?, decode(password)?))),
        (_, None) => Err(SmtpConfigError::Url("it has a user name without a password")),
    }
}

#[cfg(test)]
mod tests;
