//! Where brokers are, as people write it: `host:port, ...` for Kafka, a URL for RabbitMQ. Read into one form, in which it is kept
//! and shown.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::{Host, Url};

use crate::{Fault, Forbidden, Guard, KafkaCluster, RabbitMqBroker};

/// A bootstrap list has at most so many addresses: three are the rule.
const MAX_ADDRESSES: usize = 32;

/// What may be asked for by one text, bytes.
const MAX_URL_BYTES: usize = 2048;

/// The ports that AMQP has with TLS and without.
const AMQPS_PORT: u16 = 5671;
const AMQP_PORT: u16 = 5672;

/// A virtual host's name has at most so many bytes.
const MAX_VHOST_BYTES: usize = 255;

/// What a virtual host's name keeps in a URL as it is.
const PLAIN_IN_VHOST: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A name or an address, and a port. However an IPv4 address was spelt (`127.1`, `0x7f000001`), it is known for what it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BrokerAddress {
    host: Host<String>,
    port: u16,
}

impl BrokerAddress {
    /// A host, an IPv6 address with its brackets, and its port.
    fn new(host: &str, port: u16) -> Option<BrokerAddress> {
        let host = Host::parse(host).ok()?;
        let is_one = match &host {
            Host::Domain(name) => is_name(name),
            Host::Ipv4(_) | Host::Ipv6(_) => true,
        };
        (is_one && port > 0).then_some(BrokerAddress { host, port })
    }

