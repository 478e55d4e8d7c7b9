//! The report for people at a terminal.

use std::fmt::Write as _;

use crate::report::{Overall, Report, Verdict};

/// Rows of beneficiaries that are shown when all is well; with trouble, all that have some are shown.
const ROWS: usize = 20;

/// The report as plain text: checks, beneficiaries, sums, times, and what stays.
#[must_use]
pub fn table(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(report, &mut text);
    text
}

fn write_all(report: &Report, text: &mut String) -> std::fmt::Result {
    writeln!(text, "Environment {}, run {}", report.environment, report.run)?;
    writeln!(text)?;
    for check in &report.checks {
        writeln!(
            text,
            "  {:<7}  {:<32}  {}",
            word(check.verdict),
            check.id,
            check.detail
        )?;
        if let Some(look_at) = &check.look_at {
            writeln!(text, "  {:<7}  {:<32}  look at: {look_at}", "", "")?;
        }
    }
    writeln!(text)?;
    write_beneficiaries(report, text)?;
    let totals = &report.totals;
    writeln!(
        text,
        "  {:<30} {:>12} {:>12} {:>12}   {} of {} paid, in {}",
        "total",
        totals.asked,
        totals.debited,
        totals.credited,
        totals.paid,
        totals.beneficiaries,
        totals.currency
    )?;
    writeln!(text)?;
    let seconds = |milliseconds: u64| format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100);
    let phases: Vec<String> = report
        .phases
        .iter()
        .map(|time| format!("{} {}", time.phase.title(), seconds(time.took_ms)))
        .collect();
    writeln!(text, "Time: {}", phases.join(", "))?;
    if let Some(within) = totals.paid_within_ms {
        writeln!(
            text,
            "From the disbursements' order to the last reconciled one: {}",
            seconds(within)
        )?;
    }
    if !report.left_behind.is_empty() {
        writeln!(text, "Test data that stays:")?;
        for what in &report.left_behind {
            writeln!(text, "  {what}")?;
        }
    }
    let overall = match report.overall {
        Overall::Passed => "verified: money goes all the way and every amount fits",
        Overall::Failed => "NOT verified: see the failed checks above",
        Overall::Unknown => "NOT verified: nothing failed, but not everything could be found out",
    };
    writeln!(text, "{overall}")
}

fn write_beneficiaries(report: &Report, text: &mut String) -> std::fmt::Result {
    writeln!(
        text,
        "  {:<30} {:>12} {:>12} {:>12}   reconciled",
        "beneficiary", "asked", "debited", "credited"
    )?;
    let well = |verdict: Verdict| verdict == Verdict::Passed || verdict == Verdict::Skipped;
    let mut hidden = 0;
    for (index, row) in report.beneficiaries.iter().enumerate() {
        if index >= ROWS && well(row.verdict) {
            hidden += 1;
            continue;
        }
        let amount = |amount: Option<crate::Amount>| {
            amount.map_or_else(|| "-".to_owned(), |amount| amount.to_string())
        };
        let reconciled = match row.reconciled {
            Some(true) => "yes",
            Some(false) => "no",
            None => "-",
        };
        writeln!(
            text,
            "  {:<30} {:>12} {:>12} {:>12}   {reconciled}",
            row.id,
            row.asked,
            amount(row.debited),
            amount(row.credited)
        )?;
        for problem in &row.problems {
            writeln!(text, "    {problem}")?;
        }
    }
    if hidden > 0 {
        writeln!(text, "  {hidden} more, all alike in order")?;
    }
    Ok(())
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "ok",
        Verdict::Warned => "warning",
        Verdict::Failed => "FAILED",
        Verdict::Unknown => "unknown",
        Verdict::Skipped => "skipped",
    }
}
