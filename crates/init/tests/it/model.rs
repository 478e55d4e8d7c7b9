//! The simulated PostgreSQL beside a real one: the same statements, the same answers, the same catalogue in the end.

use openg2p_sim::{Dice, Postgres, Statement};

use crate::Scenario;
use crate::server::Server;

pub(crate) const SCENARIOS: &[Scenario] = &[(
    "the simulated server answers as this one does",
    the_model_answers_as_the_server_does,
)];

const STATEMENTS: usize = 600;
const ROLES: [&str; 5] = ["model_maker", "model_a", "model_b", "model_c", "model_Long"];
const DATABASES: [&str; 3] = ["model_one", "model_two", "model_three"];

fn name(dice: &mut Dice, names: &[&str]) -> String {
    let name = (*dice.pick(names).unwrap()).to_owned();
    if name == "model_Long" {
        // two names that a server cuts to the same 63 bytes
        return format!(
            "{name}_{}",
            "x".repeat(60 + usize::try_from(dice.below(2)).unwrap())
        );
    }
    name
}

fn statement(dice: &mut Dice, number: usize) -> Statement {
    if number < 2 * ROLES.len() {
        // most have something to begin with
        return match ROLES.get(number) {
            Some(role) => Statement::CreateRole {
                name: (*role).to_owned(),
                login: true,
                create_database: true,
                create_role: number == 0,
            },
            None => Statement::CreateDatabase {
                name: DATABASES[number % DATABASES.len()].to_owned(),
                owner: ROLES[number % ROLES.len()].to_owned(),
                open: true,
            },
        };
    }
    let role = name(dice, &ROLES);
    let other = name(dice, &ROLES);
    let database = name(dice, &DATABASES);
    match dice.below(16) {
        0..=2 => Statement::CreateRole {
            name: role,
            login: !dice.one_in(4),
            create_database: dice.one_in(2),
            create_role: dice.one_in(3),
        },
        3 if dice.one_in(2) => Statement::DropRole(role),
        4 => Statement::CommentRole(role, "it's ours".into()),
        5 => Statement::GrantRole(role, other),
        6 | 7 => Statement::CreateDatabase {
            name: database,
            owner: role,
            open: !dice.one_in(3),
        },
        8 => Statement::DropDatabase(database),
        9 => Statement::CommentDatabase(database, "ours".into()),
        10 => Statement::Open(database, dice.one_in(2)),
        11 => Statement::RevokePublic(database),
        12 => Statement::Admit(database, role),
        13 => Statement::Dismiss(database, role),
        // every role makes a table of its own name
        _ => Statement::MakeTable(String::new()),
    }
}

/// What both have in their catalogues, line by line.
fn shown(model: &Postgres) -> Vec<String> {
    let ours = |name: &str| name.starts_with("model_");
    let word = |set: &mut dyn Iterator<Item = &String>| set.map(String::as_str).collect::<Vec<_>>().join(",");
    let roles = model
        .roles
        .iter()
        .filter(|(name, _)| ours(name))
        .map(|(name, role)| {
            format!(
                "role {name} {} {} {} {} {}",
                role.login,
                role.create_database,
                role.create_role,
                role.comment.as_deref().unwrap_or("none"),
                word(&mut role.member_of.iter())
            )
        });
    let databases = model.databases.iter().filter(|(name, _)| ours(name));
    let databases = databases.map(|(name, database)| {
        format!(
            "database {name} {} {} {} {} {}",
            database.owner,
            database.open,
            database.comment.as_deref().unwrap_or("none"),
            database.public,
            word(&mut database.guests.iter())
        )
    });
    roles.chain(databases).collect()
}

fn catalogue(server: &Server) -> Vec<String> {
    let rows = server.sql(
        "postgres",
        "select line from (
           select 0 as sort, rolname::text as name, 'role ' || rolname || ' ' || rolcanlogin || ' ' || rolcreatedb || ' ' || rolcreaterole
             || ' ' || coalesce(shobj_description(r.oid, 'pg_authid'), 'none') || ' '
             || array_to_string(array(select g.rolname::text from pg_auth_members m join pg_roles g on g.oid = m.roleid
                                      where m.member = r.oid order by g.rolname::text collate \"C\"), ',') as line
           from pg_roles r where rolname like 'model\\_%'
           union all
           select 1, datname::text, 'database ' || datname || ' ' || pg_get_userbyid(datdba) || ' ' || datallowconn || ' '
             || coalesce(shobj_description(d.oid, 'pg_database'), 'none') || ' '
             || exists (select from aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
                        where a.grantee = 0 and a.privilege_type = 'CONNECT') || ' '
             || array_to_string(array(select pg_get_userbyid(a.grantee)::text
                                      from aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
                                      where a.grantee not in (0, d.datdba) and a.privilege_type = 'CONNECT'
                                      order by pg_get_userbyid(a.grantee)::text collate \"C\"), ',')
           from pg_database d where datname like 'model\\_%') all_lines
         order by sort, name collate \"C\"",
    );
    rows.into_iter().map(|row| row[0].clone().unwrap()).collect()
}

fn the_model_answers_as_the_server_does(server: &Server) {
    if server.version >= 16 {
        // CREATEROLE means something else there; see the model's own words
        return;
    }
    let mut model = Postgres::default();
    let mut dice = Dice::new(15);
    let mut refusals = std::collections::BTreeMap::<&str, usize>::new();
    for number in 0..STATEMENTS {
        let mut wanted = statement(&mut dice, number);
        let who = match dice.below(4) {
            _ if number < 2 * ROLES.len() => "postgres".to_owned(),
            0 | 1 => "postgres".to_owned(),
            _ => name(&mut dice, &ROLES),
        };
        let at = match (&wanted, dice.below(3)) {
            (Statement::MakeTable(_), _) | (_, 0) if number >= 2 * ROLES.len() => name(&mut dice, &DATABASES),
            _ => "postgres".to_owned(),
        };
        match &mut wanted {
            Statement::MakeTable(name) => who.clone_into(name),
            // an owner's right to its own database is no matter of grants here
            Statement::Admit(name, role) | Statement::Dismiss(name, role)
                if model
                    .databases
                    .get(name)
                    .is_some_and(|found| role.starts_with(&found.owner)) =>
            {
                continue;
            }
            _ => {}
        }
        let told = format!("{number}: {who} at {at}: {}", wanted.sql());
        let mut expected = model.connect(&who, &at);
        if expected.is_ok() {
            // a session has the name that the server keeps
            let kept: String = who.chars().take(63).collect();
            expected = model.execute(&kept, &at, &wanted);
        }
        let answered = server.sql_by_socket((&who, ""), &at, &wanted.sql());
        let answered = answered.map(|_| ()).map_err(|why| {
            why.code()
                .map_or_else(|| why.to_string(), |code| code.code().to_owned())
        });
        assert_eq!(answered, expected.map_err(str::to_owned), "{told}");
        if let Err(code) = expected {
            *refusals.entry(code).or_default() += 1;
        }
        if number % 20 == 0 {
            assert_eq!(catalogue(server), shown(&model), "{told}");
        }
    }
    assert_eq!(catalogue(server), shown(&model));
    println!("  {STATEMENTS} statements, refused: {refusals:?}");
    // as if nothing had been
    for (name, _) in model
        .databases
        .iter()
        .filter(|(name, _)| name.starts_with("model_"))
    {
        server.sql("postgres", &format!("drop database \"{name}\""));
    }
    for (name, _) in model.roles.iter().filter(|(name, _)| name.starts_with("model_")) {
        server.sql("postgres", &format!("drop role \"{name}\""));
    }
}
