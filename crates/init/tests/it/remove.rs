//! Taking away.

use crate::Scenario;
use crate::program::Module;
use crate::server::Server;

pub(crate) const SCENARIOS: &[Scenario] = &[
    ("removes both, and a second run has nothing to do", removes_both),
    (
        "removes only what bears the mark",
        removes_only_what_bears_the_mark,
    ),
    ("open sessions are in the way", open_sessions_are_in_the_way),
    (
        "a session that is about to end is waited for",
        a_session_that_ends_is_waited_for,
    ),
    (
        "a role that is used elsewhere keeps its database",
        a_role_that_is_used_elsewhere,
    ),
];

fn exists(server: &Server, name: &str) -> (bool, bool) {
    let is = |query: &str| !server.sql("postgres", query).is_empty();
    (
        is(&format!("select 1 from pg_database where datname = '{name}_db'")),
        is(&format!("select 1 from pg_roles where rolname = '{name}_user'")),
    )
}

fn removes_both(server: &Server) {
    let module = Module::new(server, "gone");
    module.run("provision", &[]).expect(0, "provisioned");
    server
        .sql_as(
            (&module.username, &module.password),
            "gone_db",
            "create schema s; create table s.t (i int)",
        )
        .unwrap();
    assert_eq!(exists(server, "gone"), (true, true));
    module.run("remove", &[]).expect(0, "removed");
    assert_eq!(exists(server, "gone"), (false, false));
    module.run("remove", &[]).expect(0, "unchanged");
    // A run that was killed between the two.
    module.run("provision", &[]).expect(0, "provisioned");
    server.sql("postgres", "drop database gone_db");
    module.run("remove", &[]).expect(0, "removed");
    assert_eq!(exists(server, "gone"), (false, false));
}

fn removes_only_what_bears_the_mark(server: &Server) {
    let mut module = Module::new(server, "kept");
    module.run("provision", &[]).expect(0, "provisioned");
    "test/somebody".clone_into(&mut module.owner);
    let refused = module
        .run("remove", &["--terminate-sessions"])
        .expect(2, "init::role-of-another");
    assert!(refused.has("init::database-of-another"), "{}", refused.text);
    "test/kept".clone_into(&mut module.owner);
    server.sql("postgres", "comment on database kept_db is 'mine now'");
    module.run("remove", &[]).expect(2, "init::foreign-database");
    server.sql(
        "postgres",
        "comment on database kept_db is 'openg2p.org/owner=test/kept'",
    );
    server.sql("postgres", "alter database kept_db owner to postgres");
    module
        .run("remove", &[])
        .expect(2, "init::database-of-another-role");
    assert_eq!(exists(server, "kept"), (true, true));
    server.sql("postgres", "drop database kept_db; ");
    module.run("remove", &[]).expect(0, "removed");
}

/// Holds a session of the module for so many seconds while `act` runs; gives whether it ended by itself.
fn with_session(server: &Server, module: &Module, seconds: u32, act: impl FnOnce()) -> bool {
    std::thread::scope(|scope| {
        let session = scope.spawn(|| {
            server.sql_as(
                (&module.username, &module.password),
                &module.database,
                &format!("select pg_sleep({seconds})"),
            )
        });
        let held = format!(
            "select 1 from pg_stat_activity where datname = '{}'",
            module.database
        );
        while server.sql("postgres", &held).is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        act();
        session.join().unwrap().is_ok()
    })
}

fn open_sessions_are_in_the_way(server: &Server) {
    let module = Module::new(server, "busy");
    module.run("provision", &[]).expect(0, "provisioned");
    let ended = with_session(server, &module, 30, || {
        let refused = module.run("remove", &[]).expect(2, "init::sessions-open");
        assert!(refused.text.contains("busy_user (pid "), "{}", refused.text);
        assert_eq!(exists(server, "busy"), (true, true));
        module
            .run("remove", &["--terminate-sessions"])
            .expect(0, "removed");
    });
    assert!(!ended, "the session was not ended");
    assert_eq!(exists(server, "busy"), (false, false));
}

fn a_session_that_ends_is_waited_for(server: &Server) {
    let module = Module::new(server, "ending");
    module.run("provision", &[]).expect(0, "provisioned");
    let ended = with_session(server, &module, 1, || {
        module.run("remove", &[]).expect(0, "removed");
    });
    assert!(ended, "the session was ended");
    assert_eq!(exists(server, "ending"), (false, false));
}

fn a_role_that_is_used_elsewhere(server: &Server) {
    let module = Module::new(server, "tied");
    module.run("provision", &[]).expect(0, "provisioned");
    server.sql("postgres", "create database tied_other owner tied_user");
    server.sql(
        "postgres",
        "create table tied_table (i int); grant select on tied_table to tied_user",
    );
    let refused = module.run("remove", &[]).expect(2, "init::role-still-used");
    assert!(
        refused.text.contains("database tied_other")
            && refused.text.contains("something in database postgres"),
        "{}",
        refused.text
    );
    assert_eq!(exists(server, "tied"), (true, true));
    server.sql("postgres", "drop table tied_table");
    server.sql("postgres", "drop database tied_other");
    module.run("remove", &[]).expect(0, "removed");
}
