//! Breakers, supervision, the board.
