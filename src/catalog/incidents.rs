//! The incidents' rows. What is an incident and when it ends is decided by `health`.

use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, de::value::StrDeserializer};

use super::{
    Catalog, CatalogError,
    column::{Key, count, micros, now, time, unreadable},
};
use crate::domain::{Component, Incident, IncidentId};

const COLUMNS: &str =
    "id, component, part, opened_at, closed_at, cause, action, degraded_answers, events";

impl Catalog {
    /// Writes an incident, or writes it anew.
    pub fn save_incident(&self, incident: &Incident) -> Result<(), CatalogError> {
        self.connections.write(|t| {
            t.execute(
                &format!(
                    "INSERT OR REPLACE INTO incidents ({COLUMNS}) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
                ),
                params![
                    incident.id.key(),
                    incident.component.as_str(),
                    incident.part,
                    micros(incident.opened),
                    incident.closed.map(micros),
                    incident.cause,
                    incident.action,
                    incident.degraded_answers.cast_signed(),
                    serde_json::to_string(&incident.events).expect("texts and times become JSON"),
                ],
            )?;
            Ok(())
        })
    }

    /// Incidents, newest first.
    pub fn incidents(&self, limit: usize) -> Result<Vec<Incident>, CatalogError> {
        self.connections.read(|t| {
            let incidents = t
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM incidents ORDER BY opened_at DESC, id DESC LIMIT ?1"
                ))?
                .query_map([i64::try_from(limit).unwrap_or(i64::MAX)], read_row)?
                .collect::<Result<_, _>>()?;
            Ok(incidents)
        })
    }

    /// One incident.
    pub fn incident(&self, id: IncidentId) -> Result<Option<Incident>, CatalogError> {
        self.connections.read(|t| {
            Ok(
                t.prepare_cached(&format!("SELECT {COLUMNS} FROM incidents WHERE id = ?1"))?
                    .query_row([id.key()], read_row)
                    .optional()?,
            )
        })
    }

    /// Closes what an earlier run left open, at its last known moment being now: nobody watched in
    /// between. How many there were. Call it at start, before new ones are written.
    pub fn close_stale_incidents(&self) -> Result<usize, CatalogError> {
        self.connections.write(|t| {
            Ok(t.execute(
                "UPDATE incidents SET closed_at = ?1, \
                 action = trim(action || '; the program was started anew', '; ') \
                 WHERE closed_at IS NULL",
                [now()],
            )?)
        })
    }
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<Incident> {
    let component = row.get_ref(1)?.as_str()?;
    let component =
        Component::deserialize(StrDeserializer::<serde::de::value::Error>::new(component))
            .map_err(|e| unreadable(1, e))?;
    Ok(Incident {
        id: IncidentId::read(row, 0)?,
        component,
        part: row.get(2)?,
        opened: time(row, 3)?,
        closed: match row.get_ref(4)? {
            rusqlite::types::ValueRef::Null => None,
            _ => Some(time(row, 4)?),
        },
        cause: row.get(5)?,
        action: row.get(6)?,
        degraded_answers: count(row, 7)?,
        events: serde_json::from_str(row.get_ref(8)?.as_str()?).map_err(|e| unreadable(8, e))?,
    })
}
