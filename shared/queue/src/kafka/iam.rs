use std::error::Error;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_sqs::config::SharedCredentialsProvider;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rdkafka::client::OAuthToken;
use tokio::runtime::Handle;

/// A cluster takes a token for this long after it was signed.
const VALID: Duration = Duration::from_secs(900);

/// What a signed query escapes.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Tokens that let our own role into an MSK cluster: a signed request for `kafka-cluster:Connect`, which the cluster makes
/// in our stead.
#[derive(Clone)]
pub(super) struct IamTokens {
    region: String,
    role: SharedCredentialsProvider,
    runtime: Handle,
}

impl IamTokens {
    /// Must be called on the runtime that credentials are fetched on.
    pub(super) fn new(region: String, role: SharedCredentialsProvider) -> IamTokens {
        IamTokens { region, role, runtime: Handle::current() }
    }

    /// A new token. Blocks while credentials are fetched, so it is for librdkafka's thread alone.
    pub(super) fn make(&self) -> Result<OAuthToken, Box<dyn Error>> {
        let credentials = self.runtime.block_on(self.role.provide_credentials())?;
        let now = SystemTime::now();
        let until = now + VALID;
        Ok(OAuthToken {
            token: token(&credentials, &self.region, now)?,
            principal_name: credentials.access_key_id().to_owned(),
            lifetime_ms: i64::try_from(until.duration_since(SystemTime::UNIX_EPOCH)?.as_millis())?,
        })
    }
}

fn token(credentials: &Credentials, region: &str, now: SystemTime) -> Result<String, Box<dyn Error>> {
    let url = format!("https://kafka.{region}.amazonaws.com/?Action=kafka-cluster%3AConnect");
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(VALID);
    let identity = credentials.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("kafka-cluster")
        .time(now)
        .settings(settings)
        .build()?
        .into();
    let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::Bytes(&[]))?;
    let (signed, _) = sign(request, &parameters)?.into_parts();
    let mut url = url;
    for (name, value) in signed.params() {
        url.push_str(&format!("&{name}={}", utf8_percent_encode(value, ESCAPED)));
    }
    url.push_str("&User-Agent=queuelink");
    Ok(URL_SAFE_NO_PAD.encode(url))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    /// The signature is what AWS's own Python library makes of the same request.
    #[test]
    fn a_token_is_the_signed_request_to_connect() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let credentials = Credentials::new("AKIDEXAMPLE", "wJalr", Some("a/b=".to_owned()), None, "test");
        let url = URL_SAFE_NO_PAD.decode(token(&credentials, "eu-west-1", now).unwrap()).unwrap();
        let url = String::from_utf8(url).unwrap();
        let (address, query) = url.split_once("/?").unwrap();
        assert_eq!(address, "https://kafka.eu-west-1.amazonaws.com");
        let mut parts: Vec<_> = query.split('&').collect();
        parts.sort_unstable();
        let expect = [
            "Action=kafka-cluster%3AConnect",
            "User-Agent=queuelink",
            "X-Amz-Algorithm=AWS4-HMAC-SHA256",
            "X-Amz-Credential=AKIDEXAMPLE%2F20231114%2Feu-west-1%2Fkafka-cluster%2Faws4_request",
            "X-Amz-Date=20231114T221320Z",
            "X-Amz-Expires=900",
            "X-Amz-Security-Token=a%2Fb%3D",
            "X-Amz-Signature=54d685f0a38e8b0bb4411912aa8db054882362480070d9c3b3d1eb31658d310e",
            "X-Amz-SignedHeaders=host",
        ];
        assert_eq!(parts, expect);
    }
}
