//! The pictures on a page, for whoever reads letters out of them: as files, in the format the PDF keeps
//! them in where that is one (JPEG, JPEG 2000), as PNG where it is not (faxes, JBIG2, plain samples).

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{by_lopdf, by_unpdf};
use crate::ingest::extract::{ExtractError, Options};

/// Pictures of one page. A scan has one; some scanners cut it into strips.
const MAX_PICTURES: usize = 16;

/// The pictures on page `page`, counting from 1, in the order of the file. Small ones, which are rules
/// and logos, are left out.
///
/// # Errors
/// `encrypted` or `damaged`.
pub(in crate::ingest) fn pictures(
    bytes: &[u8],
    options: &Options<'_>,
    page: u32,
) -> Result<Vec<Vec<u8>>, ExtractError> {
    // Only lopdf opens every kind of encryption with the owner's password too.
    let rewritten = match by_lopdf::File::open(bytes, options.password) {
        Ok(mut file) => file.rewritten(),
        Err(_) => None,
    };
    let file = match &rewritten {
        Some(bytes) => by_unpdf::File::open(bytes, None),
        None => by_unpdf::File::open(bytes, options.password),
    }?;
    let found = catch_unwind(AssertUnwindSafe(|| file.pictures(page)));
    let mut found = found.map_err(|_| super::damaged("the pictures on the page cannot be read"))?;
    found.truncate(MAX_PICTURES);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCAN: &[u8] = include_bytes!("../../../../tests/extract/documents/scan.pdf");

    #[test]
    fn each_page_has_its_picture() {
        for page in 1..=5 {
            let found = pictures(SCAN, &Options::default(), page).unwrap();
            assert_eq!(found.len(), 1, "page {page}");
            let wanted: &[u8] = if page == 1 {
                b"\xff\xd8\xff"
            } else {
                b"\x89PNG"
            };
            assert!(found[0].starts_with(wanted), "page {page}");
        }
    }

    #[test]
    fn what_is_not_there_has_none() {
        for page in [0, 6, u32::MAX] {
            let found = pictures(SCAN, &Options::default(), page);
            assert!(found.is_ok_and(|found| found.is_empty()), "page {page}");
        }
        assert!(pictures(b"%PDF-1.7", &Options::default(), 1).is_err());
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(32))]

        /// A damaged file gives its pictures, or not, and never takes the reader along.
        #[test]
        fn damaged_pictures(
            at in proptest::collection::vec((0..SCAN.len(), proptest::num::u8::ANY), 1..20),
            page in 1_u32..6,
        ) {
            let mut bytes = SCAN.to_vec();
            for (at, byte) in at {
                bytes[at] = byte;
            }
            drop(pictures(&bytes, &Options::default(), page));
        }
    }
}
