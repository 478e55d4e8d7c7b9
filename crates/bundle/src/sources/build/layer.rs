//! Layers of images, made the same on every machine: no times, no logs, none of the builder's mount points.

use std::io::{Read, Write};

use tar::{Archive, Builder, EntryType, Header};

use crate::error::BundleError;

/// What a package manager leaves behind that differs from run to run and that nobody needs in an image.
const RUBBISH: &[&str] = &[
    "etc/hostname",
    "etc/resolv.conf",
    "run/.containerenv",
    "var/cache/apt/pkgcache.bin",
    "var/cache/apt/srcpkgcache.bin",
    "var/cache/debconf/config.dat-old",
    "var/cache/debconf/templates.dat-old",
    "var/cache/ldconfig/aux-cache",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/statoverride-old",
    "var/log/alternatives.log",
    "var/log/bootstrap.log",
    "var/log/dpkg.log",
    "var/log/faillog",
    "var/log/lastlog",
];

/// Folders whose content goes the same way.
const RUBBISH_IN: &[&str] = &["var/log/apt/", "var/lib/apt/lists/"];

/// Files that the builder mounts during RUN, and whose empty mount points it leaves in the layer.
pub(crate) const MOUNT_POINTS: &[&str] = &["etc/hosts", "etc/pip.conf", "etc/apt/apt.conf.d/00build-machine"];

/// Folder for mounts that are not named like anything a program looks for.
pub(crate) const MOUNT_FOLDER: &str = "run/openg2p-build";

/// The flag word of byte code that is checked by the source's time.
const BY_TIME: [u8; 4] = [0; 4];

/// Copies a layer. Times become zero, and so do the times that Python's byte code has of its source, because otherwise
/// Python would compile everything again at each start. An entry that leads out of the root is an error.
pub fn rewrite(what: &str, from: &mut dyn Read, to: &mut dyn Write) -> Result<(), BundleError> {
    let damaged = |source| BundleError::Io {
        doing: "rewrite a layer of",
        path: what.into(),
        source,
    };
    let mut builder = Builder::new(to);
    let mut archive = Archive::new(from);
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        let name = path.to_string_lossy().into_owned();
        if let Some(why) = unsafe_path(&name) {
            return Err(BundleError::UnsafeArchive {
                what: what.to_owned(),
                entry: name,
                why,
            });
        }
        let mut header = entry.header().clone();
        if is_rubbish(&name, &header) {
            continue;
        }
        let attributes = extended_attributes(&mut entry).map_err(damaged)?;
        if !attributes.is_empty() {
            builder
                .append_pax_extensions(
                    attributes
                        .iter()
                        .map(|(key, value)| (key.as_str(), value.as_slice())),
                )
                .map_err(damaged)?;
        }
        header.set_mtime(0);
        if matches!(header.entry_type(), EntryType::Symlink | EntryType::Link) {
            let target = entry
                .link_name()
                .map_err(damaged)?
                .unwrap_or_default()
                .into_owned();
            builder.append_link(&mut header, &path, target).map_err(damaged)?;
        } else if path.extension().is_some_and(|extension| extension == "pyc") {
            let mut start = Vec::new();
            entry.by_ref().take(12).read_to_end(&mut start).map_err(damaged)?;
            if start.len() == 12 && start[4..8] == BY_TIME {
                start[8..12].fill(0);
            }
            builder
                .append_data(&mut header, &path, start.as_slice().chain(entry))
                .map_err(damaged)?;
        } else {
            builder.append_data(&mut header, &path, entry).map_err(damaged)?;
        }
    }
    builder.finish().map_err(damaged)
}

fn is_rubbish(name: &str, header: &Header) -> bool {
    let name = name.trim_start_matches("./");
    if header.entry_type() == EntryType::Directory {
        return name.trim_end_matches('/') == MOUNT_FOLDER;
    }
    RUBBISH.contains(&name)
        || RUBBISH_IN.iter().any(|folder| name.starts_with(folder))
        || name
            .strip_prefix(MOUNT_FOLDER)
            .is_some_and(|rest| rest.starts_with('/'))
        || (MOUNT_POINTS.contains(&name) && header.size().is_ok_and(|size| size == 0))
}

fn extended_attributes<R: Read>(entry: &mut tar::Entry<'_, R>) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    if let Some(extensions) = entry.pax_extensions()? {
        for extension in extensions {
            let extension = extension?;
            let key = extension.key().unwrap_or_default();
            if key.starts_with("SCHILY.xattr.") {
                found.push((key.to_owned(), extension.value_bytes().to_vec()));
            }
        }
    }
    Ok(found)
}

