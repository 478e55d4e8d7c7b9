//! What a name stands for.

use crate::{EnvironmentId, Label, NameError};

/// Who holds what is named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The site itself.
    Site,
    /// One environment, by its id.
    Environment(EnvironmentId),
}

impl Owner {
    /// The environment of that id.
    pub fn environment(id: &str) -> Result<Self, NameError> {
        EnvironmentId::new(id).map(Self::Environment)
    }

    /// The first word of its names. The site's is `openg2p`, which no environment can have.
    pub fn word(&self) -> &str {
        match self {
            Self::Site => "openg2p",
            Self::Environment(id) => id.label().as_str(),
        }
    }
}

/// Owner, component and purpose. Two keys that differ have names that differ, in every store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Who holds it.
    pub owner: Owner,
    /// Which component.
    pub component: Label,
    /// What for, where a component has more than one.
    pub purpose: Option<Label>,
}

impl Key {
    /// The one thing of `component` in the environment `environment`.
    pub fn of(environment: &str, component: &str) -> Result<Self, NameError> {
        Ok(Self {
            owner: Owner::environment(environment)?,
            component: Label::new(component)?,
            purpose: None,
        })
    }

    /// The same for a purpose.
    pub fn with_purpose(mut self, purpose: &str) -> Result<Self, NameError> {
        self.purpose = Some(Label::new(purpose)?);
        Ok(self)
    }

    /// Its words with `separator` between them. `separator` must be a letter that no label holds.
    pub(crate) fn joined(&self, separator: char) -> String {
        let mut name = String::with_capacity(64);
        name.push_str(self.owner.word());
        name.push(separator);
        name.push_str(self.component.as_str());
        if let Some(purpose) = &self.purpose {
            name.push(separator);
            name.push_str(purpose.as_str());
        }
        name
    }
}
