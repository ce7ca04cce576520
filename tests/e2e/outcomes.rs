//! What becomes of a webhook, as the tables of documents 1 and 2 have it.

mod by_hand;
mod deduplication;
mod gate;
mod log_lines;
mod refusals;
mod strategies;
mod table;
mod upstream;
mod vendors;
