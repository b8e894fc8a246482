//! Typed services between plugins: one provides an `Arc<dyn Trait>`, others ask for it by type.

mod accounts;
mod streams;

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;

pub use accounts::{Accounts, UserState};
pub use streams::{StreamPlace, Streams};

/// Nobody provides the service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no plugin provides {0}")]
pub struct NoSuchService(&'static str);

/// A service could not answer, because of its database or its own fault.
#[derive(Debug, thiserror::Error)]
#[error("the service could not answer")]
pub struct ServiceError(#[from] pub Box<dyn std::error::Error + Send + Sync>);

impl From<sqlx::Error> for ServiceError {
    fn from(error: sqlx::Error) -> Self {
        Self(Box::new(error))
    }
}

/// The services that plugins provide. Cheap to clone; clones share the registry.
#[derive(Clone, Default)]
pub struct Services(Arc<RwLock<HashMap<TypeId, Box<dyn Any + Send + Sync>>>>);

impl Services {
    /// Offers a service; a later one of the same type replaces it.
    pub fn provide<S: ?Sized + Send + Sync + 'static>(&self, service: Arc<S>) {
        self.0
            .write()
            .insert(TypeId::of::<Arc<S>>(), Box::new(service));
    }

    /// The service of this type.
    pub fn get<S: ?Sized + Send + Sync + 'static>(&self) -> Result<Arc<S>, NoSuchService> {
        self.0
            .read()
            .get(&TypeId::of::<Arc<S>>())
            .and_then(|service| service.downcast_ref::<Arc<S>>())
            .cloned()
            .ok_or(NoSuchService(std::any::type_name::<S>()))
    }

    /// Whether a service is there, by the key that [`crate::Registrar::requires`] recorded.
    pub fn has(&self, key: TypeId) -> bool {
        self.0.read().contains_key(&key)
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Services({})", self.0.read().len())
    }
}