    /// Reads `host:port`.
    fn parse(text: &str) -> Option<BrokerAddress> {
        let (host, port) = text.rsplit_once(':')?;
        let digits = (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
        BrokerAddress::new(host, port.parse().ok().filter(|_| digits)?)
    }

    /// The host as a resolver takes it: an IPv6 address without brackets.
    pub fn host(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What can be said before a name is resolved: an address is held against `guard`, and `localhost` with all beneath it counts as
    /// this machine. Any other name passes, so its addresses must be looked at once they are known.
    ///
    /// # Errors
    /// [`Forbidden`].
    pub fn check(&self, guard: &Guard) -> Result<(), Forbidden> {
        let address: IpAddr = match &self.host {
            Host::Ipv4(address) => (*address).into(),
            Host::Ipv6(address) => (*address).into(),
            Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                if name != "localhost" && !name.ends_with(".localhost") {
                    return Ok(());
                }
                Ipv4Addr::LOCALHOST.into()
            }
        };
        guard.check(SocketAddr::new(address, self.port))
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Whether it is a name that a resolver may know; underscores are seen in container networks.
fn is_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(legal);
    name.len() <= 253 && name.strip_suffix('.').unwrap_or(name).split('.').all(is_label)
}

impl KafkaCluster {
    /// Reads `host:port`, several separated by commas. Joined by commas again, they are its [`KafkaCluster::bootstrap`].
    ///
    /// # Errors
    /// The fault's path is `url`; it quotes nothing of a text in which a password may stand.
    pub fn addresses(url: &str) -> Result<Vec<BrokerAddress>, Fault> {
        if url.contains('@') {
            return Err(user_in_url());
        }
        let fault = |which: &str| {
            let message = format!(
                "{which} is not HOST:PORT. The url of a Kafka cluster is broker-1.example.com:9092, with no protocol \
                 before it; several brokers are separated by commas"
            );
            Fault::new("url", "bootstrap", message)
        };
        let parts: Vec<&str> = url.split(',').map(str::trim).collect();
        if url.len() > MAX_URL_BYTES || parts.len() > MAX_ADDRESSES {
            let message =
                format!("{MAX_ADDRESSES} brokers and {MAX_URL_BYTES} bytes at most; three brokers do");
            return Err(Fault::new("url", "too-long", message));
        }
        let read = |(at, part): (usize, &&str)| {
            BrokerAddress::parse(part).ok_or_else(|| match parts.len() {
                1 => fault("this"),
                all => fault(&format!("broker {} of {all}", at + 1)),
            })
        };
        parts.iter().enumerate().map(read).collect()
    }
}

impl RabbitMqBroker {
    /// Reads `amqp[s]://HOST[:PORT][/VHOST]`. A virtual host is percent-encoded; without one it is `/`.
    ///
    /// # Errors
    /// The fault's path is `url`. It quotes nothing of the text, in which a password may stand; a user in it is a fault of its own.
    pub fn from_url(text: &str) -> Result<RabbitMqBroker, Fault> {
        let fault = |why: &str| {
            let message = format!("{why}. The url of a RabbitMQ broker is amqps://HOST[:PORT][/VHOST]");
            Fault::new("url", "amqp-url", message)
        };
        if text.len() > MAX_URL_BYTES {
            return Err(fault("this is too long"));
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(fault("there is a space or an invisible character in it"));
        }
        let url = Url::parse(text).map_err(|_said_in_words_of_ours| fault("this is no URL"))?;
        if text.contains('@') && (!url.username().is_empty() || url.password().is_some()) {
            return Err(user_in_url());
        }
        let (tls, usual) = match url.scheme() {
            "amqps" => (true, AMQPS_PORT),
            "amqp" => (false, AMQP_PORT),
            _ => return Err(fault("it begins with amqps:// or amqp://")),
        };
        if url.query().is_some() || url.fragment().is_some() {
            return Err(fault(
                "nothing follows the virtual host: leave out '?' and '#' and what is behind them",
            ));
        }
        let host = url.host_str().ok_or_else(|| fault("it names no host"))?;
        let address = BrokerAddress::new(host, url.port().unwrap_or(usual));
        let address = address.ok_or_else(|| fault("its host or its port cannot be one"))?;
        // Taken from the text, for a URL's own rules would take '..' away.
        let after_host = text.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
        let vhost = match after_host.map(|(_, path)| path) {
            None | Some("") => "/".to_owned(),
            Some(path) => vhost(path).ok_or_else(|| {
                fault("the virtual host is one name of at most 255 bytes, percent-encoded: '/' in it is %2F")
            })?,
        };
        Ok(RabbitMqBroker { host: address.host(), port: address.port, tls, vhost })
    }

    /// The URL that names it, without a user; the usual port and the virtual host `/` are left out.
    pub fn url(&self) -> String {
        let (scheme, usual) = if self.tls { ("amqps", AMQPS_PORT) } else { ("amqp", AMQP_PORT) };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let port = if self.port == usual { String::new() } else { format!(":{}", self.port) };
        let vhost = match self.vhost.as_str() {
            "/" => String::new(),
            vhost => format!("/{}", utf8_percent_encode(vhost, &PLAIN_IN_VHOST)),
        };
        format!("{scheme}://{host}{port}{vhost}")
    }

    /// Its address, if it can be one.
    pub fn address(&self) -> Option<BrokerAddress> {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        BrokerAddress::new(&host, self.port)
    }
}

/// Reads the name of a virtual host behind the first `/` of a URL's path.
fn vhost(path: &str) -> Option<String> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let fits = !path.contains('/')
        && decoded.len() <= MAX_VHOST_BYTES
        && !decoded.contains(char::is_control)
        && decoded != "."
        && decoded != "..";
    fits.then(|| decoded.into_owned())
}

fn user_in_url() -> Fault {
    let message = "leave user name and password out of the url: say them as 'username' and 'password', which are kept sealed";
    Fault::new("url", "user-in-url", message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use proptest::prelude::*;

    use super::*;

    fn joined(addresses: &[BrokerAddress]) -> String {
        addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn a_bootstrap_list_is_brought_into_one_form() {
        let check = |text: &str, expect: Result<&str, &str>| {
            let read = KafkaCluster::addresses(text);
            assert_eq!(read.as_deref().map(joined).map_err(|f| f.code), expect.map(str::to_owned), "{text}");
        };
        check("broker:9092", Ok("broker:9092"));
        check(
            " B-1.example.COM:9092 , b_2.example.com.:65535",
            Ok("b-1.example.com:9092,b_2.example.com.:65535"),
        );
        check("[::1]:9092,[2001:DB8::0:1]:1", Ok("[::1]:9092,[2001:db8::1]:1"));
        check("127.1:9092", Ok("127.0.0.1:9092"));
        check("0x7f000001:9092", Ok("127.0.0.1:9092"));
        check("2130706433:9092", Ok("127.0.0.1:9092"));
        check("127.0.0.%31:9092", Ok("127.0.0.1:9092"));
        check("bücher.example:1", Ok("xn--bcher-kva.example:1"));
        for text in [
            "",
            ",",
            "host",
            "host:",
            ":9092",
            "host:0",
            "host:70000",
            "host:+1",
            "host:00009092",
            "host:9092,",
            "PLAINTEXT://h:1",
            "h:1/x",
            "h h:1",
            "[x]:1",
            "::1:9092",
            "a..b:1",
            "1.2.3.4.5:1",
            "h?x:1",
            "h#x:1",
            "\0:1",
        ] {
            check(text, Err("bootstrap"));
        }
        check("no-punycode.xn--:1", Err("bootstrap"));
        check("ada:s3cret@host:9092", Err("user-in-url"));
        check(&"h:1,".repeat(40), Err("too-long"));
        check(&"h".repeat(3000), Err("too-long"));
    }

    #[test]
    fn a_url_of_a_broker_is_brought_into_one_form() {
        let check = |text: &str, expect: Result<(&str, u16, bool, &str, &str), &str>| {
            let read = RabbitMqBroker::from_url(text);
            let told = read.as_ref().map(RabbitMqBroker::url);
            let found = match (&read, &told) {
                (Ok(b), Ok(url)) => Ok((b.host.as_str(), b.port, b.tls, b.vhost.as_str(), url.as_str())),
                (read, _) => Err(read.as_ref().unwrap_err().code),
            };
            assert_eq!(found, expect, "{text}");
        };
        check("amqps://b.example.com", Ok(("b.example.com", 5671, true, "/", "amqps://b.example.com")));
        check("AMQP://B.example.com:5672/", Ok(("b.example.com", 5672, false, "/", "amqp://b.example.com")));
        check("amqp://h:5671/%2F", Ok(("h", 5671, false, "/", "amqp://h:5671")));
        check("amqps://h/shop", Ok(("h", 5671, true, "shop", "amqps://h/shop")));
        check("amqps://h/a%2fb%20%C3%A9", Ok(("h", 5671, true, "a/b é", "amqps://h/a%2Fb%20%C3%A9")));
        check("amqps://h/é", Ok(("h", 5671, true, "é", "amqps://h/%C3%A9")));
        check("amqp://[::1]:1", Ok(("::1", 1, false, "/", "amqp://[::1]:1")));
        check("amqp://127.1", Ok(("127.0.0.1", 5672, false, "/", "amqp://127.0.0.1")));
        check("amqp://ada:s3cret@h", Err("user-in-url"));
        check("amqp://ada@h", Err("user-in-url"));
        check("amqp://:s3cret@h", Err("user-in-url"));
        for text in [
            "",
            "h",
            "h:5672",
            "amqp:",
            "amqp:h",
            "amqp://",
            "amqp:///v",
            "http://h",
            "kafka://h:1",
            "amqp://h:0",
            "amqp://h:70000",
            "amqp://h h",
            " amqp://h",
            "amqp://h\n",
            "amqp://h?heartbeat=1",
            "amqp://h/v#x",
            "amqp://h/a/b",
            "amqp://h/..",
            "amqp://h/%2e%2E",
            "amqp://h/.",
            "amqp://h/%ff",
            "amqp://h/%00",
            "amqp://a..b",
            "amqp://h\\x",
        ] {
            check(text, Err("amqp-url"));
        }
        check(&format!("amqp://h/{}", "v".repeat(256)), Err("amqp-url"));
        check(&format!("amqp://h/{}", "v".repeat(3000)), Err("amqp-url"));
    }

    #[test]
    fn what_is_this_machine_is_known_by_every_name_of_it() {
        let check = |host: &str, nobody: bool, local: bool| {
            let [address] = &KafkaCluster::addresses(&format!("{host}:9092")).unwrap()[..] else {
                panic!("{host}")
            };
            assert_eq!(address.check(&Guard::operator()).is_ok(), nobody, "{host}");
            assert_eq!(address.check(&Guard::operator().with_loopback(true)).is_ok(), local, "{host}");
        };
        for host in ["localhost", "LOCALHOST.", "kafka.localhost", "127.0.0.1", "127.1", "0x7f.1", "[::1]"] {
            check(host, false, true);
        }
        for host in
            ["169.254.169.254", "[fd00:ec2::254]", "[::ffff:10.0.0.1]", "0.0.0.0", "[fe80::1]", "2852039166"]
        {
            check(host, false, false);
        }
        for host in ["10.0.0.7", "192.168.1.1", "[fd12::1]", "broker.example.com", "notlocalhost", "8.8.8.8"]
        {
            check(host, true, true);
        }
    }

    fn host() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z][a-z0-9_]{0,6}(-[a-z0-9]{1,3})?(\\.[a-z][a-z0-9]{0,5}){0,3}\\.?",
            any::<u32>().prop_map(|bits| Ipv4Addr::from(bits).to_string()),
            any::<u128>().prop_map(|bits| std::net::Ipv6Addr::from(bits).to_string()),
        ]
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_quotes_nothing(text in "(amqps?://)?[a-z0-9:@/%.,?#\\[\\]é \\\\-]{0,40}") {
            let canary = format!("{text}canary-s3cret");
            for fault in [KafkaCluster::addresses(&canary).err(), RabbitMqBroker::from_url(&canary).err()].into_iter().flatten() {
                prop_assert!(!fault.message.contains("s3cret") && fault.path == "url");
            }
        }

        /// What is shown can be registered again, and is then the same.
        #[test]
        fn a_broker_is_read_from_its_own_url(
            host in host(), port in 1u16.., tls in any::<bool>(),
            vhost in prop_oneof![Just("/".to_owned()), "[^\\p{Cc}]{1,30}", "[./%a]{1,4}"],
        ) {
            prop_assume!(vhost != "." && vhost != "..");
            let broker = RabbitMqBroker { host, port, tls, vhost };
            prop_assert_eq!(RabbitMqBroker::from_url(&broker.url()), Ok(broker.clone()), "{}", broker.url());
            prop_assert_eq!(broker.address().map(|address| address.host()), Some(broker.host));
        }

        #[test]
        fn a_bootstrap_list_is_read_from_its_own_form(
            addresses in proptest::collection::vec((host(), 1u16..), 1..5),
        ) {
            let text = addresses.iter().map(|(host, port)| match host.contains(':') {
                true => format!("[{host}]:{port}"),
                false => format!("{host}:{port}"),
            });
            let text = text.collect::<Vec<_>>().join(",");
            let read = KafkaCluster::addresses(&text).unwrap();
            prop_assert_eq!(joined(&read), text);
            prop_assert!(read.iter().zip(&addresses).all(|(read, (host, port))| (&read.host(), read.port()) == (host, *port)));
        }
    }
}
