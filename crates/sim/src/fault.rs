//! Calls of ports, and what may go wrong at them.

/// One call of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Port and method, e.g. `host.write`.
    pub name: &'static str,
    /// What it was about: a path, a unit, a command, an object.
    pub place: String,
}

impl Call {
    /// Whether the call may change the world. The others only read.
    pub fn is_effect(&self) -> bool {
        matches!(
            self.name,
            "host.write"
                | "host.link"
                | "host.remove"
                | "host.make_directory"
                | "host.remove_directory"
                | "host.install_packages"
                | "host.purge_packages"
                | "host.import_image"
                | "host.remove_image"
                | "host.run"
                | "cluster.apply"
                | "cluster.delete"
                | "cluster.release"
                | "state.replace"
                | "state.append"
                | "state.remove"
        )
    }

    /// Whether the call needs room on the disk.
    pub(crate) fn needs_room(&self) -> bool {
        matches!(
            self.name,
            "host.write"
                | "host.link"
                | "host.make_directory"
                | "host.install_packages"
                | "host.import_image"
                | "state.replace"
                | "state.append"
        )
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.name, self.place)
    }
}

/// At which call something goes wrong. Each fault happens once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    /// At the call of that number, counted from 0 since the simulation was opened.
    Number(usize),
    /// At the first call of that name whose place contains the text.
    Named(&'static str, String),
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The call fails and had no effect.
    FailBefore,
    /// The call had its effect, but the caller is told that it failed.
    AnswerLost,
    /// The run ends before the effect.
    KillBefore,
    /// The run ends behind the effect.
    KillAfter,
    /// The run ends in the middle of an effect that is not atomic: a `kubeadm init`, an installation of packages, a journal line, a
    /// file of which only the temporary half stands. Elsewhere as [`Trouble::KillAfter`].
    KillDuring,
    /// The run ends with its machine: a write to the engine's storage is half there, as a failing disk leaves it. Elsewhere as
    /// [`Trouble::KillDuring`].
    Torn,
    /// The call takes ten minutes.
    Slow,
}

/// One thing that goes wrong once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When.
    pub moment: Moment,
    /// What.
    pub trouble: Trouble,
}

impl Fault {
    /// `trouble` at the call of that number.
    pub fn at(number: usize, trouble: Trouble) -> Self {
        Self {
            moment: Moment::Number(number),
            trouble,
        }
    }

    /// `trouble` at the first call of that name whose place contains `text`.
    pub fn named(name: &'static str, text: impl Into<String>, trouble: Trouble) -> Self {
        Self {
            moment: Moment::Named(name, text.into()),
            trouble,
        }
    }

    pub(crate) fn meets(&self, number: usize, call: &Call) -> bool {
        self.moment.meets(number, call)
    }
}

impl Moment {
    pub(crate) fn meets(&self, number: usize, call: &Call) -> bool {
        match self {
            Self::Number(wanted) => *wanted == number,
            Self::Named(name, text) => *name == call.name && call.place.contains(text.as_str()),
        }
    }
}
