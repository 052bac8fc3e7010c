//! How agents prove who they are: what an installation of Weir publishes about its certificates.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use weir_rpc::Roots;

use crate::cluster::Cluster;
use crate::error::DiscoveryError;

/// ConfigMap in the agents' namespace.
const CONFIG_MAP: &str = "weir-ca";

/// Its key with the roots, PEM.
const ROOTS: &str = "ca.crt";

/// Its key with the name in the agents' certificate, where that isn't `weir-agent.<namespace>.svc`.
const SERVER_NAME: &str = "server-name";

/// What the certificate of a namespace's agents must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Where it comes from.
    pub roots: Roots,
    /// The name that it is for.
    pub server_name: String,
}

impl Cluster {
    /// What agents of a namespace publish in ConfigMap `weir-ca`.
    ///
    /// # Errors
    /// It isn't there, or may not be read.
    pub async fn trust(&self, namespace: &str) -> Result<Trust, DiscoveryError> {
        let name = format!("ConfigMap {namespace}/{CONFIG_MAP}");
        let instead = "give the agents' certificate authority with --tls-ca FILE";
        let found = Api::<ConfigMap>::namespaced(self.client.clone(), namespace).get_opt(CONFIG_MAP).await;
        let found = found
            .map_err(|error| DiscoveryError::of(format!("can't read {name}"), &error).with_hint(instead))?;
        let mut data = found.and_then(|found| found.data).unwrap_or_default();
        let Some(pem) = data.remove(ROOTS) else {
            return Err(DiscoveryError::refused(format!(
                "{name} with key {ROOTS} isn't there, so that agents can't be trusted: {instead}"
            )));
        };
        let server_name = data.remove(SERVER_NAME).unwrap_or_else(|| Trust::usual_name(namespace));
        Ok(Trust { roots: Roots::Pem { pem: pem.into_bytes(), from: name }, server_name })
    }
}

impl Trust {
    /// The name in agents' certificates where nothing else is published.
    pub fn usual_name(namespace: &str) -> String {
        format!("weir-agent.{namespace}.svc")
    }
}
