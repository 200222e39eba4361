//! Which devices there are, and which one is meant.

use cpal::{
    Device, Host,
    traits::{DeviceTrait, HostTrait},
};

use super::{Listed, NoDevice, Side};

/// What there is on this machine. Looking takes a moment: each is tried.
pub fn list() -> Vec<Listed> {
    let host = cpal::default_host();
    let listed = |side: Side, devices: Vec<Device>| {
        names(&devices)
            .into_iter()
            .map(move |(id, name)| Listed { side, id, name })
            .collect::<Vec<_>>()
    };
    let mut all = listed(Side::Input, devices(&host, Side::Input));
    all.extend(listed(Side::Output, devices(&host, Side::Output)));
    all
}

pub(super) fn devices(host: &Host, side: Side) -> Vec<Device> {
    let devices = match side {
        Side::Input => host.input_devices(),
        Side::Output => host.output_devices(),
    };
    devices.map(Iterator::collect).unwrap_or_default()
}

/// The ids and names of devices; those that do not say are called by what they show.
pub(super) fn names(devices: &[Device]) -> Vec<(String, String)> {
    devices
        .iter()
        .map(|device| {
            let id = device.id().map(|id| id.id().to_owned());
            let name = device.description().map(|d| d.name().to_owned());
            let shown = || device.to_string();
            (
                id.unwrap_or_else(|_| shown()),
                name.unwrap_or_else(|_| shown()),
            )
        })
        .collect()
}

pub(super) fn find(host: &Host, side: Side, wanted: Option<&str>) -> Result<Device, NoDevice> {
    let Some(wanted) = wanted else {
        let device = match side {
            Side::Input => host.default_input_device(),
            Side::Output => host.default_output_device(),
        };
        return device.ok_or(NoDevice::Unusable {
            side,
            reason: "there is none".to_owned(),
        });
    };
    let mut devices = devices(host, side);
    let at = chosen(side, wanted, &names(&devices))?;
    Ok(devices.swap_remove(at))
}

/// Which one is meant: by its whole id or name, or else by a part that only one has.
pub(super) fn chosen(
    side: Side,
    wanted: &str,
    names: &[(String, String)],
) -> Result<usize, NoDevice> {
    let whole = names
        .iter()
        .position(|(id, name)| id == wanted || name == wanted);
    if let Some(at) = whole {
        return Ok(at);
    }
    let part = wanted.to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&part);
    let found: Vec<usize> = (0..names.len())
        .filter(|at| has(&names[*at].0) || has(&names[*at].1))
        .collect();
    match found[..] {
        [at] => Ok(at),
        [] => Err(NoDevice::Unknown {
            side,
            wanted: wanted.to_owned(),
        }),
        _ => Err(NoDevice::Ambiguous {
            wanted: wanted.to_owned(),
            found: found.iter().map(|at| names[*at].0.clone()).collect(),
        }),
    }
}
