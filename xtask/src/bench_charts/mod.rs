//! `cargo xtask bench-charts`: our charts beside Helm, in one run on one machine. One file per part; each prints its
//! figures and asserts nothing, because a busy machine is no fault of the product.

mod apply;
mod render;

use std::process::ExitCode;
use std::time::Duration;

use openg2p_lab::Store;

use crate::helm;
use crate::printer::Printer;
use crate::product;
use crate::runner::Runner;

/// One line of the table: what was measured, what came out, what it should be.
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) measured: String,
    pub(crate) target: String,
}

/// Measures every part.
pub(crate) fn run(store: &Store, printer: &Printer) -> anyhow::Result<ExitCode> {
    let checkout = product::checkout()?;
    let logs = store.cache().join("logs").join("bench-charts");
    let runner = Runner::new(printer, store.cache(), logs.clone())?;
    let helm = helm::build(&runner, &checkout, store.cache())?;
    let binary = product::build_release(&runner, &checkout, &logs.join("work"))?;
    let mut figures = render::measure(&runner, &checkout, &helm, &binary)?;
    figures.extend(apply::measure(&runner, &checkout, &helm, store.cache())?);
    printer.data(&table(&figures));
    Ok(ExitCode::SUCCESS)
}

/// The middle one, or the later of the two in the middle.
fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn table(figures: &[Figure]) -> String {
    let width = |of: fn(&Figure) -> &String| figures.iter().map(|figure| of(figure).chars().count()).max();
    let what = width(|figure| &figure.what).unwrap_or(0);
    let measured = width(|figure| &figure.measured).unwrap_or(0);
    figures
        .iter()
        .map(|figure| {
            format!(
                "{:what$}  {:>measured$}  {}\n",
                figure.what, figure.measured, figure.target
            )
        })
        .collect()
}
