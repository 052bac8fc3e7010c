//! Filters that are loaded, and filters bound to parameters.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::abi::LogFilterPre;
use crate::breaker::Breaker;
use crate::description::{Description, Kind, Plan};
use crate::engine::Runtime;
use crate::failure::FilterFailure;
use crate::guest::{Guest, Opened};
use crate::json;
use crate::limits::FilterLimits;
use crate::session::Session;
use crate::store::HostState;

/// How a filter came to be machine code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileInfo {
    /// It was found compiled on disk.
    pub cached: bool,
    /// Wall time of compiling, or of finding it.
    pub time: Duration,
}

/// Why parameters were not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The filter refuses them, or they are not a JSON object.
    #[error("filter `{filter}`: {}{message}", field_prefix(field))]
    Params {
        /// The filter's name.
        filter: String,
        /// Dotted path of the parameter; empty for the object as a whole.
        field: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// The filter failed.
    #[error(transparent)]
    Failed(#[from] FilterFailure),
}

/// A compiled filter. Clones share it.
#[derive(Clone)]
pub struct Filter(Arc<FilterInner>);

pub(crate) struct FilterInner {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) pre: LogFilterPre<HostState>,
    pub(crate) name: Arc<str>,
    pub(crate) description: Description,
    pub(crate) digest: String,
    pub(crate) size: usize,
    pub(crate) compile: CompileInfo,
}

impl Filter {
    pub(crate) fn from_inner(inner: Arc<FilterInner>) -> Filter {
        Filter(inner)
    }

    /// What the filter says of itself.
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// `sha256:` and the hexadecimal digest of the component.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// Size of the component in bytes.
    pub fn size(&self) -> usize {
        self.0.size
    }

    /// How it was compiled.
    pub fn compile(&self) -> CompileInfo {
        self.0.compile
    }

    /// Binds parameters, the text of a JSON object, under limits. Runs the filter's `open`.
    ///
    /// # Errors
    /// [`OpenError`]; the filter itself stays usable.
    pub fn open(&self, params_json: &str, limits: &FilterLimits) -> Result<Binding, OpenError> {
        let refuse = |field: String, message: String| OpenError::Params {
            filter: self.0.description.name.clone(),
            field,
            message,
        };
        if params_json.len() > limits.params_bytes {
            let found = params_json.len();
            let limit = limits.params_bytes;
            let message = format!("the parameters have {found} bytes; the limit params_bytes is {limit}");
            return Err(refuse(String::new(), message));
        }
        json::check_object(params_json.as_bytes())
            .map_err(|problem| refuse(String::new(), format!("the parameters are {problem}")))?;
        let mut guest = self.0.instantiate(limits)?;
        match guest.open(params_json, self.0.description.kind)? {
            Opened::Refused(error) => Err(refuse(error.field, error.message)),
            Opened::Plan(plan) => Ok(Binding(Arc::new(BindingInner {
                filter: Arc::clone(&self.0),
                params: params_json.to_owned(),
                limits: limits.clone(),
                plan,
                breaker: Breaker::new(limits.failures, limits.breaker_pause),
                is_confidential: false,
                opened: Mutex::new(Some(guest)),
            }))),
        }
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("name", &self.0.description.name)
            .field("digest", &self.0.digest)
            .finish_non_exhaustive()
    }
}

impl FilterInner {
    pub(crate) fn instantiate(&self, limits: &FilterLimits) -> Result<Guest, FilterFailure> {
        Guest::new(&self.runtime, &self.pre, &self.name, limits)
    }
}

/// A filter with its parameters and limits, ready to be used by any number of sessions. Clones share it.
#[derive(Clone)]
pub struct Binding(Arc<BindingInner>);

pub(crate) struct BindingInner {
    pub(crate) filter: Arc<FilterInner>,
    pub(crate) params: String,
    pub(crate) limits: FilterLimits,
    pub(crate) plan: Plan,
    pub(crate) breaker: Breaker,
    /// See [`Binding::confidential`].
    pub(crate) is_confidential: bool,
    /// The instance that gave the plan; the first session uses it.
    opened: Mutex<Option<Guest>>,
}

impl Binding {
    /// What the filter reads, and outside of which expression it needs no record.
    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }

    /// The filter's kind.
    pub fn kind(&self) -> Kind {
        self.0.filter.description.kind
    }

    /// The filter.
    pub fn filter(&self) -> Filter {
        Filter(Arc::clone(&self.0.filter))
    }

    /// The parameters as given.
    pub fn params(&self) -> &str {
        &self.0.params
    }

    /// The limits as given.
    pub fn limits(&self) -> &FilterLimits {
        &self.0.limits
    }

    /// The same filter with the same parameters and limits, for records of which nobody may learn more than the filter
    /// gives: what it says while it fails on them, which may hold parts of them, is neither kept nor logged. Its failures
    /// count apart from those of other bindings.
    #[must_use]
    pub fn confidential(&self) -> Binding {
        let BindingInner { filter, params, limits, plan, .. } = &*self.0;
        Binding(Arc::new(BindingInner {
            filter: Arc::clone(filter),
            params: params.clone(),
            limits: limits.clone(),
            plan: plan.clone(),
            breaker: Breaker::new(limits.failures, limits.breaker_pause),
            is_confidential: true,
            opened: Mutex::new(None),
        }))
    }

    /// One worker's use of the filter in one query. Makes no instance yet.
    pub fn session(&self) -> Session {
        Session::new(Arc::clone(&self.0))
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding")
            .field("filter", &self.0.filter.description.name)
            .field("params", &self.0.params)
            .field("plan", &self.0.plan)
            .finish_non_exhaustive()
    }
}

impl BindingInner {
    /// An instance that has been opened, fresh or left over from binding.
    pub(crate) fn guest(&self) -> Result<Guest, FilterFailure> {
        let left_over = self.opened.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(guest) = left_over {
            return Ok(guest);
        }
        let mut guest = self.filter.instantiate(&self.limits)?;
        match guest.open(&self.params, self.filter.description.kind)? {
            Opened::Plan(plan) if plan == self.plan => Ok(guest),
            _ => Err(guest.breach(
                crate::GuestCall::Open,
                "it answered the same parameters in another way than before".to_owned(),
            )),
        }
    }
}

fn field_prefix(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!("parameter `{field}`: ") }
}
