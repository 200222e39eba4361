//! Files of a walk held against the catalog's rows, both in the order of their keys.

use std::{cmp::Ordering, collections::VecDeque, path::Path, sync::Arc};

use crate::{
    catalog::{WatchedFile, key_of},
    domain::Watch,
    ingest::{IngestError, shared::Shared},
};

/// Rows read at once.
const ROWS: usize = 512;

/// Whose turn it is when rows and files are held against one another.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The row has no file.
    Gone,
    Both,
    /// The file has no row.
    New,
    End,
}

pub(super) fn step(row: Option<&Path>, file: Option<&Path>) -> Step {
    match (row, file) {
        (None, None) => Step::End,
        (Some(_), None) => Step::Gone,
        (None, Some(_)) => Step::New,
        (Some(row), Some(file)) => match key_of(row).cmp(&key_of(file)) {
            Ordering::Less => Step::Gone,
            Ordering::Equal => Step::Both,
            Ordering::Greater => Step::New,
        },
    }
}

/// The rows of a part of a folder, a page of them at a time.
pub(super) struct Rows {
    page: VecDeque<WatchedFile>,
    from: Vec<u8>,
    before: Option<Vec<u8>>,
    ended: bool,
}

impl Rows {
    pub(super) fn new(below: &Path) -> Self {
        let from = key_of(below);
        // All keys that go on with a separator, which is zero.
        let before = (!from.is_empty()).then(|| [&*from, &[1]].concat());
        Self {
            page: VecDeque::new(),
            from,
            before,
            ended: false,
        }
    }

    pub(super) async fn peek(
        &mut self,
        shared: &Arc<Shared>,
        watch: &Watch,
    ) -> Result<Option<WatchedFile>, IngestError> {
        if self.page.is_empty() && !self.ended {
            let (id, from, before) = (watch.id, self.from.clone(), self.before.clone());
            let page = shared
                .catalog
                .call(move |c| c.watched_files(id, &from, before.as_deref(), ROWS))
                .await?;
            self.ended = page.len() < ROWS;
            if let Some(last) = page.last() {
                // The least key after it.
                self.from = [&*key_of(&last.path), &[0]].concat();
            }
            self.page = page.into();
        }
        Ok(self.page.front().cloned())
    }

    pub(super) fn take(&mut self) -> Option<WatchedFile> {
        self.page.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_files_are_held_against_one_another() {
        let check = |rows: &[&str], files: &[&str], expected: &[(&str, Step)]| {
            let (mut rows, mut files) = (rows.iter().peekable(), files.iter().peekable());
            let mut steps = Vec::new();
            loop {
                let row = rows.peek().map(Path::new);
                let file = files.peek().map(Path::new);
                let step = step(row, file);
                match step {
                    Step::End => break,
                    Step::Gone => steps.push((*rows.next().unwrap(), step)),
                    Step::New => steps.push((*files.next().unwrap(), step)),
                    Step::Both => {
                        files.next();
                        steps.push((*rows.next().unwrap(), step));
                    }
                }
            }
            assert_eq!(steps, expected);
        };
        use Step::{Both, Gone, New};
        check(&[], &[], &[]);
        check(&["a"], &[], &[("a", Gone)]);
        check(&[], &["a"], &[("a", New)]);
        check(
            &["a/x", "a-b", "c"],
            &["a/x", "a/y", "c"],
            &[("a/x", Both), ("a/y", New), ("a-b", Gone), ("c", Both)],
        );
        // A file became a folder.
        check(
            &["a", "b"],
            &["a/x", "b"],
            &[("a", Gone), ("a/x", New), ("b", Both)],
        );
    }
}
