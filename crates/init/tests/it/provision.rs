//! Making.

use std::time::Duration;

use crate::Scenario;
use crate::program::{Module, ended};
use crate::server::Server;

pub(crate) const SCENARIOS: &[Scenario] = &[
    (
        "makes both, and a second run changes nothing",
        makes_both_and_a_second_run_changes_nothing,
    ),
    ("hostile names are only names", hostile_names_are_only_names),
    ("a stranger cannot connect", a_stranger_cannot_connect),
    (
        "another password replaces the old one",
        another_password_replaces_the_old_one,
    ),
    ("an expired password is renewed", an_expired_password_is_renewed),
    ("what is not ours is left alone", what_is_not_ours_is_left_alone),
    ("all refusals come together", all_refusals_come_together),
    ("drift is corrected", drift_is_corrected),
    (
        "a role with too much power is refused",
        a_role_with_too_much_power_is_refused,
    ),
    ("concurrent runs agree", concurrent_runs_agree),
    (
        "killed anywhere, the next run converges",
        killed_anywhere_the_next_run_converges,
    ),
    (
        "a held lock ends at the deadline",
        a_held_lock_ends_at_the_deadline,
    ),
    (
        "a provisioner with too much or too little is refused",
        a_wrong_provisioner_is_refused,
    ),
    ("extensions", extensions),
    ("wrong input has no effect", wrong_input_has_no_effect),
];

/// Everything in the catalogue that a run could change, with the transaction that wrote it last.
fn catalogue(server: &Server) -> String {
    let rows = server.sql(
        "postgres",
        "select 'role', rolname, xmin::text, rolpassword from pg_authid
         union all select 'database', datname, xmin::text, datacl::text from pg_database
         union all select 'comment', objoid::text, xmin::text, description from pg_shdescription
         union all select 'member', roleid::text || member, xmin::text, '' from pg_auth_members order by 1, 2, 3",
    );
    format!("{rows:?}")
}

