use std::sync::Arc;

use lettre::transport::smtp::client::{Certificate, TlsParameters};
use rustls::pki_types::CertificateDer;

/// A certificate that cannot be believed in.
#[derive(Debug, thiserror::Error)]
#[error("this is no certificate of an authority")]
pub struct TrustError(#[source] rustls::Error);

/// Whose certificates are believed: Mozilla's list, and what an operator adds to it.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    added: Arc<[CertificateDer<'static>]>,
}

impl Trust {
    /// This one too: an authority's certificate, as DER.
    ///
    /// # Errors
    /// It is no certificate.
    pub fn and(self, authority: Vec<u8>) -> Result<Trust, TrustError> {
        let authority = CertificateDer::from(authority);
        rustls::RootCertStore::empty().add(authority.clone()).map_err(TrustError)?;
        Ok(Trust { added: self.added.iter().cloned().chain([authority]).collect() })
    }

    /// What HTTP requests are made with: rustls on ring.
    pub(crate) fn for_http(&self) -> rustls::ClientConfig {
        let mut roots = rustls::RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        for authority in self.added.iter() {
            roots.add(authority.clone()).expect("it was added to a store before");
        }
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows the default protocol versions")
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// What a mail server called `name` is talked to with.
    pub(crate) fn for_mail(&self, name: String) -> Result<TlsParameters, lettre::transport::smtp::Error> {
        let mut parameters = TlsParameters::builder(name);
        for authority in self.added.iter() {
            parameters = parameters.add_root_certificate(Certificate::from_der(authority.to_vec())?);
        }
        parameters.build()
    }
}
