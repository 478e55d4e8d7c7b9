//! The report of a removal, for people.

use openg2p_run::teardown::Report;

use crate::output::{Printer, Table};

/// Shows what was removed, what stays and why, and what is left.
pub fn show(report: &Report, printer: &Printer) {
    let mut table = Table::new(["STORE", "GONE", "STAYS", "LEFT"]);
    for store in &report.stores {
        table.row([
            store.store.clone(),
            store.gone.len().to_string(),
            store.kept.len().to_string(),
            (store.left.len() + store.unknown.len()).to_string(),
        ]);
    }
    printer.table(&table);
    for (title, pick) in [
        (
            "Stays",
            (|store| &store.kept) as fn(&openg2p_run::teardown::Checked) -> &Vec<_>,
        ),
        ("Left, though it should be gone", |store| &store.left),
        ("Could not be looked at", |store| &store.unknown),
    ] {
        let lines: Vec<String> = report
            .stores
            .iter()
            .flat_map(pick)
            .map(|found| format!("  {}: {}", found.what, found.why))
            .collect();
        if !lines.is_empty() {
            printer.data(&format!("\n{title}:\n{}\n", lines.join("\n")));
        }
    }
}
