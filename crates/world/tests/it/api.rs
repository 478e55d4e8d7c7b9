//! Plain requests to an API server, for what stands beside the engine: what looks at everything, and what stands in for a node.

use std::path::Path;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;

pub(crate) struct Api(Client);

impl Api {
    /// The server of a kubeconfig file.
    pub(crate) async fn connect(kubeconfig: &Path) -> Self {
        let config = Kubeconfig::read_from(kubeconfig).unwrap();
        let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default())
            .await
            .unwrap();
        Self(Client::try_from(config).unwrap())
    }

    /// One request; a PATCH is a merge.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, kube::Error> {
        let content = if method == "PATCH" {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content)
            .body(body)
            .unwrap();
        self.0.request(request).await
    }

    /// What a list holds; nothing where the server does not know the kind (any more).
    pub(crate) async fn list(&self, path: &str) -> Result<Vec<Value>, kube::Error> {
        match self.ask("GET", path, None).await {
            Ok(mut list) => Ok(match list["items"].take() {
                Value::Array(items) => items,
                _ => Vec::new(),
            }),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}
