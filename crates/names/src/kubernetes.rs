//! Namespaces, cluster-wide objects and label values.

use crate::{EnvironmentId, Key, Label, NameError, Owner, fitting, name_type};

name_type!(
    /// The namespace of an environment: its id.
    NamespaceName
);
name_type!(
    /// The name of an object that lives in no namespace: `<owner>.<component>[.<purpose>]`, a DNS subdomain of at most 253 bytes.
    ObjectName
);
name_type!(
    /// The value of a label that tells whose an object is, at most 63 bytes: `site`, or `environment.<id>`.
    OwnerLabel
);

impl NamespaceName {
    /// The namespace of an environment.
    pub fn of(environment: &EnvironmentId) -> Result<Self, NameError> {
        let name = environment.label().as_str();
        if name == "default" || name.starts_with("kube-") || name.starts_with("openg2p-") {
            return Err(NameError::Reserved {
                what: "namespace",
                name: name.into(),
                why: "Kubernetes or the site itself uses it",
            });
        }
        fitting("namespace", name.into(), 1, Label::LONGEST).map(Self)
    }
}

impl ObjectName {
    /// The cluster-wide object of `key`.
    pub fn of(key: &Key) -> Result<Self, NameError> {
        fitting("object", key.joined('.'), 1, 253).map(Self)
    }
}

impl OwnerLabel {
    /// Most bytes of a label's value.
    pub const LONGEST: usize = 63;
    /// What stands before an environment's id.
    pub const ENVIRONMENT: &'static str = "environment.";

    /// The label of `owner`.
    pub fn of(owner: &Owner) -> Result<Self, NameError> {
        let value = match owner {
            Owner::Site => "site".to_owned(),
            Owner::Environment(id) => format!("{}{}", Self::ENVIRONMENT, id.label()),
        };
        fitting("label", value, 1, Self::LONGEST).map(Self)
    }
}