fn makes_both_and_a_second_run_changes_nothing(server: &Server) {
    let module = Module::new(server, "first");
    module.run("provision", &[]).expect(0, "provisioned");
    assert!(module.can_log_in(server));
    let role = server.sql(
        "postgres",
        "select rolcanlogin, rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls,
                left(rolpassword, 14), shobj_description(oid, 'pg_authid') from pg_authid where rolname = 'first_user'",
    );
    let text = |row: &[&str]| {
        row.iter()
            .map(|cell| Some((*cell).to_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        role,
        [text(&[
            "t",
            "f",
            "SCRAM-SHA-256$",
            "openg2p.org/owner=test/first"
        ])]
    );
    let database = server.sql(
        "postgres",
        "select pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datallowconn,
                shobj_description(oid, 'pg_database'), datacl::text from pg_database where datname = 'first_db'",
    );
    let expected = [
        "first_user",
        "UTF8",
        "t",
        "openg2p.org/owner=test/first",
        "{first_user=CTc/first_user}",
    ];
    assert_eq!(database, [text(&expected)]);
    // The module can do its work, and the schema is its own.
    let who = ("first_user", module.password.as_str());
    server
        .sql_as(
            who,
            "first_db",
            "create table t (i int); insert into t values (1)",
        )
        .unwrap();

    let before = catalogue(server);
    let again = module.run("provision", &[]).expect(0, "unchanged");
    assert_eq!(again.changes(), 0);
    assert_eq!(catalogue(server), before);
}

fn hostile_names_are_only_names(server: &Server) {
    let longest = "z".repeat(63);
    let names = [
        "quote\"d",
        "it's",
        "x'; drop role postgres; --",
        "x\"; drop database postgres; --",
        "données_日本_ß",
        " leading and trailing ",
        "back\\slash",
        "$1 {} %s",
        "UPPER lower",
        "-dash",
        "a.b",
        "new\nline",
        "select",
        longest.as_str(),
    ];
    for name in names {
        let mut module = Module::new(server, "hostile");
        name.clone_into(&mut module.database);
        name.clone_into(&mut module.username);
        module.run("provision", &[]).expect(0, "provisioned");
        assert!(module.can_log_in(server), "{name:?}");
        module.run("provision", &[]).expect(0, "unchanged");
        module.run("wait", &[]).expect(0, "ready");
        module.run("remove", &[]).expect(0, "removed");
    }
    assert_eq!(
        server
            .sql(
                "postgres",
                "select count(*) from pg_roles where rolname = 'postgres'"
            )
            .len(),
        1
    );
    let left = server.sql(
        "postgres",
        "select datname from pg_database where datname !~ '^(postgres|template|first)'",
    );
    assert!(left.is_empty(), "{left:?}");
}

fn a_stranger_cannot_connect(server: &Server) {
    let module = Module::new(server, "guarded");
    module.run("provision", &[]).expect(0, "provisioned");
    let stranger = Module::new(server, "stranger");
    stranger.run("provision", &[]).expect(0, "provisioned");
    let who = (stranger.username.as_str(), stranger.password.as_str());
    let why = server.sql_as(who, "guarded_db", "select 1").unwrap_err();
    assert_eq!(why.code().unwrap().code(), "42501", "{why:?}");
    // Nor may one module's role act as another's, or make anything on the server.
    for attempt in [
        "set role guarded_user",
        "create database x",
        "create role x",
        "grant guarded_user to stranger_user",
    ] {
        let why = server.sql_as(who, "stranger_db", attempt).unwrap_err();
        assert_eq!(why.code().unwrap().code(), "42501", "{attempt}: {why:?}");
    }
    let mut outsider = Module::new(server, "guarded");
    outsider.username.clone_from(&stranger.username);
    outsider.password.clone_from(&stranger.password);
    "1s".clone_into(&mut outsider.deadline);
    outsider.run("wait", &[]).expect(4, "init::connect-denied");
}

fn another_password_replaces_the_old_one(server: &Server) {
    let mut module = Module::new(server, "rotated");
    module.run("provision", &[]).expect(0, "provisioned");
    let old = std::mem::replace(&mut module.password, "module-secret-' new \\ pässword".to_owned());
    assert_eq!(module.run("provision", &[]).expect(0, "provisioned").changes(), 1);
    assert!(module.can_log_in(server));
    assert!(
        server
            .sql_as(("rotated_user", &old), "rotated_db", "select 1")
            .is_err()
    );
    module.run("provision", &[]).expect(0, "unchanged");
}

fn an_expired_password_is_renewed(server: &Server) {
    let module = Module::new(server, "expired");
    module.run("provision", &[]).expect(0, "provisioned");
    server.sql("postgres", "alter role expired_user valid until '2001-01-01'");
    assert!(!module.can_log_in(server));
    module.run("provision", &[]).expect(0, "provisioned");
    assert!(module.can_log_in(server));
    module.run("provision", &[]).expect(0, "unchanged");
}

fn what_is_not_ours_is_left_alone(server: &Server) {
    server.sql("postgres", "create role alien_user login password 'alien'");
    server.sql("postgres", "create database alien_db owner alien_user");
    let before = catalogue(server);
    let module = Module::new(server, "alien");
    module.run("provision", &[]).expect(2, "init::foreign-role");
    // A role of ours does not make a foreign database ours.
    let mut thief = Module::new(server, "thief");
    thief.run("provision", &[]).expect(0, "provisioned");
    let before_thief = catalogue(server);
    "alien_db".clone_into(&mut thief.database);
    thief
        .run("provision", &[])
        .expect(2, "init::database-of-another-role");
    assert_eq!(catalogue(server), before_thief);
    // Somebody made a database for our role by hand: it has no mark, and it is open.
    server.sql("postgres", "create database by_hand owner thief_user");
    "by_hand".clone_into(&mut thief.database);
    thief.run("provision", &[]).expect(2, "init::foreign-database");
    // Another owner's.
    let mut other = Module::new(server, "thief");
    "test/other".clone_into(&mut other.owner);
    let refused = other.run("provision", &[]).expect(2, "init::role-of-another");
    assert!(refused.text.contains("test/thief"), "{}", refused.text);
    server.sql("postgres", "drop database by_hand");
    "thief_db".clone_into(&mut thief.database);
    thief.run("remove", &[]).expect(0, "removed");
    assert_eq!(catalogue(server), before);
}

fn all_refusals_come_together(server: &Server) {
    server.sql("postgres", "create role both_user login");
    server.sql(
        "postgres",
        "create database both_db encoding 'SQL_ASCII' template template0 lc_collate 'C' lc_ctype 'C'",
    );
    let refused = Module::new(server, "both")
        .run("provision", &[])
        .expect(2, "init::foreign-role");
    assert!(
        refused.has("init::database-of-another-role") && refused.has("init::wrong-encoding"),
        "{}",
        refused.text
    );
    server.sql("postgres", "drop database both_db");
    server.sql("postgres", "drop role both_user");
}

fn drift_is_corrected(server: &Server) {
    let module = Module::new(server, "drift");
    module.run("provision", &[]).expect(0, "provisioned");
    server.sql("postgres", "grant connect on database drift_db to public");
    server.sql("postgres", "alter role drift_user createdb nologin");
    server.sql("drift_db", "grant create on schema public to public");
    let corrected = module.run("provision", &[]).expect(0, "provisioned");
    assert_eq!(corrected.changes(), 3, "{}", corrected.text);
    module.run("provision", &[]).expect(0, "unchanged");
    server.sql("postgres", "grant connect on database drift_db to pg_monitor");
    module
        .run("provision", &[])
        .expect(0, "database-has-guests")
        .expect(0, "unchanged");
    server.sql("postgres", "alter database drift_db allow_connections false");
    module.run("provision", &[]).expect(4, "init::database-closed");
}

fn a_role_with_too_much_power_is_refused(server: &Server) {
    let module = Module::new(server, "mighty");
    module.run("provision", &[]).expect(0, "provisioned");
    server.sql("postgres", "alter role mighty_user superuser");
    let before = catalogue(server);
    module.run("provision", &[]).expect(2, "init::role-too-powerful");
    assert_eq!(catalogue(server), before);
    server.sql("postgres", "alter role mighty_user nosuperuser");
}

fn concurrent_runs_agree(server: &Server) {
    let modules: Vec<Module> = (0..10)
        .map(|index| Module::new(server, &format!("many{}", index % 3)))
        .collect();
    let runs: Vec<_> = modules
        .iter()
        .map(|module| module.start("provision", &[]))
        .collect();
    let results: Vec<_> = runs.into_iter().map(ended).collect();
    assert!(
        results.iter().all(|result| result.code == Some(0)),
        "{results:#?}"
    );
    assert_eq!(
        results.iter().filter(|result| result.has("provisioned")).count(),
        3
    );
    assert_eq!(results.iter().filter(|result| result.has("unchanged")).count(), 7);
    assert!(modules.iter().all(|module| module.can_log_in(server)));
}

fn killed_anywhere_the_next_run_converges(server: &Server) {
    let mut half_made = 0;
    for step in 0..16 {
        let module = Module::new(server, &format!("killed{step}"));
        let mut child = module.start("provision", &[]);
        std::thread::sleep(Duration::from_millis(step * 10));
        child.kill().unwrap();
        child.wait().unwrap();
        // Removing and making both go on from whatever was left.
        half_made += usize::from(!module.can_log_in(server));
        if step % 2 == 0 {
            let removed = module.run("remove", &[]);
            assert_eq!(removed.code, Some(0), "{}", removed.text);
        }
        let made = module.run("provision", &[]);
        assert_eq!(made.code, Some(0), "{}", made.text);
        module.run("provision", &[]).expect(0, "unchanged");
        assert!(module.can_log_in(server));
    }
    assert!(
        half_made > 0,
        "every run was faster than its end; the delays are too long for this machine"
    );
    // What the shortest window leaves, made by hand: a closed database without a mark that belongs to our role.
    let module = Module::new(server, "window");
    module.run("provision", &[]).expect(0, "provisioned");
    for verb in ["provision", "remove"] {
        server.sql("postgres", "comment on database window_db is null");
        server.sql("postgres", "alter database window_db allow_connections false");
        let ended = module.run(verb, &[]);
        assert_eq!(ended.code, Some(0), "{}", ended.text);
    }
}

fn a_held_lock_ends_at_the_deadline(server: &Server) {
    let mut module = Module::new(server, "locked");
    "1s".clone_into(&mut module.deadline);
    let holder = std::thread::scope(|scope| {
        let holder = scope.spawn(|| {
            server.sql(
                "postgres",
                &format!(
                    "select pg_advisory_lock({}); select pg_sleep(3)",
                    0x6f70_656e_6732_7069_i64
                ),
            )
        });
        std::thread::sleep(Duration::from_millis(500));
        module.run("provision", &[]).expect(3, "init::lock-taken");
        holder.join().unwrap()
    });
    assert!(!holder.is_empty());
    "20s".clone_into(&mut module.deadline);
    module.run("provision", &[]).expect(0, "provisioned");
}

fn a_wrong_provisioner_is_refused(server: &Server) {
    server.sql(
        "postgres",
        "create role too_much superuser login password 'p'; create role too_little login password 'p'",
    );
    for (name, code, exit) in [
        ("too_much", "init::provisioner-too-powerful", 4),
        ("too_little", "init::provisioner-lacks-rights", 4),
        ("same_user", "init::provisioner-is-the-role", 1),
    ] {
        let mut module = Module::new(server, "same");
        module.provisioner = (name.to_owned(), "p".to_owned());
        module.run("provision", &[]).expect(exit, code);
    }
}

fn extensions(server: &Server) {
    let module = Module::new(server, "extended");
    let has_trgm = !server
        .sql(
            "postgres",
            "select 1 from pg_available_extension_versions where name = 'pg_trgm' and trusted",
        )
        .is_empty();
    if has_trgm {
        module
            .run("provision", &["--extensions", "pg_trgm,plpgsql"])
            .expect(0, "provisioned");
        let owner = server.sql(
            "extended_db",
            "select pg_get_userbyid(extowner) from pg_extension where extname = 'pg_trgm'",
        );
        assert_eq!(owner, [[Some("extended_user".to_owned())]]);
        module
            .run("provision", &["--extensions", "pg_trgm"])
            .expect(0, "unchanged");
    }
    let refused = module
        .run("provision", &["--extensions", "no\"such"])
        .expect(4, "init::extension");
    assert!(
        refused.text.contains("no\\\\\\\"such") || refused.text.contains("no\\\"such"),
        "{}",
        refused.text
    );
}

fn wrong_input_has_no_effect(server: &Server) {
    let before = catalogue(server);
    let mut module = Module::new(server, "input");
    let too_long = "x".repeat(64);
    for name in [too_long.as_str(), "", "template1", "postgres"] {
        name.clone_into(&mut module.database);
        let ended = module.command("provision", &[]).output().unwrap();
        assert_eq!(ended.status.code(), Some(1), "{name}");
        assert!(ended.stdout.is_empty() && !ended.stderr.is_empty());
    }
    "input_db".clone_into(&mut module.database);
    module.password = String::new();
    module.run("provision", &[]).expect(1, "init::unusable-file");
    assert_eq!(catalogue(server), before);
}
