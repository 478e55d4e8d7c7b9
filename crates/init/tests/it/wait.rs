//! Waiting.

use std::io::Read;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::Scenario;
use crate::program::{Module, ended};
use crate::server::Server;

pub(crate) const SCENARIOS: &[Scenario] = &[
    ("tells refusals apart", tells_refusals_apart),
    (
        "goes on when what was missing appears",
        goes_on_when_what_was_missing_appears,
    ),
    ("waits for a table", waits_for_a_table),
    (
        "a server that says nothing does not hold it for ever",
        silence_is_told,
    ),
    (
        "provision waits for the provisioner",
        provision_waits_for_the_provisioner,
    ),
    (
        "a refusal that only a person can mend ends it long before the deadline",
        a_firm_refusal_ends_it,
    ),
    ("it ends when it is asked to", it_ends_when_it_is_asked_to),
];

fn tells_refusals_apart(server: &Server) {
    let mut module = Module::new(server, "apart");
    "1s".clone_into(&mut module.deadline);
    // No role yet: the server says the same as for a wrong password, and so do we.
    module.run("wait", &[]).expect(4, "init::wrong-password");
    "20s".clone_into(&mut module.deadline);
    module.run("provision", &[]).expect(0, "provisioned");
    module.run("wait", &[]).expect(0, "ready");
    "1s".clone_into(&mut module.deadline);
    let password = std::mem::replace(&mut module.password, "module-secret-wrong".to_owned());
    let refused = module
        .run("wait", &[])
        .expect(4, "init::wrong-password")
        .expect(4, "waiting");
    assert!(
        refused.lines[0]["reason"] == "init::wrong-password",
        "told at once: {}",
        refused.text
    );
    module.password = password;
    "apart_other".clone_into(&mut module.database);
    module.run("wait", &[]).expect(3, "init::no-database");
    "apart_db".clone_into(&mut module.database);
    server.sql("postgres", "alter role apart_user nologin");
    module.run("wait", &[]).expect(4, "init::login-not-allowed");
    server.sql("postgres", "alter role apart_user login");
}

fn goes_on_when_what_was_missing_appears(server: &Server) {
    let module = Module::new(server, "late");
    let waiting = module.start("wait", &[]);
    std::thread::sleep(Duration::from_millis(400));
    module.run("provision", &[]).expect(0, "provisioned");
    ended(waiting).expect(0, "ready").expect(0, "waiting");
}

fn waits_for_a_table(server: &Server) {
    let mut module = Module::new(server, "tabled");
    module.run("provision", &[]).expect(0, "provisioned");
    "1s".clone_into(&mut module.deadline);
    let began = Instant::now();
    let missing = module
        .run("wait", &["--table", "it's.\"a\" table"])
        .expect(3, "init::table-missing");
    assert!(began.elapsed() < Duration::from_secs(5) && missing.has("waiting"));
    "20s".clone_into(&mut module.deadline);
    let waiting = module.start("wait", &["--table=public.people,people_seen"]);
    std::thread::sleep(Duration::from_millis(300));
    let who = (module.username.as_str(), module.password.as_str());
    server
        .sql_as(who, "tabled_db", "create table people (i int)")
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    server
        .sql_as(
            who,
            "tabled_db",
            "create view people_seen as select * from people",
        )
        .unwrap();
    ended(waiting).expect(0, "ready").expect(0, "waiting");
}

fn silence_is_told(server: &Server) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming().flatten() {
            held.push(stream);
        }
    });
    let mut module = Module::at_port(server, "silent", port);
    "1s".clone_into(&mut module.deadline);
    let began = Instant::now();
    module.run("wait", &[]).expect(3, "init::no-answer");
    assert!(began.elapsed() < Duration::from_secs(5));

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let mut module = Module::at_port(server, "http", port);
    "1s".clone_into(&mut module.deadline);
    module.run("wait", &[]).expect(4, "init::not-postgresql");

    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut module = Module::at_port(server, "nobody", port);
    "1s".clone_into(&mut module.deadline);
    module.run("wait", &[]).expect(3, "init::unreachable");
    module.run("provision", &[]).expect(3, "init::unreachable");
}

fn a_firm_refusal_ends_it(server: &Server) {
    let mut module = Module::new(server, "firm");
    module.run("provision", &[]).expect(0, "provisioned");
    let began = Instant::now();
    let password = std::mem::replace(&mut module.password, "module-secret-wrong".to_owned());
    module
        .run("wait", &["--refused-deadline=1s"])
        .expect(4, "init::wrong-password");
    module.password = password;
    "wrong".clone_into(&mut module.provisioner.1);
    module
        .run("provision", &["--refused-deadline=1s"])
        .expect(4, "init::wrong-password");
    // The deadline of both is 20 s.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());

    // A database that is not there yet is no such refusal: time may bring it.
    module.provisioner = (
        crate::server::PROVISIONER.0.into(),
        crate::server::PROVISIONER.1.into(),
    );
    "2s".clone_into(&mut module.deadline);
    "firm_other".clone_into(&mut module.database);
    let began = Instant::now();
    module
        .run("wait", &["--refused-deadline=100ms"])
        .expect(3, "init::no-database");
    assert!(
        began.elapsed() >= Duration::from_millis(1900),
        "{:?}",
        began.elapsed()
    );
}

fn provision_waits_for_the_provisioner(server: &Server) {
    let mut module = Module::new(server, "early");
    module.provisioner = ("late_provisioner".to_owned(), "p".to_owned());
    let waiting = module.start("provision", &[]);
    std::thread::sleep(Duration::from_millis(400));
    server.sql(
        "postgres",
        "create role late_provisioner login createdb createrole password 'p'",
    );
    ended(waiting).expect(0, "provisioned").expect(0, "waiting");
    module.run("remove", &[]).expect(0, "removed");
    server.sql("postgres", "drop role late_provisioner");
}

fn it_ends_when_it_is_asked_to(server: &Server) {
    let module = Module::new(server, "never");
    let waiting = module.start("wait", &[]);
    std::thread::sleep(Duration::from_millis(400));
    let began = Instant::now();
    let asked = std::process::Command::new("kill")
        .args(["-TERM", &waiting.id().to_string()])
        .status();
    assert!(asked.unwrap().success());
    ended(waiting).expect(3, "init::interrupted");
    assert!(began.elapsed() < Duration::from_secs(2));
}
