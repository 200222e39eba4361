//! Voice profiles: how somebody wants to be spoken to and listened to.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Catalog, CatalogError, column::now};
use crate::domain::{Profile, UserId};

impl Catalog {
    /// Somebody's profile, where there is one.
    pub fn profile(&self, user: &UserId) -> Result<Option<Profile>, CatalogError> {
        self.connections.read(|t| kept(t, user))
    }

    /// Keeps a profile in the place of whatever was kept.
    pub fn set_profile(&self, user: &UserId, profile: &Profile) -> Result<(), CatalogError> {
        self.connections.write(|t| {
            t.execute(
                "INSERT OR REPLACE INTO profiles \
                 (user, voice, speed, language, patience, barge_in, updated_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    user.as_str(),
                    profile.voice,
                    profile.speed,
                    profile.language,
                    profile.patience,
                    profile.barge_in,
                    now(),
                ],
            )?;
            Ok(())
        })
    }

    /// Forgets a profile; gives it as it was.
    pub fn remove_profile(&self, user: &UserId) -> Result<Option<Profile>, CatalogError> {
        self.connections.write(|t| {
            let was = kept(t, user)?;
            t.execute("DELETE FROM profiles WHERE user = ?1", [user.as_str()])?;
            Ok(was)
        })
    }
}

fn kept(connection: &Connection, user: &UserId) -> Result<Option<Profile>, CatalogError> {
    let profile = connection
        .prepare_cached(
            "SELECT voice, speed, language, patience, barge_in FROM profiles WHERE user = ?1",
        )?
        .query_row([user.as_str()], |row| {
            Ok(Profile {
                voice: row.get(0)?,
                speed: row.get(1)?,
                language: row.get(2)?,
                patience: row.get(3)?,
                barge_in: row.get(4)?,
            })
        })
        .optional()?;
    Ok(profile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_kept_replaced_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let (ann, bob): (UserId, UserId) = ("ann".parse().unwrap(), "bob".parse().unwrap());
        let slow = Profile {
            voice: Some("joe".to_owned()),
            speed: Some(0.8),
            language: Some("en".to_owned()),
            patience: Some(2.0),
            barge_in: Some(0.0),
        };
        {
            let catalog = Catalog::open(&path).unwrap();
            assert_eq!(catalog.profile(&ann).unwrap(), None);
            catalog.set_profile(&ann, &Profile::default()).unwrap();
            catalog.set_profile(&ann, &slow).unwrap();
        }
        let catalog = Catalog::open(&path).unwrap();
        assert_eq!(catalog.profile(&ann).unwrap(), Some(slow.clone()));
        assert_eq!(catalog.profile(&bob).unwrap(), None);
        assert_eq!(catalog.remove_profile(&ann).unwrap(), Some(slow));
        assert_eq!(catalog.remove_profile(&ann).unwrap(), None);
        assert_eq!(catalog.profile(&ann).unwrap(), None);
    }
}
