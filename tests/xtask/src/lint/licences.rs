//! Every package we build on must be ours to build on.

use cargo_metadata::Metadata;

use crate::lint::spdx::Expression;
use crate::lint::violation::Violation;

/// Licences that ask for no more than keeping a notice.
const ALLOWED: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

pub(super) fn check(metadata: &Metadata) -> Vec<Violation> {
    let packages = metadata.packages.iter();
    let objections = packages.filter_map(|package| {
        let objection = objection(package.license.as_deref())?;
        Some(format!("{} {}: {objection}", package.name, package.version))
    });
    objections
        .map(|detail| Violation::new("Cargo.lock", "licence", detail))
        .collect()
}

fn objection(licence: Option<&str>) -> Option<String> {
    let Some(licence) = licence else {
        return Some("states no licence".to_owned());
    };
    match Expression::parse(licence) {
        Ok(expression) if expression.satisfied_by(&ALLOWED) => None,
        Ok(_) => Some(format!(
            "`{licence}` is not satisfied by the allowed licences"
        )),
        Err(error) => Some(format!("`{licence}` is not a licence expression: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_licences_pass() {
        for licence in [
            "MIT",
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "Apache-2.0 AND ISC",
        ] {
            assert_eq!(objection(Some(licence)), None, "{licence}");
        }
    }

    #[test]
    fn a_copyleft_licence_is_refused_unless_there_is_a_choice() {
        assert!(objection(Some("GPL-3.0-only")).is_some());
        assert!(objection(Some("MIT AND GPL-3.0-only")).is_some());
        assert_eq!(objection(Some("MIT OR GPL-3.0-only")), None);
    }

    #[test]
    fn a_missing_or_broken_licence_is_refused() {
        assert_eq!(objection(None).as_deref(), Some("states no licence"));
        assert!(objection(Some("see LICENSE")).is_some());
    }
}