/// Why a path must not stand in an archive, if it must not.
pub fn unsafe_path(name: &str) -> Option<&'static str> {
    if name.starts_with('/') {
        return Some("an absolute path");
    }
    name.split('/')
        .any(|part| part == "..")
        .then_some("a path that leads out of the archive's root")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn layer(files: &[(&str, &[u8], u64)]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (name, content, time) in files {
            let mut header = Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(*time);
            // `append_data` itself refuses `..`; an attacker's archiver would not.
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn rewritten(layer: &[u8]) -> Result<Vec<u8>, BundleError> {
        let mut out = Vec::new();
        rewrite("image/x", &mut &layer[..], &mut out).map(|()| out)
    }

    fn names(layer: &[u8]) -> Vec<String> {
        let mut archive = Archive::new(layer);
        archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect()
    }

    #[test]
    fn times_and_rubbish_do_not_count() {
        let one = layer(&[
            ("etc/x", b"1", 5),
            ("var/log/apt/term.log", b"today", 5),
            ("etc/pip.conf", b"", 5),
        ]);
        let two = layer(&[("etc/x", b"1", 9)]);
        assert_eq!(rewritten(&one).unwrap(), rewritten(&two).unwrap());
        let own = layer(&[("etc/pip.conf", b"[global]", 1)]);
        assert_eq!(
            names(&rewritten(&own).unwrap()),
            ["etc/pip.conf"],
            "a file that the image really has stays"
        );
    }

    #[test]
    fn byte_code_stays_valid_for_sources_whose_time_became_zero() {
        let code = |flags: u8| [&[1, 2, 3, 4, flags, 0, 0, 0, 9, 9, 9, 9, 7, 7, 7, 7][..], b"code"].concat();
        let out = rewritten(&layer(&[
            ("a.pyc", &code(0), 5),
            ("b.pyc", &code(1), 5),
            ("c.pyc", b"short", 5),
        ]))
        .unwrap();
        let mut archive = Archive::new(out.as_slice());
        let contents: Vec<Vec<u8>> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut content = Vec::new();
                entry.unwrap().read_to_end(&mut content).unwrap();
                content
            })
            .collect();
        assert_eq!(contents[0][8..12], [0; 4]);
        assert_eq!(contents[0][12..], code(0)[12..]);
        assert_eq!(
            contents[1],
            code(1),
            "checked by hash, so its time field is a hash"
        );
        assert_eq!(contents[2], b"short");
    }

    #[test]
    fn links_long_names_and_attributes_survive() {
        let long = "d/".repeat(90) + "file";
        let mut builder = Builder::new(Vec::new());
        builder
            .append_pax_extensions([("SCHILY.xattr.security.capability", &b"\x01\x00\x00\x02"[..])])
            .unwrap();
        let mut header = Header::new_gnu();
        header.set_size(2);
        builder.append_data(&mut header, &long, &b"hi"[..]).unwrap();
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, "bin", "usr/bin").unwrap();
        let out = rewritten(&builder.into_inner().unwrap()).unwrap();
        let mut archive = Archive::new(out.as_slice());
        let mut entries = archive.entries().unwrap();
        let mut first = entries.next().unwrap().unwrap();
        assert_eq!(first.path().unwrap().to_string_lossy(), long);
        let attributes = extended_attributes(&mut first).unwrap();
        assert_eq!(
            attributes,
            [(
                "SCHILY.xattr.security.capability".to_owned(),
                b"\x01\x00\x00\x02".to_vec()
            )]
        );
        let second = entries.next().unwrap().unwrap();
        assert_eq!(second.link_name().unwrap().unwrap().to_string_lossy(), "usr/bin");
    }

    #[test]
    fn ways_out_of_the_root_are_refused() {
        for bad in ["../x", "a/../../x", "/etc/passwd"] {
            let error = rewritten(&layer(&[(bad, b"", 0)])).unwrap_err();
            assert_eq!(error.code(), "bundle::unsafe-archive", "{bad}");
        }
    }

    proptest! {
        #[test]
        fn rewriting_twice_is_rewriting_once(files in prop::collection::btree_map("[a-z]{1,8}", prop::collection::vec(any::<u8>(), 0..64), 0..6), time in 0_u64..1 << 33) {
            let list: Vec<(&str, &[u8], u64)> = files.iter().map(|(name, content)| (name.as_str(), content.as_slice(), time)).collect();
            let once = rewritten(&layer(&list)).unwrap();
            prop_assert_eq!(&rewritten(&once).unwrap(), &once);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = rewritten(&bytes);
        }
    }
}
