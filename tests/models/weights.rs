//! The models' files on this machine, read whole.

use griot::{
    config::{self, Env, Overrides},
    weights::{Library, Manifest, Verdict},
};

#[test]
fn what_is_on_the_disk_is_what_the_manifest_names() {
    let settings = config::load(&Overrides::default(), &Env::of_process(), None)
        .expect("the settings of this machine are valid");
    let library = Library::new(&settings.paths.models_dir);
    let files = Manifest::built_in()
        .models
        .iter()
        .flat_map(|model| &model.files);
    let mut whole = 0;
    for file in files {
        match library.verify(file).unwrap() {
            Verdict::Whole => whole += 1,
            Verdict::Missing => {}
            other => panic!("{}: {other:?}", library.path(file).display()),
        }
    }
    if whole == 0 {
        println!("skipped: no weights are in {}", library.dir().display());
    }
}
