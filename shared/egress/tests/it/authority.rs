//! An authority of the tests' own, and the certificates it gives.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: Vec<u8>,
}

/// A certificate with its key.
pub(crate) struct Certificate {
    der: CertificateDer<'static>,
    key: KeyPair,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Authority { issuer: Issuer::new(params, key), der }
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        self.der.clone()
    }

    /// For a name or an address, from the year 2000 until that one.
    pub(crate) fn certificate(&self, name: &str, until: i32) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let der = params(name, until).signed_by(&key, &self.issuer).unwrap().into();
        Certificate { der, key }
    }
}

impl Certificate {
    pub(crate) fn of_its_own(name: &str) -> Certificate {
        let key = KeyPair::generate().unwrap();
        Certificate { der: params(name, 2100).self_signed(&key).unwrap().into(), key }
    }

    pub(crate) fn acceptor(self) -> TlsAcceptor {
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der());
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.der], key.into())
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

fn params(name: &str, until: i32) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    params
}
