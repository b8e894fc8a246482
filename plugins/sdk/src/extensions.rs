//! What plugins keep with a connection.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;

type Kept = HashMap<TypeId, Arc<dyn Any + Send + Sync>>;

/// Values by their type, one of each: a plugin uses types of its own, so that plugins do not meet.
/// Clones share their values.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// use partyline_plugin::Extensions;
///
/// #[derive(Default)]
/// struct Refused(AtomicU32);
///
/// let extensions = Extensions::default();
/// extensions.get_or_default::<Refused>().0.fetch_add(1, Ordering::Relaxed);
/// assert_eq!(extensions.get_or_default::<Refused>().0.load(Ordering::Relaxed), 1);
/// ```
#[derive(Clone, Default)]
pub struct Extensions(Arc<RwLock<Option<Box<Kept>>>>);

impl Extensions {
    /// The value of this type.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let kept = self.0.read();
        let value = kept.as_ref()?.get(&TypeId::of::<T>())?;
        Arc::clone(value).downcast().ok()
    }

    /// Keeps a value, in place of the one of its type.
    pub fn insert<T: Send + Sync + 'static>(&self, value: T) -> Arc<T> {
        let value = Arc::new(value);
        let mut kept = self.0.write();
        let kept = kept.get_or_insert_default();
        kept.insert(TypeId::of::<T>(), Arc::clone(&value) as _);
        value
    }

    /// The value of this type; the default one is kept if there is none.
    pub fn get_or_default<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        if let Some(value) = self.get() {
            return value;
        }
        let mut kept = self.0.write();
        let kept = kept.get_or_insert_default();
        let value = kept
            .entry(TypeId::of::<T>())
            .or_insert_with(|| Arc::<T>::default());
        // What lies under a type's id is of that type.
        Arc::clone(value).downcast().unwrap_or_default()
    }

    /// Takes the value of this type away.
    pub fn remove<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let value = self.0.write().as_mut()?.remove(&TypeId::of::<T>())?;
        value.downcast().ok()
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.read().as_ref().map_or(0, |kept| kept.len());
        write!(f, "Extensions({count})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_value_of_a_type_and_clones_share_it() {
        let one = Extensions::default();
        let clone = one.clone();
        assert!(one.get::<u8>().is_none() && one.remove::<u8>().is_none());
        clone.insert(1_u8);
        clone.insert("text");
        assert_eq!(one.get::<u8>().as_deref(), Some(&1));
        one.insert(2_u8);
        assert_eq!(*clone.get_or_default::<u8>(), 2);
        assert_eq!(*clone.get_or_default::<u16>(), 0);
        assert_eq!(one.remove::<u8>().as_deref(), Some(&2));
        assert!(clone.get::<u8>().is_none());
        assert_eq!(clone.get::<&str>().as_deref(), Some(&"text"));
    }
}
