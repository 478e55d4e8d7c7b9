//! What is done with an input. The fuzz targets and a bounded test of the crate share it.

use std::io::Write as _;

use openg2p_chart::{Chart, ChartError, Release, RenderOptions, Values, render, show_only, unpack};

/// No input may end in an error that says that this program is at fault.
fn accepted(error: &ChartError) {
    assert_ne!(error.code(), "chart::internal", "{error}");
}

/// An archive as it is, an archive whose content the input is, and a chart of files divided by lines `-- path --`.
pub(crate) fn loader(data: &[u8]) {
    for archive in [data.to_vec(), zipped(data)] {
        if let Err(error) = unpack(&archive) {
            accepted(&error);
        }
        if let Err(error) = Chart::from_tgz(&archive) {
            accepted(&error);
        }
    }
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        let name = std::str::from_utf8(line)
            .ok()
            .and_then(|line| line.trim_end().strip_prefix("-- ")?.strip_suffix(" --"));
        match (name, files.last_mut()) {
            (Some(name), _) => files.push((name.to_owned(), Vec::new())),
            (None, Some((_, text))) => text.extend_from_slice(line),
            (None, None) => {}
        }
    }
    match Chart::load(files) {
        Ok(chart) => {
            if let Err(error) = render(&chart, &RenderOptions::new(Release::new("r", "n"))) {
                accepted(&error);
            }
        }
        Err(error) => accepted(&error),
    }
}

fn zipped(data: &[u8]) -> Vec<u8> {
    let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zip.write_all(data)
        .and_then(|()| zip.finish())
        .unwrap_or_default()
}

/// A template of a chart with some values and a helper.
pub(crate) fn template(data: &[u8]) {
    let files = [
        ("Chart.yaml", &b"apiVersion: v2\nname: p\nversion: 0.1.0\n"[..]),
        (
            "values.yaml",
            b"a: {b: [1, x, {c: null}]}\ntext: t\nnumber: 1.5\nyes: true\n",
        ),
        (
            "templates/_h.tpl",
            b"{{ define \"h\" }}{{ .Values.text | quote }}{{ end }}",
        ),
        ("templates/x.yaml", data),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_vec()));
    let Ok(chart) = Chart::load(files) else { return };
    match render(&chart, &RenderOptions::new(Release::new("r", "n"))) {
        Ok(rendered) => {
            let _ = rendered.images();
            let _ = show_only(&rendered.manifest(), &["templates/*".to_owned()]);
        }
        Err(error) => accepted(&error),
    }
}

/// Values that can be read and written come back as they are when they are read again; the first line is an assignment.
pub(crate) fn values(data: &[u8]) {
    if let Ok(values) = Values::read(data) {
        match values.to_yaml() {
            Ok(written) => match Values::read(written.as_bytes()) {
                Ok(again) => assert_eq!(again, values, "{written}"),
                Err(error) => panic!("{error}\n{written}"),
            },
            Err(error) => accepted(&error),
        }
    }
    let line = data.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut values = Values::new();
    for set in [
        Values::set,
        Values::set_string,
        Values::set_json,
        Values::set_literal,
    ] {
        if let Err(error) = set(&mut values, &line) {
            accepted(&error);
        }
    }
}
