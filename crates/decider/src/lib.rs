//! Role: takes commands off the bus, decides them, appends their events.
