//! Signals, task tracking, drain.
