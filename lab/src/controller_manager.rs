//! Kubernetes' own controllers beside an API server that has no cluster: Deployments get pods, namespaces end, dependents go. There is
//! no node, so pods that they make stay as they are until somebody stands in for a kubelet.

use std::path::{Path, PathBuf};
use std::process::Child;

use crate::api_server::{ApiServer, lives, spawn};
use crate::error::Result;

const NAME: &str = "kube-controller-manager";

/// Those that need neither a node, a cloud nor a network.
const CONTROLLERS: [&str; 13] = [
    "cronjob-controller",
    "daemonset-controller",
    "deployment-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-protection-controller",
    "persistentvolumeclaim-protection-controller",
    "replicaset-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "statefulset-controller",
];

/// Running controllers; they end with this value.
#[derive(Debug)]
pub struct ControllerManager {
    child: Child,
    folder: PathBuf,
}

impl ControllerManager {
    /// The program's name, as a build has it.
    pub const PROGRAM: &'static str = NAME;
    /// Variable that names the program, for tests.
    pub const VARIABLE: &'static str = "OPENG2P_KUBE_CONTROLLER_MANAGER";

    /// The program that the environment names.
    pub fn from_environment() -> Option<PathBuf> {
        std::env::var_os(Self::VARIABLE).map(PathBuf::from)
    }

    /// Starts them as administrators of `server`, which answers already.
    pub fn start(program: &Path, server: &ApiServer) -> Result<Self> {
        let arguments = [
            format!("--kubeconfig={}", server.kubeconfig().display()),
            format!("--root-ca-file={}", server.authority().display()),
            format!("--controllers={}", CONTROLLERS.join(",")),
            "--leader-elect=false".into(),
            // it serves nobody
            "--secure-port=0".into(),
            // several sites live on one server in a test; by default each would wait for the other's requests
            "--kube-api-qps=500".into(),
            "--kube-api-burst=1000".into(),
            "--concurrent-namespace-syncs=20".into(),
        ];
        let child = spawn(server.folder(), NAME, program, &arguments)?;
        Ok(Self {
            child,
            folder: server.folder().to_owned(),
        })
    }

    /// An error when it has ended, with the last lines that it wrote.
    pub fn check(&mut self) -> Result<()> {
        lives(&mut self.child, &self.folder, NAME)
    }
}

impl Drop for ControllerManager {
    fn drop(&mut self) {
        // what has ended already needs no end
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
