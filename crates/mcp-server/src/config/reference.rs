//! What the documentation says of the settings, taken from their declarations and from `config/default.toml`.

use super::{Change, DEFAULTS, SETTINGS};

/// What there is to know of a setting.
#[derive(Debug)]
pub struct SettingReference {
    /// Its place in the file, such as `log.filter`.
    pub key: &'static str,
    /// What it means.
    pub description: String,
    /// Its default, as it stands in a file.
    pub default: String,
    /// What may stand there, to finish "expected …".
    pub expected: String,
    /// The variables of the environment that set it.
    pub variables: Vec<String>,
    /// The flag that sets it.
    pub flag: Option<&'static str>,
    /// Whether a change takes effect while the server runs.
    pub is_live: bool,
}

/// Settings that belong together.
#[derive(Debug, Default)]
pub struct SectionReference {
    /// Its name in the file; empty for what stands before all sections.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Its settings.
    pub settings: Vec<SettingReference>,
}

/// Every setting, in the order of the file.
pub fn setting_reference() -> Vec<SectionReference> {
    let mut sections = vec![SectionReference::default()];
    let (mut comment, mut section) = (Vec::new(), String::new());
    for line in DEFAULTS.lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment.push(text.trim());
            continue;
        }
        let description = std::mem::take(&mut comment).join(" ");
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
            sections.push(SectionReference { name: section.clone(), description, settings: Vec::new() });
        } else if let Some((name, default)) = line.split_once(" = ") {
            let key = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
            let setting =
                SETTINGS.iter().find(|setting| setting.key == key).map(|setting| SettingReference {
                    key: setting.key,
                    description,
                    default: default.to_owned(),
                    expected: (setting.expected)(),
                    variables: setting.variables().collect(),
                    flag: setting.flag,
                    is_live: setting.change == Change::Live,
                });
            if let Some(section) = sections.last_mut() {
                section.settings.extend(setting);
            }
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::layers::{Content, Sources};

    #[test]
    fn every_setting_has_a_default_that_is_right_and_a_description() {
        let sections = setting_reference();
        let described: Vec<&str> =
            sections.iter().flat_map(|section| &section.settings).map(|s| s.key).collect();
        let declared: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
        assert_eq!(described, declared, "in config/default.toml and in the code, in the same order");
        for section in &sections {
            assert!(section.name.is_empty() || !section.description.is_empty(), "{section:?}");
            for setting in &section.settings {
                assert!(!setting.description.is_empty() && !setting.default.is_empty(), "{setting:?}");
            }
        }
        // As a file it changes nothing and holds no mistake.
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        std::fs::write(&path, DEFAULTS).unwrap();
        let of_file = Sources::of_process(Some(path.into()), Vec::new());
        let loaded = of_file.load().unwrap();
        assert_eq!(loaded.settings, of_file.load_from(Content::Text(String::new())).unwrap().settings);
    }
}
