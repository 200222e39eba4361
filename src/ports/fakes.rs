//! In-memory implementations of every port, for the fast test tier. They keep the same promises as
//! the real ones (the contract suite runs against them too).
