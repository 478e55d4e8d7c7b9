//! The HTTPS edge as its users meet it: by host name, with certificates checked against the site's own authority.

use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use openg2p_ports::PortError;
use openg2p_verify::{Edge, EdgeError, EdgeFailure, EdgeRequest, EdgeResponse};

/// Calls the edge at one address for the host names that it serves.
pub struct HttpsEdge {
    client: reqwest::Client,
}

impl HttpsEdge {
    /// An edge at `address` port 443 for `hosts`; nothing but `authority` (PEM) may vouch for them.
    pub fn new(address: IpAddr, hosts: &[&str], authority: &[u8]) -> Result<Self, PortError> {
        let failed =
            |why: String| PortError::new("edge::client", "prepare HTTPS calls", address.to_string(), why);
        // reqwest finds the provider of cryptography here; a second installation is refused and means the same
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority =
            reqwest::Certificate::from_pem(authority).map_err(|error| failed(error.to_string()))?;
        let mut builder = reqwest::Client::builder()
            .tls_certs_only([authority])
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(std::time::Duration::from_secs(10));
        for host in hosts {
            builder = builder.resolve(host, SocketAddr::new(address, 443));
        }
        Ok(Self {
            client: builder.build().map_err(|error| failed(error.to_string()))?,
        })
    }
}

fn failure(error: &reqwest::Error) -> EdgeError {
    use std::error::Error as _;
    let kind = if error.is_connect() || error.is_builder() {
        EdgeFailure::NotSent
    } else {
        EdgeFailure::Unknown
    };
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        message = format!("{message}: {inner}");
        source = inner.source();
    }
    EdgeError {
        failure: kind,
        message,
    }
}

#[async_trait]
impl Edge for HttpsEdge {
    async fn call(&self, request: EdgeRequest) -> Result<EdgeResponse, EdgeError> {
        let url = format!("https://{}{}", request.host, request.path);
        let mut call = self.client.post(url).timeout(request.within).body(request.body);
        for (name, value) in &request.headers {
            call = call.header(name, value);
        }
        let response = call.send().await.map_err(|error| failure(&error))?;
        let status = response.status().as_u16();
        let body = response.bytes().await.map_err(|error| failure(&error))?.to_vec();
        Ok(EdgeResponse { status, body })
    }
}
