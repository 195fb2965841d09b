use pem_rfc7468::{LineEnding, encode_string};

use crate::SendError;

/// The authorities that may vouch for a broker, in PEM: those of this system or, if either is set, of `SSL_CERT_FILE` and
/// `SSL_CERT_DIR`. AMQP has its own by the same reader.
pub(super) async fn roots() -> Result<String, SendError> {
    let reading = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs);
    let found = reading.await.expect("it does not panic");
    if found.certs.is_empty() {
        let why = found.errors.first().map_or("none was found".to_owned(), ToString::to_string);
        let reason = format!("no authority is known that could vouch for its certificate: {why}");
        return Err(SendError::Unreachable { reason });
    }
    let pem = |der: &[u8]| encode_string("CERTIFICATE", LineEnding::LF, der);
    Ok(found.certs.iter().map(|der| pem(der).expect("it is small")).collect())
}
