//! What leaves for the world on behalf of handlers: mail and HTTP requests, guarded.
//!
//! **Every connection is made to an address that was looked at.** A name is resolved here, each of its addresses is
//! held against the table in [`domain::Guard`], and the connection goes to one that passed: a name that answers differently the
//! second time changes nothing. No redirects, no proxies from the environment, no answer beyond its size and time.
//!
//! This crate knows neither Lua nor queues, and it reads no environment.

mod fetch;
mod mail;
mod resolve;
mod smtp;
mod trust;

pub use domain::{Forbidden, Guard};
pub use fetch::{FetchError, FetchPolicy, FetchRequest, FetchResponse, Fetcher};
pub use mail::{Mail, MailError};
pub use resolve::ResolveError;
pub use smtp::{Mailer, SmtpConfigError};
pub use trust::{Trust, TrustError};
