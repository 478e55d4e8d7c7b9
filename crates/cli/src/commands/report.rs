//! The report of `openg2p verify`, for people.

use openg2p_verify::Report;
use serde_json::Value;

use crate::output::Printer;

/// Shows the report as its own crate lays it out; one that this program cannot read is shown as it came.
pub fn show(value: &Value, printer: &Printer) {
    match serde_json::from_value::<Report>(value.clone()) {
        Ok(report) => printer.data(&openg2p_verify::table(&report)),
        Err(_) => printer.json(value),
    }
}
