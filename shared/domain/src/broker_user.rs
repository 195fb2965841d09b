use percent_encoding::percent_decode_str;

use crate::{Credentials, Fault, RabbitMqBroker, Secret};

impl RabbitMqBroker {
    /// Reads an operator's own `amqp[s]://USER:PASSWORD@HOST[:PORT][/VHOST]`, user and password percent-encoded: the broker, and who
    /// we are there.
    ///
    /// # Errors
    /// The fault's path is `url`. It quotes nothing of the text.
    pub fn with_user(text: &str) -> Result<(RabbitMqBroker, Credentials), Fault> {
        let fault = || {
            let message = "this is not amqps://USER:PASSWORD@HOST[:PORT][/VHOST]; in user and password '/' is %2F and '@' %40";
            Fault::new("url", "amqp-url", message)
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(fault)?;
        let authority = rest.split('/').next().unwrap_or_default();
        let (user, _) = authority.rsplit_once('@').ok_or_else(fault)?;
        let (username, password) = user.split_once(':').ok_or_else(fault)?;
        let decoded = |text: &str| {
            let text = percent_decode_str(text).decode_utf8().ok().filter(|text| !text.is_empty());
            text.map(Secret::new).ok_or_else(fault)
        };
        let credentials = Credentials { username: decoded(username)?, password: decoded(password)? };
        let broker = RabbitMqBroker::from_url(&format!("{scheme}://{}", &rest[user.len() + 1..]))?;
        Ok((broker, credentials))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_taken_out_of_an_operators_url() {
        let check = |text: &str, expect: Option<(&str, &str, &str)>| {
            let read = RabbitMqBroker::with_user(text);
            let found = read.as_ref().ok().map(|(broker, user)| {
                (user.username.expose().to_owned(), user.password.expose().to_owned(), broker.url())
            });
            let expect = expect.map(|(user, password, url)| (user.into(), password.into(), url.into()));
            assert_eq!(found, expect, "{text}");
            let quoted = read.err().is_some_and(|fault| fault.message.contains("s3cret"));
            assert!(!quoted, "{text}");
        };
        check("amqp://ada:s3cret@h", Some(("ada", "s3cret", "amqp://h")));
        check("amqps://a%40b:s%2F3:c@[::1]:1/v%2Fw", Some(("a@b", "s/3:c", "amqps://[::1]:1/v%2Fw")));
        check("amqp://ada:s3@cret@h:5672/", Some(("ada", "s3@cret", "amqp://h")));
        for text in [
            "",
            "h",
            "amqp://h",
            "amqp://s3cret@h",
            "amqp://ada:@h",
            "amqp://:s3cret@h",
            "amqp://ada:s3cret@",
            "amqp://ada:s3cret@h:0",
            "http://ada:s3cret@h",
            "amqp://ada:s3cret/@h",
            "amqp://ada:%ff@h",
            "amqp://ada:s3cret@h?heartbeat=1",
        ] {
            check(text, None);
        }
    }
}
