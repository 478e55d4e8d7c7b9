//! Who claims which name in the stores that environments share. A name that two claim, that a store keeps for itself, or that
//! does not fit is refused here, before anything is looked at.

use std::collections::BTreeMap;

use openg2p_names::host::{FileName, HostName};
use openg2p_names::kubernetes::{NamespaceName, OwnerLabel};
use openg2p_names::postgresql::{DatabaseName, RoleName};
use openg2p_names::{EnvironmentId, Key, Label, NameError, Owner};

use crate::diagnostic::{Diagnostic, Span};
use crate::draft::{Draft, DraftEnvironment};
use crate::known::{KnownComponent, KnownComponents};
use crate::node::Entry;
use crate::quote::quote;

/// Ending of the longest file that bears a host's name.
const LONGEST_ENDING: &str = ".conf";

/// One who claims a name.
struct Claim<'a> {
    /// In words.
    who: String,
    /// Where the file says so; absent for what the product itself has.
    span: Option<&'a Span>,
}

/// Claims by what is named and by its name.
#[derive(Default)]
struct Claims<'a> {
    taken: BTreeMap<(&'static str, String), Claim<'a>>,
    problems: Vec<Diagnostic>,
}

impl<'a> Claims<'a> {
    /// Whether it is granted; a problem is noted where it is not.
    fn claim(&mut self, store: &'static str, name: String, claim: Claim<'a>) -> bool {
        let place = (store, name);
        let Some(first) = self.taken.get(&place) else {
            self.taken.insert(place, claim);
            return true;
        };
        let Some(span) = claim.span.or(first.span) else {
            return true;
        };
        let message = format!(
            "{} and {} both claim the {store} {}",
            first.who,
            claim.who,
            quote(&place.1)
        );
        let mut problem = Diagnostic::error("site::name-claimed-twice", message, span.clone());
        if let (Some(_), Some(first_span)) = (claim.span, first.span) {
            problem = problem.related(first_span.clone(), "claimed first here");
        }
        let help = match store {
            "namespace" => "give each environment its own name, and its own `id` where there is one",
            _ => "one of them cannot be in this environment",
        };
        self.problems.push(problem.help(help));
        false
    }

    fn refuse(&mut self, error: &NameError, span: &Span) {
        let (code, message, help) = match error {
            NameError::TooLong {
                what,
                name,
                length,
                limit,
            } => (
                "site::name-too-long",
                format!(
                    "the {what} {} would have {length} bytes; {limit} is the most that fits",
                    quote(name)
                ),
                format!("shorten the environment's name by {}", length - limit),
            ),
            NameError::Reserved { what, name, why } => (
                "site::name-reserved",
                format!("the {what} {} cannot be made: {why}", quote(name)),
                "choose another name for the environment".to_owned(),
            ),
            // the rules of single values refuse these
            NameError::TooShort { .. } | NameError::Label(_) => return,
        };
        self.problems
            .push(Diagnostic::error(code, message, span.clone()).help(help));
    }
}

/// All claims that cannot be granted.
pub(crate) fn refused(draft: &Draft<'_>, known: &KnownComponents) -> Vec<Diagnostic> {
    let mut claims = Claims::default();
    for (namespace, component) in &known.namespaces {
        let who = format!("the platform's {}", quote(component));
        claims.claim("namespace", namespace.clone(), Claim { who, span: None });
    }
    for environment in &draft.environments {
        let (id, span) = environment.id.unwrap_or(environment.name);
        let Ok(id) = EnvironmentId::new(id) else { continue };
        of_environment(&mut claims, draft, known, environment, &id, span);
    }
    claims.problems
}

fn of_environment<'a>(
    claims: &mut Claims<'a>,
    draft: &Draft<'a>,
    known: &KnownComponents,
    environment: &DraftEnvironment<'a>,
    id: &EnvironmentId,
    span: &'a Span,
) {
    let name = quote(environment.name.0);
    let owner = Owner::Environment(id.clone());
    if let Err(error) = OwnerLabel::of(&owner) {
        claims.refuse(&error, span);
    }
    match NamespaceName::of(id) {
        Ok(namespace) => {
            let who = format!("environment {name}");
            let span = Some(span);
            // two environments in one namespace would claim all the rest of each other too
            if !claims.claim("namespace", namespace.into(), Claim { who, span }) {
                return;
            }
        }
        Err(error) => claims.refuse(&error, span),
    }
    let mut hosts: Vec<&str> = Vec::new();
    let entries: Vec<&Entry> = environment
        .commons
        .iter()
        .chain(&environment.modules)
        .copied()
        .collect();
    for entry in entries {
        let found = known
            .commons
            .get(&entry.key)
            .or_else(|| known.modules.get(&entry.key));
        if let Some(component) = found {
            of_component(claims, draft, environment, id, entry, component);
            hosts.extend(component.hosts.iter().map(String::as_str));
        }
    }
    // the longest of its host names is told, and only where it is short enough for DNS
    let longest = hosts.into_iter().max_by_key(|host| host.len());
    if let (Some(longest), Some((domain, _))) = (longest.and_then(|host| Label::new(host).ok()), draft.domain)
        && let Ok(shown) = EnvironmentId::new(environment.name.0)
        && let Ok(host) = HostName::of(&longest, &shown, domain)
        && let Err(error) = FileName::of(&host, LONGEST_ENDING)
    {
        claims.refuse(&error, environment.name.1);
    }
}

fn of_component<'a>(
    claims: &mut Claims<'a>,
    draft: &Draft<'a>,
    environment: &DraftEnvironment<'a>,
    id: &EnvironmentId,
    entry: &'a Entry,
    component: &KnownComponent,
) {
    let span = &entry.key_span;
    let claim = || Claim {
        who: format!(
            "{} of environment {}",
            quote(&entry.key),
            quote(environment.name.0)
        ),
        span: Some(span),
    };
    let inside = |name: &str| format!("{}/{name}", id.label());
    if let Some(release) = &component.own_release {
        claims.claim("release", inside(release), claim());
    }
    for secret in &component.secrets {
        claims.claim("Secret", inside(secret), claim());
    }
    if component.database {
        let made = Key::of(id.label().as_str(), &entry.key)
            .and_then(|key| Ok((DatabaseName::of(&key)?, RoleName::of(&key)?)));
        match made {
            Ok((database, role)) => {
                claims.claim("database", database.into(), claim());
                claims.claim("role", role.into(), claim());
            }
            Err(error) => claims.refuse(&error, environment.id.unwrap_or(environment.name).1),
        }
    }
    let (Some((domain, _)), Ok(shown)) = (draft.domain, EnvironmentId::new(environment.name.0)) else {
        return;
    };
    for host in &component.hosts {
        let Ok(label) = Label::new(host) else { continue };
        // a name that is too long for DNS is told in `semantics`
        let Ok(host) = HostName::of(&label, &shown, domain) else {
            continue;
        };
        claims.claim("host name", host.into(), claim());
    }
}
